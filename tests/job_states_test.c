/* The states of a job, as three flags: which call moves a job from one to the
 * next, what it answers, and that a final state never changes.
 * Everything runs on one event loop; who ends when is decided by gates and
 * yields, so every order here is the only one.
 */
#include "tests/job_helpers.h"

#include <stdint.h>

/* --- Jobs without a body -------------------------------------------------- */

/* S015 */
TEST(a_job_is_completed_by_the_first_complete)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    CHECK_FLAGS(j, "100");
    CHECK_EQ(kin_job_complete(j), 1);
    CHECK_FLAGS(j, "010");
    CHECK_EQ(kin_job_complete(j), 0);
    kin_job_cancel(j, NULL);
    CHECK_FLAGS(j, "010");
}

/* S016 */
TEST(a_job_without_children_is_cancelled_when_cancel_returns)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    kin_job_cancel(j, NULL);
    CHECK_FLAGS(j, "011");
    CHECK_EQ(kin_job_complete(j), 0);
    CHECK_FLAGS(j, "011");
}

/* S017 */
TEST(a_job_that_fails_is_cancelled_because_of_its_failure)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    KIN_AUTO(kin_error) e = new_failure("E");
    CHECK_EQ(kin_job_fail(j, e), 1);
    CHECK_FLAGS(j, "011");
    CHECK_EQ(kin_job_fail(j, e), 0);

    KIN_AUTO(kin_error) cause = cancellation_of(j);
    CHECK(kin_error_is_cancellation(cause));
    CHECK_PTR(kin_error_cause(cause), e);
}

/* S025 */
TEST(a_completed_job_waits_for_its_child_to_complete)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) c = new_job(p);
    CHECK_EQ(kin_job_complete(p), 1);
    CHECK_FLAGS(p, "100");
    CHECK_EQ(kin_job_state_of(p), KIN_JOB_COMPLETING);
    CHECK_EQ(kin_job_complete(p), 0);
    CHECK_EQ(kin_job_complete(c), 1);
    CHECK_FLAGS(p, "010");
}

/* --- Starting ------------------------------------------------------------- */

/* S018 */
TEST_ON_LOOP(a_lazy_job_is_started_by_the_first_start)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say, "1", .start = KIN_START_LAZY);
    CHECK_FLAGS(j, "000");
    CHECK_EQ(kin_job_state_of(j), KIN_JOB_NEW);
    CHECK_EQ(kin_job_start(j), 1);
    CHECK_FLAGS(j, "100");
    CHECK_EQ(kin_job_start(j), 0);
    CHECK_LOG("");
    CHECK_EQ(kin_join(j), 0);
    CHECK_EQ(kin_job_start(j), 0);
    CHECK_LOG("1");
}

/* S019 */
TEST_ON_LOOP(a_lazy_job_that_is_cancelled_never_runs)
{
    KIN_AUTO(kin_job) j = LAUNCH(scope, say, "1", .start = KIN_START_LAZY);
    kin_job_cancel(j, NULL);
    CHECK_FLAGS(j, "011");
    CHECK_EQ(kin_job_start(j), 0);
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("");
}

/* --- Completing ----------------------------------------------------------- */

static int launch_one_that_yields(kin_scope *scope, void *arg)
{
    return kin_launch(scope, yield_once, arg);
}

/* S020 */
TEST_ON_LOOP(a_job_whose_child_runs_is_active_after_its_body)
{
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_one_that_yields, NULL);
    yield_times(1);
    CHECK_EQ(kin_job_state_of(p), KIN_JOB_COMPLETING);
    CHECK_FLAGS(p, "100");
    CHECK_EQ(kin_join(p), 0);
    CHECK_FLAGS(p, "010");
}

