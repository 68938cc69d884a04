/* job_scope_exits_test.c -- every way out of a block, and what becomes of its
 * outcome.
 *
 * By its end, break, continue, return or goto: a block is left once, after its
 * children, and the fiber is where it was before.  It says by KIN_TRY_IN (which
 * leaves it) or kin_scope_fail that it failed. */
#include "tests/counting_dispatcher.h"
#include "tests/words.h"

/* --- Ways out ----------------------------------------------------------- */

KIN_SUSPENDS
static int return_from_block(int *outcome)
{
    KIN_COROUTINE_SCOPE(*outcome, inner) {
        kin_launch(inner, say, "child");
        ev("block");
        return 7;
    }
    ev("never");
    return 0;
}

BODY(leave_by_return)
{
    int outcome = -1;

    CHECK_EQ(return_from_block(&outcome), 7);
    MUST(outcome);
    CHECK_LOG("block child");
    CHECK_PTR(kin_current_scope(), scope);
    return 0;
}

TEST(block_left_by_return_waits_for_its_children)
{
    RUN(leave_by_return);
}

BODY(leave_by_break)
{
    int err = -1;

    for (int i = 0; i < 2; i++) {
        KIN_COROUTINE_SCOPE(err, inner) {
            kin_launch(inner, say, "child");
            break;
        }
        MUST(err);
        evi(i);
    }
    CHECK_PTR(kin_current_scope(), scope);
    return 0;
}

TEST(block_left_by_break_waits_for_its_children_and_leaves_no_more)
{
    RUN(leave_by_break);
    CHECK_LOG("child 0 child 1");
}

BODY(leave_by_continue)
{
    int err = -1;

    for (int i = 0; i < 2; i++) {
        KIN_COROUTINE_SCOPE(err, inner) {
            kin_launch(inner, say, "child");
            continue;
        }
        MUST(err);
        evi(i);
    }
    return 0;
}

TEST(block_left_by_continue_waits_for_its_children_and_leaves_no_more)
{
    RUN(leave_by_continue);
    CHECK_LOG("child 0 child 1");
}

BODY(leave_by_goto)
{
    int err = -1;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_launch(inner, say, "child");
        goto out;
    }
    ev("never");
out:
    MUST(err);
    ev("out");
    CHECK_PTR(kin_current_scope(), scope);
    return 0;
}

TEST(block_left_by_goto_waits_for_its_children)
{
    RUN(leave_by_goto);
    CHECK_LOG("child out");
}

KIN_SUSPENDS
static int return_from_three_blocks(int *outcomes)
{
    KIN_COROUTINE_SCOPE(outcomes[0], a) {
        kin_launch(a, say, "a");
        KIN_SUPERVISOR_SCOPE(outcomes[1], b) {
            kin_launch(b, say, "b");
            KIN_WITH_CONTEXT(outcomes[2], .name = "c") {
                kin_launch(kin_current_scope(), say, "c");
                return 7;
            }
        }
    }
    ev("never");
    return 0;
}

BODY(leave_three_by_return)
{
    int outcomes[3] = { -1, -1, -1 };

    CHECK_EQ(return_from_three_blocks(outcomes), 7);
    for (int i = 0; i < 3; i++)
        MUST(outcomes[i]);
    CHECK_PTR(kin_current_scope(), scope);
    CHECK(!kin_current_element(&kin_key_name));
    return 0;
}

TEST(nested_blocks_left_by_return_are_all_left)
{
    RUN(leave_three_by_return);
    CHECK_LOG_DRAWN("a b c", "");
}

BODY(leave_inner_by_goto)
{
    int outer_err = -1, inner_err = -1;

    KIN_COROUTINE_SCOPE(outer_err, outer) {
        KIN_COROUTINE_SCOPE(inner_err, inner) {
            kin_launch(inner, say, "inner");
            goto still_in_outer;
        }
        ev("never");
still_in_outer:
        MUST(inner_err);
        CHECK_PTR(kin_current_scope(), outer);
        kin_launch(outer, say, "outer");
    }
    MUST(outer_err);
    return 0;
}

TEST(goto_from_an_inner_block_stays_in_the_outer_one)
{
    RUN(leave_inner_by_goto);
    CHECK_LOG("inner outer");
}

