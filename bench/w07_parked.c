/* w07_parked.c -- W7: what a fiber costs that is there and waits.
 *
 * One operation is one fiber that ran, touched 512 bytes of its stack, and
 * parked.  The floor for a stack that is a mapping of its own with a guard: one
 * page, 4 096 bytes.  The fiber's record is at the top of its stack, the job's
 * beside others of its kind. */
#include "bench/harness.h"

#include <string.h>

static long up, woken;
static kin_deferred *word;

static __attribute__((noinline)) void touch(void)
{
    char bytes[512];

    memset(bytes, 1, sizeof bytes);
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

KIN_SUSPENDS
static int park(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    touch();
    up++;
    KIN_TRY(kin_await(word, NULL));
    woken++;
    return 0;
}

KIN_SUSPENDS
static int launch_all(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;
    double before = bench_resident_bytes(), n = (double)bench->n;
    int64_t begun = kin_now();

    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, park, NULL));
    while (up < bench->n)
        KIN_TRY(kin_yield());
    KIN_TRY(kin_yield());
    bench_metric("create", "ns", (double)(kin_now() - begun) / n,
                 (uint64_t)up);
    bench_metric("resident", "bytes", (bench_resident_bytes() - before) / n,
                 (uint64_t)up);
    bench_begin(bench);
    return kin_deferred_complete(word, NULL);
}

static void round_(struct bench *bench)
{
    if (bench->n < 1)
        bench_cannot("park less than one fiber");
    MUST(kin_deferred_new(NULL, NULL, &word));
    bench->time = 0;
    up = 0;
    woken = 0;
    bench_run(bench, launch_all);
    bench_end(bench, 0);
    bench_metric("wake", "ns", (double)bench->time / (double)bench->n,
                 (uint64_t)woken);
    kin_deferred_release(word);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W7", .round = round_, .fresh = true }, { .name = NULL }
};