/* S021 */
TEST_ON_LOOP(a_completing_job_can_be_cancelled)
{
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_one_that_yields, NULL);
    yield_times(1);
    CHECK_EQ(kin_job_state_of(p), KIN_JOB_COMPLETING);
    KIN_AUTO(kin_job) c = child_of(p);
    kin_job_cancel(p, NULL);
    CHECK_FLAGS(p, "001");
    CHECK_EQ(kin_join(p), 0);
    CHECK_FLAGS(p, "011");
    CHECK_FLAGS(c, "011");
}

/* --- Cancelling ----------------------------------------------------------- */

KIN_SUSPENDS
static int say_1_after_shielded_50_ms(kin_scope *scope, void *arg)
{
    int entered;
    (void)scope;
    (void)arg;
    KIN_WITH_CONTEXT(entered, .context = shield())
        CHECK_EQ(kin_delay(KIN_MS(50)), 0);
    CHECK_EQ(entered, 0);
    ev("1");
    return 0;
}

/* S022 */
TEST_ON_CLOCK(a_cancelled_job_goes_on_as_long_as_its_body)
{
    kin_test_scheduler *clock = kin_test_scheduler_of(scope);
    KIN_AUTO(kin_job) p = LAUNCH(scope, say_1_after_shielded_50_ms, NULL);
    CHECK_EQ(kin_delay(KIN_MS(10)), 0);
    kin_job_cancel(p, NULL);
    CHECK_EQ(kin_job_state_of(p), KIN_JOB_CANCELLING);
    CHECK_FLAGS(p, "001");
    CHECK_EQ(kin_delay(KIN_MS(39)), 0);
    CHECK_FLAGS(p, "001");
    CHECK_LOG("");

    CHECK_EQ(kin_join(p), 0);
    CHECK_EQ(kin_test_now(clock), KIN_MS(50));
    CHECK_LOG("1");
    CHECK_FLAGS(p, "011");
    CHECK_EQ(kin_job_state_of(p), KIN_JOB_CANCELLED);
}

KIN_SUSPENDS
static int answer_in_spite_of_cancellation(kin_scope *scope, void *arg)
{
    (void)arg;
    CHECK_EQ(kin_await_cancellation(), KIN_ECANCELED);
    return kin_return(scope, (void *)(intptr_t)42);
}

static void log_value(void *value)
{
    evi((intptr_t)value);
}

/* S023; the value that nobody gets is handed back. */
TEST_ON_LOOP(the_value_of_a_cancelled_deferred_is_lost)
{
    void *value = NULL;
    kin_deferred *d = ASYNC(scope, answer_in_spite_of_cancellation, NULL,
                            .on_undelivered = log_value);
    yield_times(1);
    kin_job_cancel(kin_deferred_job(d), NULL);
    CHECK_EQ(kin_await(d, &value), KIN_ECANCELED);
    CHECK_PTR(value, NULL);
    CHECK_FLAGS(kin_deferred_job(d), "011");
    kin_deferred_release(d);
    CHECK_LOG("42");
}

static int answer(kin_scope *scope, void *value)
{
    return kin_return(scope, value);
}

/* S024 */
TEST_ON_LOOP(cancelling_a_completed_deferred_changes_nothing)
{
    int number = 42, *value = NULL;
    KIN_AUTO(kin_deferred) d = ASYNC(scope, answer, &number);
    CHECK_EQ(kin_join(kin_deferred_job(d)), 0);
    kin_job_cancel(kin_deferred_job(d), NULL);
    CHECK_FLAGS(kin_deferred_job(d), "010");
    CHECK_EQ(kin_await(d, &value), 0);
    CHECK_PTR(value, &number);
}

/* S026 */
TEST_ON_LOOP(a_job_without_a_body_is_cancelling_while_its_child_runs)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, wait_shielded, gate,
                                    .start = KIN_START_UNDISPATCHED);
    kin_job_cancel(p, NULL);
    CHECK_FLAGS(p, "001");
    yield_times(2);
    CHECK_FLAGS(p, "001");
    CHECK_FLAGS(c, "001");

    open_gate(gate);
    CHECK_EQ(kin_join(c), 0);
    CHECK_FLAGS(c, "011");
    CHECK_EQ(kin_join(p), 0);
    CHECK_FLAGS(p, "011");
}

