/* job_scope_blocks_test.c -- scopes as blocks: KIN_COROUTINE_SCOPE,
 * KIN_SUPERVISOR_SCOPE and KIN_WITH_CONTEXT, S132 to S152.
 *
 * What the functions of the same name do is job_scope_functions_test.c; the
 * ways out of a block are job_scope_exits_test.c.  The outcome of a block is in
 * the variable that it names, its error is the current one. */
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

#include <unistd.h>

static struct counting d1, d2;
static kin_deferred *gate;

static kin_job *start_on_d1(kin_body *body)
{
    counting_init(&d2, "D2");
    return counting_start(&d1, body);
}

/* S132 */
BODY(block_without_parking)
{
    int err;

    kin_launch(scope, say, "3");
    KIN_COROUTINE_SCOPE(err, inner)
        ev("1");
    MUST(err);
    ev("2");
    CHECK_LOG_DRAWN("1 2", "1<2 3?");
    return 0;
}

TEST(block_begins_and_ends_without_a_dispatch)
{
    RUN(block_without_parking);
    CHECK_LOG_DRAWN("1 2 3", "1<2");
}

/* S133 */
BODY(block_with_child)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_launch(inner, say, "2");
        ev("1");
    }
    MUST(err);
    ev("3");
    return 0;
}

TEST(block_waits_for_its_child)
{
    RUN(block_with_child);
    CHECK_LOG("1 2 3");
}

/* S134 */
BODY(say_1_after_10_ms)
{
    KIN_TRY(kin_delay(KIN_MS(10)));
    ev("1");
    return 0;
}

BODY(block_with_value)
{
    int err, value = 0;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_launch(inner, say_1_after_10_ms, NULL);
        value = 5;
    }
    MUST(err);
    CHECK_LOG("1");
    CHECK_EQ(value, 5);
    return 0;
}

TEST(block_ends_after_its_slow_child)
{
    RUN_ON_CLOCK(block_with_value);
}

/* S135 */
BODY(yield_then_throw)
{
    KIN_TRY(kin_yield());
    THROW(arg);
}

BODY(block_of_failing_child)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_launch(inner, yield_then_throw, E);
        CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
        ev("1");
    }
    CHECK_OUTCOME(err, E);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(child_that_fails_cancels_the_block_and_is_its_outcome)
{
    RUN(block_of_failing_child);
    CHECK_LOG("1");
}

/* S136 */
BODY(supervisor_block)
{
    int err;

    KIN_SUPERVISOR_SCOPE(err, inner) {
        kin_launch(inner, throw_error, E, .handler = log_failure);
        MUST(kin_delay(KIN_MS(10)));
        ev("1");
    }
    MUST(err);
    return 0;
}

TEST(child_that_fails_in_a_supervisor_block_is_reported_only)
{
    RUN_ON_CLOCK(supervisor_block);
    CHECK_LOG("H(E) 1");
}

/* S137 */
BODY(supervisor_block_that_fails)
{
    int err;

    KIN_SUPERVISOR_SCOPE(err, inner) {
        kin_launch(inner, say_finally, "1");
        KIN_TRY_IN(inner, kin_yield());
        KIN_TRY_IN(inner, kin_error_rethrow(E));
        ev("never");
    }
    CHECK_OUTCOME(err, E);
    return 0;
}

TEST(supervisor_block_that_fails_itself_cancels_its_child)
{
    RUN(supervisor_block_that_fails);
    CHECK_LOG("1");
}

/* S138 */
BODY(blocks_when_cancelled)
{
    int err = 0;

    kin_job_cancel(kin_scope_job(scope), NULL);
    KIN_COROUTINE_SCOPE(err, inner) {
        ev("1");
        CHECK_EQ(kin_yield(), KIN_ECANCELED);
    }
    CHECK_EQ(err, KIN_ECANCELED);
    CHECK_LOG("1");

    err = 0;
    KIN_WITH_CONTEXT(err, .context = kin_context_empty())
        ev("never");
    CHECK_EQ(err, KIN_ECANCELED);

    err = 0;
    KIN_WITH_TIMEOUT(err, KIN_S(1))
        ev("2");
    CHECK_EQ(err, KIN_ECANCELED);
    return 0;
}

BODY(launch_blocks_when_cancelled)
{
    return kin_launch(scope, blocks_when_cancelled, NULL);
}

TEST(only_with_context_looks_for_cancellation_before_its_block)
{
    RUN(launch_blocks_when_cancelled);
    CHECK_LOG("1 2");
}

/* S139 */
BODY(block_of_same_dispatcher)
{
    pid_t thread = gettid();
    int err;

    KIN_WITH_CONTEXT(err, .dispatcher = &d1.dispatcher)
        ev(thread == gettid() ? "same" : "other");
    MUST(err);
    CHECK_EQ(counting_dispatched(&d1), 1);
    return 0;
}

