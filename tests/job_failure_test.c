/* job_failure_test.c -- which failure wins, who is told, and how often: S077
 * to S104.
 *
 * Errors are compared by identity.  Each failure that could reach a handler
 * finds one that logs, so a missing and a second report are both seen.
 *
 * Errors have no equality of their own that could crash: docs/kotlin.md. */
#include "tests/words.h"

static int log_other(UNUSED kin_job *job, kin_error *error, UNUSED void *arg)
{
    ev_error('I', error);
    return 0;
}

/* E with these suppressed, in this order. */
static void check_suppressed(kin_error *error, kin_error *first,
                             kin_error *second)
{
    size_t n = second ? 2 : first ? 1 : 0;

    CHECK_EQ(kin_error_suppressed_count(error), n);
    CHECK_PTR(kin_error_suppressed(error, 0), first);
    CHECK_PTR(kin_error_suppressed(error, 1), second);
    CHECK_PTR(kin_error_suppressed(error, n), NULL);
}

/* Runs body as a root whose failure is reported, and waits for it. */
static int log_root(kin_job *job, kin_error *error, void *arg)
{
    CHECK_EQ(kin_job_children(job, NULL, 0), 0);
    return log_failure(job, error, arg);
}

BODY(launch_root_and_join)
{
    kin_body *const *body = arg;
    KIN_AUTO(kin_job) root = NULL;

    MUST(kin_launch(kin_global_scope(), *body, NULL, .job = &root,
                    .dispatcher = kin_current_element(&kin_key_dispatcher),
                    .handler = log_root, .start = KIN_START_LAZY));
    MUST(kin_invoke_on_completion(root, log_completion, NULL, 0, NULL));
    MUST(kin_join(root));
    return 0;
}

static void run_root(kin_body *body)
{
    MUST(kin_run_blocking(launch_root_and_join, &body));
}

/* --- Who is told -------------------------------------------------------- */

/* S077 */
BODY(throw_e)
{
    THROW(E);
}

TEST(failure_of_a_root_goes_to_its_handler_then_to_completion)
{
    run_root(throw_e);
    CHECK_LOG("H(E) C(E)");
}

/* S078 */
BODY(await_root_async)
{
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_async(kin_global_scope(), &d, throw_error, E,
                   .handler = log_failure));
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    return 0;
}

TEST(failure_of_a_root_async_is_kept_for_each_await)
{
    RUN(await_root_async);
    CHECK_LOG("");
}

/* S079 */
BODY(launch_failing_with_handler)
{
    return kin_launch(scope, throw_error, E, .handler = log_other);
}

TEST(failure_inside_run_blocking_is_returned_and_no_handler_called)
{
    CHECK_FAILED_WITH(kin_run_blocking(launch_failing_with_handler, NULL,
                                  .handler = log_failure), E);
    CHECK_LOG("");
}

/* S080 */
BODY(launch_under_bare_job)
{
    KIN_AUTO(kin_job) bare = NULL;

    MUST(kin_job_new(NULL, &bare));
    LAUNCH_UNDER(bare, scope, launch_failing_with_handler, NULL,
                 .handler = log_failure);
    MUST(kin_join(bare));
    return 0;
}

TEST(failure_is_reported_by_the_outermost_below_a_bare_job)
{
    RUN(launch_under_bare_job);
    CHECK_LOG("H(E)");
}

/* S081 */
BODY(launch_failing_say_1)
{
    kin_launch(scope, throw_error, E, .handler = log_failure);
    ev("1");
    return 0;
}

BODY(supervise_launch_failing)
{
    MUST(kin_supervisor_scope(launch_failing_say_1, NULL));
    return 0;
}

TEST(failure_of_a_child_of_a_supervisor_scope_goes_to_its_handler)
{
    RUN(supervise_launch_failing);
    CHECK_LOG("1 H(E)");
}

/* S082 */
BODY(await_failing_async)
{
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_async(scope, &d, throw_error, E, .handler = log_failure));
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    THROW(E);
}

BODY(supervise_failing_async)
{
    CHECK_FAILED_WITH(kin_supervisor_scope(await_failing_async, NULL), E);
    return 0;
}

TEST(failure_of_async_in_a_supervisor_scope_is_for_await_alone)
{
    RUN(supervise_failing_async);
    CHECK_LOG("");
}

/* S083 */
BODY(launch_launch_failing)
{
    return kin_launch(scope, launch_failing_with_handler, NULL,
                      .handler = log_failure);
}

