/* w08_sleepers.c -- W8sleep: many fibers asleep at once.
 *
 * One operation is all of them: launched, each sleeps 1 to 1 000 ms, joined;
 * what is told is CPU seconds.  The floor is touching a page for each stack
 * (first), and a heap of n deadlines (warm).  A stack that was in use before
 * need not be asked of the kernel again, if it was kept: by default kin keeps
 * 128 MiB, here as much as was used. */
#include "bench/harness.h"

static uint64_t slept;

KIN_SUSPENDS
static int sleeper(kin_scope *scope, void *arg)
{
    intptr_t ms = (intptr_t)arg;

    (void)scope;
    KIN_TRY(kin_delay(KIN_MS(ms)));
    slept += (uint64_t)ms;
    return 0;
}

static int launch_all(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;
    uint32_t state = 1;

    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, sleeper, (void *)bench_sleep_ms(&state)));
    return 0;
}

static void once(struct bench *bench, const char *metric)
{
    double begin = bench_cpu_seconds();

    slept = 0;
    bench_run(bench, launch_all);
    bench_metric(metric, "s", bench_cpu_seconds() - begin, slept);
}

static void round_(struct bench *bench)
{
    kin_stack_set_limit_bytes(SIZE_MAX);
    once(bench, "first");
    once(bench, "warm");
}

const struct bench_workload bench_workloads[] = {
    { .name = "W8sleep", .round = round_, .fresh = true }, { .name = NULL }
};
