/* continuation.c -- suspending until somebody resumes. */
#include "kin/continuation.h"

#include "core/check.h"
#include "core/error.h"
#include "core/wait.h"
#include "job/coroutine.h"

/* The call was resumed with a value that will not be delivered: tells those who
 * care, in the order of the specification: the canceller's callback first. */
static void value_lost(struct kin__wait *wait, kin_error *cause)
{
    kin__no_suspend_begin();
    if (wait->on_cancel)
        wait->on_cancel(cause, wait->on_cancel_arg);
    if (wait->on_undelivered)
        wait->on_undelivered(wait->value, cause);
    kin__no_suspend_end();
}

/* What the call returns, from how the wait ended. */
static int delivered(struct kin__coroutine *co, struct kin__wait *wait)
{
    int err;

    if (wait->outcome == KIN__WAIT_CANCELLED)
        return kin__fail_with(wait->error, KIN_ECANCELED);
    if (wait->error)
        return kin__fail_with(wait->error, kin_error_code(wait->error));
    if (wait->result < 0 || !wait->owner)
        return wait->result;
    err = kin__check_cancelled(co);     /* prompt cancellation */
    if (err)
        value_lost(wait, kin_error_current());
    return err ? err : wait->result;
}

/* Start has failed, after a resume with a value: nobody will get that. */
static void lost_at_start(struct kin__wait *wait, int err)
{
    kin_error *cause = kin__error_of_result(err);

    kin__no_suspend_begin();
    wait->on_undelivered(wait->value, cause);
    kin__no_suspend_end();
    kin__fail_with(cause, err);
}

/* There was no stack to go to: whoever was started is told to stop. */
static int not_parked(struct kin__wait *wait, int err)
{
    kin_error *cause = kin_error_new("", err, NULL, "no stack to go on with");

    kin__no_suspend_begin();
    if (wait->on_cancel)
        wait->on_cancel(cause, wait->on_cancel_arg);
    kin__no_suspend_end();
    kin_error_release(cause);
    kin_error_release(wait->error);
    return err;
}

struct start {
    kin_suspend_fn *fn;
    kin_continuation continuation;
    void *arg;
};

static int call_start(void *start, void *unused)
{
    struct start *of = start;

    (void)unused;
    return of->fn(of->continuation, of->arg);
}

KIN_SUSPENDS
static int suspend(struct kin__coroutine *co, kin_suspend_fn *start, void *arg,
                   struct kin_job *owner)
{
    struct kin__thread *thread = kin__thread();
    struct kin__wait wait;
    int err;

    kin__wait_begin_in(&wait, co, owner);
    wait.shared = true;
    wait.what = owner ? "suspend_cancellable" : "suspend";
    thread->no_suspend++;
    err = KIN__CALL_GUARDED("the start of a suspension", call_start,
                            (&(struct start){
                                start, { wait.runnable, wait.generation }, arg
                            }), NULL);
    thread->no_suspend--;               /* it could not go to another one */
    if (err < 0) {
        kin__wait_end(&wait);
        if (wait.outcome == KIN__WAIT_RESUMED && wait.on_undelivered)
            lost_at_start(&wait, err);
        kin_error_release(wait.error);
        return err;
    }
    err = kin__wait_park(&wait);
    if (err)
        return not_parked(&wait, err);
    return delivered(co, &wait);
}

int kin_suspend_cancellable(kin_suspend_fn *start, void *arg)
{
    struct kin__coroutine *co;
    int err = 0;

    if (!start)
        return kin__misuse(KIN_EINVAL, "kin_suspend_cancellable",
                           "start is NULL");
    co = kin__suspending("kin_suspend_cancellable", &err);
    return co ? suspend(co, start, arg, co->current->job) : err;
}

int kin_suspend(kin_suspend_fn *start, void *arg)
{
    struct kin__coroutine *co;
    int err = 0;

    if (!start)
        return kin__misuse(KIN_EINVAL, "kin_suspend", "start is NULL");
    co = kin__suspending("kin_suspend", &err);
    return co ? suspend(co, start, arg, NULL) : err;
}

/* --- From outside --------------------------------------------------------- */

static bool is_empty(kin_continuation continuation, const char *function)
{
    if (continuation.fiber)
        return false;
    kin__misuse(KIN_EINVAL, function, "the continuation is empty");
    return true;
}

int kin_resume(kin_continuation continuation, int result)
{
    if (is_empty(continuation, "kin_resume"))
        return KIN_EINVAL;
    return kin__wait_wake(continuation.fiber, continuation.generation, result,
                          NULL);
}

int kin_resume_or(kin_continuation continuation,
                  void (*on_undelivered)(void *value, kin_error *cause),
                  void *value)
{
    kin_error *cause;
    int err;

    if (is_empty(continuation, "kin_resume_or"))
        return KIN_EINVAL;
    err = kin__wait_wake_value(continuation.fiber, continuation.generation,
                               on_undelivered, value, &cause);
    if (err == KIN_ESTALE && on_undelivered) {
        if (!cause)
            cause = kin_error_new("", KIN_ECANCELED, NULL, "the call is over");
        kin__no_suspend_begin();
        on_undelivered(value, cause);
        kin__no_suspend_end();
    }
    kin_error_release(cause);
    return err;
}

int kin_resume_with_error(kin_continuation continuation, kin_error *error)
{
    if (is_empty(continuation, "kin_resume_with_error"))
        return KIN_EINVAL;
    if (!error)
        return kin__misuse(KIN_EINVAL, "kin_resume_with_error",
                           "error is NULL");
    return kin__wait_wake(continuation.fiber, continuation.generation,
                          kin_error_code(error), kin_error_retain(error));
}

int kin_continuation_on_cancel(kin_continuation continuation,
                               void (*fn)(kin_error *cause, void *arg),
                               void *arg)
{
    if (is_empty(continuation, "kin_continuation_on_cancel"))
        return KIN_EINVAL;
    if (!fn)
        return kin__misuse(KIN_EINVAL, "kin_continuation_on_cancel",
                           "fn is NULL");
    return kin__wait_on_cancel(continuation.fiber, continuation.generation, fn,
                               arg);
}

int kin_continuation_cancel(kin_continuation continuation, kin_error *cause)
{
    kin_error *cancellation;
    bool done;

    if (is_empty(continuation, "kin_continuation_cancel"))
        return KIN_EINVAL;
    cancellation = cause && kin_error_is_cancellation(cause)
        ? kin_error_retain(cause)
        : kin__error_make(KIN_ERROR_CANCELLATION, KIN_ECANCELED, NULL, cause,
                          "", "the continuation was cancelled");
    done = kin__wait_cancel(continuation.fiber, continuation.generation,
                            cancellation);
    kin_error_release(cancellation);
    return done;
}

static enum kin__wait_state state_of(kin_continuation continuation)
{
    if (!continuation.fiber)
        return KIN__WAIT_IDLE;
    return kin__wait_state(continuation.fiber, continuation.generation);
}

bool kin_continuation_is_active(kin_continuation continuation)
{
    enum kin__wait_state state = state_of(continuation);

    return state == KIN__WAIT_UNDECIDED || state == KIN__WAIT_PARKED;
}

bool kin_continuation_is_completed(kin_continuation continuation)
{
    return !kin_continuation_is_active(continuation);
}

bool kin_continuation_is_cancelled(kin_continuation continuation)
{
    return state_of(continuation) == KIN__WAIT_CANCELLED;
}
