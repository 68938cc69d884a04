/* dispatch_scheduler_test.c -- Default and IO on one pool: the order of one
 * worker's tasks, how many run at once, and that nothing that could run is
 * left lying.  What must run in parallel waits for each other; what must not
 * is counted.  Each test has a scheduler of its own. */
#include "tests/check.h"

#include "core/memory.h"
#include "core/task.h"
#include "core/timer.h"
#include "dispatch/scheduler.h"
#include "tests/dispatch_helpers.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

TEST_TIMEOUT(120);

static struct kin__scheduler *pool;
static kin_dispatcher *cpu, *io;
static struct counter done = COUNTER_INIT, gate = COUNTER_INIT;
static struct counter inside = COUNTER_INIT;

static void make_pool(int core, int io_max)
{
    pool = kin__scheduler_new(core, io_max, "pool");
    CHECK(pool);
    kin__scheduler_set_limits(pool, KIN_S(3600), 16384);    /* none is saved */
    cpu = kin__scheduler_default(pool);
    io = kin__scheduler_io(pool);
}

static void count(void *unused)
{
    (void)unused;
    counter_add(&done, 1);
}

static void say(void *word)
{
    ev(word);
    counter_add(&done, 1);
}

/* --- Order ---------------------------------------------------------------- */

static void post_abc(void *unused)
{
    (void)unused;
    post(cpu, say, "A");
    post(cpu, say, "B");
    post(cpu, say, "C");
}

#if defined(KIN_HARD) && KIN_HARD == 1
#define SKIP_WITHOUT_SLOT() SKIP("the slot, whose order this is, is off")
#else
#define SKIP_WITHOUT_SLOT() ((void)0)
#endif

/* S233 */
TEST(the_task_dispatched_last_runs_first_the_others_in_order)
{
    SKIP_WITHOUT_SLOT();
    make_pool(1, 64);
    post(cpu, post_abc, NULL);
    counter_await(&done, 3);
    CHECK_LOG("C A B");
    kin__scheduler_free(pool);
}

static void post_fair(void *unused)
{
    (void)unused;
    post(cpu, say, "A");
    CHECK_EQ(try_post(cpu, say, "B", KIN__TASK_FAIR), 0);
}

/* S234 */
TEST(a_fair_task_goes_to_the_tail)
{
    SKIP_WITHOUT_SLOT();
    make_pool(1, 64);
    post(cpu, post_fair, NULL);
    counter_await(&done, 2);
    CHECK_LOG("A B");
    kin__scheduler_free(pool);
}

static void post_again(void *arg)
{
    int *left = arg;

    if (counter_get(&done) == 0 && --*left > 0)
        post(cpu, post_again, arg);         /* to the slot */
    else
        CHECK(counter_get(&done) == 1);
    if (*left == 0)
        counter_add(&gate, 1);
}

static void post_chain(void *arg)
{
    post(cpu, count, NULL);                 /* displaced into the ring */
    post(cpu, post_again, arg);
}

TEST(a_chain_through_the_slot_does_not_starve_the_ring)
{
    int left = 1000;

    make_pool(1, 64);
    post(cpu, post_chain, &left);
    counter_await(&done, 1);
    kin__scheduler_free(pool);
    CHECK(left >= 1000 - 32);
}

static void post_thousand(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        post(cpu, count, NULL);
}

TEST(more_tasks_than_a_ring_holds_all_run)
{
    make_pool(1, 64);
    for (int i = 0; i < 10; i++)
        post(cpu, post_thousand, NULL);
    counter_await(&done, 10000);
    kin__scheduler_free(pool);
}

/* --- Parallelism ---------------------------------------------------------- */

static void meet(void *n)
{
    counter_add(&inside, 1);
    counter_await(&inside, *(int *)n);
    counter_add(&done, 1);
}

/* S235 */
TEST(as_many_as_there_are_cores_run_at_once)
{
    enum { CORE = 4 };

    make_pool(CORE, 64);
    for (int round = 1; round <= 1000; round++) {
        int n = round * (CORE + 1);

        for (int i = 0; i < CORE; i++)
            post(cpu, meet, &n);
        meet(&n);
        counter_await(&done, n);
    }
    CHECK(counter_most(&inside) > 0);
    kin__scheduler_free(pool);
}

