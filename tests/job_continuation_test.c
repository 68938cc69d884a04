/* job_continuation_test.c -- suspending for a callback: S177 to S193.
 *
 * The body keeps its continuation where another body of the same event loop
 * finds it, so that "resumed but not yet running" lasts until the next yield.
 *
 * Races of several threads are in job_continuation_stress.c. */
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

#include <unistd.h>

static kin_continuation kept;
static kin_job *caller;

static int keep(kin_continuation continuation, UNUSED void *arg)
{
    kept = continuation;
    return 0;
}

static void log_cancel(kin_error *cause, UNUSED void *arg)
{
    ev_error('h', cause);
}

static void log_undelivered(void *value, kin_error *cause)
{
    CHECK(kin_error_is_cancellation(cause));
    ev(value);
}

/* Suspends, logs "CE" or its result, ends with it. */
BODY(suspend_and_say)
{
    int result = kin_suspend_cancellable(keep, NULL);

    if (result == KIN_ECANCELED)
        ev("CE");
    else
        evi(result);
    return result < 0 ? result : 0;
}

static int keep_with_handler(kin_continuation continuation, void *arg)
{
    kept = continuation;
    return kin_continuation_on_cancel(continuation, log_cancel, arg);
}

/* As suspend_and_say, with a cancellation handler. */
BODY(suspend_with_handler)
{
    int result = kin_suspend_cancellable(keep_with_handler, NULL);

    if (result == KIN_ECANCELED)
        CHECK_PTR(kin_error_current(), CE);
    ev(result == KIN_ECANCELED ? "CE" : "other");
    return result;
}

/* Launches body as `caller` and lets it park. */
KIN_SUSPENDS
static void park_caller(kin_scope *scope, kin_body *body)
{
    MUST(kin_launch(scope, body, NULL, .job = &caller));
    MUST(kin_yield());
}

KIN_SUSPENDS
static void end_caller(const char *flags)
{
    MUST(kin_join(caller));
    CHECK_FLAGS(caller, flags);
    kin_job_release(caller);
}

/* S177 */
static int resume_5_say_1(kin_continuation continuation, UNUSED void *arg)
{
    MUST(kin_resume(continuation, 5));
    ev("1");
    return 0;
}

BODY(resumed_inside_start)
{
    CHECK_EQ(kin_suspend_cancellable(resume_5_say_1, NULL), 5);
    ev("2");
    CHECK_EQ(kin_suspend(resume_5_say_1, NULL), 5);
    return 0;
}

TEST(resume_inside_start_returns_without_a_dispatch)
{
    static struct counting d;

    counting_init(&d, "D");
    MUST(kin_launch(kin_global_scope(), resumed_inside_start, NULL,
                    .dispatcher = &d.dispatcher));
    CHECK_EQ(counting_run(&d), 1);
    CHECK_EQ(counting_dispatched(&d), 1);
    CHECK_LOG("1 2 1");
}

/* S178 */
BODY(resume_a_parked_one)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume(kept, 5));
    ev("1");
    end_caller("010");
    return 0;
}

TEST(resume_does_not_run_the_fiber_in_place)
{
    RUN(resume_a_parked_one);
    CHECK_LOG("1 5");
}

/* S179 */
BODY(resume_twice)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume(kept, 1));
    CHECK_EQ(kin_resume(kept, 2), KIN_EALREADY);
    end_caller("010");
    CHECK(kin_resume(kept, 3) < 0);
    return 0;
}

TEST(second_resume_is_told_so)
{
    RUN(resume_twice);
    CHECK_LOG("1");
}

/* S180 */
BODY(resume_after_cancel)
{
    park_caller(scope, suspend_with_handler);
    kin_job_cancel(caller, CE);
    ev("cancelled");
    CHECK_EQ(kin_resume(kept, 1), KIN_ESTALE);
    CHECK_EQ(kin_resume(kept, 1), KIN_EALREADY);
    end_caller("011");
    CHECK_EQ(kin_resume(kept, 1), KIN_ESTALE);
    return 0;
}

TEST(cancel_calls_the_handler_in_place_and_a_late_resume_is_ignored)
{
    RUN(resume_after_cancel);
    CHECK_LOG("h(CE) cancelled CE");
}

/* S181 */
BODY(resume_or_after_cancel)
{
    park_caller(scope, suspend_and_say);
    kin_job_cancel(caller, CE);
    kin_resume_or(kept, log_undelivered, "value");
    ev("resumed");
    end_caller("011");
    return 0;
}

TEST(value_of_a_late_resume_is_handed_back_at_once)
{
    RUN(resume_or_after_cancel);
    CHECK_LOG("value resumed CE");
}

