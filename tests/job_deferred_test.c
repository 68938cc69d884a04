/* job_deferred_test.c -- what await gives, when it parks, and in which order
 * it wakes: S105 to S117.
 *
 * Everything runs on one event loop, so the log is the whole order.  A word
 * launched just before a call and missing in the log after it proves that the
 * call did not park. */
#include "tests/words.h"

static kin_deferred *shared;

BODY(say_2_return_7)
{
    ev("2");
    return kin_return(scope, WORD(7));
}

/* S105 */
BODY(await_twice)
{
    KIN_AUTO(kin_deferred) d = NULL;
    intptr_t value = 0;

    MUST(kin_async(scope, &d, say_2_return_7, NULL));
    ev("1");
    MUST(kin_await(d, &value));
    CHECK_EQ(value, 7);
    CHECK_LOG("1 2");

    value = 0;
    kin_launch(scope, say, "parked");
    MUST(kin_await(d, &value));
    CHECK_EQ(value, 7);
    CHECK_LOG("1 2");
    return 0;
}

TEST(await_gives_the_value_and_the_second_time_without_parking)
{
    RUN(await_twice);
    CHECK_LOG("1 2 parked");
}

/* S106 */
BODY(await_lazy)
{
    KIN_AUTO(kin_deferred) d = NULL;
    intptr_t value = 0;

    MUST(kin_async(scope, &d, say_2_return_7, NULL, .start = KIN_START_LAZY));
    MUST(kin_yield());
    ev("1");
    MUST(kin_await(d, &value));
    ev("3");
    CHECK_EQ(value, 7);
    return 0;
}

TEST(await_starts_a_lazy_deferred)
{
    RUN(await_lazy);
    CHECK_LOG("1 2 3");
}

/* S107: the order tells whether they overlap; the time, that they do not. */
BODY(say_around_20_ms)
{
    const char *const *words = arg;

    ev(words[0]);
    KIN_TRY(kin_delay(KIN_MS(20)));
    ev(words[1]);
    return 0;
}

static const char *a_words[] = { "a+", "a-" }, *b_words[] = { "b+", "b-" };

static void new_lazies(kin_scope *scope, kin_deferred **a, kin_deferred **b)
{
    MUST(kin_async(scope, a, say_around_20_ms, a_words,
                   .start = KIN_START_LAZY));
    MUST(kin_async(scope, b, say_around_20_ms, b_words,
                   .start = KIN_START_LAZY));
}

BODY(await_lazies_in_turn)
{
    KIN_AUTO(kin_deferred) a = NULL;
    KIN_AUTO(kin_deferred) b = NULL;
    int64_t before = now_of(scope);

    new_lazies(scope, &a, &b);
    MUST(kin_await(a, NULL));
    MUST(kin_await(b, NULL));
    CHECK_EQ(now_of(scope) - before, KIN_MS(40));
    return 0;
}

TEST(lazy_deferreds_awaited_in_turn_run_in_turn)
{
    RUN_ON_CLOCK(await_lazies_in_turn);
    CHECK_LOG("a+ a- b+ b-");
}

BODY(start_lazies_then_await)
{
    KIN_AUTO(kin_deferred) a = NULL;
    KIN_AUTO(kin_deferred) b = NULL;

    new_lazies(scope, &a, &b);
    CHECK_EQ(kin_job_start(kin_deferred_job(a)), 1);
    CHECK_EQ(kin_job_start(kin_deferred_job(b)), 1);
    MUST(kin_await(a, NULL));
    MUST(kin_await(b, NULL));
    return 0;
}

TEST(lazy_deferreds_that_were_started_run_at_once)
{
    RUN_ON_CLOCK(start_lazies_then_await);
    CHECK_LOG_DRAWN("a+ b+ a- b-", "a+<a- a+<b- b+<a- b+<b-");
}

/* S108 */
BODY(await_cancelled_lazy)
{
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_async(scope, &d, say, "never", .start = KIN_START_LAZY));
    kin_job_cancel(kin_deferred_job(d), NULL);
    CHECK_EQ(kin_await(d, NULL), KIN_ECANCELED);
    CHECK_FLAGS(kin_deferred_job(d), "011");
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(await_of_a_lazy_deferred_cancelled_before_returns_canceled)
{
    RUN(await_cancelled_lazy);
    CHECK_LOG("");
}

