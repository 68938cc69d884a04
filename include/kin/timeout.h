/* kin/timeout.h -- delays and timeouts.
 *
 * Times run on the clock of the fiber's dispatcher.  Durations are nanoseconds
 * (KIN_MS(5)); x_until takes a deadline of kin_now's clock, KIN_NEVER means
 * never.
 *
 * All of these must be called on a fiber; elsewhere they are KIN_ENOFIBER.
 *
 * Layer: job. */
#ifndef KIN_TIMEOUT_H
#define KIN_TIMEOUT_H

#include <kin/analyze.h>
#include <kin/scope.h>
#include <kin/time.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Parks for at least that long.  0 or less returns at once, without a look at
 * cancellation.
 *
 * Suspends:  for a duration above 0.
 * Cancelled: KIN_ECANCELED.
 * Errors:    KIN_ENOMEM. */
int kin_delay(int64_t duration) KIN_SUSPENDS;
int kin_delay_until(int64_t deadline) KIN_SUSPENDS;

/* Runs body(scope, arg) on the calling fiber, as kin_coroutine_scope does; when
 * the time is over first, cancels it and its children, waits for them, and
 * returns KIN_ETIMEDOUT.  A body that never parks is not interrupted, and its
 * result stands.  0 or less: KIN_ETIMEDOUT, body does not run.
 *
 * KIN_ETIMEDOUT that came from here (not one returned by hand) and leaves a
 * launched body unhandled ends its job as cancelled, not as failed.
 *
 * Cancelled: as kin_coroutine_scope; if that came first, KIN_ECANCELED.
 * Errors:    body's, a failed child's; a failure after expiry wins over
 *            KIN_ETIMEDOUT; KIN_ENOMEM. */
int kin_with_timeout(int64_t duration, kin_body *body, void *arg) KIN_SUSPENDS;
int kin_with_timeout_until(int64_t deadline, kin_body *body, void *arg)
    KIN_SUSPENDS;

/* As kin_with_timeout, but its own expiry is not an error: returns 0 with
 * *expired set.  The expiry of an inner or outer timeout passes through. */
int kin_with_timeout_or_null(int64_t duration, kin_body *body, void *arg,
                             bool *expired) KIN_SUSPENDS;

/* KIN_WITH_TIMEOUT(err, KIN_MS(300)) { ... }  (GNU C; see kin/scope.h)
 * err is KIN_ETIMEDOUT if the time was over before the block's end and the
 * block, or a child, was cancelled by it. */
#define KIN_WITH_TIMEOUT(err, duration) \
    KIN__BLOCK(kin__block_timeout(&(err), (duration)))

/* The same, with the block's scope by name, to launch children in. */
#define KIN_TIMEOUT_SCOPE(err, scope, duration) \
    KIN__SCOPE_BLOCK(err, scope, kin__block_timeout(&(err), (duration)))

kin__block kin__block_timeout(int *outcome, int64_t duration) KIN_SUSPENDS;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_TIMEOUT_H */
