/* yield.c -- what giving way costs: n fibers on one thread, in turn.
 *
 * One operation is one kin_yield.  With many fibers each switch also misses
 * the caches for a stack that has been away. */
#include "bench/bench.h"

enum { YIELDS = 1000000 };

KIN_SUSPENDS
static int give_way(kin_scope *scope, void *times)
{
    (void)scope;
    for (long i = 0; i < (long)times; i++)
        KIN_TRY(kin_yield());
    return 0;
}

static int launch_all(kin_scope *scope, void *arg)
{
    long fibers = (long)arg;

    for (long i = 0; i < fibers; i++)
        KIN_TRY(kin_launch(scope, give_way, (void *)(YIELDS / fibers)));
    return 0;
}

static void run(long fibers)
{
    if (kin_run_blocking(launch_all, (void *)fibers) != 0)
        abort();
}

int main(void)
{
    BENCH("yield, 2 fibers", YIELDS, run(2));
    BENCH("yield, 1000 fibers", YIELDS, run(1000));
    BENCH("yield, 100000 fibers", YIELDS, run(100000));
    return 0;
}
