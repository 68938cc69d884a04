/* w04_skynet.c -- W4: a tree of jobs, ten to a node, summed up.
 *
 * One operation is the whole tree with n leaves: (10 n - 1) / 9 jobs, each
 * with a value.  The floor is the recursion in plain calls.  A node that waits
 * for its children keeps its stack; a leaf never gets one of its own.  On
 * Default, also with one thread: it begins what was launched last first, so the
 * tree is gone through in depth; an event loop goes through it in breadth. */
#include "bench/harness.h"

enum { FAN_OUT = 10 };

struct node {
    long first, leaves;
};

KIN_SUSPENDS
static long sum_of_children(kin_scope *scope, const struct node *node,
                            kin_body *body)
{
    struct node child[FAN_OUT];
    kin_deferred *deferred[FAN_OUT];
    long sum = 0, value;

    for (int i = 0; i < FAN_OUT; i++) {
        child[i].leaves = node->leaves / FAN_OUT;
        child[i].first = node->first + i * child[i].leaves;
        MUST(kin_async(scope, &deferred[i], body, &child[i]));
    }
    for (int i = 0; i < FAN_OUT; i++) {
        MUST(kin_await(deferred[i], &value));
        kin_deferred_release(deferred[i]);
        sum += value;
    }
    return sum;
}

KIN_SUSPENDS
static int node_main(kin_scope *scope, void *arg)
{
    struct node node = *(struct node *)arg;

    if (node.leaves == 1)
        return kin_return(scope, (void *)node.first);
    return kin_return(scope,
                      (void *)sum_of_children(scope, &node, node_main));
}

static long sum;

KIN_SUSPENDS
static int tree(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;
    struct node root = { .first = 0, .leaves = bench->n };
    KIN_AUTO(kin_deferred) deferred = NULL;

    bench_begin(bench);
    KIN_TRY(kin_async(scope, &deferred, node_main, &root));
    KIN_TRY(kin_await(deferred, &sum));
    bench_end(bench, 1);
    return 0;
}

static uint64_t unit(struct bench *bench)
{
    MUST(kin_run_blocking(tree, bench, .dispatcher = kin_default()));
    return (uint64_t)sum;
}

static void round_(struct bench *bench)
{
    for (long n = bench->n; n != 1; n /= FAN_OUT)
        if (n < 1 || n % FAN_OUT != 0)
            bench_cannot("make a tree of leaves that are no power of 10");
    bench_units(bench, "tree", "ms", unit);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W4", .round = round_ }, { .name = NULL }
};
