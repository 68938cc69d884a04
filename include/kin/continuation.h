/* kin/continuation.h -- a suspended fiber, as the thing that resumes it.
 *
 * Makes a suspending call out of a callback API:
 *
 *     static int start_call(kin_continuation continuation, void *arg)
 *     {
 *         struct call *call = arg;
 *         call->continuation = continuation;
 *         return http_start(call->url, on_answer, call);   // < 0: fails
 *     }
 *     static void on_answer(int status, void *arg)         // on any thread
 *     {
 *         struct call *call = arg;
 *         kin_resume(call->continuation, status);
 *     }
 *     ...
 *     int status = kin_suspend_cancellable(start_call, &call);
 *
 * A continuation is a value with a generation: it may be copied, kept, and
 * resumed late or twice, from any thread; only the first resume in time counts
 * and the others are told so.  It never dangles.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect:
 *     KIN_ESTALE   too late: it was cancelled, or is over,
 *     KIN_EALREADY it has been resumed before.
 *
 * Layer: job. */
#ifndef KIN_CONTINUATION_H
#define KIN_CONTINUATION_H

#include <kin/analyze.h>
#include <kin/job.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kin_continuation {
    void *fiber;                    /* private                               */
    uint64_t generation;            /* private                               */
} kin_continuation;

/* Starts the operation; runs on the fiber, before it parks; must not suspend.
 * A negative code: it did not start, the call returns that. */
typedef int kin_suspend_fn(kin_continuation continuation, void *arg);

/* Parks the fiber until the continuation is resumed; returns the result given
 * then.  Resumed inside start already: returns at once, without a switch.
 *
 * Thread:    fiber.
 * Suspends:  unless resumed inside start.
 * Cancelled: KIN_ECANCELED, also when it was resumed with a value but has not
 *            run since (prompt cancellation); start is always called.  An
 *            error it was resumed with is delivered all the same.
 * Errors:    start's, the resumer's; KIN_ENOFIBER. */
int kin_suspend_cancellable(kin_suspend_fn *start, void *arg) KIN_SUSPENDS;

/* The same, but deaf to cancellation: only a resume (or start) ends it. */
int kin_suspend(kin_suspend_fn *start, void *arg) KIN_SUSPENDS;

/* Resumes with a result: a value >= 0, or a negative code. */
int kin_resume(kin_continuation continuation, int result);

/* Resumes with a value that must not be lost: if it cannot be delivered,
 * because the call is or gets cancelled, on_undelivered(value, cause) is called
 * once, here or by the fiber.  (The call's own result is 0.) */
int kin_resume_or(kin_continuation continuation,
                  void (*on_undelivered)(void *value, kin_error *cause),
                  void *value);

/* Resumes with an error; its code is the result. */
int kin_resume_with_error(kin_continuation continuation, kin_error *error);

/* Has fn(cause, arg) called when the call is cancelled, on the thread that
 * cancels; at once if it is.  To be told to stop, and to stop.  fn must not
 * suspend.  One per call.  A call that was resumed and is not over yet keeps
 * it, for the value may get lost still: if the job is cancelled before the
 * fiber goes on.
 *
 * Errors: KIN_EALREADY: there is one; KIN_ESTALE: the call is over;
 *         KIN_ENOTSUP inside kin_suspend. */
int kin_continuation_on_cancel(kin_continuation continuation,
                               void (*fn)(kin_error *cause, void *arg),
                               void *arg);

/* Cancels this call only, not the job: it returns KIN_ECANCELED (with cause,
 * which may be NULL).  1 if this call did it, 0 if it was too late. */
int kin_continuation_cancel(kin_continuation continuation, kin_error *cause);

bool kin_continuation_is_active(kin_continuation continuation);
bool kin_continuation_is_completed(kin_continuation continuation);
bool kin_continuation_is_cancelled(kin_continuation continuation);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_CONTINUATION_H */
