/* job_start_test.c -- when a launched body begins, and in which state: S118 to
 * S131.
 *
 * Everything runs on one event loop; what the log holds when launch returns
 * tells whether the body ran in place. */
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

#include <errno.h>

/* S118 */
BODY(launch_default)
{
    kin_launch(scope, say, "2");
    ev("1");
    MUST(kin_yield());
    ev("3");
    return 0;
}

TEST(launch_only_enqueues)
{
    RUN(launch_default);
    CHECK_LOG("1 2 3");
}

/* S119 */
BODY(say_1_yield_say_3)
{
    ev("1");
    KIN_TRY(kin_yield());
    ev("3");
    return 0;
}

BODY(launch_undispatched)
{
    kin_launch(scope, say_1_yield_say_3, NULL,
               .start = KIN_START_UNDISPATCHED);
    ev("2");
    MUST(kin_yield());
    ev("4");
    return 0;
}

TEST(undispatched_runs_to_its_first_suspension_inside_launch)
{
    RUN(launch_undispatched);
    CHECK_LOG("1 2 3 4");
}

/* S120 */
BODY(launch_then_undispatched)
{
    kin_launch(scope, say, "3");
    kin_launch(scope, say, "1", .start = KIN_START_UNDISPATCHED);
    ev("2");
    return kin_yield();
}

TEST(undispatched_overtakes_what_is_queued)
{
    RUN(launch_then_undispatched);
    CHECK_LOG("1 2 3");
}

/* S121 */
BODY(cancel_before_dispatch)
{
    KIN_AUTO(kin_job) j = NULL;

    kin_launch(scope, say, "never", .job = &j);
    kin_job_cancel(j, NULL);
    MUST(kin_join(j));
    CHECK_FLAGS(j, "011");
    return 0;
}

TEST(launch_cancelled_before_its_dispatch_does_not_run)
{
    RUN(cancel_before_dispatch);
    CHECK_LOG("");
}

/* S122 */
BODY(say_1_yield_say_2)
{
    ev("1");
    KIN_TRY(kin_yield());
    ev("2");
    return 0;
}

BODY(cancel_atomic)
{
    KIN_AUTO(kin_job) j = NULL;

    kin_launch(scope, say_1_yield_say_2, NULL, .start = KIN_START_ATOMIC,
               .job = &j);
    kin_job_cancel(j, NULL);
    CHECK_LOG("");
    MUST(kin_join(j));
    CHECK_FLAGS(j, "011");
    return 0;
}

TEST(atomic_start_runs_to_its_first_suspension_although_cancelled)
{
    RUN(cancel_atomic);
    CHECK_LOG("1");
}

/* S123 */
BODY(say_1_inactive_yield)
{
    ev("1");
    CHECK(!kin_is_active());
    KIN_TRY(kin_yield());
    ev("2");
    return 0;
}

BODY(launch_undispatched_when_cancelled)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    MUST(kin_launch(scope, say_1_inactive_yield, NULL,
                    .start = KIN_START_UNDISPATCHED));
    CHECK_LOG("1");
    return 0;
}

BODY(cancelled_parent_of_undispatched)
{
    KIN_AUTO(kin_job) p = NULL;

    kin_launch(scope, launch_undispatched_when_cancelled, NULL, .job = &p);
    MUST(kin_join(p));
    CHECK_FLAGS(p, "011");
    return 0;
}

TEST(undispatched_in_a_cancelled_scope_runs_to_its_first_suspension)
{
    RUN(cancelled_parent_of_undispatched);
    CHECK_LOG("1");
}

/* S124 */
BODY(launch_undispatched_failure)
{
    KIN_AUTO(kin_job) j = NULL;

    MUST(kin_launch(scope, throw_error, E, .start = KIN_START_UNDISPATCHED,
                    .handler = log_failure, .job = &j));
    CHECK_LOG("H(E)");
    CHECK_FLAGS(j, "011");
    return 0;
}

