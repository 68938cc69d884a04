/* job_scope_functions_test.c -- scopes on the running fiber: coroutine_scope,
 * supervisor_scope and with_context, S132 to S152, as functions.  The same as
 * blocks is job_scope_blocks_test.c.
 *
 * Where dispatches are counted, or a race between two dispatchers is the
 * scenario, both are queues that the test empties itself. */
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

#include <unistd.h>

static struct counting d1, d2;
static kin_deferred *gate;

/* Starts body as a root on d1, to its first suspension. */
static kin_job *start_on_d1(kin_body *body)
{
    counting_init(&d2, "D2");
    return counting_start(&d1, body);
}

/* S132 */
BODY(scope_without_parking)
{
    kin_launch(scope, say, "3");
    MUST(kin_coroutine_scope(say, "1"));
    ev("2");
    CHECK_LOG_DRAWN("1 2", "1<2 3?");
    return 0;
}

TEST(scope_begins_and_ends_without_a_dispatch)
{
    RUN(scope_without_parking);
    CHECK_LOG_DRAWN("1 2 3", "1<2");
}

/* S133 */
BODY(launch_2_say_1)
{
    kin_launch(scope, say, "2");
    ev("1");
    return 0;
}

BODY(scope_with_child)
{
    MUST(kin_coroutine_scope(launch_2_say_1, NULL));
    ev("3");
    return 0;
}

TEST(scope_waits_for_its_child)
{
    RUN(scope_with_child);
    CHECK_LOG("1 2 3");
}

/* S134: a body gives its value through arg. */
BODY(say_1_after_10_ms)
{
    KIN_TRY(kin_delay(KIN_MS(10)));
    ev("1");
    return 0;
}

BODY(launch_slow_give_5)
{
    int *value = arg;

    kin_launch(scope, say_1_after_10_ms, NULL);
    *value = 5;
    return 0;
}

BODY(scope_with_value)
{
    int value = 0;

    MUST(kin_coroutine_scope(launch_slow_give_5, &value));
    CHECK_LOG("1");
    CHECK_EQ(value, 5);
    return 0;
}

TEST(scope_gives_its_value_after_its_child_has_ended)
{
    RUN_ON_CLOCK(scope_with_value);
}

/* S135 */
BODY(yield_then_throw)
{
    KIN_TRY(kin_yield());
    THROW(arg);
}

BODY(wait_beside_failing_child)
{
    kin_launch(scope, yield_then_throw, E);
    return say_finally(scope, "1");
}

BODY(scope_of_failing_child)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(wait_beside_failing_child, NULL), E);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(child_that_fails_cancels_the_scope_and_is_its_outcome)
{
    RUN(scope_of_failing_child);
    CHECK_LOG("1");
}

/* S136 */
BODY(say_1_beside_failing_child)
{
    kin_launch(scope, throw_error, E, .handler = log_failure);
    MUST(kin_delay(KIN_MS(10)));
    ev("1");
    return 0;
}

BODY(supervisor_of_failing_child)
{
    MUST(kin_supervisor_scope(say_1_beside_failing_child, NULL));
    return 0;
}

TEST(child_that_fails_in_a_supervisor_scope_is_reported_only)
{
    RUN_ON_CLOCK(supervisor_of_failing_child);
    CHECK_LOG("H(E) 1");
}

/* S137 */
BODY(throw_beside_child)
{
    kin_launch(scope, say_finally, "1");
    MUST(kin_yield());
    THROW(E);
}

BODY(supervisor_that_fails)
{
    CHECK_FAILED_WITH(kin_supervisor_scope(throw_beside_child, NULL), E);
    return 0;
}

TEST(supervisor_scope_that_fails_itself_cancels_its_child)
{
    RUN(supervisor_that_fails);
    CHECK_LOG("1");
}

/* S138 */
BODY(say_1_yield_say_2)
{
    ev("1");
    KIN_TRY(kin_yield());
    ev("2");
    return 0;
}

BODY(scopes_when_cancelled)
{
    kin_job_cancel(kin_scope_job(scope), CE);

    CHECK_EQ(kin_coroutine_scope(say_1_yield_say_2, NULL), KIN_ECANCELED);
    CHECK_LOG("1");
    log_clear();
    CHECK_EQ(kin_with_context(say, "1", .context = kin_context_empty()),
             KIN_ECANCELED);
    CHECK_LOG("");
    CHECK_EQ(kin_with_timeout(KIN_S(1), say, "1"), KIN_ECANCELED);
    CHECK_LOG("1");
    return 0;
}