/* S109 */
BODY(await_shared_then_say)
{
    KIN_TRY(kin_await(shared, NULL));
    ev(arg);
    return 0;
}

BODY(two_wait_for_one)
{
    shared = new_deferred(NULL);
    kin_launch(scope, await_shared_then_say, "w1");
    kin_launch(scope, await_shared_then_say, "w2");
    MUST(kin_yield());
    open_gate(shared);
    ev("done");
    return 0;
}

TEST(those_that_await_continue_in_the_order_they_came)
{
    RUN(two_wait_for_one);
    CHECK_LOG_DRAWN("done w1 w2", "done<w1 done<w2");
    kin_deferred_release(shared);
}

/* S110 */
BODY(throw_when_shared_opens)
{
    KIN_TRY(kin_await(shared, NULL));
    THROW(arg);
}

BODY(throw_after_yield)
{
    KIN_TRY(kin_yield());
    THROW(arg);
}

BODY(await_three)
{
    kin_deferred *d[3] = { NULL };

    MUST(kin_async(scope, &d[0], throw_when_shared_opens, E1));
    MUST(kin_async(scope, &d[1], throw_after_yield, E2));
    MUST(kin_async(scope, &d[2], await_shared_then_say, "c"));
    CHECK_FAILED_WITH(kin_await_all(d, 3, NULL), E2);
    CHECK_FLAGS(kin_deferred_job(d[0]), "100");
    CHECK_FLAGS(kin_deferred_job(d[2]), "100");
    ev("failed");

    open_gate(shared);
    CHECK_FAILED_WITH(kin_await(d[0], NULL), E1);
    MUST(kin_await(d[2], NULL));
    for (int i = 0; i < 3; i++)
        kin_deferred_release(d[i]);
    return 0;
}

BODY(await_three_under_supervisor)
{
    shared = new_deferred(NULL);
    MUST(kin_supervisor_scope(await_three, NULL));
    kin_deferred_release(shared);
    return 0;
}

TEST(await_all_fails_with_the_first_failure_in_time_and_cancels_nothing)
{
    RUN(await_three_under_supervisor);
    CHECK_LOG("failed c");
}

/* S111 */
KIN_SUSPENDS
static void await_failed_and_lazy(kin_scope *scope, int failed, int lazy)
{
    kin_deferred *d[2] = { NULL };

    MUST(kin_async(scope, &d[failed], throw_error, E));
    MUST(kin_join(kin_deferred_job(d[failed])));
    MUST(kin_async(scope, &d[lazy], say, "lazy", .start = KIN_START_LAZY));
    CHECK_FAILED_WITH(kin_await_all(d, 2, NULL), E);
    ev("thrown");
    CHECK_FLAGS(kin_deferred_job(d[lazy]), "100");
    MUST(kin_join(kin_deferred_job(d[lazy])));
    kin_deferred_release(d[0]);
    kin_deferred_release(d[1]);
}

BODY(await_failed_and_lazy_both_ways)
{
    await_failed_and_lazy(scope, 0, 1);
    await_failed_and_lazy(scope, 1, 0);
    return 0;
}

BODY(await_failed_and_lazy_under_supervisor)
{
    return kin_supervisor_scope(await_failed_and_lazy_both_ways, NULL);
}

TEST(await_all_starts_the_lazy_and_fails_at_once_if_one_has_failed)
{
    RUN(await_failed_and_lazy_under_supervisor);
    CHECK_LOG("thrown lazy thrown lazy");
}

BODY(await_lazies_that_run_in_place)
{
    kin_deferred *d[3] = { NULL };
    const char *words[] = { "a", "b", "c" };

    for (int i = 0; i < 3; i++)
        MUST(kin_async(scope, &d[i], say, (void *)words[i],
                       .start = KIN_START_LAZY,
                       .dispatcher = kin_unconfined()));
    MUST(kin_await_all(d, 3, NULL));
    for (int i = 0; i < 3; i++)
        kin_deferred_release(d[i]);
    return 0;
}

