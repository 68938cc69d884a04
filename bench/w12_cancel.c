/* w12_cancel.c -- W12: cancelling a family.
 *
 * One operation is one child, parked, whose parent is cancelled: it is found,
 * woken, runs to its end, and leaves its parent.  Either n children of one
 * scope (W12), or a chain of jobs, each the child of the one before (W12deep).
 * The floor is a switch, and a launch without its beginning. */
#include "bench/harness.h"

static struct bench *bench;
static long parked, ended;

KIN_SUSPENDS
static int wait_for_the_end(void)
{
    int err;

    parked++;
    err = kin_await_cancellation();
    ended++;
    return err;
}

KIN_SUSPENDS
static int child(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return wait_for_the_end();
}

static int wide(kin_scope *scope, void *arg)
{
    (void)arg;
    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, child, NULL));
    return 0;
}

KIN_SUSPENDS
static int deep(kin_scope *scope, void *arg)
{
    intptr_t below = (intptr_t)arg;

    if (below > 1)
        KIN_TRY(kin_launch(scope, deep, (void *)(below - 1)));
    return wait_for_the_end();
}

KIN_SUSPENDS
static int cancel(kin_scope *scope, void *arg)
{
    kin_body *body = *(kin_body **)arg;
    KIN_AUTO(kin_job) job = NULL;

    KIN_TRY(kin_launch(scope, body, (void *)bench->n, .job = &job));
    while (parked < bench->n)
        KIN_TRY(kin_yield());
    KIN_TRY(kin_yield());
    bench_begin(bench);
    kin_job_cancel(job, NULL);
    KIN_TRY(kin_join(job));
    bench_end(bench, (double)bench->n);
    return 0;
}

static uint64_t unit(struct bench *b, kin_body *body)
{
    if (b->n < 1)
        bench_cannot("cancel less than one child");
    bench = b;
    parked = 0;
    ended = 0;
    MUST(kin_run_blocking(cancel, &body, .dispatcher = b->dispatcher));
    return (uint64_t)ended;
}

static uint64_t unit_wide(struct bench *b)
{
    return unit(b, wide);
}

static uint64_t unit_deep(struct bench *b)
{
    return unit(b, deep);
}

/* Whoever has so many keeps their stacks: beyond 128 MiB they would go back to
 * the system each time, and that would be measured. */
static void round_wide(struct bench *b)
{
    kin_stack_set_limit_bytes(SIZE_MAX);
    bench_units(b, "child", "ns", unit_wide);
}

static void round_deep(struct bench *b)
{
    kin_stack_set_limit_bytes(SIZE_MAX);
    bench_units(b, "child", "ns", unit_deep);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W12", .round = round_wide },
    { .name = "W12deep", .round = round_deep },
    { .name = NULL }
};
