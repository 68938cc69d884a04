/* w10_contended.c -- W10: many at one thing.
 *
 *   W10resume  one operation is one wake-up: 100 fibers wait for a deferred
 *              that is completed, then for the next one.  The last that comes
 *              to wait has it completed.
 *   W10launch  one operation is one launch: 100 launchers on two threads, all
 *              into one scope; its job's lock is what they share.
 *
 * The floor on one thread is a switch, or a launch, that nobody contends for;
 * on two, the cache lines that both write. */
#include "bench/harness.h"

#include <stdatomic.h>

enum { FIBERS = 100, TIMES = 10, LAUNCHES = 100 };

static struct bench *bench;
static uint64_t sum;

/* --- Resume --------------------------------------------------------------- */

static kin_deferred *go[TIMES], *all_wait[TIMES + 1];
static atomic_int waiting[TIMES + 1];
static atomic_ulong received;

static void arrive(int time)
{
    /* acq_rel: the others' arrivals, before what the last one causes */
    if (atomic_fetch_add_explicit(&waiting[time], 1, memory_order_acq_rel)
        == FIBERS - 1)
        kin_deferred_complete(all_wait[time], NULL);
}

KIN_SUSPENDS
static int wait_often(kin_scope *scope, void *arg)
{
    unsigned long mine = 0;
    uintptr_t value;

    (void)scope, (void)arg;
    for (int time = 0; time < TIMES; time++) {
        arrive(time);
        KIN_TRY(kin_await(go[time], &value));
        mine += value;
    }
    arrive(TIMES);
    atomic_fetch_add_explicit(&received, mine, memory_order_relaxed);
    return 0;
}

KIN_SUSPENDS
static int complete_often(kin_scope *scope, void *arg)
{
    (void)arg;
    for (int i = 0; i < FIBERS; i++)
        KIN_TRY(kin_launch(scope, wait_often, NULL));
    for (int time = 0; time < TIMES; time++) {
        KIN_TRY(kin_await(all_wait[time], NULL));
        if (time == 0)
            bench_begin(bench);
        kin_deferred_complete(go[time], (void *)(intptr_t)(time + 1));
    }
    KIN_TRY(kin_await(all_wait[TIMES], NULL));
    bench_end(bench, FIBERS * TIMES);
    return 0;
}

static uint64_t unit_resume(struct bench *b)
{
    bench = b;
    atomic_store(&received, 0);
    for (int i = 0; i <= TIMES; i++) {
        atomic_store(&waiting[i], 0);
        MUST(kin_deferred_new(NULL, NULL, &all_wait[i]));
        if (i < TIMES)
            MUST(kin_deferred_new(NULL, NULL, &go[i]));
    }
    bench_run(b, complete_often);
    for (int i = 0; i <= TIMES; i++) {
        kin_deferred_release(all_wait[i]);
        if (i < TIMES)
            kin_deferred_release(go[i]);
    }
    return atomic_load(&received);
}

static void round_resume(struct bench *b)
{
    bench_units(b, "wake", "ns", unit_resume);
}

/* --- Launch --------------------------------------------------------------- */

static kin_scope *shared;
static long slots[FIBERS * LAUNCHES];

static int store(kin_scope *scope, void *slot)
{
    (void)scope;
    *(long *)slot = (long *)slot - slots;
    return 0;
}

static int launch_some(kin_scope *scope, void *arg)
{
    long *first = arg;

    (void)scope;
    for (int i = 0; i < LAUNCHES; i++)
        KIN_TRY(kin_launch(shared, store, first + i));
    return 0;
}

static int launch_launchers(kin_scope *scope, void *arg)
{
    (void)arg;
    shared = scope;
    for (int i = 0; i < FIBERS; i++)
        KIN_TRY(kin_launch(scope, launch_some, slots + i * LAUNCHES));
    return 0;
}

KIN_SUSPENDS
static int in_a_scope(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    bench_begin(bench);
    KIN_TRY(kin_coroutine_scope(launch_launchers, NULL));
    bench_end(bench, FIBERS * LAUNCHES);
    return 0;
}

static uint64_t unit_launch(struct bench *b)
{
    bench = b;
    sum = 0;
    for (int i = 0; i < FIBERS * LAUNCHES; i++)
        slots[i] = -1;
    bench_run(b, in_a_scope);
    for (int i = 0; i < FIBERS * LAUNCHES; i++)
        sum += (uint64_t)slots[i];
    return sum;
}

static void round_launch(struct bench *b)
{
    bench_units(b, "launch", "ns", unit_launch);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W10resume", .round = round_resume },
    { .name = "W10launch", .round = round_launch },
    { .name = NULL }
};