TEST(await_all_starts_the_lazy_in_the_order_of_the_arguments)
{
    RUN(await_lazies_that_run_in_place);
    CHECK_LOG("a b c");
}

/* S112, and the empty list of R7.4. */
BODY(await_same_three_times)
{
    KIN_AUTO(kin_deferred) d = NULL;
    void *values[3] = { NULL };

    MUST(kin_async(scope, &d, say_2_return_7, NULL));
    MUST(kin_await_all((kin_deferred *[]){ d, d, d }, 3, values));
    for (int i = 0; i < 3; i++)
        CHECK_EQ((intptr_t)values[i], 7);

    kin_launch(scope, say, "parked");
    MUST(kin_await_all(NULL, 0, NULL));
    CHECK_LOG("2");
    return 0;
}

TEST(await_all_of_the_same_deferred_gives_its_value_each_time)
{
    RUN(await_same_three_times);
    CHECK_LOG("2 parked");
}

/* S113 */
BODY(await_own_failing_child)
{
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_async(scope, &d, throw_error, E));
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    ev("E");
    return 0;
}

BODY(scope_of_failing_child)
{
    CHECK_FAILED_WITH(kin_coroutine_scope(await_own_failing_child, NULL), E);
    return 0;
}

TEST(await_of_the_child_that_cancelled_the_caller_gives_the_childs_failure)
{
    RUN(scope_of_failing_child);
    CHECK_LOG("E");
}

/* S114 */
BODY(expect_ce_from_shared)
{
    CHECK_FAILED_WITH(kin_await(shared, NULL), CE);
    ev("CE");
    return KIN_ECANCELED;
}

BODY(cancel_caller_before_failure)
{
    KIN_AUTO(kin_job) caller = NULL;

    shared = new_deferred(NULL);
    kin_launch(scope, expect_ce_from_shared, NULL, .job = &caller);
    MUST(kin_yield());
    kin_job_cancel(caller, CE);
    CHECK_EQ(kin_deferred_fail(shared, E), 1);
    MUST(kin_join(caller));
    CHECK_FLAGS(caller, "011");
    kin_deferred_release(shared);
    return 0;
}

TEST(await_of_a_caller_cancelled_before_the_failure_gives_its_cancellation)
{
    RUN(cancel_caller_before_failure);
    CHECK_LOG("CE");
}

/* S115 */
BODY(get_at_every_stage)
{
    KIN_AUTO(kin_deferred) good = NULL;
    KIN_AUTO(kin_deferred) gone = NULL;
    KIN_AUTO(kin_error) why = NULL;
    intptr_t value = 0;

    MUST(kin_async(scope, &good, say_2_return_7, NULL));
    MUST(kin_async(scope, &gone, wait_forever, NULL));
    CHECK_EQ(kin_deferred_get(good, &value), KIN_EBUSY);
    CHECK_EQ(kin_deferred_error(good, &why), KIN_EBUSY);
    MUST(kin_await(good, NULL));
    MUST(kin_deferred_get(good, &value));
    CHECK_EQ(value, 7);
    MUST(kin_deferred_error(good, &why));
    CHECK(!why);

    MUST(kin_cancel_and_join(kin_deferred_job(gone)));
    CHECK_EQ(kin_deferred_get(gone, &value), KIN_ECANCELED);
    MUST(kin_deferred_error(gone, &why));
    CHECK(kin_error_is_cancellation(why));
    return 0;
}

/* A child that was cancelled by what cancelled the caller has not failed. */
BODY(never_ends)
{
    (void)scope, (void)arg;
    return kin_await_cancellation();
}

BODY(await_until_it_is_too_late)
{
    KIN_AUTO(kin_deferred) d = NULL;

    (void)arg;
    MUST(kin_async(scope, &d, never_ends, NULL));
    CHECK_EQ(kin_await(d, NULL), KIN_ECANCELED);
    ev("cancelled");
    return KIN_ECANCELED;
}

BODY(await_within_a_timeout)
{
    (void)scope, (void)arg;
    CHECK_EQ(kin_with_timeout(KIN_MS(1), await_until_it_is_too_late, NULL),
             KIN_ETIMEDOUT);
    return 0;
}

