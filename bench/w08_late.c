/* w08_late.c -- W8late: how late a sleep of 1 ms ends.
 *
 * One operation is one sleep.  The floor is the kernel's: a sleeping thread is
 * woken 50 us late by default (the timer slack), plus what waking a sleeping
 * core takes.  Busy (n = 1): a second fiber on the thread computes for 10 us,
 * gives way, and so on; the loop does not sleep then. */
#include "bench/harness.h"

enum { SLEEPS = 100 };

static double late[SLEEPS];
static bool stop;

KIN_SUSPENDS
static int compute(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    while (!stop) {
        for (int64_t end = kin_after(KIN_US(10)); kin_now() < end; )
            ;
        KIN_TRY(kin_yield());
    }
    return 0;
}

KIN_SUSPENDS
static int sleep_often(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;

    stop = false;
    if (bench->n)
        KIN_TRY(kin_launch(scope, compute, NULL));
    for (int i = 0; i < SLEEPS; i++) {
        int64_t due = kin_after(KIN_MS(1));

        KIN_TRY(kin_delay(KIN_MS(1)));
        late[i] = (double)(kin_now() - due) / 1e3;
    }
    stop = true;
    return 0;
}

static void round_(struct bench *bench)
{
    bench_run(bench, sleep_often);
    bench_metric("p50", "us", bench_percentile(late, SLEEPS, 0.5), SLEEPS);
    bench_metric("p99", "us", bench_percentile(late, SLEEPS, 0.99), SLEEPS);
    bench_metric("max", "us", bench_percentile(late, SLEEPS, 1), SLEEPS);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W8late", .round = round_ }, { .name = NULL }
};
