/* w02_yield.c -- W2: what giving way costs: n fibers on one thread, in turn.
 *
 * One operation is one kin_yield: to the tail of the queue, off the head of
 * it, a look at cancellation, a switch.  The floor is the switch (W1's park).
 * With many fibers each switch also misses the caches for a stack and a record
 * that have been away. */
#include "bench/harness.h"

static struct bench *bench;
static long times, back, ended;
static uint64_t sum;

KIN_SUSPENDS
static int give_way(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    KIN_TRY(kin_yield());
    if (back++ == 0)
        bench_begin(bench);
    for (long i = 1; i < times; i++)
        KIN_TRY(kin_yield());
    sum += (uint64_t)times;
    if (++ended == bench->n)
        bench_end(bench, (double)(bench->n * times));
    return 0;
}

static int launch_all(kin_scope *scope, void *arg)
{
    (void)arg;
    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, give_way, NULL));
    return 0;
}

static uint64_t unit(struct bench *b)
{
    bench = b;
    times = b->n < 10000 ? 100000 / b->n : 10;
    back = 0;
    ended = 0;
    sum = 0;
    bench_run(b, launch_all);
    return sum;
}

static void round_(struct bench *b)
{
    if (b->n < 1)
        bench_cannot("give way without a fiber");
    bench_units(b, "yield", "ns", unit);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W2", .round = round_ }, { .name = NULL }
};
