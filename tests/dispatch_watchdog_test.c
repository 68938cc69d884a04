/* A worker that is blocked is told of, and another runs in its place until it is
 * back; one that computes is not.  What blocks here waits for a gate, which the
 * test opens when it has seen enough.  Each test has a pool of its own. */
#include "core/task.h"
#include "core/memory.h"
#include "dispatch/scheduler.h"
#include "tests/dispatch_helpers.h"

#include <limits.h>
#include <stdatomic.h>

TEST_TIMEOUT(120);

#define LIMIT KIN_MS(20)

static struct kin__scheduler *pool;
static kin_dispatcher *cpu;
static struct counter done = COUNTER_INIT, gate = COUNTER_INIT;
static struct counter inside = COUNTER_INIT, told = COUNTER_INIT;
static _Atomic int64_t told_ns;
static const struct kin_task *_Atomic told_task;

static void hear(const struct kin_task *task, int64_t blocked)
{
    atomic_store(&told_ns, blocked);
    atomic_store(&told_task, task);
    counter_add(&told, 1);
}

static void make_pool(int core, int64_t limit)
{
    kin__blocked_tell = hear;
    pool = kin__scheduler_new(core, 64, "pool");
    CHECK(pool);
    CHECK_EQ(kin__scheduler_set_blocked(pool, limit), KIN_NEVER);
    cpu = kin__scheduler_default(pool);
}

static void count(void *unused)
{
    (void)unused;
    counter_add(&done, 1);
}

static void wait_at_gate(void *unused)
{
    (void)unused;
    counter_await(&gate, 1);
    counter_add(&done, 1);
}

TEST(what_a_blocked_worker_keeps_waiting_runs_on_another)
{
    make_pool(1, LIMIT);
    post(cpu, wait_at_gate, NULL);
    post(cpu, count, NULL);
    counter_await(&done, 1);            /* for ever, if nobody came */
    counter_await(&told, 1);
    CHECK(atomic_load(&told_ns) >= LIMIT);
    counter_add(&gate, 1);
    counter_await(&done, 2);
    kin__scheduler_free(pool);
}

static void queue_and_wait(void *unused)
{
    for (int i = 0; i < 3; i++)
        post(cpu, count, NULL);         /* slot and ring of this worker */
    wait_at_gate(unused);
}

TEST(what_a_blocked_worker_has_queued_is_stolen)
{
    make_pool(1, LIMIT);
    post(cpu, queue_and_wait, NULL);
    counter_await(&done, 3);
    counter_add(&gate, 1);
    counter_await(&done, 4);
    kin__scheduler_free(pool);
}

TEST(each_blocked_worker_is_replaced)
{
    enum { CORE = 3 };

    make_pool(CORE, LIMIT);
    for (int i = 0; i < CORE; i++)
        post(cpu, wait_at_gate, NULL);
    counter_await(&told, CORE);
    post(cpu, count, NULL);
    counter_await(&done, 1);
    counter_add(&gate, 1);
    counter_await(&done, CORE + 1);
    kin__scheduler_free(pool);
}

static void wait_inside(void *unused)
{
    counter_add(&inside, 1);
    wait_at_gate(unused);
}

/* What stands in for it may get no thread; told of twice, it has got none. */
TEST(a_replacement_that_was_refused_comes_later)
{
    make_pool(1, LIMIT);
    post(cpu, wait_inside, NULL);
    counter_await(&inside, 1);
    kin__fail_at(1, true);
    post(cpu, count, NULL);
    counter_await(&told, 2);
    CHECK_EQ(counter_get(&done), 0);
    kin__fail_at(0, false);
    counter_await(&done, 1);
    counter_add(&gate, 1);
    counter_await(&done, 2);
    kin__scheduler_free(pool);
}

static void be_inside(void *unused)
{
    counter_add(&inside, 1);
    sched_yield();
    counter_add(&inside, -1);
    count(unused);
}

