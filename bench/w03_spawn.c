/* w03_spawn.c -- W3: what a fiber costs that does next to nothing: launched,
 * run, ended, waited for.
 *
 * One operation is one fiber: joined one at a time (W3one), or by the scope
 * that it is in (W3scope, n to a scope).  A record is taken, attached to the
 * family, queued, called, detached and given back.  The floor is a call: such
 * a body never gets a stack of its own. */
#include "bench/harness.h"

enum { ONE_AT_A_TIME = 1000 };

static long *slots;
static long slot_count;

static int store(kin_scope *scope, void *slot)
{
    (void)scope;
    *(long *)slot = (long *)slot - slots;
    return 0;
}

static void clear_slots(long count)
{
    if (slot_count < count)
        slots = bench_alloc((size_t)count * sizeof *slots);
    slot_count = count;
    for (long i = 0; i < count; i++)
        slots[i] = -1;
}

static uint64_t sum_of_slots(void)
{
    uint64_t sum = 0;

    for (long i = 0; i < slot_count; i++)
        sum += (uint64_t)slots[i];
    return sum;
}

/* --- One at a time -------------------------------------------------------- */

KIN_SUSPENDS
static int one_at_a_time(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;

    bench_begin(bench);
    for (int i = 0; i < ONE_AT_A_TIME; i++) {
        KIN_AUTO(kin_job) job = NULL;

        KIN_TRY(kin_launch(scope, store, slots + i, .job = &job));
        KIN_TRY(kin_join(job));
    }
    bench_end(bench, ONE_AT_A_TIME);
    return 0;
}

static uint64_t unit_one(struct bench *bench)
{
    clear_slots(ONE_AT_A_TIME);
    bench_run(bench, one_at_a_time);
    return sum_of_slots();
}

static void round_one(struct bench *bench)
{
    bench_units(bench, "fiber", "ns", unit_one);
}

/* --- In scopes ------------------------------------------------------------ */

static int launch_all(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;

    for (long i = 0; i < bench->n; i++)
        KIN_TRY(kin_launch(scope, store, slots + i));
    return 0;
}

KIN_SUSPENDS
static int in_a_scope(kin_scope *scope, void *arg)
{
    struct bench *bench = arg;

    long scopes = bench->n < 1000 ? 1000 / bench->n : 1;

    (void)scope;
    bench_begin(bench);
    for (long i = 0; i < scopes; i++)
        KIN_TRY(kin_coroutine_scope(launch_all, bench));
    bench_end(bench, (double)(scopes * bench->n));
    return 0;
}

static uint64_t unit_scope(struct bench *bench)
{
    clear_slots(bench->n);
    bench_run(bench, in_a_scope);
    return sum_of_slots();
}

static void round_scope(struct bench *bench)
{
    if (bench->n < 1)
        bench_cannot("launch less than one fiber");
    bench_units(bench, "fiber", "ns", unit_scope);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W3one", .round = round_one },
    { .name = "W3scope", .round = round_scope },
    { .name = NULL }
};
