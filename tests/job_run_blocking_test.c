/* job_run_blocking_test.c -- the border between threads and fibers, its event
 * loop, nested ones, and Unconfined: S198 to S212.
 *
 * S211 in C: no call interrupts a thread; a signal does, and what hears of it
 * cancels the job.  S205: nobody promises which thread fires a timer of
 * Unconfined, so only that it goes on is checked.  That nothing deadlocks shows
 * by an end. */
#include "tests/words.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static kin_deferred *gate;

static int launch_unconfined(kin_scope *scope, kin_body *body, void *arg)
{
    MUST(kin_launch(scope, body, arg, .dispatcher = kin_unconfined()));
    return 0;
}

/* S198 */
BODY(launch_2_say_1)
{
    kin_launch(scope, say, "2");
    ev("1");
    return 0;
}

TEST(run_blocking_returns_after_its_children)
{
    RUN(launch_2_say_1);
    ev("3");
    CHECK_LOG("1 2 3");
}

/* S199 */
BODY(give_5)
{
    int *value = arg;
    *value = 5;
    return 0;
}

BODY(launch_failing)
{
    return kin_launch(scope, throw_error, E);
}

TEST(run_blocking_returns_the_outcome)
{
    int value = 0;

    MUST(kin_run_blocking(give_5, &value));
    CHECK_EQ(value, 5);
    CHECK_FAILED_WITH(kin_run_blocking(throw_error, E), E);
    CHECK_FAILED_WITH(kin_run_blocking(launch_failing, NULL), E);
}

/* S200 */
BODY(yield_then_say)
{
    MUST(kin_yield());
    ev(arg);
    return 0;
}

BODY(nested_shares_the_loop)
{
    ev("1");
    kin_launch(scope, say, "2");
    MUST(kin_run_blocking(yield_then_say, "3"));
    ev("4");
    return 0;
}

TEST(nested_run_blocking_runs_the_outer_ones_tasks)
{
    RUN_IN_ORDER(nested_shares_the_loop);
    CHECK_LOG("1 2 3 4");
}

/* S201 */
BODY(cancel_oneself)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    return 0;
}

TEST(run_blocking_that_was_cancelled_says_so)
{
    CHECK_EQ(kin_run_blocking(cancel_oneself, NULL), KIN_ECANCELED);
}

/* S202 */
static sem_t fired;

BODY(say_1_after_5_ms)
{
    MUST(kin_delay(KIN_MS(5)));
    ev("1");
    sem_post(&fired);
    return 0;
}

BODY(block_until_fired_say_2)
{
    sem_wait(&fired);
    ev("2");
    return 0;
}

BODY(timer_while_default_blocks)
{
    kin_launch(scope, say_1_after_5_ms, NULL);
    MUST(kin_with_context(block_until_fired_say_2, NULL,
                          .dispatcher = kin_default()));
    ev("3");
    return 0;
}

TEST(timers_fire_while_the_body_is_on_default)
{
    sem_init(&fired, 0, 0);
    RUN(timer_while_default_blocks);
    CHECK_LOG("1 2 3");
}

/* What is 10 ms away may have come, on a machine that is busy with something
 * else: true if it cannot have come yet. */
static bool is_too_early_since(int64_t begin)
{
    return kin_now() - begin < check_slow(KIN_MS(10));
}

/* S203 */
static kin_job *outliving;

BODY(say_done_after_10_ms)
{
    MUST(kin_delay(check_slow(KIN_MS(10))));
    ev("done");
    return 0;
}

BODY(launch_outliving)
{
    MUST(kin_launch(kin_global_scope(), say_done_after_10_ms, NULL,
                    .dispatcher = kin_current_element(&kin_key_dispatcher),
                    .job = &outliving));
    return kin_yield();
}

TEST(job_that_outlives_its_event_loop_completes)
{
    int64_t begin = kin_now();
    bool early;

    RUN_IN_ORDER(launch_outliving);
    ev("loop gone");
    early = is_too_early_since(begin);
    wait_for_job(outliving);
    CHECK_FLAGS(outliving, "010");
    if (early)
        CHECK_LOG("loop gone done");
    CHECK(is_logged("done"));
    kin_job_release(outliving);
}

