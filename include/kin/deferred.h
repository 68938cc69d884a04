/* kin/deferred.h -- a job with a value.
 *
 * The value is one pointer-sized word.  A body gives it with kin_return, an
 * owner by hand with kin_deferred_complete; kin_await copies it out, as often
 * as asked.
 *
 * Defaults as in kin/job.h.
 *
 * Layer: job. */
#ifndef KIN_DEFERRED_H
#define KIN_DEFERRED_H

#include <kin/analyze.h>
#include <kin/job.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kin_deferred kin_deferred;
typedef struct kin_scope kin_scope;

/* Its job, borrowed as long as the deferred is held. */
kin_job *kin_deferred_job(kin_deferred *deferred);

kin_deferred *kin_deferred_retain(kin_deferred *deferred);
void kin_deferred_release(kin_deferred *deferred);
KIN__AUTO_RELEASE(kin_deferred)

/* For a body launched by kin_async: sets the value; returns 0, so that
 *     return kin_return(scope, user);
 * Errors: KIN_ENOTSUP if scope is not that of an async body. */
int kin_return(kin_scope *scope, void *value);

/* Waits for the value and copies it to *value: `value` points to a
 * pointer-sized object.  NULL waits only: the value is not received by that.
 * Starts a lazy one.
 *
 * Thread:    fiber.
 * Suspends:  unless it is final.
 * Cancelled: KIN_ECANCELED while it waits; a final one is read without a look
 *            at the caller.  If the caller is cancelled because this deferred
 *            failed, the deferred's failure.
 * Errors:    the deferred's own; KIN_ENOFIBER; KIN_EDEADLK for the caller's. */
int kin_await(kin_deferred *deferred, void *value) KIN_SUSPENDS;

/* Waits for all, starting the lazy ones; fails with the first failure in time,
 * and cancels nothing.  values has room for count words, or is NULL. */
int kin_await_all(kin_deferred *const *deferreds, size_t count, void **values)
    KIN_SUSPENDS;

/* The value, without waiting.  Any thread.
 * Errors: KIN_EBUSY while it is not final; else the deferred's own, which may
 *         be any code: kin_job_is_completed tells the two apart. */
int kin_deferred_get(kin_deferred *deferred, void *value);

/* The error it ended with: *error is NULL for success, else the caller's to
 * release.  Errors: KIN_EBUSY while it is not final. */
int kin_deferred_error(kin_deferred *deferred, kin_error **error);

/* One without a body, to be completed by hand; parent may be NULL.  Its
 * failure is never reported to a handler: it is kept for kin_await.
 * on_undelivered (which may be NULL) is called with the value, unless that is
 * NULL, when the last handle is released and nobody ever received it; it must
 * not suspend.
 * Owns: *deferred is the caller's to release.  Errors: KIN_ENOMEM. */
int kin_deferred_new(kin_job *parent, void (*on_undelivered)(void *value),
                     kin_deferred **deferred) KIN__MUST_CHECK;

/* 1 for the call that completes it, 0 if it was before: then the value is
 * still the caller's.
 * Errors: KIN_ENOTSUP for one with a body; KIN_EHANDLER: it is completed, with
 *         the value, and a callback failed; see kin_job_complete. */
int kin_deferred_complete(kin_deferred *deferred, void *value);
int kin_deferred_fail(kin_deferred *deferred, kin_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_DEFERRED_H */
