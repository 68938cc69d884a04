/* w08_timeout.c -- W8cancel: a timeout that is not needed in the end.
 *
 * One operation is kin_with_timeout around a body that returns at once: a
 * scope is made, a timer armed and disarmed, the scope ended.  n other timers
 * are armed for much later meanwhile; the cost should not grow with them.  The
 * floor is reading the clock. */
#include "bench/harness.h"

enum { TIMEOUTS = 1000 };

static uint64_t sum;

KIN_SUSPENDS
static int sleeper(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_delay(KIN_S(3600));
}

static int add(kin_scope *scope, void *arg)
{
    (void)scope;
    sum += (uintptr_t)arg;
    return 0;
}

KIN_SUSPENDS
static uint64_t unit(struct bench *bench)
{
    sum = 0;
    bench_begin(bench);
    for (intptr_t i = 0; i < TIMEOUTS; i++)
        MUST(kin_with_timeout(KIN_S(10), add, (void *)i));
    bench_end(bench, TIMEOUTS);
    return sum;
}

static int launch_sleepers(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;

    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, sleeper, NULL));
    return 0;
}

KIN_SUSPENDS
static int among_sleepers(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;
    KIN_AUTO(kin_job) sleepers = NULL;

    KIN_TRY(kin_launch(scope, launch_sleepers, bench, .job = &sleepers));
    KIN_TRY(kin_yield());               /* they are launched, */
    KIN_TRY(kin_yield());               /* and asleep */
    bench_units(bench, "timeout", "ns", unit);
    kin_job_cancel(sleepers, NULL);
    return 0;
}

static void round_(struct bench *bench)
{
    bench_run(bench, among_sleepers);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W8cancel", .round = round_ }, { .name = NULL }
};
