/* job_completion_test.c -- callbacks at the end, or at the cancelling, of a
 * job: in which order, with which cause, and what becomes of those that fail:
 * S049 to S060.
 *
 * A callback logs the letter that is its argument, and the cause: "A(null)".
 * One that fails logs F with its failure.  What stderr is told of those is in
 * job_report_test.c. */
#include "tests/words.h"

#define X error_named("X", -EBADMSG)
#define Y error_named("Y", -ENOSPC)

static int log_as(UNUSED kin_job *job, kin_error *cause, void *letter)
{
    ev_error(*(const char *)letter, cause);
    return 0;
}

static int fail_with(UNUSED kin_job *job, UNUSED kin_error *cause, void *error)
{
    ev_error('F', error);
    return kin_error_rethrow(error);
}

/* A handler that expects nothing but callbacks that failed. */
static int log_broken(UNUSED kin_job *job, kin_error *error, UNUSED void *arg)
{
    CHECK_EQ(kin_error_code(error), KIN_EHANDLER);
    ev_error('H', kin_error_cause(error));
    return 0;
}

static kin_registration *register_on(kin_job *job, kin_completion_fn *fn,
                                     void *arg, int flags)
{
    kin_registration *registration = NULL;

    MUST(kin_invoke_on_completion(job, fn, arg, flags, &registration));
    CHECK(registration != NULL);
    return registration;
}

static void register_a_b_c(kin_job *job)
{
    on_completion(job, log_as, "A");
    on_cancelling(job, log_as, "B");
    on_completion(job, log_as, "C");
}

/* --- When, and in which order ------------------------------------------- */

/* S049 */
TEST_ON_LOOP(callbacks_run_in_the_order_of_registration)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say, "body");

    on_completion(j, log_word, "1");
    on_completion(j, log_word, "2");
    on_completion(j, log_word, "3");
    MUST(kin_join(j));
    ev("joined");
    CHECK_LOG("body 1 2 3 joined");
}

/* S050 */
TEST_ON_LOOP(cancelling_callback_runs_inside_cancel_the_others_at_the_end)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say_when_cancelled, "body");

    MUST(kin_yield());
    register_a_b_c(j);
    ev("cancel");
    kin_job_cancel(j, CE);
    ev("cancelled");
    MUST(kin_join(j));
    ev("joined");
    CHECK_LOG("cancel B(CE) cancelled body A(CE) C(CE) joined");
}

/* S051 */
TEST_ON_LOOP(cancelling_callback_runs_in_its_turn_if_nobody_cancels)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say, "body");

    register_a_b_c(j);
    MUST(kin_join(j));
    CHECK_LOG("body A(null) B(null) C(null)");
}

/* S052 */
TEST_ON_LOOP(cancelling_callback_that_is_late_runs_at_once_or_never)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) j = LAUNCH(scope, wait_shielded, gate);

    MUST(kin_yield());
    kin_job_cancel(j, CE);
    CHECK_FLAGS(j, "001");
    ev("register");
    on_cancelling(j, log_as, "B");
    ev("registered");
    kin_registration_dispose(register_on(
        j, log_as, "N", KIN_ON_CANCELLING | KIN_NOT_IMMEDIATELY));
    on_completion(j, log_as, "C");
    open_gate(gate);
    MUST(kin_join(j));
    CHECK_LOG("register B(CE) registered C(CE)");
}

BODY(register_after_the_failure)
{
    MUST(kin_launch(scope, throw_error, E));
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    on_cancelling(kin_scope_job(scope), log_as, "B");
    ev("body");
    return 0;
}

TEST_ON_LOOP(cancelling_callback_that_is_late_gets_the_failure_itself)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(register_after_the_failure, NULL),
                      E);
    CHECK_LOG("B(E) body");
}

/* S053 */
static void register_late(kin_job *job)
{
    on_completion(job, log_as, "A");
    on_cancelling(job, log_as, "B");
    kin_registration_dispose(register_on(job, log_as, "N",
                                         KIN_NOT_IMMEDIATELY));
    kin_registration_dispose(register_on(job, log_as, "D", 0));
    ev("|");
}

