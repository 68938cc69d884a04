/* Every kind of wait against everything that may end it, in many orders: a
 * wait ends once, for a reason that there was, and nothing is lost.
 *
 * A contest is a fiber that waits, and those that race to end it: they open
 * what it waits for, or cancel it, now or when its own time is over.  The seed
 * draws who comes first, also amid the steps of the wait (core/chance.h). */
#include "tests/words.h"

#include <stdlib.h>

enum wait { AWAIT, AWAIT_ALL, JOIN, SUSPEND, DELAY, TIMEOUT, SCOPE, WAITS };
enum { OPEN = 1, CANCEL = 2, OPEN_LATER = 4, CANCEL_LATER = 8, RACERS = 16 };
enum { SEEDS = 200, NEVER_RAN = 1 };

struct contest {
    enum wait wait;
    int racers;
    kin_job *job;                   /* of the one that waits                 */
    kin_deferred *gate;
    kin_job *behind_gate;
    kin_continuation call;
    bool is_open, is_kept;
    int result;
    int taken, handed_back;         /* values, by the call and by its hook   */
};

/* --- The one that waits -------------------------------------------------- */

static void hand_back(void *contest, kin_error *cause)
{
    CHECK(cause != NULL);
    ((struct contest *)contest)->handed_back++;
}

static void resume_call(struct contest *c)
{
    int err = kin_resume_or(c->call, hand_back, c);

    CHECK(err == 0 || err == KIN_EALREADY || err == KIN_ESTALE);
    c->taken += err != KIN_EALREADY;
}

static int keep_call(kin_continuation call, void *contest)
{
    struct contest *c = contest;

    c->call = call;
    c->is_kept = true;
    if (c->is_open)
        resume_call(c);
    return 0;
}

BODY(await_gate)
{
    return kin_await(((struct contest *)arg)->gate, NULL);
}

BODY(launch_await_gate)
{
    return kin_launch(scope, await_gate, arg);
}

KIN_SUSPENDS static int wait_in(kin_scope *scope, struct contest *c)
{
    (void)scope;
    switch (c->wait) {
    case AWAIT:
        return kin_await(c->gate, NULL);
    case AWAIT_ALL:
        return kin_await_all((kin_deferred *[]){ c->gate, c->gate }, 2, NULL);
    case JOIN:
        return kin_join(c->behind_gate);
    case SUSPEND:
        return kin_suspend_cancellable(keep_call, c);
    case DELAY:
        return kin_delay(KIN_MS(1));
    case TIMEOUT:
        return kin_with_timeout(KIN_MS(1), await_gate, c);
    default:
        return kin_coroutine_scope(launch_await_gate, c);
    }
}

BODY(wait_once)
{
    struct contest *c = arg;

    CHECK_EQ(c->result, NEVER_RAN);
    c->result = wait_in(scope, c);
    /* Else it would have been told; but a block that has ended, and need not
     * wait any more, no longer looks. */
    if (c->result == 0 && c->wait < TIMEOUT)
        CHECK(kin_is_active());
    return c->result;
}

/* --- Those that race ----------------------------------------------------- */

static void open_it(struct contest *c)
{
    c->is_open = true;
    kin_deferred_complete(c->gate, NULL);
    if (c->is_kept)
        resume_call(c);
}

BODY(open_now)
{
    open_it(arg);
    return 0;
}

BODY(cancel_now)
{
    kin_job_cancel(((struct contest *)arg)->job, NULL);
    return 0;
}

BODY(open_later)
{
    MUST(kin_delay(KIN_MS(1)));
    return open_now(scope, arg);
}

BODY(cancel_later)
{
    MUST(kin_delay(KIN_MS(1)));
    return cancel_now(scope, arg);
}

/* --- A contest ----------------------------------------------------------- */

static void begin(kin_scope *scope, struct contest *c)
{
    c->result = NEVER_RAN;
    c->gate = new_deferred(NULL);
    c->behind_gate = LAUNCH(scope, await_gate, c);
    c->job = LAUNCH(scope, wait_once, c);
    if (c->racers & OPEN)
        kin_launch(scope, open_now, c);
    if (c->racers & CANCEL)
        kin_launch(scope, cancel_now, c);
    if (c->racers & OPEN_LATER)
        kin_launch(scope, open_later, c);
    if (c->racers & CANCEL_LATER)
        kin_launch(scope, cancel_later, c);
}

/* What it has waited for has come, or it was cancelled. */
static bool must_be_over(const struct contest *c)
{
    return c->racers || c->wait == DELAY || c->wait == TIMEOUT;
}

static void check(struct contest *c)
{
    bool opens = c->racers & (OPEN | OPEN_LATER);
    bool cancels = c->racers & (CANCEL | CANCEL_LATER);

    CHECK_EQ(kin_job_is_completed(c->job), must_be_over(c));
    if (!must_be_over(c))
        return;
    if (c->result == NEVER_RAN || c->result == KIN_ECANCELED)
        CHECK(cancels);
    else if (c->result == KIN_ETIMEDOUT)
        CHECK_EQ(c->wait, TIMEOUT);
    else
        CHECK_EQ(c->result, 0);
    if (c->result == 0)
        CHECK(opens || c->wait == DELAY);
    if (c->result)
        CHECK_FLAGS(c->job, "011");
    if (c->is_kept)
        CHECK_EQ(c->taken, c->handed_back + (c->result == 0));
}

KIN_SUSPENDS static void end(struct contest *c)
{
    if (!c->is_open)
        open_it(c);
    MUST(kin_join(c->job));
    MUST(kin_join(c->behind_gate));
    MUST(kin_delay(KIN_MS(10)));            /* those that race are gone */
    kin_job_release(c->job);
    kin_job_release(c->behind_gate);
    kin_deferred_release(c->gate);
}

/* One after the other: the fewer there are, the likelier is each order. */
BODY(hold_contests)
{
    for (int wait = 0; wait < WAITS; wait++)
        for (int racers = 0; racers < RACERS; racers++) {
            struct contest c = { .wait = (enum wait)wait, .racers = racers };

            begin(scope, &c);
            MUST(kin_delay(KIN_MS(10)));
            check(&c);
            end(&c);
        }
    return 0;
}

BODY(supervise)
{
    return kin_supervisor_scope(hold_contests, NULL);
}

/* That of queueing; or, with --seeds, one that is drawn. */
TEST(a_wait_ends_once_and_for_a_reason_in_one_order)
{
    CHECK_EQ(run_on_clock(supervise, NULL), 0);
}

TEST(a_wait_ends_once_and_for_a_reason_in_every_order)
{
    unsetenv("KIN_SEED");
    for (long long seed = 1; seed <= SEEDS / check_slow(1); seed++)
        CHECK_EQ(kin_run_test(supervise, NULL, .seed = (uint64_t)seed), 0);
}

TEST_MAIN