/* S182 */
BODY(cancel_after_resume_or)
{
    park_caller(scope, suspend_with_handler);
    MUST(kin_resume_or(kept, log_undelivered, "value"));
    kin_job_cancel(caller, CE);
    end_caller("011");
    return 0;
}

TEST(value_resumed_but_cancelled_before_the_fiber_runs_is_handed_back)
{
    RUN(cancel_after_resume_or);
    CHECK_LOG("h(CE) value CE");
}

BODY(resume_or_in_time)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume_or(kept, log_undelivered, "value"));
    CHECK_EQ(kin_resume(kept, 1), KIN_EALREADY);
    end_caller("010");
    return 0;
}

TEST(value_that_is_delivered_is_not_handed_back)
{
    RUN(resume_or_in_time);
    CHECK_LOG("0");
}

/* R12.6 for a plain value. */
BODY(cancel_after_resume)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume(kept, 5));
    kin_job_cancel(caller, NULL);
    end_caller("011");
    return 0;
}

TEST(cancellation_before_the_resumed_fiber_runs_is_prompt)
{
    RUN(cancel_after_resume);
    CHECK_LOG("CE");
}

/* S183 */
BODY(suspend_expecting_e)
{
    CHECK_FAILED_WITH(kin_suspend_cancellable(keep_with_handler, NULL), E);
    ev("E");
    return KIN_ECANCELED;
}

BODY(cancel_after_error)
{
    park_caller(scope, suspend_expecting_e);
    MUST(kin_resume_with_error(kept, E));
    kin_job_cancel(caller, CE);
    end_caller("011");
    return 0;
}

TEST(error_resumed_with_is_delivered_though_cancelled_meanwhile)
{
    RUN(cancel_after_error);
    CHECK_LOG("E");
}

/* S184 */
BODY(suspend_expecting_ce)
{
    CHECK_FAILED_WITH(kin_suspend_cancellable(keep, NULL), CE);
    ev("CE");
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

BODY(cancel_the_call)
{
    park_caller(scope, suspend_expecting_ce);
    CHECK_EQ(kin_continuation_cancel(kept, CE), 1);
    CHECK_EQ(kin_continuation_cancel(kept, CE), 0);
    CHECK_FLAGS(caller, "100");
    CHECK_EQ(kin_resume(kept, 1), KIN_ESTALE);
    end_caller("010");
    return 0;
}

TEST(cancelling_the_call_leaves_the_job_alone)
{
    RUN(cancel_the_call);
    CHECK_LOG("CE");
}

BODY(cancel_a_resumed_call)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume(kept, 5));
    CHECK_EQ(kin_continuation_cancel(kept, NULL), 0);
    end_caller("010");
    return 0;
}

TEST(cancelling_a_call_that_was_resumed_is_too_late)
{
    RUN(cancel_a_resumed_call);
    CHECK_LOG("5");
}

/* S185 */
static int handle_then_say_2(kin_continuation continuation, UNUSED void *arg)
{
    MUST(kin_continuation_on_cancel(continuation, log_cancel, NULL));
    ev("2");
    return 0;
}

BODY(suspend_when_cancelled)
{
    kin_job_cancel(kin_scope_job(scope), CE);
    CHECK_FAILED_WITH(kin_suspend_cancellable(handle_then_say_2, NULL), CE);
    ev("CE");
    return KIN_ECANCELED;
}

BODY(launch_suspend_when_cancelled)
{
    return kin_launch(scope, suspend_when_cancelled, NULL);
}

TEST(start_is_called_in_a_cancelled_job_and_the_handler_at_once)
{
    RUN(launch_suspend_when_cancelled);
    CHECK_LOG("h(CE) 2 CE");
}

/* R12.5 */
static int cancel_then_resume(kin_continuation continuation, void *job)
{
    kin_job_cancel(job, CE);
    kin_resume(continuation, 5);
    return 0;
}

BODY(cancelled_inside_start)
{
    CHECK_FAILED_WITH(kin_suspend_cancellable(cancel_then_resume,
                                         kin_scope_job(scope)), CE);
    ev("CE");
    return KIN_ECANCELED;
}

static int resume_then_cancel(kin_continuation continuation, void *job)
{
    MUST(kin_resume(continuation, 5));
    kin_job_cancel(job, CE);
    return 0;
}

BODY(resumed_and_cancelled_inside_start)
{
    CHECK_FAILED_WITH(kin_suspend_cancellable(resume_then_cancel,
                                         kin_scope_job(scope)), CE);
    ev("CE");
    return KIN_ECANCELED;
}

BODY(launch_cancelled_inside_start)
{
    kin_launch(scope, cancelled_inside_start, NULL);
    kin_launch(scope, resumed_and_cancelled_inside_start, NULL);
    return 0;
}

TEST(cancellation_inside_start_wins_over_a_resume_there)
{
    RUN(launch_cancelled_inside_start);
    CHECK_LOG("CE CE");
}