BODY(launch_scopes_when_cancelled)
{
    return kin_launch(scope, scopes_when_cancelled, NULL);
}

TEST(only_with_context_looks_for_cancellation_before_its_body)
{
    RUN(launch_scopes_when_cancelled);
}

/* S139 */
/* Not pthread_self(): compilers believe that it never changes. */
static pid_t outer_thread;

BODY(say_same_thread)
{
    ev(outer_thread == gettid() ? "same" : "other");
    return 0;
}

BODY(with_same_dispatcher)
{
    outer_thread = gettid();
    MUST(kin_with_context(say_same_thread, NULL,
                          .dispatcher = &d1.dispatcher));
    CHECK_EQ(counting_dispatched(&d1), 1);
    return 0;
}

TEST(with_context_of_the_same_dispatcher_does_not_dispatch)
{
    KIN_AUTO(kin_job) j = start_on_d1(with_same_dispatcher);
    CHECK_FLAGS(j, "010");
    CHECK_LOG("same");
}

/* S140 */
static void ev_name(void)
{
    const char *name = kin_current_element(&kin_key_name);
    ev(name ? name : "none");
}

BODY(say_name)
{
    ev_name();
    return 0;
}

BODY(with_name)
{
    ev_name();
    MUST(kin_with_context(say_name, NULL, .name = "n"));
    ev_name();
    CHECK_EQ(counting_dispatched(&d1), 1);
    return 0;
}

TEST(with_context_of_a_name_does_not_dispatch)
{
    KIN_AUTO(kin_job) j = start_on_d1(with_name);
    CHECK_FLAGS(j, "010");
    CHECK_LOG("none n none");
}

/* S141 */
BODY(say_1_on_d2)
{
    MUST(kin_with_context(say, "1", .dispatcher = &d2.dispatcher));
    ev("2");
    return 0;
}

TEST(with_context_of_another_dispatcher_dispatches_once_there_and_once_back)
{
    KIN_AUTO(kin_job) j = start_on_d1(say_1_on_d2);
    CHECK_LOG("");
    CHECK_EQ(counting_run(&d2), 1);
    CHECK_LOG("1");
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("1 2");
    CHECK_FLAGS(j, "010");
    CHECK_EQ(counting_dispatched(&d1), 2);
    CHECK_EQ(counting_dispatched(&d2), 1);
}

/* S142 */
BODY(give_5)
{
    int *value = arg;
    *value = 5;
    return 0;
}

static void log_undelivered(void *arg)
{
    const int *value = arg;
    evi(*value);
}

BODY(value_from_d2)
{
    int value = 0;

    CHECK_EQ(kin_with_context(give_5, &value, .dispatcher = &d2.dispatcher,
                              .on_undelivered = log_undelivered),
             KIN_ECANCELED);
    ev("CE");
    return KIN_ECANCELED;
}

TEST(value_of_with_context_is_handed_back_if_cancelled_on_the_way_back)
{
    KIN_AUTO(kin_job) j = start_on_d1(value_from_d2);
    CHECK_EQ(counting_run(&d2), 1);
    kin_job_cancel(j, NULL);
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("5 CE");
    CHECK_FLAGS(j, "011");
}

/* S143 */
BODY(failure_from_d2)
{
    CHECK_FAILED_WITH(kin_with_context(throw_error, E,
                                       .dispatcher = &d2.dispatcher,
                                       .on_undelivered = log_undelivered), E);
    ev("1");
    return 0;
}

