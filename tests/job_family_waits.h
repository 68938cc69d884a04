/* job_family_waits.h -- continuations: who suspends, and who resumes them, with
 * a value, a number or an error, in time, too late or twice.
 *
 * Part of job_family_fuzz.c. */
#ifndef KIN_TESTS_JOB_FAMILY_WAITS_H
#define KIN_TESTS_JOB_FAMILY_WAITS_H

#include "tests/job_family_nodes.h"

enum { WAITS = 32, NUMBER = 7 };

/* How one suspends. */
enum { DEAF = 1, AT_ONCE = 2, NOT_STARTED = 4, WATCHED = 8 };

/* A call that is suspended, or was. */
struct waiting {
    kin_continuation continuation;
    struct node *node;
    unsigned how;
    bool over, cancelled, resumed;
    bool with_value;                    /* resumed with one: the books       */
    int code;                           /* resumed with that; 0: a value     */
    int received, undelivered, watched;
};

static struct {
    struct waiting wait[WAITS];
    int count;
} waits;

static struct waiting *any_wait(void)
{
    return waits.count ? &waits.wait[next_byte() % (unsigned)waits.count]
                       : NULL;
}

/* --- Resuming ------------------------------------------------------------- */

static void value_of_wait_lost(void *value, kin_error *cause)
{
    struct waiting *wait = value;

    HOLDS(cause != NULL);
    wait->undelivered++;
}

static bool is_open(struct waiting *wait)
{
    if (!model.strict)
        return kin_continuation_is_active(wait->continuation);
    return !wait->over && !wait->resumed && !wait->cancelled
        && (wait->how & DEAF || !is_cancelled(wait->node));
}

static int resume_with_error(kin_continuation continuation, int code)
{
    kin_error *error = kin_error_new("", code, NULL, "resumed");
    int err = kin_resume_with_error(continuation, error);

    kin_error_release(error);
    return err;
}

/* It is open: this is what it gets. */
static void resume_open(struct waiting *wait, unsigned how)
{
    wait->resumed = true;
    if (how % 4 < 2) {
        wait->with_value = true;
        HOLDS(kin_resume_or(wait->continuation, value_of_wait_lost, wait) == 0);
    } else if (how % 4 == 2) {
        wait->code = failure_of(wait->node);
        HOLDS(resume_with_error(wait->continuation, wait->code) == 0);
    } else {
        wait->code = NUMBER;
        HOLDS(kin_resume(wait->continuation, NUMBER) == 0);
    }
}

/* It is not: nothing comes of it. */
static void resume_closed(struct waiting *wait, unsigned how)
{
    struct waiting lost = { .undelivered = 0 };
    int code;

    if (how % 4 < 2) {
        code = kin_resume_or(wait->continuation, value_of_wait_lost, &lost);
        HOLDS(lost.undelivered == (code == KIN_ESTALE));
    } else if (how % 4 == 2) {
        code = resume_with_error(wait->continuation, failure_of(wait->node));
    } else {
        code = kin_resume(wait->continuation, NUMBER);
    }
    HOLDS(code == KIN_ESTALE || code == KIN_EALREADY);
}

static void resume(struct waiting *wait)
{
    unsigned how = wide_byte();
    bool open;

    if (!wait->continuation.fiber)
        return;                         /* it is being started just now */
    open = is_open(wait);
    HOLDS(open == kin_continuation_is_active(wait->continuation));
    if (open)
        resume_open(wait, how);
    else
        resume_closed(wait, how);
}

static void cancel_wait(struct waiting *wait)
{
    bool open;

    if (!wait->continuation.fiber)
        return;
    open = is_open(wait) && !(wait->how & DEAF);
    wait->cancelled |= open;
    HOLDS(kin_continuation_cancel(wait->continuation, NULL) == open);
}

/* --- Suspending ----------------------------------------------------------- */

static void wait_is_cancelled(kin_error *cause, void *arg)
{
    struct waiting *wait = arg;

    HOLDS(cause && kin_error_is_cancellation(cause));
    HOLDS(wait->watched++ == 0);
}

static int begin_wait(kin_continuation continuation, void *arg)
{
    struct waiting *wait = arg;
    int err;

    wait->continuation = continuation;
    if (wait->how & WATCHED) {
        err = kin_continuation_on_cancel(continuation, wait_is_cancelled, wait);
        HOLDS(err == (wait->how & DEAF ? KIN_ENOTSUP : 0));
    }
    if (wait->how & AT_ONCE)
        resume(wait);
    return wait->how & NOT_STARTED ? failure_of(wait->node) : 0;
}

/* What the call returned, and what it says of the wait. */
static void check_wait(struct waiting *wait, int code)
{
    bool cancelled = wait->cancelled
                  || (!(wait->how & DEAF) && is_cancelled(wait->node));

    HOLDS(!wait->watched || wait->how & WATCHED);
    if (wait->how & NOT_STARTED) {
        HOLDS(code == failure_of(wait->node));
        return;
    }
    HOLDS(!wait->watched || code == KIN_ECANCELED || is_failure(code));
    if (code == KIN_ECANCELED) {
        HOLDS(cancelled && (!wait->resumed || !is_failure(wait->code)));
        HOLDS(wait->watched == (wait->how & WATCHED ? 1 : 0)
              || wait->how & DEAF);
        return;
    }
    HOLDS(wait->resumed && !wait->cancelled && code == wait->code);
    HOLDS(is_failure(code) || !cancelled);
    wait->received += wait->with_value;
}

KIN_SUSPENDS
static int suspend(struct body *body)
{
    struct waiting *wait = &waits.wait[waits.count];
    int code;

    if (waits.count == WAITS)
        return 0;
    waits.count++;
    *wait = (struct waiting){ .node = body->node };
    wait->how = wide_byte() % 16;
    code = wait->how & DEAF ? kin_suspend(begin_wait, wait)
                            : kin_suspend_cancellable(begin_wait, wait);
    wait->over = true;
    check_wait(wait, code);
    return code;
}

static void check_waits(void)
{
    for (int i = 0; i < waits.count; i++)
        HOLDS(waits.wait[i].over
              && waits.wait[i].received + waits.wait[i].undelivered
                     == waits.wait[i].with_value);
}

#endif