static struct counting d1, d2;

KIN_SUSPENDS
static int return_from_block_on_d2(int *outcome)
{
    KIN_WITH_CONTEXT(*outcome, .dispatcher = &d2.dispatcher) {
        CHECK_PTR(kin_current_element(&kin_key_dispatcher), &d2.dispatcher);
        ev("d2");
        return 7;
    }
    return 0;
}

BODY(leave_d2_by_return)
{
    int outcome = -1;

    CHECK_EQ(return_from_block_on_d2(&outcome), 7);
    MUST(outcome);
    CHECK_PTR(kin_current_element(&kin_key_dispatcher), &d1.dispatcher);
    ev("d1");
    return 0;
}

TEST(block_left_by_return_goes_back_to_its_dispatcher)
{
    counting_init(&d2, "D2");
    KIN_AUTO(kin_job) j = counting_start(&d1, leave_d2_by_return);
    CHECK_EQ(counting_run(&d2), 1);
    CHECK_LOG("d2");
    CHECK_EQ(counting_run(&d1), 1);
    CHECK_LOG("d2 d1");
    CHECK_FLAGS(j, "010");
}

/* --- What the block thinks of its outcome ------------------------------- */

KIN_SUSPENDS
static int plain_return_of_an_error(int *outcome)
{
    KIN_COROUTINE_SCOPE(*outcome, inner) {
        kin_launch(inner, yield_once, NULL);
        return -EIO;
    }
    return 0;
}

BODY(return_an_error_plainly)
{
    int outcome = -1;

    CHECK_EQ(plain_return_of_an_error(&outcome), -EIO);
    MUST(outcome);
    return 0;
}

TEST(error_returned_plainly_is_not_the_outcome_of_the_block)
{
    RUN(return_an_error_plainly);
}

KIN_SUSPENDS
static int try_in(int code)
{
    int err = -1;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_launch(inner, say, "child");
        KIN_TRY_IN(inner, code);
        ev("went on");
    }
    return err;
}

BODY(try_in_both_ways)
{
    MUST(try_in(0));
    CHECK_LOG("went on child");
    MUST(try_in(5));
    CHECK_LOG("went on child went on child");
    CHECK_EQ(try_in(-ENOSPC), -ENOSPC);
    CHECK_LOG("went on child went on child");
    return 0;
}

/* Inside a loop of the block it leaves the loop; the scope has failed. */
BODY(try_in_a_loop)
{
    int err, rounds = 0;

    KIN_COROUTINE_SCOPE(err, inner) {
        for (;; rounds++)
            KIN_TRY_IN(inner, rounds < 2 ? 0 : kin_error_rethrow(E));
        CHECK(!kin_scope_is_active(inner));
        ev("block");
    }
    CHECK_OUTCOME(err, E);
    CHECK_EQ(rounds, 2);
    return 0;
}

TEST(try_in_leaves_a_loop_of_the_block)
{
    RUN(try_in_a_loop);
    CHECK_LOG("block");
}

TEST(try_in_fails_the_block_and_leaves_it)
{
    RUN(try_in_both_ways);
}

BODY(fail_and_go_on)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_launch(inner, say_finally, "child");
        MUST(kin_yield());
        CHECK_EQ(kin_scope_fail(inner, kin_error_rethrow(E)),
                 kin_error_code(E));
        CHECK(!kin_scope_is_active(inner));
        CHECK(!kin_is_active());
        ev("still here");
    }
    CHECK_OUTCOME(err, E);
    CHECK(kin_is_active());
    return 0;
}

TEST(scope_fail_cancels_the_children_and_lets_the_block_end)
{
    RUN(fail_and_go_on);
    CHECK_LOG("still here child");
}

BODY(cancel_own_block)
{
    int err;

    KIN_COROUTINE_SCOPE(err, inner) {
        kin_scope_cancel(inner, CE);
        KIN_TRY_IN(inner, kin_yield());
        ev("never");
    }
    CHECK_OUTCOME(err, CE);
    CHECK(kin_is_active());
    return 0;
}

TEST(block_that_cancels_itself_ends_canceled_and_its_caller_goes_on)
{
    RUN(cancel_own_block);
    CHECK_LOG("");
}

TEST_MAIN