TEST(await_of_a_child_that_the_same_timeout_cancelled_is_cancelled)
{
    RUN(await_within_a_timeout);
    CHECK_LOG("cancelled");
}

TEST(get_is_busy_until_the_deferred_is_final)
{
    RUN(get_at_every_stage);
}

/* S116 */
BODY(complete_by_hand)
{
    KIN_AUTO(kin_deferred) good = new_deferred(NULL);
    KIN_AUTO(kin_deferred) bad = new_deferred(NULL);
    KIN_AUTO(kin_error) why = NULL;
    intptr_t value = 0;

    CHECK_EQ(kin_deferred_complete(good, WORD(1)), 1);
    CHECK_EQ(kin_deferred_complete(good, WORD(2)), 0);
    MUST(kin_await(good, &value));
    CHECK_EQ(value, 1);
    CHECK_FLAGS(kin_deferred_job(good), "010");

    CHECK_EQ(kin_deferred_fail(bad, E), 1);
    CHECK_EQ(kin_deferred_fail(bad, E1), 0);
    CHECK_EQ(kin_deferred_complete(bad, WORD(3)), 0);
    CHECK_FAILED_WITH(kin_await(bad, NULL), E);
    CHECK_FLAGS(kin_deferred_job(bad), "011");
    MUST(kin_deferred_error(bad, &why));
    CHECK_PTR(why, E);
    return 0;
}

TEST(deferred_completed_by_hand_keeps_the_first_outcome)
{
    RUN(complete_by_hand);
}

/* S117 */
BODY(complete_with_child)
{
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);
    intptr_t value = 0;

    shared = new_deferred(NULL);
    LAUNCH_UNDER(kin_deferred_job(d), scope, await_shared_then_say, "child");
    MUST(kin_yield());
    CHECK_EQ(kin_deferred_complete(d, WORD(1)), 1);
    CHECK_FLAGS(kin_deferred_job(d), "100");
    CHECK_EQ(kin_deferred_get(d, &value), KIN_EBUSY);
    open_gate(shared);
    MUST(kin_await(d, &value));
    ev("awaited");
    CHECK_EQ(value, 1);
    kin_deferred_release(shared);
    return 0;
}

TEST(deferred_completed_by_hand_waits_for_its_children)
{
    RUN(complete_with_child);
    CHECK_LOG("child awaited");
}

BODY(complete_with_failing_child)
{
    KIN_AUTO(kin_deferred) d = new_deferred(NULL);

    shared = new_deferred(NULL);
    LAUNCH_UNDER(kin_deferred_job(d), scope, throw_when_shared_opens, E,
                 .handler = log_failure);
    MUST(kin_yield());
    CHECK_EQ(kin_deferred_complete(d, WORD(1)), 1);
    open_gate(shared);
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    CHECK_FLAGS(kin_deferred_job(d), "011");
    kin_deferred_release(shared);
    return 0;
}

TEST(child_that_fails_while_its_deferred_completes_is_the_outcome)
{
    RUN(complete_with_failing_child);
    CHECK_LOG("");
}

/* --- What C adds -------------------------------------------------------- */

static void log_undelivered(void *value)
{
    evi((intptr_t)value);
}

BODY(return_arg)
{
    return kin_return(scope, arg);
}

BODY(lose_a_value_and_receive_one)
{
    kin_deferred *lost = NULL, *received = NULL;
    intptr_t value;

    MUST(kin_async(scope, &lost, return_arg, WORD(1),
                   .on_undelivered = log_undelivered));
    MUST(kin_async(scope, &received, return_arg, WORD(2),
                   .on_undelivered = log_undelivered));
    MUST(kin_join(kin_deferred_job(lost)));
    MUST(kin_await(received, &value));
    kin_deferred_release(lost);
    kin_deferred_release(received);
    return 0;
}

TEST(value_that_nobody_received_is_handed_back_with_the_last_handle)
{
    RUN(lose_a_value_and_receive_one);
    CHECK_LOG("1");
}

TEST_MAIN