/* --- Family --------------------------------------------------------------- */

/* S027 */
TEST_ON_LOOP(a_job_has_its_parent_until_it_is_final)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, yield_once, NULL);
    yield_times(1);
    KIN_AUTO(kin_job) parent = parent_of(c);
    CHECK_PTR(parent, p);
    CHECK_EQ(kin_join(c), 0);
    CHECK_PTR(parent_of(c), NULL);
    CHECK_EQ(kin_job_children(p, NULL, 0), 0);
}

/* Keeps the jobs that kin_job_children handed out. */
struct children {
    kin_job *jobs[4];
    size_t count;
};

static struct children children_of(kin_job *job)
{
    struct children all = { { NULL }, 0 };
    all.count = kin_job_children(job, all.jobs, 4);
    for (size_t i = 0; i < all.count; i++)
        kin_job_release(all.jobs[i]);
    return all;
}

/* S028 */
TEST_ON_LOOP(children_are_listed_in_the_order_they_were_attached)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, wait_shielded, gate);
    KIN_AUTO(kin_job) b = LAUNCH_IN(p, scope, do_nothing, NULL);
    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, wait_shielded, gate);

    struct children all = children_of(p);
    CHECK_EQ(all.count, 3);
    CHECK_PTR(all.jobs[0], a);
    CHECK_PTR(all.jobs[1], b);
    CHECK_PTR(all.jobs[2], c);

    CHECK_EQ(kin_join(b), 0);
    all = children_of(p);
    CHECK_EQ(all.count, 2);
    CHECK_PTR(all.jobs[0], a);
    CHECK_PTR(all.jobs[1], c);

    open_gate(gate);
    CHECK_EQ(kin_job_complete(p), 1);
    CHECK_EQ(kin_join(p), 0);
    CHECK_FLAGS(p, "010");
}

/* A room too small holds the first ones; the count is of all. */
TEST(children_are_counted_beyond_the_room_for_them)
{
    kin_job *room[2] = { NULL, NULL };
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = new_job(p);
    KIN_AUTO(kin_job) b = new_job(p);

    CHECK_EQ(kin_job_children(p, room, 1), 2);
    CHECK_PTR(room[0], a);
    CHECK_PTR(room[1], NULL);
    kin_job_release(room[0]);
    kin_job_cancel(p, NULL);
    CHECK_FLAGS(b, "011");
}

/* --- Why it is cancelled -------------------------------------------------- */

/* S029 */
TEST(an_active_job_has_no_cancellation)
{
    kin_error *cause = NULL;
    KIN_AUTO(kin_job) j = new_job(NULL);
    CHECK_EQ(kin_job_cancellation(j, &cause), KIN_EBUSY);
    CHECK_PTR(cause, NULL);
}

/* S029 */
TEST(a_cancelled_job_tells_the_very_error_it_was_cancelled_with)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    KIN_AUTO(kin_error) m = new_cancellation("m", NULL);
    kin_job_cancel(j, m);
    KIN_AUTO(kin_error) cause = cancellation_of(j);
    CHECK_PTR(cause, m);
}

/* S029 */
TEST(a_completed_job_tells_a_cancellation_that_says_so)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    CHECK_EQ(kin_job_complete(j), 1);
    KIN_AUTO(kin_error) cause = cancellation_of(j);
    CHECK(kin_error_is_cancellation(cause));
    CHECK_EQ(kin_error_code(cause), KIN_ECANCELED);
}

/* A cause that is no cancellation is wrapped in one. */
TEST(a_failure_given_to_cancel_becomes_the_cause_of_a_cancellation)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    KIN_AUTO(kin_error) e = new_failure("E");
    kin_job_cancel(j, e);
    KIN_AUTO(kin_error) cause = cancellation_of(j);
    CHECK(kin_error_is_cancellation(cause));
    CHECK_PTR(kin_error_cause(cause), e);
}

TEST_MAIN
