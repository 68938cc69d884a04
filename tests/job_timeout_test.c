/* job_timeout_test.c -- delays and timeouts: S157 to S176, as functions and as
 * blocks.
 *
 * In virtual time where it is about orders; in real time, in steps of 10 ms,
 * where a thread is blocked or a duration is the subject.  Where code must still
 * run when its time is over, it blocks its thread or shields itself. */
#include "tests/words.h"

BODY(delay_100)
{
    return kin_delay(KIN_MS(100));
}

/* S157 */
BODY(delay_of_nothing_when_cancelled)
{
    kin_job_cancel(kin_scope_job(scope), NULL);
    MUST(kin_delay(0));
    MUST(kin_delay(-1));
    CHECK_EQ(kin_delay(1), KIN_ECANCELED);
    ev("1");
    return 0;
}

BODY(launch_delay_of_nothing)
{
    return kin_launch(scope, delay_of_nothing_when_cancelled, NULL);
}

TEST(delay_of_nothing_does_not_look_for_cancellation)
{
    RUN(launch_delay_of_nothing);
    CHECK_LOG("1");
}

/* S158, S159 */
struct wait {
    const char *word;
    int64_t duration;               /* or the deadline */
};

BODY(say_after)
{
    const struct wait *wait = arg;
    KIN_TRY(kin_delay(check_slow(wait->duration)));
    ev(wait->word);
    return 0;
}

BODY(longer_delay_first)
{
    static struct wait two = { "2", KIN_MS(20) }, one = { "1", KIN_MS(10) };
    kin_launch(scope, say_after, &two);
    kin_launch(scope, say_after, &one);
    return 0;
}

TEST(delays_end_in_the_order_of_their_deadlines)
{
    RUN_ON_CLOCK(longer_delay_first);
    CHECK_LOG("1 2");
}

BODY(say_at)
{
    const struct wait *wait = arg;
    KIN_TRY(kin_delay_until(wait->duration));
    ev(wait->word);
    return 0;
}

BODY(equal_deadlines)
{
    static struct wait waits[3] = { { "1", 0 }, { "2", 0 }, { "3", 0 } };
    for (int i = 0; i < 3; i++) {
        waits[i].duration = i ? waits[0].duration
                              : kin_after(check_slow(KIN_MS(100)));
        kin_launch(scope, say_at, &waits[i]);
    }
    return 0;
}

TEST(delays_with_one_deadline_end_in_the_order_they_began)
{
    RUN_IN_ORDER(equal_deadlines);
    CHECK_LOG("1 2 3");
}

/* S160 */
BODY(block_past_two_timers)
{
    static struct wait two = { "2", 0 }, one = { "1", 0 };

    two.duration = kin_after(check_slow(KIN_MS(20)));
    one.duration = kin_after(check_slow(KIN_MS(10)));
    kin_launch(scope, say_at, &two);
    kin_launch(scope, say_at, &one);
    MUST(kin_yield());
    block_ms(check_slow(30));
    kin_launch(scope, say, "3");
    return kin_yield();
}

TEST(timers_that_are_due_come_before_what_is_launched_then)
{
    RUN_IN_ORDER(block_past_two_timers);
    CHECK_LOG("1 2 3");
}

/* S161 */
BODY(give_5_after_1_ms)
{
    int *value = arg;
    KIN_TRY(kin_delay(KIN_MS(1)));
    *value = 5;
    return 0;
}

BODY(in_time_and_late)
{
    int value = 0;
    bool expired = true;

    MUST(kin_with_timeout(KIN_S(10), give_5_after_1_ms, &value));
    CHECK_EQ(value, 5);
    MUST(kin_with_timeout_or_null(KIN_S(10), give_5_after_1_ms, &value,
                                  &expired));
    CHECK(!expired);
    CHECK_EQ(kin_with_timeout(KIN_MS(10), delay_100, NULL), KIN_ETIMEDOUT);
    CHECK_EQ(kin_error_kind_of(kin_error_current()), KIN_ERROR_TIMEOUT);
    MUST(kin_with_timeout_or_null(KIN_MS(10), delay_100, NULL, &expired));
    CHECK(expired);
    CHECK(kin_is_active());
    return 0;
}