/* R14.5: what is queued runs. */
BODY(launch_root_on_this_loop)
{
    return kin_launch(kin_global_scope(), say, "root",
                      .dispatcher = kin_current_element(&kin_key_dispatcher));
}

TEST(what_is_queued_when_the_loop_ends_still_runs)
{
    RUN(launch_root_on_this_loop);
    ev("returned");
    CHECK_LOG("root returned");
}

/* S211: the signal is the interruption.  A thread that waits for it cancels, for
 * a signal handler must not, and gives it as the cause. */
static kin_error *interruption;

static void *wait_for_signal_and_cancel(void *job)
{
    sigset_t set;
    int got;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    MUST(sigwait(&set, &got));
    kin_job_cancel(job, interruption);
    kin_job_release(job);
    return NULL;
}

BODY(signal_this_process)
{
    return kill(getpid(), SIGUSR1);
}

BODY(wait_to_be_interrupted)
{
    pthread_t *thread = arg;
    int err;

    *thread = start_thread(wait_for_signal_and_cancel,
                           kin_job_retain(kin_scope_job(scope)));
    kin_launch(scope, signal_this_process, NULL);
    err = kin_delay(KIN_NEVER);
    MUST(shielded(yield_once, NULL));   /* it is waited for */
    ev("1");
    return err;
}

TEST(run_blocking_that_is_interrupted_ends_its_body_and_then_reports_it)
{
    pthread_t thread;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    interruption = kin_error_new("", -EINTR, NULL, "SIGUSR1");
    CHECK_EQ(kin_run_blocking(wait_to_be_interrupted, &thread), KIN_ECANCELED);
    CHECK_LOG("1");
    CHECK_EQ(kin_error_kind_of(kin_error_current()), KIN_ERROR_CANCELLATION);
    CHECK_PTR(kin_error_cause(kin_error_current()), interruption);
    pthread_join(thread, NULL);
    kin_error_release(interruption);
}

/* S212 */
enum { ROUNDS = 2000 };
static kin_deferred *pings[ROUNDS], *pongs[ROUNDS];

BODY(ping)
{
    for (int i = 0; i < ROUNDS; i++) {
        intptr_t value = 0;
        kin_deferred_complete(pings[i], WORD(i));
        MUST(kin_await(pongs[i], &value));
        CHECK_EQ(value, -i);
    }
    return 0;
}

BODY(pong)
{
    for (int i = 0; i < ROUNDS; i++) {
        intptr_t value = 0;
        MUST(kin_await(pings[i], &value));
        CHECK_EQ(value, i);
        kin_deferred_complete(pongs[i], WORD(-i));
    }
    return 0;
}

static void *run_pong(UNUSED void *arg)
{
    RUN(pong);
    return NULL;
}

TEST(two_threads_in_run_blocking_lose_no_wake_up)
{
    for (int i = 0; i < ROUNDS; i++) {
        pings[i] = new_deferred(NULL);
        pongs[i] = new_deferred(NULL);
    }
    pthread_t thread = start_thread(run_pong, NULL);
    RUN(ping);
    pthread_join(thread, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        kin_deferred_release(pings[i]);
        kin_deferred_release(pongs[i]);
    }
}

/* --- Unconfined --------------------------------------------------------- */

/* S204 */
BODY(say_1_launch_3_say_2)
{
    ev("1");
    launch_unconfined(scope, say, "3");
    ev("2");
    return 0;
}

BODY(nested_unconfined)
{
    launch_unconfined(scope, say_1_launch_3_say_2, NULL);
    ev("4");
    return 0;
}

TEST(unconfined_runs_in_place_and_a_nested_one_after_the_slice)
{
    RUN(nested_unconfined);
    CHECK_LOG("1 2 3 4");
}

/* S205 */
BODY(say_1_delay_say_2)
{
    ev("1");
    MUST(kin_delay(check_slow(KIN_MS(10))));
    ev("2");
    return 0;
}

TEST(unconfined_goes_on_after_a_delay)
{
    int64_t begin = kin_now();
    kin_job *job = NULL;
    bool active;

    MUST(kin_launch(kin_global_scope(), say_1_delay_say_2, NULL, .job = &job,
                    .dispatcher = kin_unconfined()));
    active = kin_job_is_active(job);
    CHECK(active || !is_too_early_since(begin));
    wait_for_job(job);
    CHECK_LOG("1 2");
    kin_job_release(job);
}

