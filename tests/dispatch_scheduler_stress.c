/* dispatch_scheduler_stress.c -- no wake-up is lost, no task is run twice, and
 * never more CPU tasks at once than there are cores, whatever fibers, threads
 * and timers do to the pool.  A lost one leaves a counter short, and the alarm
 * goes off.  Bounded rounds; the races come from their number. */
#include "tests/check.h"

#include "core/spin.h"
#include "core/task.h"
#include "dispatch/scheduler.h"
#include "tests/dispatch_fibers.h"
#include "tests/dispatch_helpers.h"
#include "tests/rounds.h"

TEST_TIMEOUT(180);

static struct kin__scheduler *pool;
static kin_dispatcher *cpu, *io, *view, *io_view;
static struct counter done = COUNTER_INIT;
static _Atomic int running;
static int core;

static void make_pool(int n)
{
    core = n;
    pool = kin__scheduler_new(n, 8, "pool");
    CHECK(pool);
    kin__scheduler_set_limits(pool, KIN_S(3600), 16384);    /* none is saved */
    cpu = kin__scheduler_default(pool);
    io = kin__scheduler_io(pool);
    CHECK_EQ(kin_limited_parallelism(cpu, 1, NULL, &view), 0);
    CHECK_EQ(kin_limited_parallelism(io, 3, NULL, &io_view), 0);
}

static void free_pool(void)
{
    kin_dispatcher_release(view);
    kin_dispatcher_release(io_view);
    kin__scheduler_free(pool);
}

static void count(void *unused)
{
    (void)unused;
    counter_add(&done, 1);
}

static void pause_a_while(unsigned rounds)
{
    while (rounds-- > 0)
        KIN__CPU_RELAX();
}

static unsigned scramble(unsigned x)
{
    x = (x ^ x >> 15) * 2246822519u;
    x = (x ^ x >> 13) * 3266489917u;
    return x ^ x >> 16;
}

static int posts_each(void)
{
    return race_rounds(RACE_ROUNDS / 5);
}

/* --- One task at a time, at every distance from the last ------------------- */

static void check_single_posts(kin_dispatcher *d)
{
    for (int i = 1; i <= posts_each(); i++) {
        post(d, count, NULL);
        counter_await(&done, i);
        pause_a_while(scramble((unsigned)i) % 512);
    }
}

TEST(a_post_into_a_pool_that_is_falling_asleep_is_not_lost)
{
    make_pool(2);
    check_single_posts(cpu);
    free_pool();
}

TEST(a_post_to_io_while_its_workers_fall_asleep_is_not_lost)
{
    make_pool(2);
    check_single_posts(io);
    free_pool();
}

static void *posts(void *arg)
{
    for (int i = 0; i < posts_each(); i++) {
        post(arg, count, NULL);
        if (i % 64 == 0)
            counter_await(&done, 1);
    }
    return NULL;
}

TEST(posts_of_several_threads_all_run)
{
    pthread_t threads[4];

    make_pool(3);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, posts,
                                i % 2 ? cpu : i ? io : view), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    counter_await(&done, 4 * posts_each());
    free_pool();
}

/* --- Trees ---------------------------------------------------------------- */

static _Atomic int leaves;

static void grow(void *arg)
{
    size_t depth = (size_t)arg;

    if (depth == 0) {
        if (atomic_fetch_add_explicit(&leaves, 1, memory_order_relaxed) + 1
            == 100000)
            counter_add(&done, 1);
        return;
    }
    for (int i = 0; i < 10; i++)
        post(cpu, grow, (void *)(depth - 1));
}

TEST(a_tree_of_a_hundred_thousand_leaves_is_complete)
{
    make_pool(4);
    post(cpu, grow, (void *)5);
    counter_await(&done, 1);
    free_pool();
}

/* --- Fibers that move ----------------------------------------------------- */

static void check_permits(void)
{
    int n = atomic_fetch_add_explicit(&running, 1, memory_order_relaxed) + 1;

    CHECK(n <= core);
    pause_a_while(20);
    atomic_fetch_sub_explicit(&running, 1, memory_order_relaxed);
}

KIN_SUSPENDS
static void moves(struct fiber *self, void *arg)
{
    unsigned x = (unsigned)(size_t)arg;

    for (int i = 0; i < 1000; i++) {
        x = scramble(x + 1);
        switch (x % 6) {
        case 0: fiber_hop(self, io); break;
        case 1: fiber_hop(self, io_view); break;
        case 2: fiber_hop(self, view); check_permits(); break;
        case 3: fiber_yield(self); break;
        default: fiber_hop(self, cpu); check_permits(); break;
        }
    }
    counter_add(&done, 1);
}

/* S238 */
TEST(fibers_that_move_about_never_exceed_the_permits)
{
    make_pool(2);
    for (size_t i = 0; i < 100; i++)
        fiber_start(cpu, moves, (void *)(i * 77));
    counter_await(&done, 100);
    free_pool();
}

TEST(a_single_fiber_moves_and_comes_back)
{
    make_pool(1);
    fiber_start(io, moves, (void *)5);
    counter_await(&done, 1);
    free_pool();
}

KIN_SUSPENDS
static void yields(struct fiber *self, void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++)
        fiber_yield(self);
    counter_add(&done, 1);
}

TEST(a_thousand_fibers_that_yield_overflow_the_ring_and_all_end)
{
    make_pool(2);
    for (int i = 0; i < 1000; i++)
        fiber_start(cpu, yields, NULL);
    for (int i = 0; i < 10; i++)
        fiber_start(io, yields, NULL);
    counter_await(&done, 1010);
    free_pool();
}

KIN_SUSPENDS
static void sleeps(struct fiber *self, void *arg)
{
    unsigned x = (unsigned)(size_t)arg;

    for (int i = 0; i < 20; i++) {
        int64_t before = kin_now(), ns;

        x = scramble(x + 1);
        ns = KIN_US(x % 3000);
        fiber_sleep(self, ns);
        CHECK(kin_now() - before >= ns);
        if (x % 3 == 0)
            fiber_hop(self, x % 2 ? io : cpu);
    }
    counter_add(&done, 1);
}

TEST(fibers_that_sleep_all_wake_up)
{
    make_pool(2);
    for (size_t i = 0; i < 500; i++)
        fiber_start(cpu, sleeps, (void *)(i * 31));
    counter_await(&done, 500);
    free_pool();
}

TEST(a_pool_with_a_short_idle_time_starts_and_ends_threads_and_loses_nothing)
{
    make_pool(2);
    kin__scheduler_set_limits(pool, KIN_US(200), 1000);
    for (int i = 1; i <= 300; i++) {
        for (int k = 0; k < 4; k++)
            post(k % 2 ? io : cpu, count, NULL);
        counter_await(&done, 4 * i);
        if (i % 10 == 0)
            counter_await_for(&done, 100000, KIN_MS(1));
    }
    free_pool();
}

TEST(pools_come_and_go)
{
    for (int i = 1; i <= 100; i++) {
        make_pool(1 + i % 3);
        for (int k = 0; k < 10; k++)
            post(k % 3 ? cpu : io, count, NULL);
        counter_await(&done, 10 * i);
        free_pool();
    }
}

TEST_MAIN