TEST(timeout_gives_the_value_in_time_and_timed_out_when_late)
{
    RUN_ON_CLOCK(in_time_and_late);
}

BODY(blocks_in_time_and_late)
{
    int err, value = 0;

    KIN_WITH_TIMEOUT(err, KIN_S(10)) {
        MUST(kin_delay(KIN_MS(1)));
        value = 5;
    }
    MUST(err);
    CHECK_EQ(value, 5);
    KIN_WITH_TIMEOUT(err, KIN_MS(10)) {
        CHECK(kin_delay(KIN_MS(100)) < 0);
        CHECK(!kin_is_active());
    }
    CHECK_EQ(err, KIN_ETIMEDOUT);
    CHECK_EQ(kin_error_kind_of(kin_error_current()), KIN_ERROR_TIMEOUT);
    CHECK(kin_is_active());
    return 0;
}

TEST(timeout_block_is_left_with_0_in_time_and_timed_out_when_late)
{
    RUN_ON_CLOCK(blocks_in_time_and_late);
}

/* S162 */
BODY(no_time_at_all)
{
    bool expired = false;
    int err = 0;

    CHECK_EQ(kin_with_timeout(0, say, "never"), KIN_ETIMEDOUT);
    CHECK_EQ(kin_with_timeout_until(kin_now(), say, "never"), KIN_ETIMEDOUT);
    MUST(kin_with_timeout_or_null(-1, say, "never", &expired));
    CHECK(expired);
    KIN_WITH_TIMEOUT(err, 0)
        ev("never");
    CHECK_EQ(err, KIN_ETIMEDOUT);
    return 0;
}

TEST(timeout_of_nothing_does_not_run)
{
    RUN_IN_ORDER(no_time_at_all);
    CHECK_LOG("");
}

/* S163 */
BODY(block_30_give_5)
{
    int *value = arg;
    block_ms(30);
    *value = 5;
    return 0;
}

BODY(yield_block_30_give_5)
{
    int *value = arg;
    KIN_TRY(kin_yield());
    block_ms(30);
    *value = 5;
    return 0;
}

BODY(busy_past_its_time)
{
    int value = 0;

    MUST(kin_with_timeout(KIN_MS(10), block_30_give_5, &value));
    CHECK_EQ(value, 5);
    return 0;
}

TEST(timeout_does_not_interrupt_what_never_parks)
{
    RUN_IN_ORDER(busy_past_its_time);
}

BODY(parked_then_busy_past_its_time)
{
    int value = 0;

    kin_launch(scope, do_nothing, NULL);
    CHECK_EQ(kin_with_timeout(KIN_MS(10), yield_block_30_give_5, &value),
             KIN_ETIMEDOUT);
    return 0;
}

TEST(timeout_of_what_parked_once_counts_although_it_came_to_its_end)
{
    RUN_IN_ORDER(parked_then_busy_past_its_time);
}

/* What never parks, but asks, is told. */
BODY(busy_until_told)
{
    while (kin_is_active())
        continue;
    return 0;
}

BODY(busy_until_cancelled)
{
    int err;
    while ((err = kin_ensure_active()) == 0)
        continue;
    return err;
}

BODY(busy_and_asking)
{
    MUST(kin_with_timeout(KIN_MS(10), busy_until_told, NULL));
    CHECK_EQ(kin_with_timeout(KIN_MS(10), busy_until_cancelled, NULL),
             KIN_ETIMEDOUT);
    return 0;
}

TEST(timeout_is_told_to_what_never_parks_but_asks)
{
    RUN_IN_ORDER(busy_and_asking);
}

/* S164 */
BODY(swallow_the_timeout)
{
    if (kin_delay(KIN_MS(100)) < 0)
        ev("1");
    return 0;
}