/* Those that stand in for somebody are given up when he is back. */
TEST(afterwards_no_more_run_at_once_than_before)
{
    enum { CORE = 2, TASKS = 2000 };
    struct kin__scheduler_stats stats;
    int rounds = 0;

    make_pool(CORE, LIMIT);
    for (int round = 1; round <= 3; round++) {
        int finished = counter_get(&done);
        int before = counter_get(&told);

        post(cpu, queue_and_wait, NULL);
        counter_await(&told, before + 1);
        counter_add(&gate, 1);
        counter_await(&done, finished + 4);
        counter_add(&gate, -1);
    }
    /* A worker that waits for a busy machine is not to be taken for blocked. */
    CHECK_EQ(kin__scheduler_set_blocked(pool, KIN_NEVER), LIMIT);
    do
        kin__scheduler_get_stats(pool, &stats);
    while (stats.free_permits != CORE || stats.parked != stats.threads);
    /* A look that was under way may still mark somebody; within a second that
     * is seen and taken back. */
    do {
        CHECK(rounds++ < 10);
        pthread_mutex_lock(&inside.lock);
        inside.most = 0;
        pthread_mutex_unlock(&inside.lock);
        for (int i = 0; i < TASKS; i++)
            post(cpu, be_inside, NULL);
        counter_await(&done, 3 * 4 + rounds * TASKS);
        (void)counter_await_for(&told, INT_MAX, KIN_MS(300));
    } while (counter_most(&inside) > CORE);
    kin__scheduler_free(pool);
}

TEST(who_stays_blocked_is_told_of_again)
{
    int64_t first;

    make_pool(2, LIMIT);
    post(cpu, wait_at_gate, NULL);
    counter_await(&told, 1);
    first = atomic_load(&told_ns);
    counter_await(&told, 2);
    CHECK(atomic_load(&told_ns) >= 2 * first);
    counter_add(&gate, 1);
    counter_await(&done, 1);
    kin__scheduler_free(pool);
}

static int64_t cpu_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * KIN_S(1) + time.tv_nsec;
}

static void compute(void *ns)
{
    int64_t until = cpu_time() + *(int64_t *)ns;

    while (cpu_time() < until)
        ;
    counter_add(&done, 1);
}

TEST(who_computes_is_not_blocked)
{
    int64_t limit = check_slow(KIN_MS(200)), ns = 3 * limit;

    make_pool(1, limit);
    post(cpu, compute, &ns);
    counter_await(&done, 1);
    CHECK_EQ(counter_get(&told), 0);
    kin__scheduler_free(pool);
}

TEST(an_idle_pool_has_nobody_who_is_blocked)
{
    make_pool(2, LIMIT);
    for (int i = 1; i <= 3; i++) {
        post(cpu, count, NULL);
        counter_await(&done, i);
        CHECK(!counter_await_for(&told, 1, KIN_MS(60)));
    }
    post(cpu, wait_at_gate, NULL);      /* the watchdog wakes up again */
    counter_await(&told, 1);
    counter_add(&gate, 1);
    counter_await(&done, 4);
    kin__scheduler_free(pool);
}

TEST(a_limit_can_be_set_later_and_never_is_none)
{
    make_pool(1, KIN_NEVER);
    post(cpu, wait_at_gate, NULL);
    CHECK(!counter_await_for(&told, 1, KIN_MS(50)));
    CHECK_EQ(kin__scheduler_set_blocked(pool, 0), KIN_NEVER);
    CHECK_EQ(kin__scheduler_set_blocked(pool, -5), KIN_NEVER);
    CHECK_EQ(kin__scheduler_set_blocked(pool, LIMIT), KIN_NEVER);
    counter_await(&told, 1);
    CHECK_EQ(kin__scheduler_set_blocked(pool, KIN_NEVER), LIMIT);
    counter_add(&gate, 1);
    counter_await(&done, 1);
    kin__scheduler_free(pool);
}

/* The process's own is watched from the start. */
TEST(the_limit_of_default_is_a_second)
{
    CHECK_EQ(kin_blocked_limit(0), KIN_S(1));
    CHECK_EQ(kin_blocked_limit(KIN_MS(30)), KIN_S(1));
    kin__blocked_tell = hear;
    post(kin_default(), wait_at_gate, NULL);
    counter_await(&told, 1);
    counter_add(&gate, 1);
    counter_await(&done, 1);
    CHECK_EQ(kin_blocked_limit(KIN_NEVER), KIN_MS(30));
}

TEST_MAIN