BODY(supervise_launch_launch_failing)
{
    MUST(kin_supervisor_scope(launch_launch_failing, NULL));
    return 0;
}

TEST(failure_of_a_grandchild_is_reported_by_the_child_of_the_supervisor)
{
    RUN(supervise_launch_launch_failing);
    CHECK_LOG("H(E)");
}

/* S084 */
BODY(async_failing)
{
    KIN_AUTO(kin_deferred) d = NULL;
    return kin_async(scope, &d, throw_error, E);
}

BODY(scope_of_async_failing)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(async_failing, NULL), E);
    return 0;
}

TEST(failure_of_async_that_nobody_awaits_fails_the_scope)
{
    RUN(scope_of_async_failing);
}

/* S085 */
BODY(catch_failing_async)
{
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_async(scope, &d, throw_error, E));
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    ev("1");
    ev("2");
    return 0;
}

BODY(scope_of_catch_failing_async)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(catch_failing_async, NULL), E);
    return 0;
}

TEST(failure_caught_from_await_fails_the_scope_all_the_same)
{
    RUN(scope_of_catch_failing_async);
    CHECK_LOG("1 2");
}

/* S086 */
BODY(launch_failing_at_once)
{
    MUST(kin_launch(scope, throw_error, E, .start = KIN_START_UNDISPATCHED));
    CHECK_FLAGS(kin_scope_job(scope), "001");
    return 0;
}

BODY(scope_of_launch_failing_at_once)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(launch_failing_at_once, NULL), E);
    return 0;
}

TEST(failure_of_a_body_is_not_launchs_result_but_its_parents)
{
    RUN(scope_of_launch_failing_at_once);
}

/* --- Which one wins ----------------------------------------------------- */

/* S087 */
BODY(yield_then_throw)
{
    KIN_TRY(kin_yield());
    THROW(arg);
}

BODY(throw_finally)
{
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    THROW(arg);
}

BODY(three_that_fail)
{
    kin_launch(scope, yield_then_throw, E1);
    kin_launch(scope, throw_finally, E2);
    kin_launch(scope, throw_finally, E3);
    return 0;
}

TEST(first_failure_of_three_children_wins_and_suppresses_the_others)
{
    run_root(three_that_fail);
    CHECK_LOG("H(E1) C(E1)");
    check_suppressed(E1, E2, E3);
}

/* S088 */
BODY(throw_over_child)
{
    kin_launch(scope, throw_finally, E2);
    KIN_TRY(kin_yield());
    THROW(E1);
}

TEST(failure_of_the_body_suppresses_that_of_its_child)
{
    run_root(throw_over_child);
    CHECK_LOG("H(E1) C(E1)");
    check_suppressed(E1, E2, NULL);
}

/* S089 */
BODY(cancel_then_throw)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    CHECK_EQ(kin_yield(), KIN_ECANCELED);
    THROW(E);
}

TEST(failure_after_a_cancellation_wins_over_it)
{
    run_root(cancel_then_throw);
    CHECK_LOG("H(E) C(E)");
    check_suppressed(E, NULL, NULL);
}

/* S090 */
BODY(two_that_throw_the_same)
{
    kin_launch(scope, throw_finally, E);
    kin_launch(scope, yield_then_throw, E);
    return 0;
}

TEST(same_error_thrown_twice_counts_once)
{
    run_root(two_that_throw_the_same);
    CHECK_LOG("H(E) C(E)");
    check_suppressed(E, NULL, NULL);
}

/* S091 */
BODY(throw_when_child_fails)
{
    kin_launch(scope, throw_error, E);
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    CHECK_PTR(kin_error_cause(kin_error_current()), E);
    THROW(E2);
}

TEST(failure_of_the_child_suppresses_what_the_body_throws_then)
{
    run_root(throw_when_child_fails);
    CHECK_LOG("H(E) C(E)");
    check_suppressed(E, E2, NULL);
}

/* S092 */
BODY(rethrow_when_child_fails)
{
    kin_launch(scope, throw_error, E);
    return kin_delay(KIN_NEVER);
}

TEST(cancellation_made_by_the_childs_failure_may_be_rethrown)
{
    run_root(rethrow_when_child_fails);
    CHECK_LOG("H(E) C(E)");
    check_suppressed(E, NULL, NULL);
}