BODY(swallowed_timeouts)
{
    bool expired = false;
    int err;

    CHECK_EQ(kin_with_timeout(KIN_MS(10), swallow_the_timeout, NULL),
             KIN_ETIMEDOUT);
    MUST(kin_with_timeout_or_null(KIN_MS(10), swallow_the_timeout, NULL,
                                  &expired));
    CHECK(expired);
    KIN_WITH_TIMEOUT(err, KIN_MS(10))
        swallow_the_timeout(scope, NULL);
    CHECK_EQ(err, KIN_ETIMEDOUT);
    return 0;
}

TEST(timeout_that_is_swallowed_counts_all_the_same)
{
    RUN_ON_CLOCK(swallowed_timeouts);
    CHECK_LOG("1 1 1");
}

/* S165 */
BODY(throw_after_timeout)
{
    CHECK(kin_delay(KIN_MS(100)) < 0);
    THROW(E);
}

BODY(failure_after_timeout)
{
    bool expired = false;

    CHECK_FAILED_WITH(kin_with_timeout(KIN_MS(10), throw_after_timeout, NULL),
                      E);
    CHECK_FAILED_WITH(kin_with_timeout_or_null(KIN_MS(10), throw_after_timeout,
                                               NULL, &expired), E);
    CHECK(!expired);
    return 0;
}

TEST(failure_after_the_timeout_wins)
{
    RUN_ON_CLOCK(failure_after_timeout);
}

BODY(failure_of_block_after_timeout)
{
    int err;

    KIN_TIMEOUT_SCOPE(err, inner, KIN_MS(10)) {
        CHECK(kin_delay(KIN_MS(100)) < 0);
        KIN_TRY_IN(inner, kin_error_rethrow(E));
    }
    CHECK_OUTCOME(err, E);
    return 0;
}

TEST(failure_of_the_block_after_the_timeout_wins)
{
    RUN_ON_CLOCK(failure_of_block_after_timeout);
}

/* S166 */
BODY(time_out_after_10)
{
    return kin_with_timeout(KIN_MS(10), delay_100, NULL);
}

BODY(inner_timeout_in_outer)
{
    bool expired = false;

    CHECK_EQ(kin_with_timeout_or_null(KIN_S(1), time_out_after_10, NULL,
                                      &expired), KIN_ETIMEDOUT);
    CHECK(!expired);
    return 0;
}

TEST(or_null_lets_the_expiry_of_an_inner_timeout_pass)
{
    RUN_ON_CLOCK(inner_timeout_in_outer);
}

/* S167 */
BODY(null_within_1_s_then_say_1)
{
    bool expired = false;
    KIN_TRY(kin_with_timeout_or_null(KIN_S(1), delay_100, NULL, &expired));
    ev("1");
    return 0;
}

BODY(outer_null_first)
{
    bool expired = false;

    MUST(kin_with_timeout_or_null(KIN_MS(10), null_within_1_s_then_say_1,
                                  NULL, &expired));
    CHECK(expired);
    return 0;
}

TEST(inner_or_null_lets_the_expiry_of_the_outer_pass)
{
    RUN_ON_CLOCK(outer_null_first);
    CHECK_LOG("");
}

/* S168 */
BODY(null_within_10_give_7)
{
    int *value = arg;
    bool expired = false;

    KIN_TRY(kin_with_timeout_or_null(KIN_MS(10), delay_100, NULL, &expired));
    CHECK(expired);
    *value = 7;
    return 0;
}

BODY(inner_null_first)
{
    bool expired = true;
    int value = 0;

    MUST(kin_with_timeout_or_null(KIN_S(10), null_within_10_give_7, &value,
                                  &expired));
    CHECK(!expired);
    CHECK_EQ(value, 7);
    return 0;
}

TEST(nested_or_null_each_handle_their_own_expiry)
{
    RUN_ON_CLOCK(inner_null_first);
}

/* S169 */
BODY(time_out_then_say_1)
{
    KIN_TRY(kin_with_timeout(KIN_MS(10), delay_100, NULL));
    ev("1");
    return 0;
}