TEST(block_of_the_same_dispatcher_does_not_dispatch)
{
    KIN_AUTO(kin_job) j = start_on_d1(block_of_same_dispatcher);
    CHECK_FLAGS(j, "010");
    CHECK_LOG("same");
}

/* S140 */
static void ev_name(void)
{
    const char *name = kin_current_element(&kin_key_name);
    ev(name ? name : "none");
}

BODY(block_of_name)
{
    int err;

    ev_name();
    KIN_WITH_CONTEXT(err, .name = "n")
        ev_name();
    MUST(err);
    ev_name();
    CHECK_EQ(counting_dispatched(&d1), 1);
    return 0;
}

TEST(block_of_a_name_does_not_dispatch)
{
    KIN_AUTO(kin_job) j = start_on_d1(block_of_name);
    CHECK_FLAGS(j, "010");
    CHECK_LOG("none n none");
}

/* S141 */
BODY(block_on_d2)
{
    int err;

    KIN_WITH_CONTEXT(err, .dispatcher = &d2.dispatcher)
        ev("1");
    MUST(err);
    ev("2");
    return 0;
}

TEST(block_of_another_dispatcher_dispatches_once_there_and_once_back)
{
    KIN_AUTO(kin_job) j = start_on_d1(block_on_d2);
    CHECK_LOG("");
    CHECK_EQ(counting_run(&d2), 1);
    CHECK_LOG("1");
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("1 2");
    CHECK_FLAGS(j, "010");
    CHECK_EQ(counting_dispatched(&d1), 2);
    CHECK_EQ(counting_dispatched(&d2), 1);
}

/* S142: the outcome is the cancellation; what the block stored is not lost. */
BODY(value_from_block_on_d2)
{
    int err, value = 0;

    KIN_WITH_CONTEXT(err, .dispatcher = &d2.dispatcher)
        value = 5;
    CHECK_EQ(err, KIN_ECANCELED);
    evi(value);
    return err;
}

TEST(block_cancelled_on_the_way_back_keeps_what_it_stored)
{
    KIN_AUTO(kin_job) j = start_on_d1(value_from_block_on_d2);
    CHECK_EQ(counting_run(&d2), 1);
    kin_job_cancel(j, NULL);
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("5");
    CHECK_FLAGS(j, "011");
}

/* S143 */
BODY(failure_from_block_on_d2)
{
    int err;

    KIN_WITH_CONTEXT(err, .dispatcher = &d2.dispatcher)
        kin_scope_fail(kin_current_scope(), kin_error_rethrow(E));
    CHECK_OUTCOME(err, E);
    ev("1");
    return 0;
}

TEST(failure_of_a_block_is_its_outcome_though_cancelled_on_the_way_back)
{
    KIN_AUTO(kin_job) j = start_on_d1(failure_from_block_on_d2);
    CHECK_EQ(counting_run(&d2), 1);
    kin_job_cancel(j, NULL);
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* S144 */
BODY(block_under_other_job)
{
    KIN_AUTO(kin_context) other = kin_context_of_job(arg);
    int err;

    CHECK(other != NULL);
    KIN_WITH_CONTEXT(err, .context = other)
        CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    CHECK_EQ(err, KIN_ECANCELED);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    ev("1");
    return 0;
}

BODY(cancel_other_job)
{
    KIN_AUTO(kin_job) other = NULL;
    KIN_AUTO(kin_job) j = NULL;

    MUST(kin_job_new(NULL, &other));
    kin_launch(scope, block_under_other_job, other, .job = &j);
    MUST(kin_yield());
    kin_job_cancel(other, NULL);
    MUST(kin_join(j));
    CHECK_FLAGS(j, "010");
    return 0;
}

TEST(block_of_a_job_is_cancelled_by_that_job_alone)
{
    RUN(cancel_other_job);
    CHECK_LOG("1");
}

/* S145: launched through the current scope, for the block has no name for
 * its own. */
BODY(block_with_child_on_d2)
{
    KIN_AUTO(kin_dispatcher) second = second_dispatcher(scope);
    int err;

    KIN_WITH_CONTEXT(err, .dispatcher = second)
        kin_launch(kin_current_scope(), say_1_after_10_ms, NULL);
    MUST(err);
    ev("2");
    return 0;
}

TEST(with_context_block_waits_for_its_child)
{
    RUN_ON_CLOCK(block_with_child_on_d2);
    CHECK_LOG("1 2");
}

/* S146 */
BODY(shield_block_when_cancelled)
{
    int err;

    kin_job_cancel(kin_scope_job(scope), NULL);
    KIN_WITH_CONTEXT(err, .context = shield()) {
        MUST(kin_yield());
        CHECK(kin_is_active());
        ev("1");
    }
    MUST(err);
    ev("2");
    CHECK(!kin_is_active());
    KIN_TRY(kin_yield());
    ev("3");
    return 0;
}

BODY(launch_shield_block)
{
    return kin_launch(scope, shield_block_when_cancelled, NULL);
}

TEST(non_cancellable_block_shields_itself_only)
{
    RUN(launch_shield_block);
    CHECK_LOG("1 2");
}

/* S147 */
BODY(shield_block_on_d2)
{
    int err;

    kin_job_cancel(kin_scope_job(scope), NULL);
    KIN_WITH_CONTEXT(err, .context = shield(), .dispatcher = &d2.dispatcher)
        ev("1");
    KIN_TRY(err);
    ev("2");
    return 0;
}

TEST(non_cancellable_block_on_another_dispatcher_ends_canceled)
{
    KIN_AUTO(kin_job) j = start_on_d1(shield_block_on_d2);
    CHECK_EQ(counting_run(&d2), 1);
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("1");
    CHECK_FLAGS(j, "011");
}

/* S148 */
BODY(nested_blocks)
{
    int outer_err, inner_err;

    KIN_COROUTINE_SCOPE(outer_err, outer) {
        kin_launch(outer, say, "outer");
        KIN_COROUTINE_SCOPE(inner_err, inner)
            kin_launch(inner, throw_error, E);
        CHECK_EQ(inner_err, kin_error_code(E));
        ev("caught");
        CHECK(kin_scope_is_active(outer));
    }
    MUST(outer_err);
    return 0;
}

TEST(failure_of_an_inner_block_that_is_caught_leaves_the_outer_alone)
{
    RUN(nested_blocks);
    CHECK_LOG_DRAWN("outer caught", "");
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

BODY(code_after_block)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner)
        kin_launch(inner, slow_child, NULL);
    CHECK_EQ(err, KIN_ECANCELED);
    ev("CE");
    return err;
}