static void meet_another(void *n)
{
    post(cpu, meet, n);                     /* into the own slot */
    meet(n);
}

/* The slot of a worker that blocks is stolen once it is stale. */
TEST(a_task_in_the_slot_of_a_worker_that_blocks_is_run_by_another)
{
    make_pool(2, 64);
    for (int round = 1; round <= 200; round++) {
        int n = 2 * round;

        post(cpu, meet_another, &n);
        counter_await(&done, n);
    }
    kin__scheduler_free(pool);
}

static void wait_for_gate(void *unused)
{
    (void)unused;
    counter_add(&inside, 1);
    counter_await(&gate, 1);
    counter_add(&inside, -1);
    counter_add(&done, 1);
}

static struct counter cpu_done = COUNTER_INIT;

static void count_cpu(void *unused)
{
    (void)unused;
    counter_add(&cpu_done, 1);
}

/* S236 */
TEST(blocked_io_does_not_hold_up_cpu_tasks)
{
    make_pool(2, 100);
    for (int i = 0; i < 100; i++)
        post(io, wait_for_gate, NULL);
    counter_await(&inside, 100);
    post(cpu, count_cpu, NULL);
    counter_await(&cpu_done, 1);
    counter_add(&gate, 1);
    counter_await(&done, 100);
    kin__scheduler_free(pool);
}

/* S237 */
TEST(io_admits_64_at_once_and_the_65th_waits)
{
    make_pool(2, 64);
    for (int i = 0; i < 65; i++)
        post(io, wait_for_gate, NULL);
    counter_await(&inside, 64);
    for (int i = 0; i < 100; i++)
        post(cpu, count_cpu, NULL);
    counter_await(&cpu_done, 100);
    CHECK_EQ(counter_get(&inside), 64);
    counter_add(&gate, 1);
    counter_await(&done, 65);
    CHECK_EQ(counter_most(&inside), 64);
    kin__scheduler_free(pool);
}

/* How many of `posted` tasks run at once on the process's own IO. */
static int most_on_io(const char *limit, int posted, int expected)
{
    setenv("KIN_IO_PARALLELISM", limit, 1);
    for (int i = 0; i < posted; i++)
        post(kin_io(), wait_for_gate, NULL);
    counter_await(&inside, expected);
    post(kin_default(), count_cpu, NULL);
    counter_await(&cpu_done, 1);
    counter_add(&gate, 1);
    counter_await(&done, posted);
    return counter_most(&inside);
}

/* R17.1 */
TEST(the_environment_says_how_many_io_admits)
{
    CHECK_EQ(most_on_io("3", 8, 3), 3);
}

TEST(the_environment_may_let_io_admit_more_than_64)
{
    CHECK_EQ(most_on_io("70", 71, 70), 70);
}

static void first_use(void *limit)
{
    setenv("KIN_IO_PARALLELISM", limit, 1);
    kin_io();
}

TEST(an_environment_that_makes_no_sense_is_told_and_ignored)
{
    check_says(first_use, "0", "KIN_IO_PARALLELISM=0 is no number from 1");
    check_says(first_use, "4097", "=4097 is no number");
    check_says(first_use, "99999999999999999999", "is no number");
    check_says(first_use, "6x", "=6x is no number");
    check_says(first_use, "-1", "=-1 is no number");
    CHECK_EQ(most_on_io("", 65, 64), 64);
}

static struct counter seen = COUNTER_INIT;

static void post_io_from_cpu(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10; i++)
        post(io, wait_for_gate, NULL);
    post(cpu, count_cpu, NULL);
    counter_await(&inside, 10);             /* the one in the slot, too */
    counter_add(&seen, 1);
}

TEST(io_tasks_that_a_cpu_task_dispatches_run_while_it_blocks)
{
    make_pool(2, 64);
    post(cpu, post_io_from_cpu, NULL);
    counter_await(&cpu_done, 1);
    counter_await(&seen, 1);
    counter_add(&gate, 1);
    counter_await(&done, 10);
    kin__scheduler_free(pool);
}

