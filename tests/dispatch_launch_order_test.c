/* dispatch_launch_order_test.c -- in which order a worker begins what was
 * launched on it: the newest first, but behind what goes on already; and that
 * neither of the two is left lying for the other. */
#include "tests/check.h"

#include "core/task.h"
#include "dispatch/fresh.h"
#include "dispatch/scheduler.h"
#include "tests/dispatch_fibers.h"
#include "tests/dispatch_helpers.h"

TEST_TIMEOUT(120);

static struct kin__scheduler *pool;
static kin_dispatcher *cpu;
static struct counter done = COUNTER_INIT;

static void make_pool(int core)
{
    pool = kin__scheduler_new(core, 64, "pool");
    CHECK(pool);
    kin__scheduler_set_limits(pool, KIN_S(3600), 16384);    /* none is saved */
    cpu = kin__scheduler_default(pool);
}

static void say(struct fiber *self, void *word)
{
    (void)self;
    ev(word);
    counter_add(&done, 1);
}

static void count(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    counter_add(&done, 1);
}

/* Where the queues hold two, the others have gone to the shared one. */
#if defined(KIN_HARD)
#define SKIP_IF_SMALL() SKIP("the queues, whose order this is, hold two")
#else
#define SKIP_IF_SMALL() ((void)0)
#endif

static void launch_abc(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    fiber_start(cpu, say, "A");
    fiber_start(cpu, say, "B");
    fiber_start(cpu, say, "C");
}

TEST(the_newest_launch_begins_first)
{
    SKIP_IF_SMALL();
    make_pool(1);
    fiber_start(cpu, launch_abc, NULL);
    counter_await(&done, 3);
    CHECK_LOG("C B A");
    kin__scheduler_free(pool);
}

KIN_SUSPENDS
static void launch_and_yield(struct fiber *self, void *unused)
{
    (void)unused;
    launch_abc(self, NULL);
    fiber_yield(self);
    ev("parent");
    fiber_yield(self);
    ev("parent");
    counter_add(&done, 1);
}

/* The one that the worker goes on with, and one more. */
TEST(a_yield_goes_behind_what_was_launched)
{
    SKIP_IF_SMALL();
    make_pool(1);
    fiber_start(cpu, launch_and_yield, NULL);
    counter_await(&done, 4);
    CHECK_LOG("C B parent A parent");
    kin__scheduler_free(pool);
}

/* --- Nobody is left lying ------------------------------------------------- */

static _Atomic int begun;
static _Atomic bool stop;

/* Launches its like, one after the other, without end. */
static void launch_one_more(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    begun++;
    if (!stop)
        fiber_start(cpu, launch_one_more, NULL);
    else
        counter_add(&done, 1);
}

static void stop_it(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    stop = true;
    counter_add(&done, 1);
}

static void launch_an_old_one(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    begun = 0;
    stop = false;
    fiber_start(cpu, stop_it, NULL);
    fiber_start(cpu, launch_one_more, NULL);
}

TEST(a_chain_of_launches_does_not_starve_the_oldest)
{
    make_pool(1);
    fiber_start(cpu, launch_an_old_one, NULL);
    counter_await(&done, 2);
    CHECK(begun <= 20000);
    kin__scheduler_free(pool);
}

KIN_SUSPENDS
static void yield_until_stopped(struct fiber *self, void *unused)
{
    (void)unused;
    while (!stop)
        fiber_yield(self);
    counter_add(&done, 1);
}

static void launch_a_chain_and_a_yielder(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    stop = false;
    fiber_start(cpu, launch_one_more, NULL);
    fiber_start(cpu, yield_until_stopped, NULL);
}

KIN_SUSPENDS
static void yield_a_thousand(struct fiber *self, void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        fiber_yield(self);
    stop = true;
    counter_add(&done, 1);
}

TEST(a_chain_of_launches_does_not_starve_those_that_yield)
{
    make_pool(1);
    fiber_start(cpu, launch_a_chain_and_a_yielder, NULL);
    fiber_start(cpu, yield_a_thousand, NULL);
    counter_await(&done, 3);
    kin__scheduler_free(pool);
}

static int alive, most;

/* Launches its like, and yields: so does each of them. */
KIN_SUSPENDS
static void launch_and_yield_in_a_chain(struct fiber *self, void *unused)
{
    (void)unused;
    begun++;
    most = ++alive > most ? alive : most;
    if (begun < 2000)
        fiber_start(cpu, launch_and_yield_in_a_chain, NULL);
    fiber_yield(self);
    alive--;
    counter_add(&done, 1);
}

TEST(a_chain_that_launches_and_yields_does_not_starve_its_own_beginning)
{
    SKIP_IF_SMALL();
    make_pool(1);
    begun = 0;
    fiber_start(cpu, launch_and_yield_in_a_chain, NULL);
    counter_await(&done, 2000);
    kin__scheduler_free(pool);
    CHECK(most <= 8);
}

/* Two that wake each other through the slot, and one that is launched. */
KIN_SUSPENDS
static void hop_until_stopped(struct fiber *self, void *unused)
{
    (void)unused;
    while (!stop)
        fiber_hop(self, cpu);
    counter_add(&done, 1);
}

static void launch_between_hops(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    stop = false;
    fiber_start(cpu, stop_it, NULL);
    fiber_start(cpu, hop_until_stopped, NULL);
    fiber_start(cpu, hop_until_stopped, NULL);
}

TEST(those_that_hop_do_not_starve_what_was_launched)
{
    make_pool(1);
    fiber_start(cpu, launch_between_hops, NULL);
    counter_await(&done, 3);
    kin__scheduler_free(pool);
}

static void launch_thousand(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    for (int i = 0; i < 1000; i++)
        fiber_start(cpu, count, NULL);
}

TEST(more_launches_than_a_worker_has_room_for_all_run)
{
    make_pool(1);
    for (int i = 0; i < 10; i++)
        fiber_start(cpu, launch_thousand, NULL);
    counter_await(&done, 10000);
    kin__scheduler_free(pool);
}

/* --- Two workers ---------------------------------------------------------- */

static struct counter inside = COUNTER_INIT;

static void meet(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    counter_add(&inside, 1);
    counter_await(&inside, 2);
    counter_add(&done, 1);
}

static void launch_two_that_meet(struct fiber *self, void *unused)
{
    (void)self, (void)unused;
    fiber_start(cpu, meet, NULL);
    fiber_start(cpu, meet, NULL);
}

TEST(a_second_worker_takes_what_the_first_has_launched)
{
    make_pool(2);
    fiber_start(cpu, launch_two_that_meet, NULL);
    counter_await(&done, 2);
    kin__scheduler_free(pool);
}

TEST_MAIN