BODY(cancel_during_block)
{
    KIN_AUTO(kin_job) p = NULL;

    gate = new_deferred(NULL);
    kin_launch(scope, code_after_block, NULL, .job = &p);
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

TEST(cancelled_block_ends_only_after_its_slow_child)
{
    RUN(cancel_during_block);
    CHECK_LOG("opened child CE");
}

/* S150 */
BODY(block_that_cancels_its_caller)
{
    int err, value = 0;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_job_cancel(kin_scope_job(scope), NULL);
        value = 5;
    }
    CHECK_EQ(err, KIN_ECANCELED);
    CHECK_EQ(value, 5);
    ev("1");
    return err;
}

BODY(launch_block_that_cancels_its_caller)
{
    return kin_launch(scope, block_that_cancels_its_caller, NULL);
}

TEST(block_that_never_parked_ends_canceled_if_cancelled_with_its_caller)
{
    RUN(launch_block_that_cancels_its_caller);
    CHECK_LOG("1");
}

/* S151 */
BODY(parallel_decomposition)
{
    KIN_AUTO(kin_deferred) a = NULL;
    KIN_AUTO(kin_deferred) b = NULL;
    int err;

    KIN_COROUTINE_SCOPE(err, inner) {
        MUST(kin_async(inner, &a, yield_then_throw, E));
        MUST(kin_async(inner, &b, say_finally, "1"));
        KIN_TRY_IN(inner, kin_await(a, NULL));
        KIN_TRY_IN(inner, kin_await(b, NULL));
        ev("sum");
    }
    CHECK_OUTCOME(err, E);
    return 0;
}

TEST(failure_of_one_part_cancels_the_other_part_of_the_block)
{
    RUN(parallel_decomposition);
    CHECK_LOG("1");
}

/* S152 */
BODY(block_of_cancelled_job)
{
    KIN_AUTO(kin_job) gone = NULL;
    int err = 0;

    MUST(kin_job_new(NULL, &gone));
    kin_job_cancel(gone, NULL);
    KIN_AUTO(kin_context) context = kin_context_of_job(gone);
    KIN_WITH_CONTEXT(err, .context = context)
        ev("never");
    CHECK_EQ(err, KIN_ECANCELED);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(block_of_a_cancelled_job_does_not_run)
{
    RUN(block_of_cancelled_job);
    CHECK_LOG("");
}

/* --- Blocks that cannot be entered -------------------------------------- */

BODY(blocks_without_dispatcher)
{
    int err = 0;

    KIN_WITH_CONTEXT(err, .dispatcher = kin_main())
        ev("never");
    CHECK_EQ(err, KIN_ENOMAIN);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(block_on_a_main_that_is_not_there_does_not_run)
{
    RUN(blocks_without_dispatcher);
    CHECK_LOG("");
}

TEST_MAIN