TEST(callback_on_a_final_job_runs_at_once_with_its_outcome)
{
    KIN_AUTO(kin_job) completed = new_job(NULL);
    KIN_AUTO(kin_job) cancelled = new_job(NULL);
    KIN_AUTO(kin_job) failed = new_job(NULL);

    CHECK_EQ(kin_job_complete(completed), 1);
    kin_job_cancel(cancelled, CE);
    CHECK_EQ(kin_job_fail(failed, E), 1);
    register_late(completed);
    register_late(cancelled);
    register_late(failed);
    CHECK_LOG("A(null) B(null) D(null) | A(CE) B(CE) D(CE) | A(E) B(E) D(E) |");
}

/* S056 */
static int look_around(kin_job *job, UNUSED kin_error *cause, void *parent)
{
    KIN_AUTO(kin_job) none = parent_of(job);

    CHECK_FLAGS(job, "010");
    CHECK_PTR(none, NULL);
    CHECK(!kin_job_is_completed(parent));
    CHECK_EQ(kin_job_children(parent, NULL, 0), 0);
    ev("callback");
    return 0;
}

TEST_ON_LOOP(callback_sees_its_job_final_and_without_a_parent)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) p = LAUNCH(scope, await_deferred, gate);
    KIN_AUTO(kin_job) j = LAUNCH_IN(p, scope, await_deferred, gate);

    on_completion(p, log_word, "parent");
    on_completion(j, look_around, p);
    MUST(kin_yield());
    open_gate(gate);
    MUST(kin_join(p));
    CHECK_LOG("callback parent");
}

/* S057 */
static int count_suppressed(UNUSED kin_job *job, kin_error *cause, void *word)
{
    CHECK_PTR(cause, E);
    ev(word);
    evi((long long)kin_error_suppressed_count(cause));
    if (kin_error_suppressed_count(cause))
        CHECK_PTR(kin_error_suppressed(cause, 0), E2);
    return 0;
}

BODY(throw_e2_when_cancelled)
{
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    THROW(E2);
}

BODY(throw_e_over_a_child)
{
    MUST(kin_launch(scope, throw_e2_when_cancelled, NULL));
    MUST(kin_yield());
    THROW(E);
}

TEST_ON_LOOP(cancelling_callback_sees_the_failure_and_nothing_suppressed)
{
    KIN_AUTO(kin_job) root = new_supervisor(kin_scope_job(scope));
    KIN_AUTO(kin_job) j = LAUNCH_IN(root, scope, throw_e_over_a_child, NULL,
                                    .handler = log_failure);

    on_completion(j, count_suppressed, "completion");
    on_cancelling(j, count_suppressed, "cancelling");
    MUST(kin_join(j));
    CHECK_EQ(kin_job_complete(root), 1);
    CHECK_LOG("cancelling 0 H(E) completion 1");
}

/* S058 */
struct wait {
    kin_job *job;
    void *word;
};

BODY(join_and_say)
{
    struct wait *wait = arg;

    MUST(kin_join(wait->job));
    ev(wait->word);
    return 0;
}

TEST_ON_LOOP(waiters_go_on_after_callbacks_in_the_order_they_came)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    struct wait w1 = { j, "w1" }, w2 = { j, "w2" };
    KIN_AUTO(kin_job) first = LAUNCH(scope, join_and_say, &w1);
    KIN_AUTO(kin_job) second = LAUNCH(scope, join_and_say, &w2);

    MUST(kin_yield());
    on_completion(j, log_word, "h");
    ev("complete");
    CHECK_EQ(kin_job_complete(j), 1);
    ev("completed");
    MUST(kin_join(first));
    MUST(kin_join(second));
    CHECK_LOG_DRAWN("complete h completed w1 w2",
                    "complete<h<completed completed<w1 completed<w2");
}

/* --- Withdrawing, nesting ----------------------------------------------- */

/* S059 */
static int dispose_itself(UNUSED kin_job *job, UNUSED kin_error *cause,
                          void *registration)
{
    kin_registration_dispose(*(kin_registration **)registration);
    ev("disposed");
    return 0;
}

