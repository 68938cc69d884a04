/* w15_rest.c -- MEM and IDLE: what kin takes while nothing happens.
 *
 *   MEM   one operation is one job that is launched and has not run; what is
 *         told is by how much the process grew.  The floor is its record: body,
 *         argument, parent, context, where it was launched.
 *   IDLE  CPU seconds of n seconds in which everything waits: two workers of
 *         Default, an IO thread, a timer that is far away.  The floor is 0. */
#include "bench/harness.h"

#include <unistd.h>

static long ran;

static int count(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    ran++;
    return 0;
}

static int launch_all(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;
    double before = bench_resident_bytes();

    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, count, NULL));
    bench->operations = (bench_resident_bytes() - before) / (double)bench->n;
    return 0;
}

static void round_memory(struct bench *bench)
{
    if (bench->n < 1)
        bench_cannot("launch less than one job");
    ran = 0;
    bench_run(bench, launch_all);
    bench_metric("resident", "bytes", bench->operations, (uint64_t)ran);
}

/* --- Idle ----------------------------------------------------------------- */

KIN_SUSPENDS
static int short_sleep(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_delay(KIN_MS(1));
}

KIN_SUSPENDS
static int use_the_pool(kin_scope *scope, void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        KIN_TRY(kin_launch(scope, short_sleep, NULL));
        KIN_TRY(kin_launch(scope, short_sleep, NULL,
                           .dispatcher = kin_io()));
    }
    return 0;
}

KIN_SUSPENDS
static int long_sleep(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_delay(KIN_S(3600));
}

static void round_idle(struct bench *bench)
{
    KIN_AUTO(kin_job) sleeper = NULL;
    double begin;

    MUST(kin_run_blocking(use_the_pool, NULL, .dispatcher = kin_default()));
    MUST(kin_launch(kin_global_scope(), long_sleep, NULL, .job = &sleeper));
    usleep(10000);
    begin = bench_cpu_seconds();
    sleep((unsigned)bench->n);
    bench_metric("cpu", "s", bench_cpu_seconds() - begin, (uint64_t)bench->n);
    kin_job_cancel(sleeper, NULL);
}

const struct bench_workload bench_workloads[] = {
    { .name = "MEM", .round = round_memory, .fresh = true },
    { .name = "IDLE", .round = round_idle, .fresh = true },
    { .name = NULL }
};
