/* job_deferred_stress.c -- values on their way while somebody else decides.
 *
 * The races of the specification, section 7, a hundred thousand times each:
 *   two who complete, or one who cancels        R2.6, S116
 *   an awaiter cancelled while it is completed   R7.2, R0.1, S114
 *   awaiting against completing                  R7.1, R7.3, S109
 *   awaiting two, either of which may fail       R7.4, S110
 *   the last handle goes                         (C: a value has an owner)
 *   an async body against its cancellation       R2.3, S023, S024
 *
 * The account of each round: what was sent (a completion that said 1, a body
 * that returned a value) was received, or handed back, exactly once. */
#ifndef RACE_LESS
#define RACE_LESS 4
#endif
#include "tests/race.h"

TEST_TIMEOUT(120);

struct round {
    kin_deferred *deferred, *other;
    kin_job *awaiter;
    atomic_int sent, received, handed_back;
    int returned[2];
    int result;                     /* of kin_await                          */
    void *value;
    atomic_int waits;
    int draw;
};

static void hand_back(void *value)
{
    struct round *now = value;
    atomic_fetch_add(&now->handed_back, 1);
}

BODY(await_value)
{
    struct round *now = arg;

    atomic_store(&now->waits, 1);
    now->result = kin_await(now->deferred, &now->value);
    if (now->result == 0) {
        CHECK_PTR(now->value, now);
        atomic_fetch_add(&now->received, 1);
    }
    return 0;
}

static void launch_awaiter(struct round *now, kin_dispatcher *dispatcher)
{
    now->awaiter = LAUNCH(kin_global_scope(), await_value, now,
                          .dispatcher = dispatcher,
                          .start = KIN_START_ATOMIC);
}

static void begin_deferred(struct round *now)
{
    MUST(kin_deferred_new(NULL, hand_back, &now->deferred));
    now->draw = (int)draw(3);
}

static void begin_awaited(struct round *now)
{
    begin_deferred(now);
    launch_awaiter(now, some_dispatcher());
}

static void complete(struct round *now)
{
    now->returned[0] = kin_deferred_complete(now->deferred, now);
    atomic_fetch_add(&now->sent, now->returned[0]);
}

static int account(struct round *now)
{
    return atomic_load(&now->received) + atomic_load(&now->handed_back);
}

/* The last handle is the one that is released here. */
KIN_SUSPENDS
static void check_account(struct round *now)
{
    if (now->awaiter)
        MUST(kin_join(now->awaiter));
    kin_job_release(now->awaiter);
    kin_deferred_release(now->deferred);
    /* A worker may have the last reference still. */
    for (int n = 0; n < 10000 && account(now) != now->sent; n++)
        MUST(kin_delay(KIN_MS(1)));
    CHECK_EQ(account(now), now->sent);
}

/* --- Two who complete ----------------------------------------------------- */

static void complete_too(struct round *now)
{
    if (now->draw == 0) {
        now->returned[1] = kin_deferred_complete(now->deferred, now);
        atomic_fetch_add(&now->sent, now->returned[1]);
    } else if (now->draw == 1) {
        now->returned[1] = kin_deferred_fail(now->deferred, E);
    } else {
        kin_job_cancel(kin_deferred_job(now->deferred), NULL);
    }
}

KIN_SUSPENDS
static void check_one_completed(struct round *now)
{
    bool left = now->returned[0] == 1;

    MUST(kin_join(now->awaiter));
    CHECK_EQ(now->result, left || now->draw == 0 ? 0
                          : now->draw == 1 ? kin_error_code(E)
                                           : KIN_ECANCELED);
    CHECK_EQ(now->returned[0] + now->returned[1],
             now->draw == 2 ? left : 1);
    CHECK_FLAGS(kin_deferred_job(now->deferred), now->result ? "011" : "010");
    check_account(now);
    CHECK_EQ(now->received, now->sent);
    saw(left ? 0 : now->draw + 1);
}

TEST(of_two_who_complete_a_deferred_one_does_and_his_value_arrives)
{
    RACE(begin_awaited, complete, complete_too, check_one_completed,
         "the left", "the right", "failed", "cancelled");
}

/* --- An awaiter that is cancelled ----------------------------------------- */

static void cancel_awaiter(struct round *now)
{
    kin_job_cancel(now->awaiter, NULL);
}

KIN_SUSPENDS
static void check_received_or_handed_back(struct round *now)
{
    check_account(now);
    CHECK_EQ(now->sent, 1);
    CHECK_EQ(now->result, now->received ? 0 : KIN_ECANCELED);
    saw(now->received ? 0 : 1);
}

TEST(a_value_for_an_awaiter_that_is_cancelled_is_received_or_handed_back)
{
    RACE(begin_awaited, complete, cancel_awaiter,
         check_received_or_handed_back, "received", "handed back");
}

/* --- Awaiting against completing ------------------------------------------ */