static pthread_t thread_1, thread_2;

static void on_io(void *unused)
{
    (void)unused;
    thread_2 = pthread_self();
    counter_add(&done, 1);
}

static void from_default(void *unused)
{
    (void)unused;
    thread_1 = pthread_self();
    post(io, on_io, NULL);
}

/* S239: in most runs, and nothing depends on it. */
TEST(from_default_to_io_usually_changes_no_thread)
{
    int same = 0;

    make_pool(2, 64);
    for (int i = 1; i <= 200; i++) {
        post(cpu, from_default, NULL);
        counter_await(&done, i);
        same += pthread_equal(thread_1, thread_2) != 0;
    }
    CHECK(same > 100);
    kin__scheduler_free(pool);
}

/* --- Threads -------------------------------------------------------------- */

/* A pool that had so many workers, of which all but one have idled out. */
static void make_idle_pool(int workers, int64_t idle_ns)
{
    struct kin__scheduler_stats stats;

    make_pool(2, 64);
    kin__scheduler_set_limits(pool, idle_ns, 1000);
    for (int i = 0; i < workers; i++)
        post(io, wait_for_gate, NULL);
    counter_await(&inside, workers);
    kin__scheduler_get_stats(pool, &stats);
    CHECK(stats.threads >= workers);
    counter_add(&gate, 1);
    counter_await(&done, workers);
    do {
        counter_await_for(&done, 1000, KIN_MS(5));
        kin__scheduler_get_stats(pool, &stats);
    } while (stats.threads > 1);
}

/* S242 */
TEST(idle_workers_end_after_a_time_and_one_stays)
{
    struct kin__scheduler_stats stats;

    make_idle_pool(20, KIN_MS(20));
    counter_await_for(&done, 1000, KIN_MS(50));
    kin__scheduler_get_stats(pool, &stats);
    CHECK_EQ(stats.threads, 1);
    post(cpu, count, NULL);
    counter_await(&done, 21);
    kin__scheduler_free(pool);
}

/* Never freed, as the process's own.  ThreadSanitizer looks at the end whether
 * a thread has ended that somebody was to join. */
TEST(a_worker_that_idles_out_leaves_no_thread_to_be_joined)
{
    make_idle_pool(4, KIN_MS(1));
}

static char thread_name[16];
static sigset_t thread_mask;

static void look_at_thread(void *unused)
{
    (void)unused;
    pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
    pthread_sigmask(SIG_BLOCK, NULL, &thread_mask);
    counter_add(&done, 1);
}

TEST(workers_have_names_and_take_no_signals_from_outside)
{
    make_pool(2, 64);
    post(cpu, look_at_thread, NULL);
    counter_await(&done, 1);
    CHECK(strncmp(thread_name, "pool-", 5) == 0);
    CHECK(sigismember(&thread_mask, SIGINT));
    CHECK(sigismember(&thread_mask, SIGTERM));
    CHECK(!sigismember(&thread_mask, SIGSEGV));
    kin__scheduler_free(pool);
}

TEST(without_a_thread_at_all_dispatch_fails_and_can_be_tried_again)
{
    for (int n = 1; n <= 4; n++) {
        make_pool(2, 64);
        kin__fail_at((unsigned long)n, true);
        int err = try_post(cpu, count, NULL, 0);
        if (err)
            CHECK(err == KIN_EAGAIN || err == KIN_ENOMEM);
        kin__fail_at(0, false);
        if (err)
            post(cpu, count, NULL);
        counter_await(&done, n);
        kin__scheduler_free(pool);
    }
}

TEST(with_one_thread_only_everything_runs_in_the_end)
{
    make_pool(2, 64);
    kin__scheduler_set_limits(pool, KIN_S(60), 1);
    for (int i = 0; i < 100; i++) {
        post(cpu, count, NULL);
        post(io, count, NULL);
    }
    counter_await(&done, 200);
    kin__scheduler_free(pool);
}

static double cpu_seconds(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec)
           + 1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

