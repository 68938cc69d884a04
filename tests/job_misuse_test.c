/* What callers do wrong with jobs, contexts, scopes, deferreds, launches,
 * checkpoints and continuations: NULL, no fiber, twice, too late, the wrong
 * object.  A call that is misused reports it with its name on stderr, answers
 * with the documented code, and has no effect; in a debug build it aborts.
 * What the headers allow (NULL for a release, say) must do nothing at all.
 *
 * Each line MISUSE(function, what, code, call) is a test.  It runs in this
 * process too, so a leak checker sees what a refused call leaves behind.
 */
#include "tests/job_helpers.h"

#include <string.h>

/* --- Objects to misuse ---------------------------------------------------- */

/* One immortal job, done long ago. */
static kin_job *finished_job(void)
{
    static kin_job *job;
    if (!job) {
        job = new_job(NULL);
        CHECK_EQ(kin_job_complete(job), 1);
    }
    return job;
}

static kin_deferred *open_deferred(void)
{
    static kin_deferred *deferred;
    if (!deferred)
        deferred = new_deferred(NULL);
    return deferred;
}

static kin_error *some_error(void)
{
    static kin_error *error;
    if (!error)
        error = new_failure("E");
    return error;
}

/* --- Contexts ------------------------------------------------------------- */

TEST(a_context_of_nothing_is_the_empty_one)
{
    CHECK_EQ(kin_context_count(kin_context_empty()), 0);
    CHECK_PTR(kin_context_of_job(NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_dispatcher(NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_name(NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_name(""), kin_context_empty());
    CHECK_PTR(kin_context_of_handler(NULL, NULL), kin_context_empty());
    CHECK_PTR(kin_context_of(&kin_key_name, NULL, NULL), kin_context_empty());
}

/* The sum that failed is told by NULL; join takes what it was given. */
TEST(a_null_context_makes_the_whole_sum_null)
{
    KIN_AUTO(kin_context) name = kin_context_of_name("x");
    CHECK_PTR(kin_context_plus(NULL, name), NULL);
    CHECK_PTR(kin_context_plus(name, NULL), NULL);
    CHECK_PTR(kin_context_plus(NULL, NULL), NULL);
    CHECK_PTR(kin_context_join(NULL, kin_context_retain(name)), NULL);
    CHECK_PTR(kin_context_join(kin_context_retain(name), NULL), NULL);
    CHECK_PTR(kin_context_minus(NULL, &kin_key_name), NULL);
    CHECK_PTR(kin_context_retain(NULL), NULL);
    kin_context_release(NULL);
    CHECK_STR(kin_context_get(name, &kin_key_name), "x");
}

TEST(the_empty_context_survives_any_number_of_releases)
{
    for (int i = 0; i < 100; i++)
        kin_context_release(kin_context_empty());
    CHECK_EQ(kin_context_count(kin_context_empty()), 0);
}

static kin_context *context_out;

MISUSE(kin_current_context, off_a_fiber, KIN_ENOFIBER,
       kin_current_context(&context_out))
MISUSE_ON_FIBER(kin_current_context, into_null, KIN_EINVAL,
                kin_current_context(NULL))

/* --- Jobs ----------------------------------------------------------------- */

static kin_error *error_out;
static kin_job *job_out;

MISUSE(kin_job_new, into_null, KIN_EINVAL, kin_job_new(NULL, NULL))
MISUSE(kin_supervisor_new, into_null, KIN_EINVAL,
       kin_supervisor_new(NULL, NULL))
MISUSE(kin_job_complete, of_null, KIN_EINVAL, kin_job_complete(NULL))
MISUSE(kin_job_fail, of_null, KIN_EINVAL, kin_job_fail(NULL, some_error()))
MISUSE(kin_job_fail, without_an_error, KIN_EINVAL,
       kin_job_fail(finished_job(), NULL))
MISUSE(kin_job_is_active, of_null, false, kin_job_is_active(NULL))
MISUSE(kin_job_is_completed, of_null, false, kin_job_is_completed(NULL))
MISUSE(kin_job_is_cancelled, of_null, false, kin_job_is_cancelled(NULL))
MISUSE(kin_job_name, of_null, 0, strcmp(kin_job_name(NULL), "?"))
MISUSE(kin_job_cancellation, of_null, KIN_EINVAL,
       kin_job_cancellation(NULL, &error_out))
MISUSE(kin_job_cancellation, into_null, KIN_EINVAL,
       kin_job_cancellation(finished_job(), NULL))
MISUSE(kin_job_parent, of_null, KIN_EINVAL, kin_job_parent(NULL, &job_out))
MISUSE(kin_job_parent, into_null, KIN_EINVAL,
       kin_job_parent(finished_job(), NULL))
MISUSE(kin_job_children, of_null, 0, kin_job_children(NULL, &job_out, 1))
MISUSE(kin_job_start, of_null, KIN_EINVAL, kin_job_start(NULL))
MISUSE(kin_job_cancel, of_null, 0, (kin_job_cancel(NULL, NULL), 0))
MISUSE(kin_job_cancel_children, of_null, 0,
       (kin_job_cancel_children(NULL, NULL), 0))

MISUSE(kin_join, off_a_fiber, KIN_ENOFIBER, kin_join(finished_job()))
/* It is kin_join of each, which is what it names. */
MISUSE(kin_join, of_all_off_a_fiber, KIN_ENOFIBER,
       kin_join_all((kin_job *const[]){ finished_job() }, 1))
MISUSE_ON_FIBER(kin_join, of_null, KIN_EINVAL, kin_join(NULL))
MISUSE_ON_FIBER(kin_join_all, of_null, KIN_EINVAL, kin_join_all(NULL, 1))
MISUSE_ON_FIBER(kin_join, of_all_with_a_null_among_them, KIN_EINVAL,
                kin_join_all((kin_job *const[]){ finished_job(), NULL }, 2))
MISUSE_ON_FIBER(kin_cancel_and_join, of_null, KIN_EINVAL,
                kin_cancel_and_join(NULL))
MISUSE_ON_FIBER(kin_join, of_ones_own_job, KIN_EDEADLK,
                kin_join(kin_scope_job(scope)))

KIN_SUSPENDS
static int join_is_deadlock(kin_scope *scope, void *ancestor)
{
    (void)scope;
    CHECK_EQ(kin_join(ancestor), KIN_EDEADLK);
    return 0;
}

KIN_SUSPENDS
static int join_of_parent(kin_scope *scope)
{
    return kin_coroutine_scope(join_is_deadlock, kin_scope_job(scope));
}
MISUSE_ON_FIBER(kin_join, of_an_ancestor, 0, join_of_parent(scope))

MISUSE(kin_invoke_on_completion, of_null, KIN_EINVAL,
       kin_invoke_on_completion(NULL, log_word, "C", 0, NULL))
MISUSE(kin_invoke_on_completion, without_a_function, KIN_EINVAL,
       kin_invoke_on_completion(finished_job(), NULL, NULL, 0, NULL))

TEST(releasing_and_disposing_of_null_does_nothing)
{
    CHECK_PTR(kin_job_retain(NULL), NULL);
    kin_job_release(NULL);
    kin_registration_dispose(NULL);
    kin_error_release(NULL);
}

/* The call to complete a job that ends by itself, and what comes of it. */
static int complete_own_job(kin_scope *scope)
{
    int err = kin_job_complete(kin_scope_job(scope));
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return err;
}
MISUSE_ON_FIBER(kin_job_complete, of_a_job_with_a_body, KIN_ENOTSUP,
                complete_own_job(scope))

static int fail_own_job(kin_scope *scope)
{
    int err = kin_job_fail(kin_scope_job(scope), some_error());
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return err;
}
MISUSE_ON_FIBER(kin_job_fail, of_a_job_with_a_body, KIN_ENOTSUP,
                fail_own_job(scope))
MISUSE(kin_job_complete, of_the_immortal_job, KIN_ENOTSUP,
       kin_job_complete(kin_non_cancellable()))

/* A refused call has no effect, here on what it would have stored. */
TEST(a_refused_call_leaves_its_out_parameter_alone)
{
    kin_error *cause = some_error();
    kin_deferred *deferred = open_deferred();
    KIN_AUTO(kin_job) job = new_job(NULL);
    CHECK_EQ(kin_job_cancellation(job, &cause), KIN_EBUSY);
    CHECK_PTR(cause, some_error());
    CHECK_EQ(kin_deferred_error(deferred, &cause), KIN_EBUSY);
    CHECK_PTR(cause, some_error());
}

TEST(the_immortal_job_survives_any_number_of_releases)
{
    for (int i = 0; i < 100; i++)
        kin_job_release(kin_non_cancellable());
    CHECK_FLAGS(kin_non_cancellable(), "100");
}

/* --- Too late for a job --------------------------------------------------- */

TEST(what_comes_too_late_for_a_job_changes_nothing)
{
    KIN_AUTO(kin_job) job = new_job(NULL);
    CHECK_EQ(kin_job_complete(job), 1);
    CHECK_EQ(kin_job_complete(job), 0);
    CHECK_EQ(kin_job_fail(job, some_error()), 0);
    CHECK_EQ(kin_job_start(job), 0);
    kin_job_cancel(job, some_error());
    kin_job_cancel_children(job, some_error());
    CHECK_FLAGS(job, "010");
}

TEST(a_callback_that_comes_too_late_runs_at_once_or_never)
{
    kin_registration *late = NULL, *never = NULL;
    kin_job *job = finished_job();
    CHECK_EQ(kin_invoke_on_completion(job, log_word, "late", 0, &late), 0);
    CHECK_LOG("late");
    CHECK_EQ(kin_invoke_on_completion(job, log_word, "never",
                                      KIN_NOT_IMMEDIATELY, &never), 0);
    CHECK_LOG("late");
    kin_registration_dispose(late);
    kin_registration_dispose(never);
}

/* --- Scopes --------------------------------------------------------------- */

static kin_scope *scope_out;

MISUSE(kin_scope_new, into_null, KIN_EINVAL,
       kin_scope_new(kin_context_empty(), NULL))
MISUSE(kin_main_scope, into_null, KIN_EINVAL, kin_main_scope(NULL))
MISUSE(kin_scope_plus, of_null, KIN_EINVAL,
       kin_scope_plus(NULL, kin_context_empty(), &scope_out))
MISUSE(kin_scope_plus, into_null, KIN_EINVAL,
       kin_scope_plus(kin_global_scope(), kin_context_empty(), NULL))
MISUSE(kin_scope_job, of_null, true, kin_scope_job(NULL) == NULL)
MISUSE(kin_scope_is_active, of_null, false, kin_scope_is_active(NULL))
MISUSE(kin_scope_context, of_null, KIN_EINVAL,
       kin_scope_context(NULL, &context_out))
MISUSE(kin_scope_context, into_null, KIN_EINVAL,
       kin_scope_context(kin_global_scope(), NULL))
MISUSE(kin_scope_cancel, of_null, KIN_EINVAL, kin_scope_cancel(NULL, NULL))
MISUSE_ON_FIBER(kin_scope_fail, of_null, KIN_EINVAL,
                kin_scope_fail(NULL, -EIO))
MISUSE_ON_FIBER(kin_scope_fail, of_the_global_scope, KIN_ENOJOB,
                kin_scope_fail(kin_global_scope(), -EIO))

static int fail_scope_off_a_fiber(void)
{
    KIN_AUTO(kin_scope) scope = NULL;
    CHECK_EQ(kin_scope_new(NULL, &scope), 0);
    int err = kin_scope_fail(scope, -EIO);
    CHECK(kin_scope_is_active(scope));
    return err;
}
MISUSE(kin_scope_fail, off_a_fiber, KIN_ENOFIBER, fail_scope_off_a_fiber())

MISUSE(kin_coroutine_scope, off_a_fiber, KIN_ENOFIBER,
       kin_coroutine_scope(say, "ran"))
MISUSE(kin_supervisor_scope, off_a_fiber, KIN_ENOFIBER,
       kin_supervisor_scope(say, "ran"))
MISUSE(kin_with_context, off_a_fiber, KIN_ENOFIBER,
       kin_with_context(say, "ran", .name = "x"))
MISUSE_ON_FIBER(kin_coroutine_scope, without_a_body, KIN_EINVAL,
                kin_coroutine_scope(NULL, NULL))
MISUSE_ON_FIBER(kin_supervisor_scope, without_a_body, KIN_EINVAL,
                kin_supervisor_scope(NULL, NULL))
MISUSE_ON_FIBER(kin_with_context, without_a_body, KIN_EINVAL,
                kin_with_context(NULL, NULL, .name = "x"))

/* A block that cannot be entered does not run. */
KIN_UNCHECKED
static int enter_scope_block(void)
{
    int err = 1;
    KIN_COROUTINE_SCOPE(err, inner)
        CHECK(inner == NULL);
    return err;
}
MISUSE(block, of_a_scope_off_a_fiber, KIN_ENOFIBER, enter_scope_block())

KIN_UNCHECKED
static int enter_supervisor_block(void)
{
    int err = 1;
    KIN_SUPERVISOR_SCOPE(err, inner)
        CHECK(inner == NULL);
    return err;
}
MISUSE(block, of_a_supervisor_off_a_fiber, KIN_ENOFIBER,
       enter_supervisor_block())

KIN_UNCHECKED
static int enter_context_block(void)
{
    int err = 1;
    KIN_WITH_CONTEXT(err, .name = "x")
        unreached();
    return err;
}
MISUSE(KIN_WITH_CONTEXT, block_off_a_fiber, KIN_ENOFIBER,
       enter_context_block())

TEST(off_a_fiber_everything_that_asks_for_the_current_is_answered)
{
    CHECK_PTR(kin_current_job(), NULL);
    CHECK_PTR(kin_current_scope(), NULL);
    CHECK_PTR(kin_current_element(&kin_key_job), NULL);
    CHECK(kin_is_active());
    CHECK_PTR(kin_scope_retain(NULL), NULL);
    kin_scope_release(NULL);
}

/* --- Deferreds ------------------------------------------------------------ */

static kin_deferred *deferred_out;

MISUSE(kin_deferred_job, of_null, true, kin_deferred_job(NULL) == NULL)
MISUSE(kin_deferred_new, into_null, KIN_EINVAL,
       kin_deferred_new(NULL, NULL, NULL))
MISUSE(kin_deferred_complete, of_null, KIN_EINVAL,
       kin_deferred_complete(NULL, NULL))
MISUSE(kin_deferred_fail, of_null, KIN_EINVAL,
       kin_deferred_fail(NULL, some_error()))
MISUSE(kin_deferred_fail, without_an_error, KIN_EINVAL,
       kin_deferred_fail(open_deferred(), NULL))
MISUSE(kin_deferred_get, of_null, KIN_EINVAL, kin_deferred_get(NULL, NULL))
MISUSE(kin_deferred_error, of_null, KIN_EINVAL,
       kin_deferred_error(NULL, &error_out))
MISUSE(kin_deferred_error, into_null, KIN_EINVAL,
       kin_deferred_error(open_deferred(), NULL))
MISUSE(kin_await, off_a_fiber, KIN_ENOFIBER, kin_await(open_deferred(), NULL))
MISUSE(kin_await_all, off_a_fiber, KIN_ENOFIBER,
       kin_await_all((kin_deferred *const[]){ open_deferred() }, 1, NULL))
MISUSE_ON_FIBER(kin_await, of_null, KIN_EINVAL, kin_await(NULL, NULL))
MISUSE_ON_FIBER(kin_await_all, of_null, KIN_EINVAL,
                kin_await_all(NULL, 1, NULL))
MISUSE_ON_FIBER(kin_await_all, with_a_null_among_them, KIN_EINVAL,
                kin_await_all((kin_deferred *const[]){ NULL }, 1, NULL))
MISUSE(kin_return, of_null, KIN_EINVAL, kin_return(NULL, NULL))
MISUSE_ON_FIBER(kin_return, in_a_body_without_a_value, KIN_ENOTSUP,
                kin_return(scope, NULL))
MISUSE(kin_return, in_the_global_scope, KIN_ENOTSUP,
       kin_return(kin_global_scope(), NULL))

/* The body's handle on its own deferred. */
KIN_SUSPENDS
static int await_itself(kin_scope *scope, void *arg)
{
    kin_deferred **self = arg;
    (void)scope;
    CHECK_EQ(kin_await(*self, NULL), KIN_EDEADLK);
    return 0;
}

KIN_SUSPENDS
static int async_that_awaits_itself(kin_scope *scope)
{
    KIN_AUTO(kin_deferred) d = NULL;
    KIN_TRY(kin_async(scope, &d, await_itself, &d));
    return kin_join(kin_deferred_job(d));
}
MISUSE_ON_FIBER(kin_await, of_ones_own_deferred, 0,
                async_that_awaits_itself(scope))

static int complete_an_async(kin_scope *scope, int fail)
{
    KIN_AUTO(kin_deferred) d = ASYNC(scope, do_nothing, NULL);
    int err = fail ? kin_deferred_fail(d, some_error())
                   : kin_deferred_complete(d, NULL);
    CHECK_FLAGS(kin_deferred_job(d), "100");
    return err;
}
MISUSE_ON_FIBER(kin_deferred_complete, of_one_with_a_body, KIN_ENOTSUP,
                complete_an_async(scope, 0))
MISUSE_ON_FIBER(kin_deferred_fail, of_one_with_a_body, KIN_ENOTSUP,
                complete_an_async(scope, 1))

/* A deferred ends with a value; kin_job_complete has none to give. */
MISUSE(kin_job_complete, of_a_deferred, KIN_ENOTSUP,
       kin_job_complete(kin_deferred_job(open_deferred())))

TEST(a_deferred_that_is_not_final_is_busy)
{
    void *value = &value;
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);
    CHECK_EQ(kin_deferred_get(d, &value), KIN_EBUSY);
    CHECK_PTR(value, &value);
    CHECK_EQ(kin_deferred_error(d, &error_out), KIN_EBUSY);
}

TEST(what_comes_too_late_for_a_deferred_changes_nothing)
{
    int first, second;
    void *value = NULL;
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);
    CHECK_EQ(kin_deferred_complete(d, &first), 1);
    CHECK_EQ(kin_deferred_complete(d, &second), 0);
    CHECK_EQ(kin_deferred_fail(d, some_error()), 0);
    kin_job_cancel(kin_deferred_job(d), NULL);
    CHECK_EQ(kin_deferred_get(d, &value), 0);
    CHECK_PTR(value, &first);
}

TEST(without_a_deferred_there_is_nothing_to_retain_or_release)
{
    CHECK_PTR(kin_deferred_retain(NULL), NULL);
    kin_deferred_release(NULL);
}

TEST_ON_LOOP(waiting_for_none_does_not_wait)
{
    CHECK_EQ(kin_join_all(NULL, 0), 0);
    CHECK_EQ(kin_await_all(NULL, 0, NULL), 0);
}

/* --- Launches ------------------------------------------------------------- */

MISUSE(kin_launch, in_null, KIN_EINVAL, kin_launch(NULL, say, "ran"))
MISUSE(kin_launch, without_a_body, KIN_EINVAL,
       kin_launch(kin_global_scope(), NULL, NULL))
MISUSE(kin_async, in_null, KIN_EINVAL,
       kin_async(NULL, &deferred_out, say, "ran"))
MISUSE(kin_async, without_a_body, KIN_EINVAL,
       kin_async(kin_global_scope(), &deferred_out, NULL, NULL))
MISUSE(kin_async, into_null, KIN_EINVAL,
       kin_async(kin_global_scope(), NULL, say, "ran"))
MISUSE(kin_run_blocking, without_a_body, KIN_EINVAL,
       kin_run_blocking(NULL, NULL))

KIN_SUSPENDS
static int launch_refused(kin_scope *scope, size_t stack_size, int start)
{
    KIN_AUTO(kin_job) job = NULL;
    int err = kin_launch(scope, say, "ran", .job = &job,
                         .stack_size = stack_size, .start = (kin_start)start);
    CHECK_PTR(job, NULL);
    CHECK_EQ(kin_job_children(kin_scope_job(scope), NULL, 0), 0);
    CHECK_EQ(kin_yield(), 0);
    CHECK_LOG("");
    return err;
}
MISUSE_ON_FIBER(kin_launch, with_too_big_a_stack, KIN_EINVAL,
                launch_refused(scope, (size_t)65 << 20, KIN_START_DEFAULT))
MISUSE_ON_FIBER(kin_launch, with_an_unknown_start, KIN_EINVAL,
                launch_refused(scope, 0, 17))

/* In a callback nothing may suspend or block. */
static int blocking_answer;

static int block_in_a_callback(kin_job *job, kin_error *cause, void *arg)
{
    (void)job;
    (void)cause;
    (void)arg;
    blocking_answer = kin_run_blocking(say, "ran");
    return 0;
}

static int run_blocking_in_a_callback(void)
{
    on_completion(finished_job(), block_in_a_callback, NULL);
    CHECK_LOG("");
    return blocking_answer;
}
MISUSE(kin_run_blocking, in_a_callback, KIN_EPERM,
       run_blocking_in_a_callback())

KIN_UNCHECKED
static int suspend_in_a_callback(kin_job *job, kin_error *cause, void *arg)
{
    (void)job;
    (void)cause;
    (void)arg;
    blocking_answer = kin_delay(KIN_MS(1));
    return 0;
}

static int delay_in_a_callback(void)
{
    on_completion(finished_job(), suspend_in_a_callback, NULL);
    return blocking_answer;
}
MISUSE_ON_FIBER(kin_delay, in_a_callback, KIN_EPERM, delay_in_a_callback())

/* --- Checkpoints ---------------------------------------------------------- */

MISUSE(kin_yield, off_a_fiber, KIN_ENOFIBER, kin_yield())
MISUSE(kin_ensure_active, off_a_fiber, KIN_ENOFIBER, kin_ensure_active())
MISUSE(kin_await_cancellation, off_a_fiber, KIN_ENOFIBER,
       kin_await_cancellation())

/* --- Continuations -------------------------------------------------------- */

/* Keeps the continuation in *arg and lets its owner wait. */
static int keep(kin_continuation continuation, void *arg)
{
    *(kin_continuation *)arg = continuation;
    return 0;
}

static int resume_at_once(kin_continuation continuation, void *arg)
{
    keep(continuation, arg);
    CHECK_EQ(kin_resume(continuation, 5), 0);
    return 0;
}

static void drop_value(void *value, kin_error *cause)
{
    (void)cause;
    ev(value);
}

static void on_cancel(kin_error *cause, void *arg)
{
    (void)cause;
    ev(arg);
}

MISUSE(kin_suspend, off_a_fiber, KIN_ENOFIBER,
       kin_suspend(keep, &(kin_continuation){ NULL, 0 }))
MISUSE(kin_suspend_cancellable, off_a_fiber, KIN_ENOFIBER,
       kin_suspend_cancellable(keep, &(kin_continuation){ NULL, 0 }))
MISUSE_ON_FIBER(kin_suspend, without_a_start, KIN_EINVAL,
                kin_suspend(NULL, NULL))
MISUSE_ON_FIBER(kin_suspend_cancellable, without_a_start, KIN_EINVAL,
                kin_suspend_cancellable(NULL, NULL))

/* A continuation never dangles: to come late is harmless, and told. */
TEST_ON_LOOP(a_continuation_whose_call_is_over_is_stale)
{
    kin_continuation k;
    CHECK_EQ(kin_suspend_cancellable(resume_at_once, &k), 5);
    int err = kin_resume(k, 6);
    CHECK(err == KIN_ESTALE || err == KIN_EALREADY);
    CHECK_EQ(kin_continuation_on_cancel(k, on_cancel, "x"), KIN_ESTALE);
    CHECK_EQ(kin_continuation_cancel(k, NULL), 0);
    CHECK(!kin_continuation_is_active(k));
    CHECK_LOG("");
}

/* One that no call has handed out. */
static const kin_continuation none;

MISUSE(kin_resume, of_an_empty_one, KIN_EINVAL, kin_resume(none, 0))
MISUSE(kin_resume_or, of_an_empty_one, KIN_EINVAL,
       kin_resume_or(none, drop_value, "back"))
MISUSE(kin_resume_with_error, of_an_empty_one, KIN_EINVAL,
       kin_resume_with_error(none, some_error()))
MISUSE(kin_continuation_on_cancel, of_an_empty_one, KIN_EINVAL,
       kin_continuation_on_cancel(none, on_cancel, "x"))
MISUSE(kin_continuation_cancel, of_an_empty_one, KIN_EINVAL,
       kin_continuation_cancel(none, NULL))

/* A value is not lost when its continuation is gone. */
TEST_ON_LOOP(a_value_for_a_stale_continuation_is_handed_back_once)
{
    kin_continuation k;
    CHECK_EQ(kin_suspend_cancellable(resume_at_once, &k), 5);
    CHECK(kin_resume_or(k, drop_value, "back") < 0);
    CHECK_LOG("back");
}

KIN_SUSPENDS
static int wait_with(kin_scope *scope, void *continuation)
{
    (void)scope;
    return kin_suspend_cancellable(keep, continuation);
}

KIN_SUSPENDS
static int wait_deaf_with(kin_scope *scope, void *continuation)
{
    (void)scope;
    return kin_suspend(keep, continuation);
}

/* And what it came with is still its caller's. */
TEST_ON_LOOP(the_second_resume_is_told_that_it_is_the_second)
{
    kin_continuation k;
    KIN_AUTO(kin_job) j = LAUNCH(scope, wait_with, &k);
    yield_times(1);
    CHECK_EQ(kin_resume(k, 0), 0);
    CHECK_EQ(kin_resume(k, 0), KIN_EALREADY);
    CHECK_EQ(kin_resume_with_error(k, some_error()), KIN_EALREADY);
    CHECK_EQ(kin_resume_or(k, drop_value, "back"), KIN_EALREADY);
    CHECK_EQ(kin_continuation_cancel(k, NULL), 0);
    CHECK_EQ(kin_join(j), 0);
    CHECK_FLAGS(j, "010");
    CHECK_LOG("");
}

TEST_ON_LOOP(a_resume_after_the_cancellation_is_too_late)
{
    kin_continuation k;
    KIN_AUTO(kin_job) j = LAUNCH(scope, wait_with, &k);
    yield_times(1);
    kin_job_cancel(j, NULL);
    CHECK_EQ(kin_resume(k, 0), KIN_ESTALE);
    CHECK(kin_continuation_is_cancelled(k));
    CHECK_EQ(kin_continuation_cancel(k, NULL), 0);
    CHECK_EQ(kin_join(j), 0);
    CHECK_FLAGS(j, "011");
}

TEST_ON_LOOP(a_call_takes_one_cancelling_callback)
{
    kin_continuation k;
    KIN_AUTO(kin_job) j = LAUNCH(scope, wait_with, &k);
    yield_times(1);
    CHECK_EQ(kin_continuation_on_cancel(k, on_cancel, "first"), 0);
    CHECK_EQ(kin_continuation_on_cancel(k, on_cancel, "second"),
             KIN_EALREADY);
    CHECK_EQ(kin_cancel_and_join(j), 0);
    CHECK_LOG("first");
}

TEST_ON_LOOP(a_deaf_call_takes_no_cancelling_callback)
{
    kin_continuation k;
    KIN_AUTO(kin_job) j = LAUNCH(scope, wait_deaf_with, &k);
    yield_times(1);
    CHECK_EQ(kin_continuation_on_cancel(k, on_cancel, "x"), KIN_ENOTSUP);
    kin_job_cancel(j, NULL);
    CHECK(kin_continuation_cancel(k, NULL) <= 0);
    yield_times(1);
    CHECK_FLAGS(j, "001");
    CHECK_EQ(kin_resume(k, 0), 0);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("");
}

TEST_MAIN