/* S206 */
BODY(await_gate_then_say)
{
    MUST(kin_await(gate, NULL));
    ev(arg);
    return 0;
}

BODY(resume_unconfined)
{
    gate = new_deferred(NULL);
    launch_unconfined(scope, await_gate_then_say, "1");
    open_gate(gate);
    ev("2");
    kin_deferred_release(gate);
    return 0;
}

TEST(unconfined_continues_inside_what_resumes_it)
{
    RUN(resume_unconfined);
    CHECK_LOG("1 2");
}

BODY(open_gate_say_1)
{
    open_gate(gate);
    ev("1");
    return 0;
}

BODY(resume_unconfined_from_unconfined)
{
    gate = new_deferred(NULL);
    launch_unconfined(scope, await_gate_then_say, "2");
    launch_unconfined(scope, open_gate_say_1, NULL);
    ev("3");
    kin_deferred_release(gate);
    return 0;
}

TEST(unconfined_resumed_by_another_unconfined_continues_after_its_slice)
{
    RUN(resume_unconfined_from_unconfined);
    CHECK_LOG("1 2 3");
}

/* S207 */
BODY(say_1_undispatched_2_say_3)
{
    ev("1");
    kin_launch(scope, say, "2", .start = KIN_START_UNDISPATCHED);
    ev("3");
    return 0;
}

BODY(launch_nested_undispatched)
{
    return kin_launch(scope, say_1_undispatched_2_say_3, NULL,
                      .start = KIN_START_UNDISPATCHED);
}

TEST(undispatched_nests_plainly)
{
    RUN(launch_nested_undispatched);
    CHECK_LOG("1 2 3");
}

BODY(unconfined_in_undispatched)
{
    return launch_unconfined(scope, say_1_launch_3_say_2, NULL);
}

BODY(launch_unconfined_in_undispatched)
{
    return kin_launch(scope, unconfined_in_undispatched, NULL,
                      .start = KIN_START_UNDISPATCHED);
}

TEST(undispatched_opens_no_unconfined_loop)
{
    RUN(launch_unconfined_in_undispatched);
    CHECK_LOG("1 2 3");
}

/* S208: a hundred thousand that start one another; ten thousand, each with a
 * stack, that resume one another; fewer where everything takes longer. */
enum { STARTS = 100000, RESUMES = 10000 };
static int started, resumed, count;
static kin_deferred *links[RESUMES + 1];

BODY(start_the_next)
{
    if (++started < count)
        MUST(launch_unconfined(kin_global_scope(), start_the_next, NULL));
    return 0;
}

TEST(hundred_thousand_unconfined_starts_need_no_stack)
{
    count = (int)(STARTS / check_slow(1));
    MUST(launch_unconfined(kin_global_scope(), start_the_next, NULL));
    CHECK_EQ(started, count);
}

BODY(resume_the_next)
{
    kin_deferred **link = arg;

    MUST(kin_await(link[0], NULL));
    open_gate(link[1]);
    resumed++;
    return 0;
}

TEST(ten_thousand_unconfined_resumes_need_no_stack)
{
    count = (int)(RESUMES / check_slow(1));
    for (int i = 0; i <= count; i++)
        links[i] = new_deferred(NULL);
    for (int i = 0; i < count; i++)
        MUST(launch_unconfined(kin_global_scope(), resume_the_next,
                               &links[i]));
    open_gate(links[0]);
    CHECK_EQ(resumed, count);
    CHECK_FLAGS(kin_deferred_job(links[count]), "010");
    for (int i = 0; i <= count; i++)
        kin_deferred_release(links[i]);
}

/* S209 */
BODY(yield_alone)
{
    MUST(kin_yield());
    ev("1");
    return 0;
}

BODY(launch_yield_alone)
{
    launch_unconfined(scope, yield_alone, NULL);
    ev("2");
    return 0;
}

TEST(yield_on_unconfined_alone_does_not_park)
{
    RUN(launch_yield_alone);
    CHECK_LOG("1 2");
}