/* S186 */
static int handle_twice(kin_continuation continuation, UNUSED void *arg)
{
    MUST(kin_continuation_on_cancel(continuation, log_cancel, NULL));
    CHECK_EQ(kin_continuation_on_cancel(continuation, log_cancel, NULL),
             KIN_EALREADY);
    return kin_resume(continuation, 5);
}

BODY(two_handlers)
{
    CHECK_EQ(kin_suspend_cancellable(handle_twice, NULL), 5);
    return 0;
}

TEST(second_cancellation_handler_is_refused)
{
    RUN(two_handlers);
    CHECK_LOG("");
}

static int handle_what_was_resumed(kin_continuation continuation, void *arg)
{
    MUST(kin_resume(continuation, 5));
    MUST(kin_continuation_on_cancel(continuation, log_cancel, NULL));
    CHECK_EQ(kin_continuation_on_cancel(continuation, log_cancel, NULL),
             KIN_EALREADY);
    CHECK_EQ(kin_resume(continuation, 6), KIN_EALREADY);
    CHECK_EQ(kin_continuation_cancel(continuation, CE), 0);
    if (arg)
        kin_job_cancel(arg, CE);
    return 0;
}

BODY(handler_of_what_was_resumed)
{
    CHECK_EQ(kin_suspend_cancellable(handle_what_was_resumed, NULL), 5);
    return 0;
}

TEST(a_handler_for_what_was_resumed_is_not_called)
{
    RUN(handler_of_what_was_resumed);
    CHECK_LOG("");
}

BODY(handler_of_what_gets_lost)
{
    kin_job *job = kin_scope_job(scope);

    CHECK_EQ(kin_suspend_cancellable(handle_what_was_resumed, job),
             KIN_ECANCELED);
    return 0;
}

BODY(lose_what_was_resumed)
{
    kin_launch(scope, handler_of_what_gets_lost, NULL);
    return 0;
}

TEST(a_handler_for_what_was_resumed_is_called_if_the_value_gets_lost)
{
    RUN(lose_what_was_resumed);
    CHECK_LOG("h(CE)");
}

/* S188 */
BODY(suspend_deaf)
{
    CHECK_EQ(kin_suspend(keep, NULL), 5);
    CHECK_FLAGS(kin_scope_job(scope), "001");
    ev("5");
    return 0;
}

BODY(cancel_a_deaf_one)
{
    park_caller(scope, suspend_deaf);
    kin_job_cancel(caller, NULL);
    MUST(kin_yield());
    ev("cancelled");
    MUST(kin_resume(kept, 5));
    end_caller("011");
    return 0;
}

TEST(suspend_is_deaf_to_cancellation)
{
    RUN(cancel_a_deaf_one);
    CHECK_LOG("cancelled 5");
}

static int handle_deaf(kin_continuation continuation, UNUSED void *arg)
{
    CHECK_EQ(kin_continuation_on_cancel(continuation, log_cancel, NULL),
             KIN_ENOTSUP);
    return kin_resume(continuation, 0);
}

BODY(suspend_deaf_with_handler)
{
    return kin_suspend(handle_deaf, NULL);
}

TEST(suspend_takes_no_cancellation_handler)
{
    RUN(suspend_deaf_with_handler);
}

/* S192 */
TEST(resume_of_an_unconfined_fiber_runs_it_in_place)
{
    MUST(kin_launch(kin_global_scope(), suspend_and_say, NULL,
                    .dispatcher = kin_unconfined()));
    ev("parked");
    MUST(kin_resume(kept, 5));
    ev("resumed");
    CHECK_LOG("parked 5 resumed");
}

BODY(resume_kept_say_resumed)
{
    MUST(kin_resume(kept, 5));
    ev("resumed");
    return 0;
}

TEST(resume_of_an_unconfined_fiber_inside_another_comes_after_that)
{
    MUST(kin_launch(kin_global_scope(), suspend_and_say, NULL,
                    .dispatcher = kin_unconfined()));
    MUST(kin_launch(kin_global_scope(), resume_kept_say_resumed, NULL,
                    .dispatcher = kin_unconfined()));
    CHECK_LOG("resumed 5");
}

/* S193 */
static void check_kept(bool active, bool completed, bool cancelled)
{
    CHECK_EQ(kin_continuation_is_active(kept), active);
    CHECK_EQ(kin_continuation_is_completed(kept), completed);
    CHECK_EQ(kin_continuation_is_cancelled(kept), cancelled);
}

BODY(states_of_a_resumed_call)
{
    park_caller(scope, suspend_and_say);
    check_kept(true, false, false);
    MUST(kin_resume(kept, 5));
    check_kept(false, true, false);
    end_caller("010");
    return 0;
}

