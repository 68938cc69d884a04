/* dispatch_idle_test.c -- idle workers and the time: it is kept though the one
 * that keeps it would end, and no thread is started where one is on its way to
 * keep it.  Each test has a scheduler of its own. */
#include "tests/check.h"

#include "core/timer.h"
#include "dispatch/scheduler.h"
#include "tests/dispatch_helpers.h"

TEST_TIMEOUT(120);

static struct kin__scheduler *pool;
static kin_dispatcher *cpu, *io;
static struct counter done = COUNTER_INIT, gate = COUNTER_INIT;
static struct counter inside = COUNTER_INIT;

static void make_pool(int core, int64_t idle, int threads)
{
    pool = kin__scheduler_new(core, 64, "pool");
    CHECK(pool);
    kin__scheduler_set_limits(pool, idle, threads);
    cpu = kin__scheduler_default(pool);
    io = kin__scheduler_io(pool);
}

static void wait_for_gate(void *unused)
{
    (void)unused;
    counter_add(&inside, 1);
    counter_await(&gate, 1);
    counter_add(&done, 1);
}

static int threads_of(struct kin__scheduler *scheduler)
{
    struct kin__scheduler_stats stats;

    kin__scheduler_get_stats(scheduler, &stats);
    return stats.threads;
}

/* --- Timers ---------------------------------------------------------------- */

static struct counter rung = COUNTER_INIT;

static void ring_alarm(struct kin_timer *timer)
{
    (void)timer;
    counter_add(&rung, 1);
}

static void arm(struct kin_timer *timer, int64_t deadline)
{
    *timer = (struct kin_timer){ .fire = ring_alarm };
    CHECK_EQ(cpu->ops->set_timer(cpu, timer, deadline), 0);
}

/* The only other worker is blocked for as long as the timer has not fired. */
TEST(who_keeps_time_does_not_end_while_a_timer_is_armed)
{
    struct kin_timer timer;

    make_pool(1, KIN_MS(10), 100);
    post(io, wait_for_gate, NULL);
    counter_await(&inside, 1);
    arm(&timer, kin_after(KIN_MS(100)));
    CHECK(counter_await_for(&rung, 1, KIN_S(10)));
    counter_add(&gate, 1);
    counter_await(&done, 1);
    kin__scheduler_free(pool);
}

/* And afterwards it may. */
TEST(who_has_kept_time_ends_when_there_is_none_to_keep)
{
    struct kin_timer timer;

    make_pool(1, KIN_MS(10), 100);
    post(io, wait_for_gate, NULL);
    counter_await(&inside, 1);
    arm(&timer, kin_after(KIN_MS(50)));
    counter_await(&rung, 1);
    while (threads_of(pool) > 1)
        counter_await_for(&done, 1, KIN_MS(5));
    counter_add(&gate, 1);
    counter_await(&done, 1);
    kin__scheduler_free(pool);
}

TEST(for_many_timers_of_one_time_one_thread_is_started)
{
    enum { TIMERS = 1000 };
    static struct kin_timer timers[TIMERS];
    int64_t deadline;

    make_pool(2, KIN_S(3600), 16384);
    post(cpu, wait_for_gate, NULL);
    post(cpu, wait_for_gate, NULL);
    counter_await(&inside, 2);
    deadline = kin_after(KIN_MS(300));
    for (int i = 0; i < TIMERS; i++)
        arm(&timers[i], deadline);
    CHECK(threads_of(pool) <= 3);
    counter_await(&rung, TIMERS);
    counter_add(&gate, 1);
    counter_await(&done, 2);
    kin__scheduler_free(pool);
}

TEST_MAIN