/* S093 */
BODY(child_over_grandchild)
{
    kin_launch(scope, throw_error, E1);
    return throw_finally(scope, E2);
}

BODY(root_over_child)
{
    kin_launch(scope, child_over_grandchild, NULL);
    return throw_finally(scope, E3);
}

TEST(failure_of_the_grandchild_suppresses_all_on_its_way_up)
{
    run_root(root_over_child);
    CHECK_LOG("H(E1) C(E1)");
    check_suppressed(E1, E2, E3);
}

/* --- Handlers that fail, handlers that are ignored ---------------------- */

/* S094: there is no global handler; the default report tells both. */
static int fail_in_handler(UNUSED kin_job *job, UNUSED kin_error *error,
                           UNUSED void *arg)
{
    return kin_error_rethrow(error_named("broken handler", -EIO));
}

BODY(supervise_with_broken_handler)
{
    return kin_launch(scope, throw_error, error_named("first failure", -EIO),
                      .handler = fail_in_handler);
}

BODY(scope_with_broken_handler)
{
    return kin_supervisor_scope(supervise_with_broken_handler, NULL);
}

static void run_broken_handler(UNUSED void *arg)
{
    RUN(scope_with_broken_handler);
}

TEST(handler_that_fails_leaves_both_errors_to_the_default_report)
{
    check_says(run_broken_handler, NULL, "broken handler");
    check_says(run_broken_handler, NULL, "first failure");
}

BODY(supervise_without_handler)
{
    return kin_launch(scope, throw_error, error_named("nobody asks", -EIO));
}

BODY(scope_without_handler)
{
    return kin_supervisor_scope(supervise_without_handler, NULL);
}

static void run_without_handler(UNUSED void *arg)
{
    RUN_IN_ORDER(scope_without_handler);
}

TEST(failure_without_a_handler_is_told_on_stderr)
{
    check_says(run_without_handler, NULL, "nobody asks");
}

/* S096 */
BODY(with_handler_and_failure)
{
    KIN_AUTO(kin_context) handler = kin_context_of_handler(log_failure, NULL);

    CHECK_FAILED_WITH(kin_with_context(throw_error, E, .context = handler), E);
    return 0;
}

TEST(handler_of_with_context_is_ignored)
{
    RUN(with_handler_and_failure);
    CHECK_LOG("");
}

/* S097, S098 */
KIN_SUSPENDS
static void launch_under_job_of_its_own(kin_scope *scope, kin_body *body)
{
    KIN_AUTO(kin_job) bare = NULL;
    KIN_AUTO(kin_job) j = NULL;

    MUST(kin_job_new(NULL, &bare));
    LAUNCH_UNDER(bare, scope, body, NULL, .handler = log_failure, .job = &j);
    MUST(kin_join(j));
    CHECK_FLAGS(j, "011");
    CHECK_FLAGS(bare, "100");
    CHECK_EQ(kin_job_complete(bare), 1);
}

BODY(throw_ce)
{
    THROW(CE);
}

BODY(launch_throw_ce)
{
    launch_under_job_of_its_own(scope, throw_ce);
    return 0;
}

TEST(cancellation_thrown_by_hand_is_not_reported)
{
    RUN(launch_throw_ce);
    CHECK_LOG("");
}

BODY(time_out)
{
    return kin_with_timeout(KIN_MS(5), wait_forever, NULL);
}

BODY(launch_time_out)
{
    launch_under_job_of_its_own(scope, time_out);
    return 0;
}

TEST(timeout_that_nobody_catches_is_not_reported)
{
    RUN_ON_CLOCK(launch_time_out);
    CHECK_LOG("");
}

/* S099 */
BODY(fail_a_bare_job)
{
    KIN_AUTO(kin_job) p = NULL;
    KIN_AUTO(kin_job) late = NULL;

    MUST(kin_job_new(NULL, &p));
    LAUNCH_UNDER(p, scope, throw_error, E, .handler = log_failure);
    MUST(kin_join(p));
    CHECK_FLAGS(p, "011");
    LAUNCH_UNDER(p, scope, say, "never", .handler = log_failure, .job = &late);
    MUST(kin_join(late));
    CHECK_FLAGS(late, "011");
    return 0;
}

TEST(bare_job_failed_by_a_child_takes_no_other)
{
    RUN(fail_a_bare_job);
    CHECK_LOG("H(E)");
}