BODY(states_of_a_cancelled_call)
{
    park_caller(scope, suspend_and_say);
    kin_job_cancel(caller, NULL);
    check_kept(false, true, true);
    end_caller("011");
    return 0;
}

TEST(continuation_says_whether_it_waits_was_resumed_or_cancelled)
{
    RUN(states_of_a_resumed_call);
    RUN(states_of_a_cancelled_call);
}

/* --- What C adds -------------------------------------------------------- */

static int start_fails(UNUSED kin_continuation continuation, void *error)
{
    return kin_error_rethrow(error);
}

BODY(operation_that_does_not_start)
{
    CHECK_FAILED_WITH(kin_suspend_cancellable(start_fails, E), E);
    CHECK_FAILED_WITH(kin_suspend(start_fails, E), E);
    return 0;
}

TEST(start_that_fails_is_the_result)
{
    RUN(operation_that_does_not_start);
}

static void log_lost(void *value, kin_error *cause)
{
    ev(value);
    evi(kin_error_code(cause));
}

static int resume_and_fail(kin_continuation continuation, UNUSED void *arg)
{
    MUST(kin_continuation_on_cancel(continuation, log_cancel, NULL));
    MUST(kin_resume_or(continuation, log_lost, "value"));
    return -EIO;
}

BODY(operation_that_resumes_but_does_not_start)
{
    kin_fail(-EINVAL, "an error of before");
    CHECK_EQ(kin_suspend_cancellable(resume_and_fail, NULL), -EIO);
    return 0;
}

TEST(value_of_a_start_that_fails_is_handed_back_with_the_cause)
{
    RUN(operation_that_resumes_but_does_not_start);
    CHECK_LOG("value -5");
}

BODY(park_in_two_calls)
{
    CHECK_EQ(kin_suspend_cancellable(keep, NULL), 1);
    CHECK_EQ(kin_suspend_cancellable(keep, NULL), 2);
    return 0;
}

BODY(resume_the_former_call)
{
    park_caller(scope, park_in_two_calls);
    kin_continuation former = kept;
    MUST(kin_resume(former, 1));
    MUST(kin_yield());
    CHECK(kin_resume(former, 3) < 0);
    CHECK_EQ(kin_continuation_cancel(former, NULL), 0);
    CHECK(kin_continuation_on_cancel(former, log_cancel, NULL) < 0);
    MUST(kin_resume(kept, 2));
    end_caller("010");
    return 0;
}

TEST(continuation_of_a_former_call_does_not_touch_the_next_call)
{
    RUN(resume_the_former_call);
}

BODY(resume_after_the_end)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume(kept, 1));
    end_caller("010");
    kin_continuation over = kept;

    kin_trim();
    CHECK(kin_resume(over, 2) < 0);
    CHECK(kin_resume_with_error(over, E) < 0);
    CHECK_EQ(kin_continuation_cancel(over, NULL), 0);
    CHECK(!kin_continuation_is_active(over));
    return 0;
}

TEST(continuation_does_not_dangle_when_its_fiber_is_gone)
{
    RUN(resume_after_the_end);
    CHECK_LOG("1");
}

BODY(resume_negative)
{
    park_caller(scope, suspend_and_say);
    MUST(kin_resume(kept, -ENOSPC));
    kin_job_cancel(caller, NULL);
    MUST(kin_join(caller));
    kin_job_release(caller);
    return 0;
}

BODY(supervise_resume_negative)
{
    return kin_supervisor_scope(resume_negative, NULL);
}

static int ignore_failure(UNUSED kin_job *job, UNUSED kin_error *error,
                          UNUSED void *arg)
{
    return 0;
}

TEST(negative_result_is_delivered_though_cancelled_meanwhile)
{
    char said[8];

    MUST(kin_run_blocking(supervise_resume_negative, NULL,
                          .handler = ignore_failure));
    snprintf(said, sizeof said, "%d", -ENOSPC);
    CHECK_LOG(said);
}

/* Resumed by a plain thread. */
static void *resume_from_thread(UNUSED void *arg)
{
    await_blocked(getpid());            /* the first thread's */
    MUST(kin_resume(kept, 5));
    return NULL;
}

static int keep_and_start_thread(kin_continuation continuation, void *arg)
{
    pthread_t *thread = arg;
    kept = continuation;
    *thread = start_thread(resume_from_thread, NULL);
    return 0;
}

BODY(wait_for_a_thread)
{
    pthread_t thread;

    CHECK_EQ(kin_suspend_cancellable(keep_and_start_thread, &thread), 5);
    pthread_join(thread, NULL);
    return 0;
}

TEST(resume_from_a_plain_thread_wakes_the_loop)
{
    RUN(wait_for_a_thread);
}

TEST_MAIN