TEST(idle_workers_use_no_processor)
{
    double before;

    make_pool(4, 64);
    for (int i = 0; i < 1000; i++) {
        post(cpu, count, NULL);
        post(io, count, NULL);
    }
    counter_await(&done, 2000);
    counter_await_for(&done, 3000, KIN_MS(50));
    before = cpu_seconds();
    counter_await_for(&done, 3000, KIN_MS(500));
    CHECK(cpu_seconds() - before < 0.005);
    kin__scheduler_free(pool);
}

/* --- Timers --------------------------------------------------------------- */

struct alarm {
    struct kin_timer timer;         /* first                                 */
    int64_t at;
};
static int64_t lateness;

static void ring_alarm(struct kin_timer *timer)
{
    int64_t late = kin_now() - ((struct alarm *)timer)->at;

    CHECK(late >= 0);
    lateness += late;
    counter_add(&done, 1);
}

static void arm(struct alarm *a, int64_t after)
{
    *a = (struct alarm){ .timer.fire = ring_alarm, .at = kin_after(after) };
    CHECK_EQ(cpu->ops->set_timer(cpu, &a->timer, a->at), 0);
}

TEST(timers_of_an_idle_pool_fire)
{
    struct alarm alarms[10];

    make_pool(2, 64);
    for (int i = 10; i-- > 0;)          /* each is earlier than the last */
        arm(&alarms[i], KIN_MS(5) + KIN_MS(i));
    counter_await(&done, 10);
    kin__scheduler_free(pool);
}

TEST(a_disarmed_timer_does_not_fire)
{
    struct alarm one, two;
    bool in_time;

    make_pool(2, 64);
    arm(&one, KIN_MS(20));
    in_time = kin__timers_disarm(&one.timer);       /* or it has fired */
    arm(&two, KIN_MS(25));
    counter_await(&done, in_time ? 1 : 2);
    CHECK_EQ(cpu->ops->set_timer(cpu, &two.timer, KIN_NEVER), 0);
    kin__scheduler_free(pool);
    CHECK_EQ(counter_get(&done), in_time ? 1 : 2);
}

/* All threads there may be for CPU tasks are blocked, and yet time goes on. */
TEST(timers_fire_while_all_workers_are_blocked)
{
    struct alarm alarm;

    make_pool(2, 64);
    post(cpu, wait_for_gate, NULL);
    post(cpu, wait_for_gate, NULL);
    post(io, wait_for_gate, NULL);
    counter_await(&inside, 3);
    arm(&alarm, KIN_MS(2));
    counter_await(&done, 1);
    counter_add(&gate, 1);
    counter_await(&done, 4);
    kin__scheduler_free(pool);
}

static void burn(void *unused)
{
    (void)unused;
    if (counter_get(&done) < 20)
        CHECK_EQ(try_post(cpu, burn, NULL, KIN__TASK_FAIR), 0);
    else
        counter_add(&gate, 1);
}

TEST(timers_fire_while_tasks_are_runnable)
{
    struct alarm alarms[20];

    make_pool(2, 64);
    for (int i = 0; i < 20; i++)
        arm(&alarms[i], KIN_MS(i));
    for (int i = 0; i < 4; i++)
        post(cpu, burn, NULL);
    counter_await(&done, 20);
    counter_await(&gate, 4);
    kin__scheduler_free(pool);
}

/* --- The process's own ---------------------------------------------------- */

TEST(default_and_io_of_the_process_run_tasks_and_timers)
{
    struct alarm alarm = { .timer.fire = ring_alarm, .at = kin_now() };

    CHECK_STR(kin_dispatcher_name(kin_default()), "Default");
    CHECK_STR(kin_dispatcher_name(kin_io()), "IO");
    CHECK(kin_dispatcher_retain(kin_io()) == kin_io());
    kin_dispatcher_release(kin_io());
    CHECK_EQ(kin_dispatcher_close(kin_default()), KIN_ENOTSUP);
    CHECK_EQ(kin__scheduler_set_timer(&alarm.timer, alarm.at), 0);
    post(kin_default(), count, NULL);
    post(kin_io(), count, NULL);
    counter_await(&done, 3);
}

TEST_MAIN
