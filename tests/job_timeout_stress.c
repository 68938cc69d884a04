/* job_timeout_stress.c -- deadlines that pass while something else happens.
 *
 * The races of the specification, section 11, each many thousand times:
 *   a value against the expiry of a timeout   R11.5, S174
 *   a cancellation against the expiry         R11.5, S172
 *   a cancellation against the end of a delay R11.1, S157
 *   two deadlines, one inside the other       R11.6, S167, S168
 *
 * The clock is the real one, the durations some microseconds, on timers of
 * loops and of the pool.  A value was received, or handed back, once; what
 * returns did not return too early; no timer is left armed on a stack that is
 * gone (a sanitizer, or the next round, would see it). */
#ifndef RACE_LESS
#define RACE_LESS 4
#endif
#include "tests/race.h"

TEST_TIMEOUT(120);

struct round {
    kin_job *job;
    kin_continuation continuation;
    atomic_int parked;
    atomic_int received, handed_back;
    int64_t duration, deadline;
    int64_t later;                  /* the outer deadline than the inner one */
    int result;
    bool expired;
};

static int keep(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    now->continuation = continuation;
    atomic_store(&now->parked, 1);
    return 0;
}

static void hand_back(void *value, UNUSED kin_error *cause)
{
    struct round *now = value;
    atomic_fetch_add(&now->handed_back, 1);
}

/* All of a batch at about the time when it is played. */
static void launch_round(struct round *now, kin_body *body)
{
    now->duration = KIN_US(1) + draw(100) * check_slow(KIN_US(2));
    now->job = LAUNCH(kin_global_scope(), body, now,
                      .start = KIN_START_ATOMIC,
                      .dispatcher = some_dispatcher());
}

static void cancel_job(struct round *now)
{
    kin_job_cancel(now->job, NULL);
}

/* Has the timers of the left's loop fire. */
KIN_SUSPENDS
static void look_at_the_clock(UNUSED struct round *now)
{
    MUST(kin_yield());
}

/* --- A value -------------------------------------------------------------- */

BODY(receive)
{
    struct round *now = arg;
    int err = kin_suspend_cancellable(keep, now);

    if (err == 0)
        atomic_fetch_add(&now->received, 1);
    return err;
}

BODY(receive_in_time)
{
    struct round *now = arg;

    now->deadline = kin_now() + now->duration;
    now->result = kin_with_timeout_or_null(now->duration, receive, now,
                                           &now->expired);
    CHECK(!now->expired || kin_now() >= now->deadline);
    return 0;
}

static void begin_receiving(struct round *now)
{
    launch_round(now, receive_in_time);
}

static bool is_parked(struct round *now)
{
    return atomic_load(&now->parked);
}

static void send_value(struct round *now)
{
    int err = kin_resume_or(now->continuation, hand_back, now);
    CHECK(err == 0 || err == KIN_ESTALE);
}

KIN_SUSPENDS
static void check_received(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_FLAGS(now->job, "010");
    CHECK_EQ(now->result, 0);
    CHECK_EQ(now->received + now->handed_back, 1);
    CHECK(now->expired || now->received);
    saw(!now->expired ? 0 : now->handed_back ? 1 : 2);
    kin_job_release(now->job);
}

TEST(a_value_that_comes_with_the_deadline_is_received_or_handed_back)
{
    RACE_SETTLED(begin_receiving, is_parked, look_at_the_clock, send_value,
                 check_received, "received in time", "handed back",
                 "?received too late");
}

/* --- A cancellation ------------------------------------------------------- */

BODY(wait_in_vain)
{
    struct round *now = arg;

    now->result = kin_with_timeout(now->duration, wait_forever, NULL);
    return now->result;
}

static void begin_waiting(struct round *now)
{
    launch_round(now, wait_in_vain);
}

KIN_SUSPENDS
static void check_one_reason(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_FLAGS(now->job, "011");
    CHECK(now->result == KIN_ETIMEDOUT || now->result == KIN_ECANCELED);
    saw(now->result == KIN_ETIMEDOUT ? 0 : 1);
    kin_job_release(now->job);
}

TEST(a_cancellation_that_comes_with_the_deadline_is_one_of_both)
{
    RACE(begin_waiting, look_at_the_clock, cancel_job, check_one_reason,
         "timed out", "cancelled");
}

BODY(rest_a_little)
{
    struct round *now = arg;

    now->deadline = kin_now() + now->duration;
    now->result = kin_delay(now->duration);
    CHECK(now->result || kin_now() >= now->deadline);
    return now->result;
}

static void begin_resting(struct round *now)
{
    launch_round(now, rest_a_little);
}

KIN_SUSPENDS
static void check_rest(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK(now->result == 0 || now->result == KIN_ECANCELED);
    if (now->result)
        CHECK_FLAGS(now->job, "011");
    saw(now->result ? 1 : 0);
    kin_job_release(now->job);
}

TEST(a_delay_that_is_over_when_it_is_cancelled_is_one_of_both)
{
    RACE(begin_resting, look_at_the_clock, cancel_job, check_rest,
         "rested", "cancelled");
}

/* --- Two deadlines -------------------------------------------------------- */

BODY(wait_inside)
{
    struct round *now = arg;
    bool expired = false;
    int err = kin_with_timeout_or_null(now->duration, wait_forever, NULL,
                                       &expired);

    CHECK(err == KIN_ECANCELED || (err == 0 && expired));
    now->result = err;
    return err;
}

BODY(wait_outside)
{
    struct round *now = arg;
    int err = kin_with_timeout_or_null(now->duration + now->later, wait_inside,
                                       now, &now->expired);

    CHECK_EQ(err, 0);
    CHECK(now->expired || now->result == 0);
    return err;
}

/* Now and then so much later that whoever takes long to wake is in time. */
static void begin_nested(struct round *now)
{
    now->later = draw(16) ? KIN_US(3) : KIN_MS(10);
    launch_round(now, wait_outside);
}

KIN_SUSPENDS
static void check_nested(struct round *now)
{
    MUST(kin_join(now->job));
    CHECK_FLAGS(now->job, "010");
    saw(now->result ? 2 : now->expired ? 1 : 0);
    kin_job_release(now->job);
}

static void stand_by(UNUSED struct round *now)
{
}

TEST(of_two_deadlines_at_once_each_is_told_to_its_own_block)
{
    RACE(begin_nested, look_at_the_clock, stand_by, check_nested,
         "the inner one", "?both", "?the outer one");
}

TEST_MAIN