/* S100 */
BODY(launch_under_bare_child)
{
    KIN_AUTO(kin_job) bare = NULL;

    MUST(kin_job_new(kin_scope_job(scope), &bare));
    LAUNCH_UNDER(bare, scope, throw_error, E, .handler = log_failure);
    return 0;
}

BODY(scope_of_bare_child)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(launch_under_bare_child, NULL), E);
    return 0;
}

TEST(bare_job_under_a_scope_hands_the_failure_to_the_scope)
{
    RUN(scope_of_bare_child);
    CHECK_LOG("");
}

/* S101 */
TEST(deferred_failed_by_hand_fails_its_parent_and_reports_nothing)
{
    KIN_AUTO(kin_job) p = NULL;
    KIN_AUTO(kin_deferred) d = NULL;
    KIN_AUTO(kin_error) why = NULL;

    MUST(kin_job_new(NULL, &p));
    MUST(kin_deferred_new(p, NULL, &d));
    CHECK_EQ(kin_deferred_fail(d, E), 1);
    CHECK_FLAGS(p, "011");
    MUST(kin_job_cancellation(p, &why));
    CHECK(kin_error_is_cancellation(why));
    CHECK_PTR(kin_error_cause(why), E);
}

/* S102 */
BODY(await_from_elsewhere)
{
    KIN_AUTO(kin_scope) elsewhere = NULL;
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_scope_new(NULL, &elsewhere));
    MUST(kin_async(elsewhere, &d, throw_error, E));
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    CHECK(!kin_scope_is_active(elsewhere));
    CHECK(kin_is_active());
    return 0;
}

TEST(await_in_another_scope_gives_the_very_error)
{
    RUN(await_from_elsewhere);
}

/* S103: a thread has a current error of its own. */
static void *fail_on_a_thread(UNUSED void *arg)
{
    CHECK_EQ(kin_fail(-ENOSPC, "elsewhere"), -ENOSPC);
    CHECK_STR(kin_error_message(kin_error_current()), "elsewhere");
    kin_error_clear();
    return NULL;
}

BODY(start_a_failing_thread)
{
    kin_error_clear();
    pthread_join(start_thread(fail_on_a_thread, NULL), NULL);
    CHECK(!kin_error_current());
    return 0;
}

TEST(failure_on_a_foreign_thread_does_not_reach_the_fiber)
{
    RUN(start_a_failing_thread);
}

/* S104 */
BODY(launch_two_roots)
{
    kin_dispatcher *here = kin_current_element(&kin_key_dispatcher);
    kin_scope *global = kin_global_scope();
    kin_job *roots[2] = { NULL, NULL };

    kin_launch(global, yield_then_throw, E1, .dispatcher = here,
               .handler = log_failure, .job = &roots[0]);
    kin_launch(global, throw_error, E2, .dispatcher = here,
               .handler = log_failure, .job = &roots[1]);
    MUST(kin_join_all(roots, 2));
    kin_job_release(roots[0]);
    kin_job_release(roots[1]);
    return 0;
}

TEST(two_roots_that_fail_are_reported_as_they_end)
{
    RUN(launch_two_roots);
    CHECK_LOG("H(E2) H(E1)");
}

/* --- What C adds -------------------------------------------------------- */

/* A code that is not the current error's makes an error of its own. */
BODY(return_a_bare_code)
{
    kin_fail(-EIO, "dealt with");
    return -ENOSPC;
}

BODY(scope_of_a_bare_code)
{
    CHECK_EQ(kin_coroutine_scope(return_a_bare_code, NULL), -ENOSPC);
    CHECK_EQ(kin_error_code(kin_error_current()), -ENOSPC);
    CHECK(strcmp(kin_error_message(kin_error_current()), "dealt with") != 0);
    return 0;
}

TEST(code_other_than_the_current_errors_is_an_error_of_its_own)
{
    RUN(scope_of_a_bare_code);
}

BODY(fail_here)
{
    return kin_fail(-ENOSPC, "writing %s", "a file");
}

BODY(scope_of_fail_here)
{
    CHECK_EQ(kin_coroutine_scope(fail_here, NULL), -ENOSPC);
    CHECK_STR(kin_error_message(kin_error_current()), "writing a file");
    CHECK(strstr(kin_error_where(kin_error_current()), "job_failure_test.c"));
    return 0;
}

TEST(message_and_place_of_a_failure_reach_the_caller_of_the_scope)
{
    RUN(scope_of_fail_here);
}

TEST_MAIN