TEST(failure_of_with_context_is_delivered_though_cancelled_on_the_way_back)
{
    KIN_AUTO(kin_job) j = start_on_d1(failure_from_d2);
    CHECK_EQ(counting_run(&d2), 1);
    kin_job_cancel(j, NULL);
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* S144 */
KIN_SUSPENDS
static int with_job(kin_job *job, kin_body *body, void *arg)
{
    KIN_AUTO(kin_context) context = kin_context_of_job(job);

    CHECK(context != NULL);
    return kin_with_context(body, arg, .context = context);
}

BODY(wait_under_other_job)
{
    CHECK_EQ(with_job(arg, wait_forever, NULL), KIN_ECANCELED);
    ev("1");
    CHECK_FLAGS(kin_scope_job(scope), "100");
    ev("2");
    return 0;
}

BODY(cancel_other_job)
{
    KIN_AUTO(kin_job) other = NULL;
    KIN_AUTO(kin_job) j = NULL;

    MUST(kin_job_new(NULL, &other));
    kin_launch(scope, wait_under_other_job, other, .job = &j);
    MUST(kin_yield());
    kin_job_cancel(other, NULL);
    MUST(kin_join(j));
    CHECK_FLAGS(j, "010");
    return 0;
}

TEST(with_context_of_a_job_is_cancelled_by_that_job_alone)
{
    RUN(cancel_other_job);
    CHECK_LOG("1 2");
}

/* S145 */
BODY(launch_slow)
{
    return kin_launch(scope, say_1_after_10_ms, NULL);
}

BODY(child_on_d2)
{
    KIN_AUTO(kin_dispatcher) second = second_dispatcher(scope);

    MUST(kin_with_context(launch_slow, NULL, .dispatcher = second));
    ev("2");
    return 0;
}

TEST(with_context_waits_for_its_child)
{
    RUN_ON_CLOCK(child_on_d2);
    CHECK_LOG("1 2");
}

/* S146 */
BODY(yield_then_say_1)
{
    MUST(kin_yield());
    CHECK(kin_is_active());
    ev("1");
    return 0;
}

BODY(shield_when_cancelled)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    MUST(shielded(yield_then_say_1, NULL));
    ev("2");
    CHECK_EQ(kin_yield(), KIN_ECANCELED);
    return KIN_ECANCELED;
}

BODY(launch_shield_when_cancelled)
{
    return kin_launch(scope, shield_when_cancelled, NULL);
}

TEST(non_cancellable_shields_its_body_only)
{
    RUN(launch_shield_when_cancelled);
    CHECK_LOG("1 2");
}

/* S147 */
BODY(shield_on_d2_when_cancelled)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    KIN_TRY(kin_with_context(say, "1", .context = shield(),
                             .dispatcher = &d2.dispatcher));
    ev("2");
    return 0;
}

TEST(non_cancellable_on_another_dispatcher_returns_canceled)
{
    KIN_AUTO(kin_job) j = start_on_d1(shield_on_d2_when_cancelled);
    CHECK_EQ(counting_run(&d2), 1);
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* S148 */
BODY(catch_inner_failure)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(throw_error, E), E);
    ev("caught");
    return 0;
}

BODY(nested_scopes)
{
    MUST(kin_coroutine_scope(catch_inner_failure, NULL));
    ev("outer");
    return 0;
}

TEST(failure_of_an_inner_scope_that_is_caught_leaves_the_outer_alone)
{
    RUN(nested_scopes);
    CHECK_LOG("caught outer");
}

/* S149 */
BODY(wait_for_gate_then_say_child)
{
    MUST(kin_await(gate, NULL));
    ev("child");
    return 0;
}

BODY(slow_child)
{
    return shielded(wait_for_gate_then_say_child, NULL);
}

BODY(scope_with_slow_child)
{
    return kin_launch(scope, slow_child, NULL);
}

BODY(code_after_scope)
{
    int err = kin_coroutine_scope(scope_with_slow_child, NULL);
    CHECK_EQ(err, KIN_ECANCELED);
    ev("CE");
    return err;
}

BODY(cancel_during_scope)
{
    KIN_AUTO(kin_job) p = NULL;

    gate = new_deferred(NULL);
    kin_launch(scope, code_after_scope, NULL, .job = &p);
    MUST(kin_yield());
    MUST(kin_yield());
    kin_job_cancel(p, NULL);
    MUST(kin_yield());
    ev("opened");
    open_gate(gate);
    MUST(kin_join(p));
    kin_deferred_release(gate);
    return 0;
}

TEST(cancelled_scope_returns_only_after_its_slow_child)
{
    RUN(cancel_during_scope);
    CHECK_LOG("opened child CE");
}

/* S150 */
BODY(cancel_arg_give_5)
{
    kin_job_cancel(arg, NULL);
    ev("5");
    return 0;
}

BODY(scope_that_cancels_its_caller)
{
    CHECK_EQ(kin_coroutine_scope(cancel_arg_give_5, kin_scope_job(scope)),
             KIN_ECANCELED);
    return KIN_ECANCELED;
}