/* S210 */
BODY(launch_2_say_1_yield_say_3)
{
    launch_unconfined(scope, say, "2");
    ev("1");
    MUST(kin_yield());
    ev("3");
    return 0;
}

BODY(yield_behind_unconfined)
{
    return launch_unconfined(scope, launch_2_say_1_yield_say_3, NULL);
}

TEST(yield_on_unconfined_goes_behind_other_unconfined_work)
{
    RUN(yield_behind_unconfined);
    CHECK_LOG("1 2 3");
}

/* --- Other dispatchers, many threads, many levels ----------------------- */

static pid_t caller;

BODY(other_thread)
{
    CHECK(gettid() != caller);
    CHECK_PTR(kin_current_element(&kin_key_dispatcher), kin_default());
    ev("1");
    return 0;
}

TEST(run_blocking_with_a_dispatcher_runs_there)
{
    caller = gettid();
    MUST(kin_run_blocking(other_thread, NULL, .dispatcher = kin_default()));
    CHECK_LOG("1");
}

/* R14.1: the blocked thread goes on with the loop it has. */
BODY(await_gate)
{
    return kin_await(gate, NULL);
}

BODY(open_gate_here)
{
    open_gate(gate);
    return 0;
}

BODY(nested_on_default)
{
    gate = new_deferred(NULL);
    kin_launch(scope, open_gate_here, NULL);
    MUST(kin_run_blocking(await_gate, NULL, .dispatcher = kin_default()));
    kin_deferred_release(gate);
    return 0;
}

TEST(nested_run_blocking_on_default_keeps_the_loop_running)
{
    RUN_IN_ORDER(nested_on_default);
}

BODY(nest)
{
    intptr_t depth = (intptr_t)arg;

    kin_launch(scope, say, "x");
    if (depth > 1)
        MUST(kin_run_blocking(nest, WORD(depth - 1)));
    return 0;
}

TEST(run_blocking_nests_fifty_deep)
{
    char expected[101];

    MUST(kin_run_blocking(nest, WORD(50)));
    for (int i = 0; i < 100; i++)
        expected[i] = i % 2 ? ' ' : 'x';
    expected[99] = 0;
    CHECK_LOG(expected);
}

enum { CHILDREN = 100 };

BODY(count_and_yield)
{
    int *counter = arg;

    for (int i = 0; i < 10; i++)
        MUST(kin_yield());
    ++*counter;
    return 0;
}

BODY(launch_counters)
{
    for (int i = 0; i < CHILDREN; i++)
        kin_launch(scope, count_and_yield, arg);
    return 0;
}

static void *run_counters(UNUSED void *arg)
{
    for (int i = 0; i < 10; i++) {
        int counter = 0;
        MUST(kin_run_blocking(launch_counters, &counter));
        CHECK_EQ(counter, CHILDREN);
    }
    return NULL;
}

TEST(several_threads_run_blocking_at_once)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(run_counters, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* R14.10: what a worker has in its queue when it blocks is done by others. */
BODY(block_on_queued_child)
{
    KIN_AUTO(kin_job) child = NULL;

    kin_launch(scope, yield_once, NULL, .job = &child);
    wait_for_job(child);
    return 0;
}

BODY(block_a_worker_often)
{
    for (int i = 0; i < 100; i++)
        MUST(kin_coroutine_scope(block_on_queued_child, NULL));
    return 0;
}

TEST(worker_blocked_by_run_blocking_leaves_its_queue_to_others)
{
    MUST(kin_run_blocking(block_a_worker_often, NULL,
                          .dispatcher = kin_default()));
}

/* Loops of their own, on more bodies than there are workers. */
BODY(run_a_loop_here)
{
    int counter = 0;

    MUST(kin_run_blocking(launch_counters, &counter));
    CHECK_EQ(counter, CHILDREN);
    return 0;
}

BODY(launch_loops_on_default)
{
    for (int i = 0; i < 32; i++)
        kin_launch(scope, run_a_loop_here, NULL, .dispatcher = kin_default());
    return 0;
}

TEST(every_worker_may_run_a_loop)
{
    RUN(launch_loops_on_default);
}

TEST_MAIN