BODY(supervise_undispatched_failure)
{
    return kin_supervisor_scope(launch_undispatched_failure, NULL);
}

TEST(undispatched_failure_is_reported_before_launch_returns)
{
    RUN(supervise_undispatched_failure);
    CHECK_LOG("H(E)");
}

/* S125 */
BODY(return_5)
{
    return kin_return(scope, WORD(5));
}

BODY(async_undispatched)
{
    KIN_AUTO(kin_deferred) d = NULL;
    intptr_t value = 0;

    MUST(kin_async(scope, &d, return_5, NULL,
                   .start = KIN_START_UNDISPATCHED));
    CHECK_FLAGS(kin_deferred_job(d), "010");
    MUST(kin_deferred_get(d, &value));
    CHECK_EQ(value, 5);
    return 0;
}

TEST(undispatched_async_is_complete_when_async_returns)
{
    RUN(async_undispatched);
}

/* S126 */
static kin_job *lazy;

BODY(join_lazy_then_say)
{
    KIN_TRY(kin_join(lazy));
    ev(arg);
    return 0;
}

BODY(two_join_a_lazy)
{
    kin_launch(scope, say, "ran", .start = KIN_START_LAZY, .job = &lazy);
    kin_launch(scope, join_lazy_then_say, "w1");
    kin_launch(scope, join_lazy_then_say, "w2");
    CHECK_FLAGS(lazy, "000");
    MUST(kin_join(lazy));
    kin_job_release(lazy);
    return 0;
}

TEST(lazy_job_joined_by_several_is_started_once)
{
    RUN(two_join_a_lazy);
    CHECK_LOG_DRAWN("ran w1 w2", "ran<w1 ran<w2");
}

/* S127: run_blocking would never return; a scope with a time limit does. */
BODY(launch_lazy)
{
    return kin_launch(scope, say, "never", .start = KIN_START_LAZY);
}

BODY(launch_lazy_then_cancel_children)
{
    kin_launch(scope, say, "never", .start = KIN_START_LAZY);
    kin_job_cancel_children(kin_scope_job(scope), NULL);
    return 0;
}

BODY(wait_for_lazy)
{
    CHECK_EQ(kin_with_timeout(KIN_MS(10), launch_lazy, NULL), KIN_ETIMEDOUT);
    return 0;
}

TEST(scope_waits_for_a_lazy_child_that_nobody_starts)
{
    RUN_ON_CLOCK(wait_for_lazy);
    CHECK_LOG("");
}

TEST(scope_returns_when_its_lazy_child_is_cancelled)
{
    RUN(launch_lazy_then_cancel_children);
    CHECK_LOG("");
}

/* S128 */
static struct counting bad;

static int log_code(UNUSED kin_job *job, kin_error *error, UNUSED void *arg)
{
    ev(kin_error_name(kin_error_code(error)));
    return 0;
}

static void init_bad(void)
{
    counting_init(&bad, "bad");
    bad.refusal = -ENOSPC;
}

BODY(launch_on_bad_with_handler)
{
    KIN_AUTO(kin_job) j = NULL;

    CHECK_EQ(kin_launch(scope, say, "never", .dispatcher = &bad.dispatcher,
                        .handler = log_code, .job = &j), -ENOSPC);
    CHECK_LOG(kin_error_name(-ENOSPC));
    CHECK_FLAGS(j, "011");
    return 0;
}

BODY(supervise_launch_on_bad)
{
    return kin_supervisor_scope(launch_on_bad_with_handler, NULL);
}

TEST(refused_launch_returns_the_code_and_goes_to_the_handler)
{
    init_bad();
    RUN(supervise_launch_on_bad);
    CHECK_LOG(kin_error_name(-ENOSPC));
}