TEST(callback_may_dispose_of_itself)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    kin_registration *registration;

    registration = register_on(j, dispose_itself, &registration, 0);
    on_completion(j, log_as, "A");
    CHECK_EQ(kin_job_complete(j), 1);
    CHECK_LOG("disposed A(null)");
}

TEST(cancelling_callback_may_dispose_of_itself)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    kin_registration *registration;

    registration = register_on(j, dispose_itself, &registration,
                               KIN_ON_CANCELLING);
    on_completion(j, log_as, "A");
    kin_job_cancel(j, CE);
    CHECK_LOG("disposed A(CE)");
}

TEST(callback_that_was_disposed_of_does_not_run)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    kin_registration *before = register_on(j, log_as, "B", 0);
    kin_registration *after;

    on_completion(j, log_as, "A");
    kin_registration_dispose(before);
    after = register_on(j, log_as, "C", 0);
    CHECK_EQ(kin_job_complete(j), 1);
    kin_registration_dispose(after);
    CHECK_LOG("A(null) C(null)");
}

TEST(callback_may_withdraw_one_that_would_come_after_it)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    kin_registration *second = NULL;

    on_completion(j, dispose_itself, &second);
    second = register_on(j, log_as, "B", 0);
    on_completion(j, log_as, "C");
    CHECK_EQ(kin_job_complete(j), 1);
    CHECK_LOG("disposed C(null)");
}

/* S060 */
static int register_another(kin_job *job, UNUSED kin_error *cause,
                            UNUSED void *arg)
{
    ev("begin");
    on_completion(job, log_as, "N");
    ev("end");
    return 0;
}

TEST(callback_registered_in_a_callback_runs_nested)
{
    KIN_AUTO(kin_job) j = new_job(NULL);

    on_completion(j, register_another, NULL);
    on_completion(j, log_as, "A");
    CHECK_EQ(kin_job_complete(j), 1);
    CHECK_LOG("begin N(null) end A(null)");
}

/* --- Callbacks that fail ------------------------------------------------ */

/* S054 */
#define CHECK_BROKEN(call, cause)                                         \
    do {                                                                  \
        CHECK_EQ((call), KIN_EHANDLER);                                   \
        CHECK_EQ(kin_error_code(kin_error_current()), KIN_EHANDLER);      \
        CHECK_PTR(kin_error_cause(kin_error_current()), (cause));         \
    } while (0)

static void register_2_failing(kin_job *job)
{
    on_completion(job, log_as, "A");
    on_completion(job, fail_with, X);
    on_completion(job, log_as, "C");
}

TEST(callback_that_fails_is_the_result_of_the_call_that_completed_the_job)
{
    KIN_AUTO(kin_job) bare = new_job(NULL);
    KIN_AUTO(kin_job) supervisor = new_supervisor(NULL);
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);

    register_2_failing(bare);
    register_2_failing(supervisor);
    register_2_failing(kin_deferred_job(d));
    CHECK_BROKEN(kin_job_complete(bare), X);
    CHECK_BROKEN(kin_job_complete(supervisor), X);
    CHECK_BROKEN(kin_deferred_complete(d, WORD(5)), X);
    CHECK_LOG("A(null) F(X) C(null) A(null) F(X) C(null) A(null) F(X) C(null)");
    CHECK_FLAGS(bare, "010");
    CHECK_FLAGS(supervisor, "010");
    CHECK_EQ(kin_job_complete(bare), 0);
}

TEST(value_is_given_although_a_callback_fails)
{
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);
    void *value = NULL;

    on_completion(kin_deferred_job(d), fail_with, X);
    CHECK_BROKEN(kin_deferred_complete(d, WORD(5)), X);
    MUST(kin_deferred_get(d, &value));
    CHECK_PTR(value, WORD(5));
}

TEST(callback_that_fails_does_not_replace_the_failure_of_the_job)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);
    KIN_AUTO(kin_error) why = NULL;

    register_2_failing(j);
    register_2_failing(kin_deferred_job(d));
    CHECK_BROKEN(kin_job_fail(j, E), X);
    CHECK_BROKEN(kin_deferred_fail(d, E), X);
    CHECK_LOG("A(E) F(X) C(E) A(E) F(X) C(E)");
    MUST(kin_deferred_error(d, &why));
    CHECK_PTR(why, E);
    CHECK_EQ(kin_error_suppressed_count(E), 0);
}