BODY(launch_scope_that_cancels_its_caller)
{
    return kin_launch(scope, scope_that_cancels_its_caller, NULL);
}

TEST(scope_that_never_parked_returns_canceled_if_cancelled_with_its_caller)
{
    RUN(launch_scope_that_cancels_its_caller);
    CHECK_LOG("5");
}

/* S151 */
BODY(decompose)
{
    KIN_AUTO(kin_deferred) a = NULL;
    KIN_AUTO(kin_deferred) b = NULL;

    MUST(kin_async(scope, &a, yield_then_throw, E));
    MUST(kin_async(scope, &b, say_finally, "1"));
    KIN_TRY(kin_await(a, NULL));
    KIN_TRY(kin_await(b, NULL));
    ev("sum");
    return 0;
}

BODY(parallel_decomposition)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(decompose, NULL), E);
    return 0;
}

TEST(failure_of_one_part_cancels_the_other_part)
{
    RUN(parallel_decomposition);
    CHECK_LOG("1");
}

/* S152 */
BODY(with_cancelled_job)
{
    KIN_AUTO(kin_job) gone = NULL;

    MUST(kin_job_new(NULL, &gone));
    kin_job_cancel(gone, NULL);
    CHECK_EQ(with_job(gone, say, "never"), KIN_ECANCELED);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(with_context_of_a_cancelled_job_does_not_run)
{
    RUN(with_cancelled_job);
    CHECK_LOG("");
}

/* S153: the same fiber, active inside and not outside. */
BODY(say_active)
{
    ev(kin_is_active() ? "active" : "cancelled");
    return 0;
}

BODY(active_inside_shield)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    MUST(shielded(say_active, NULL));
    return say_active(scope, NULL);
}

BODY(launch_active_inside_shield)
{
    return kin_launch(scope, active_inside_shield, NULL);
}

TEST(fiber_is_active_inside_non_cancellable_only)
{
    RUN(launch_active_inside_shield);
    CHECK_LOG("active cancelled");
}

/* S156 */
BODY(launch_inside_shield)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    MUST(shielded(launch_slow, NULL));
    ev("2");
    return KIN_ECANCELED;
}

BODY(launch_launch_inside_shield)
{
    return kin_launch(scope, launch_inside_shield, NULL);
}

TEST(child_launched_inside_non_cancellable_runs_and_is_awaited)
{
    RUN(launch_launch_inside_shield);
    CHECK_LOG("1 2");
}

/* --- What C adds ------------------------------------------------------- */

BODY(with_main_without_main)
{
    CHECK_EQ(kin_with_context(say, "never", .dispatcher = kin_main()),
             KIN_ENOMAIN);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(with_context_of_a_main_that_is_not_there_does_not_run)
{
    RUN(with_main_without_main);
    CHECK_LOG("");
}

BODY(with_closed_pool)
{
    kin_dispatcher *pool = NULL;

    MUST(kin_fixed_pool(1, "p", &pool));
    MUST(kin_dispatcher_close(pool));
    CHECK_EQ(kin_with_context(say, "never", .dispatcher = pool), KIN_ECLOSED);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    kin_dispatcher_release(pool);
    return 0;
}

TEST(with_context_of_a_closed_pool_does_not_run)
{
    RUN(with_closed_pool);
    CHECK_LOG("");
}

/* A number of moves between pools: each part runs where it belongs. */
static kin_dispatcher *pools[2];

BODY(say_dispatcher)
{
    CHECK_PTR(kin_current_element(&kin_key_dispatcher), arg);
    CHECK_PTR(kin_current_scope(), scope);
    return 0;
}

BODY(move_often)
{
    void *home = kin_current_element(&kin_key_dispatcher);

    for (int i = 0; i < 1000; i++) {
        kin_dispatcher *there = pools[i % 2];
        MUST(kin_with_context(say_dispatcher, there, .dispatcher = there));
        CHECK_PTR(kin_current_element(&kin_key_dispatcher), home);
    }
    return 0;
}

TEST(fiber_moves_to_another_pool_and_back_a_thousand_times)
{
    MUST(kin_single_thread("a", &pools[0]));
    MUST(kin_single_thread("b", &pools[1]));
    RUN(move_often);
    for (int i = 0; i < 2; i++) {
        MUST(kin_dispatcher_close(pools[i]));
        kin_dispatcher_release(pools[i]);
    }
}

TEST_MAIN