BODY(launch_on_bad)
{
    CHECK_EQ(kin_launch(scope, say, "never", .dispatcher = &bad.dispatcher),
             -ENOSPC);
    CHECK_FLAGS(kin_scope_job(scope), "001");
    return 0;
}

BODY(scope_of_launch_on_bad)
{
    CHECK_EQ(kin_coroutine_scope(launch_on_bad, NULL), -ENOSPC);
    return 0;
}

TEST(refused_launch_fails_its_parent)
{
    init_bad();
    RUN(scope_of_launch_on_bad);
    CHECK_LOG("");
}

/* S129 */
BODY(launch_non_cancellable)
{
    KIN_AUTO(kin_job) j = NULL;
    kin_job *parent = NULL;

    kin_job_cancel(kin_scope_job(scope), NULL);
    LAUNCH_UNDER(kin_non_cancellable(), scope, say, "ran", .job = &j);
    CHECK_EQ(kin_job_children(kin_scope_job(scope), NULL, 0), 0);
    CHECK_FLAGS(j, "100");
    MUST(kin_job_parent(j, &parent));
    CHECK(parent != kin_scope_job(scope));
    kin_job_release(parent);
    return 0;
}

BODY(cancelled_parent_of_non_cancellable)
{
    KIN_AUTO(kin_job) p = NULL;

    kin_launch(scope, launch_non_cancellable, NULL, .job = &p);
    MUST(kin_join(p));
    ev("joined");
    return kin_yield();
}

TEST(launch_with_non_cancellable_runs_and_is_no_child)
{
    RUN(cancelled_parent_of_non_cancellable);
    CHECK_LOG_DRAWN("ran joined", "");
}

/* S130 */
BODY(launch_three)
{
    kin_launch(scope, say, "a");
    kin_launch(scope, say, "b");
    kin_launch(scope, say, "c");
    return 0;
}

TEST(launches_start_in_their_order)
{
    RUN(launch_three);
    CHECK_LOG_DRAWN("a b c", "");
}

/* S131 */
BODY(launch_x_say_y)
{
    kin_launch(scope, say, "x");
    ev("y");
    return 0;
}

BODY(launch_launcher)
{
    return kin_launch(scope, launch_x_say_y, NULL);
}

TEST(launch_inside_a_launched_body_only_enqueues_too)
{
    RUN(launch_launcher);
    CHECK_LOG("y x");
}

/* R8.1: born cancelled in a scope that is cancelled, whatever the start. */
BODY(launch_in_cancelled_scope)
{
    KIN_AUTO(kin_job) plain = NULL;
    KIN_AUTO(kin_job) atomic = NULL;

    kin_job_cancel(kin_scope_job(scope), NULL);
    MUST(kin_launch(scope, say, "never", .job = &plain));
    MUST(kin_launch(scope, say_1_yield_say_2, NULL,
                    .start = KIN_START_ATOMIC, .job = &atomic));
    CHECK_FLAGS(plain, "001");
    CHECK_FLAGS(atomic, "001");
    return 0;
}

BODY(launches_in_cancelled_scope)
{
    CHECK_EQ(kin_coroutine_scope(launch_in_cancelled_scope, NULL),
             KIN_ECANCELED);
    return 0;
}

TEST(launch_in_a_cancelled_scope_is_born_cancelled)
{
    RUN(launches_in_cancelled_scope);
    CHECK_LOG("1");
}

/* R8.2: attaching a child starts a lazy parent. */
BODY(attach_to_lazy)
{
    KIN_AUTO(kin_job) parent = NULL;

    kin_launch(scope, say, "1", .start = KIN_START_LAZY, .job = &parent);
    LAUNCH_UNDER(parent, scope, say, "2");
    CHECK_FLAGS(parent, "100");
    return 0;
}

TEST(attaching_a_child_starts_a_lazy_parent)
{
    RUN(attach_to_lazy);
    CHECK_LOG_DRAWN("1 2", "");
}

TEST_MAIN
