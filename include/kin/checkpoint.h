/* kin/checkpoint.h -- where a running fiber notices cancellation.
 *
 * Cancellation is a request.  A parked fiber is woken by it; one that computes
 * notices when it asks, here.
 *
 * All of these are for fibers; elsewhere they are KIN_ENOFIBER, unless said.
 *
 * Layer: job. */
#ifndef KIN_CHECKPOINT_H
#define KIN_CHECKPOINT_H

#include <kin/analyze.h>
#include <kin/error.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Lets the others run: to the back of the queue.
 *
 * Suspends:  unless there is nothing else to run.
 * Cancelled: KIN_ECANCELED: without giving way if it is before, and also if it
 *            happens meanwhile. */
int kin_yield(void) KIN_SUSPENDS;

/* 0, or KIN_ECANCELED (made the current error) if the job is not active.  Like
 * kin_is_active it notices a timeout around the caller that is over, and then
 * cancels, which runs callbacks: not to be asked with a lock held that they
 * take. */
int kin_ensure_active(void);

/* False once the fiber's innermost job is cancelled; true off a fiber. */
bool kin_is_active(void);

/* Parks until cancelled; always returns KIN_ECANCELED.  Suspends: always. */
int kin_await_cancellation(void) KIN_SUSPENDS;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_CHECKPOINT_H */