BODY(uncaught_timeout)
{
    KIN_AUTO(kin_job) j = NULL;

    kin_launch(scope, time_out_then_say_1, NULL, .job = &j,
               .handler = log_failure);
    MUST(kin_join(j));
    ev("2");
    CHECK_FLAGS(j, "011");
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

BODY(supervise_uncaught_timeout)
{
    return kin_supervisor_scope(uncaught_timeout, NULL);
}

TEST(timeout_that_leaves_a_launched_body_cancels_its_job_quietly)
{
    RUN_ON_CLOCK(uncaught_timeout);
    RUN_ON_CLOCK(supervise_uncaught_timeout);
    CHECK_LOG("2 2");
}

/* The same by a block: what it was told is passed on. */
BODY(time_out_in_block_then_say_1)
{
    int err;

    KIN_WITH_TIMEOUT(err, KIN_MS(10))
        delay_100(scope, NULL);
    KIN_TRY(err);
    ev("1");
    return 0;
}

BODY(uncaught_timeout_of_block)
{
    KIN_AUTO(kin_job) j = NULL;

    kin_launch(scope, time_out_in_block_then_say_1, NULL, .job = &j);
    MUST(kin_join(j));
    CHECK_FLAGS(j, "011");
    CHECK_FLAGS(kin_scope_job(scope), "100");
    return 0;
}

TEST(timeout_of_a_block_that_leaves_a_launched_body_cancels_its_job_quietly)
{
    RUN_ON_CLOCK(uncaught_timeout_of_block);
    CHECK_LOG("");
}

/* KIN_ETIMEDOUT made by hand is an ordinary failure. */
BODY(return_timed_out)
{
    return KIN_ETIMEDOUT;
}

BODY(timed_out_by_hand)
{
    kin_launch(scope, return_timed_out, NULL);
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    return KIN_ECANCELED;
}

BODY(scope_of_timed_out_by_hand)
{
    CHECK_EQ(kin_coroutine_scope(timed_out_by_hand, NULL), KIN_ETIMEDOUT);
    CHECK_EQ(kin_error_kind_of(kin_error_current()), KIN_ERROR_FAILURE);
    return 0;
}

TEST(timed_out_returned_by_hand_is_a_failure)
{
    RUN_ON_CLOCK(scope_of_timed_out_by_hand);
}

/* S170 */
BODY(launch_say_finally)
{
    return kin_launch(scope, say_finally, "1");
}

BODY(timeout_with_child)
{
    int err;

    CHECK_EQ(kin_with_timeout(KIN_MS(10), launch_say_finally, NULL),
             KIN_ETIMEDOUT);
    CHECK_LOG("1");
    KIN_TIMEOUT_SCOPE(err, inner, KIN_MS(10))
        kin_launch(inner, say_finally, "2");
    CHECK_EQ(err, KIN_ETIMEDOUT);
    return 0;
}

TEST(timeout_cancels_the_children_and_waits_for_them)
{
    RUN_ON_CLOCK(timeout_with_child);
    CHECK_LOG("1 2");
}

/* S171 */
BODY(delay_30)
{
    return kin_delay(KIN_MS(30));
}

BODY(shielded_30_then_say_1)
{
    MUST(shielded(delay_30, NULL));
    ev("1");
    return 0;
}

BODY(launch_shielded)
{
    return kin_launch(scope, shielded_30_then_say_1, NULL);
}

BODY(timeout_with_shielded_child)
{
    int64_t before = now_of(scope);

    CHECK_EQ(kin_with_timeout(KIN_MS(10), launch_shielded, NULL),
             KIN_ETIMEDOUT);
    ev("2");
    CHECK_EQ(now_of(scope) - before, KIN_MS(30));
    return 0;
}

TEST(timeout_waits_for_a_child_that_is_shielded)
{
    RUN_ON_CLOCK(timeout_with_shielded_child);
    CHECK_LOG("1 2");
}

/* S172 */
BODY(null_within_1_s)
{
    bool expired = false;
    int err = kin_with_timeout_or_null(KIN_S(1), wait_forever, NULL, &expired);

    CHECK_EQ(err, KIN_ECANCELED);
    CHECK(!expired);
    ev("CE");
    return err;
}

BODY(cancel_during_or_null)
{
    KIN_AUTO(kin_job) j = NULL;

    kin_launch(scope, null_within_1_s, NULL, .job = &j);
    MUST(kin_yield());
    MUST(kin_cancel_and_join(j));
    CHECK_FLAGS(j, "011");
    return 0;
}

TEST(cancellation_during_or_null_is_not_null)
{
    RUN_ON_CLOCK(cancel_during_or_null);
    CHECK_LOG("CE");
}

/* S173 */
BODY(never_times_out)
{
    int err, value = 0;

    MUST(kin_with_timeout(KIN_NEVER, give_5_after_1_ms, &value));
    MUST(kin_with_timeout_until(KIN_NEVER, give_5_after_1_ms, &value));
    MUST(kin_with_timeout(KIN_NEVER - 1, give_5_after_1_ms, &value));
    KIN_WITH_TIMEOUT(err, KIN_NEVER)
        MUST(kin_delay(KIN_MS(1)));
    MUST(err);
    return 0;
}

TEST(timeout_of_never_does_not_come)
{
    RUN_ON_CLOCK(never_times_out);
}

/* S174: whichever wins, what was acquired is known through its variable. */
BODY(acquire_at)
{
    int *acquired = arg;
    KIN_TRY(kin_delay(KIN_MS(1)));
    *acquired = 1;
    return 0;
}

BODY(race_with_expiry)
{
    for (int i = 0; i < 100; i++) {
        bool expired = false;
        int acquired = 0;

        MUST(kin_with_timeout_or_null(KIN_MS(1), acquire_at, &acquired,
                                      &expired));
        CHECK(expired || acquired);
    }
    return 0;
}

TEST(timeout_that_races_with_the_result_gives_one_or_the_other)
{
    RUN_ON_CLOCK(race_with_expiry);
}

/* S175 */
BODY(shielded_30_then_yield)
{
    MUST(shielded(delay_30, NULL));
    ev("1");
    KIN_TRY(kin_yield());
    ev("2");
    return 0;
}

BODY(timeout_of_shielded)
{
    int64_t before = now_of(scope);

    CHECK_EQ(kin_with_timeout(KIN_MS(10), shielded_30_then_yield, NULL),
             KIN_ETIMEDOUT);
    CHECK_EQ(now_of(scope) - before, KIN_MS(30));
    return 0;
}

TEST(timeout_takes_effect_after_the_shielded_part)
{
    RUN_ON_CLOCK(timeout_of_shielded);
    CHECK_LOG("1");
}

/* S176 */
BODY(message_of_timeout)
{
    CHECK_EQ(kin_with_timeout(KIN_MS(10), delay_100, NULL), KIN_ETIMEDOUT);
    const char *message = kin_error_message(kin_error_current());
    if (!strstr(message, "10 ms"))
        FAIL("the message is \"%s\"", message);
    return 0;
}

TEST(message_of_a_timeout_names_its_milliseconds)
{
    RUN_ON_CLOCK(message_of_timeout);
}

/* R11.8: thousands of timeouts that do not come leave nothing behind. */
BODY(many_timeouts)
{
    int64_t before = kin_now();

    for (int i = 0; i < 10000; i++)
        MUST(kin_with_timeout(KIN_S(60), yield_once, NULL));
    CHECK(kin_now() - before < check_slow(KIN_S(30)));
    return 0;
}

TEST(timeouts_that_do_not_come_are_taken_back)
{
    RUN_IN_ORDER(many_timeouts);
}

/* R11.1 */
BODY(delay_lasts)
{
    int64_t before = kin_now();

    MUST(kin_delay(KIN_MS(5)));
    CHECK(kin_now() - before >= KIN_MS(5));
    MUST(kin_delay_until(kin_now() - 1));
    return 0;
}

TEST(delay_lasts_at_least_as_long_as_asked)
{
    RUN_IN_ORDER(delay_lasts);
}

BODY(delay_on_default)
{
    MUST(kin_with_context(delay_lasts, NULL, .dispatcher = kin_default()));
    MUST(kin_with_context(in_time_and_late, NULL,
                          .dispatcher = kin_default()));
    return 0;
}

TEST(delays_and_timeouts_run_on_default_too)
{
    RUN_IN_ORDER(delay_on_default);
}

TEST_MAIN