TEST(first_callback_that_fails_suppresses_the_others)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    kin_error *error;

    on_cancelling(j, fail_with, X);
    on_completion(j, fail_with, Y);
    on_completion(j, fail_with, X);
    on_completion(j, fail_with, E2);
    CHECK_BROKEN(kin_job_fail(j, E), X);
    error = kin_error_current();
    CHECK_EQ(kin_error_suppressed_count(error), 2);
    CHECK_PTR(kin_error_suppressed(error, 0), Y);
    CHECK_PTR(kin_error_suppressed(error, 1), E2);
    CHECK_LOG("F(X) F(Y) F(X) F(E2)");
}

/* S055 */
TEST_ON_LOOP(callback_that_fails_goes_to_the_handler_of_a_launch)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say, "body", .handler = log_broken);

    register_2_failing(j);
    MUST(kin_join(j));
    ev("joined");
    CHECK_FLAGS(j, "010");
    CHECK_LOG("body A(null) F(X) C(null) H(X) joined");
}

TEST_ON_LOOP(callback_that_fails_goes_to_the_handler_of_an_async)
{
    KIN_AUTO(kin_deferred) d = ASYNC(scope, do_nothing, NULL,
                                     .handler = log_broken);

    register_2_failing(kin_deferred_job(d));
    MUST(kin_await(d, NULL));
    CHECK_LOG("A(null) F(X) C(null) H(X)");
}

TEST_ON_LOOP(failure_comes_before_that_of_a_callback)
{
    KIN_AUTO(kin_job) root = new_supervisor(kin_scope_job(scope));
    KIN_AUTO(kin_job) j = LAUNCH_IN(root, scope, throw_error, E,
                                    .handler = log_failure);

    register_2_failing(j);
    MUST(kin_join(j));
    CHECK_EQ(kin_job_complete(root), 1);
    CHECK_LOG("H(E) A(E) F(X) C(E) H(a completion callback failed)");
}

BODY(break_the_scope)
{
    on_completion(kin_scope_job(scope), fail_with, X);
    return 0;
}

BODY(scope_that_breaks)
{
    MUST(kin_coroutine_scope(break_the_scope, NULL));
    ev("after");
    return 0;
}

TEST_ON_LOOP(callback_of_a_scope_that_fails_goes_to_the_fibers_handler)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, scope_that_breaks, NULL,
                                 .handler = log_broken);

    MUST(kin_join(j));
    CHECK_LOG("F(X) H(X) after");
}

TEST_ON_LOOP(cancelling_callback_that_fails_is_told_of_at_the_end)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say_when_cancelled, "body",
                                 .handler = log_broken);

    MUST(kin_yield());
    on_cancelling(j, fail_with, X);
    kin_job_cancel(j, CE);
    ev("cancelled");
    MUST(kin_join(j));
    CHECK_LOG("F(X) cancelled body H(X)");
}

TEST_ON_LOOP(callback_that_is_late_and_fails_is_told_of_at_once)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say, "body", .handler = log_broken);

    MUST(kin_join(j));
    on_completion(j, fail_with, X);
    ev("registered");
    CHECK_LOG("body F(X) H(X) registered");
}

KIN_SUSPENDS
static int a_callback_of_an_ended_child_fails(kin_scope *scope,
                                              UNUSED void *arg)
{
    KIN_AUTO(kin_error) x = X;
    KIN_AUTO(kin_job) child = LAUNCH(scope, say, "child");

    MUST(kin_join(child));
    on_completion(child, fail_with, x);
    return 0;
}

TEST_ON_LOOP(an_ended_child_still_has_the_handler_that_it_inherited)
{
    KIN_AUTO(kin_job) parent = LAUNCH(scope, a_callback_of_an_ended_child_fails,
                                      NULL, .handler = log_broken);

    MUST(kin_join(parent));
    CHECK_LOG("child F(X) H(X)");
}

TEST_MAIN