static void begin_to_wait(struct round *now)
{
    if (now->draw == 0) {
        now->result = kin_deferred_get(now->deferred, &now->value);
        CHECK(now->result == 0 || now->result == KIN_EBUSY);
        atomic_fetch_add(&now->received, now->result == 0);
    } else {
        launch_awaiter(now, kin_unconfined());
    }
}

KIN_SUSPENDS
static void check_awaited(struct round *now)
{
    bool busy = now->result == KIN_EBUSY;

    check_account(now);
    CHECK_EQ(now->received, !busy);
    saw(busy ? 1 : now->awaiter ? 2 : 0);
}

TEST(who_awaits_or_asks_while_it_is_completed_misses_nothing)
{
    RACE(begin_deferred, complete, begin_to_wait, check_awaited,
         "got", "asked too early", "awaited");
}

/* --- Two awaited at once -------------------------------------------------- */

BODY(await_both)
{
    struct round *now = arg;
    kin_deferred *both[] = { now->deferred, now->other };
    void *values[2] = { NULL, NULL };

    now->result = kin_await_all(both, 2, values);
    if (now->result == 0) {
        CHECK_PTR(values[0], now);
        CHECK_PTR(values[1], now);
        atomic_fetch_add(&now->received, 2);
    } else {
        CHECK(kin_error_current() == E1 || kin_error_current() == E2);
        now->value = kin_error_current();
    }
    return 0;
}

static void begin_two(struct round *now)
{
    begin_deferred(now);
    MUST(kin_deferred_new(NULL, hand_back, &now->other));
    now->draw = (int)draw(4);
    now->awaiter = LAUNCH(kin_global_scope(), await_both, now,
                          .dispatcher = some_dispatcher());
}

static void end_one(struct round *now, kin_deferred *which, bool fails,
                    kin_error *error)
{
    if (fails)
        CHECK_EQ(kin_deferred_fail(which, error), 1);
    else
        CHECK_EQ(kin_deferred_complete(which, now), 1);
    atomic_fetch_add(&now->sent, !fails);
}

static void end_first(struct round *now)
{
    end_one(now, now->deferred, now->draw & 1, E1);
}

static void end_second(struct round *now)
{
    end_one(now, now->other, now->draw & 2, E2);
}

KIN_SUSPENDS
static void check_both(struct round *now)
{
    MUST(kin_join(now->awaiter));
    kin_deferred_release(now->other);
    check_account(now);
    CHECK_EQ(now->result == 0, now->draw == 0);
    if (now->draw == 1 || now->draw == 2)
        CHECK_PTR(now->value, now->draw == 1 ? E1 : E2);
    saw(now->draw != 3 ? now->draw : now->value == E1 ? 3 : 4);
}

TEST(of_two_that_are_awaited_the_first_failure_in_time_is_told)
{
    RACE(begin_two, end_first, end_second, check_both, "both values",
         "the first fails", "the second fails", "both, the first first",
         "both, the second first");
}

/* --- The last handle ------------------------------------------------------ */

static void begin_unheld(struct round *now)
{
    begin_deferred(now);
    kin_deferred_retain(now->deferred);
}

static void complete_and_drop(struct round *now)
{
    complete(now);
    kin_deferred_release(now->deferred);
}

static void drop(struct round *now)
{
    now->result = kin_job_is_completed(kin_deferred_job(now->deferred));
    kin_deferred_release(now->deferred);
}

static void check_handed_back(struct round *now)
{
    CHECK_EQ(now->sent, 1);
    CHECK_EQ(now->handed_back, 1);
    saw(now->result);
}

TEST(a_value_is_handed_back_once_when_the_last_handle_goes)
{
    RACE(begin_unheld, complete_and_drop, drop, check_handed_back,
         "dropped before", "dropped after");
}

/* --- Async bodies --------------------------------------------------------- */

BODY(make_value)
{
    struct round *now = arg;

    MUST(kin_return(scope, now));
    atomic_fetch_add(&now->sent, 1);
    return now->draw ? kin_yield() : 0;
}

static void begin_async(struct round *now)
{
    now->deferred = ASYNC(kin_global_scope(), make_value, now,
                          .start = KIN_START_LAZY,
                          .dispatcher = some_dispatcher(),
                          .on_undelivered = hand_back);
    now->draw = (int)draw(2);
}

static void await_async(struct round *now)
{
    launch_awaiter(now, kin_unconfined());
}

static void cancel_async(struct round *now)
{
    kin_job_cancel(kin_deferred_job(now->deferred), NULL);
}

KIN_SUSPENDS
static void check_async(struct round *now)
{
    check_account(now);
    CHECK(now->sent <= 1);
    CHECK_EQ(now->result, now->received ? 0 : KIN_ECANCELED);
    saw(now->received ? 0 : now->sent ? 1 : 2);
}

TEST(the_value_of_a_body_that_is_cancelled_is_received_or_handed_back)
{
    RACE(begin_async, await_async, cancel_async, check_async,
         "received", "?handed back", "never made");
}

TEST_MAIN
