/* kin/job.h -- the lifetime of a computation, with a parent and children.
 *
 *                                         wait for children
 *     New --start--> Active --body ends--> Completing --------> Completed
 *      |               |                      |
 *      |            cancel, failure        cancel, failure of a child
 *      |               v                      |
 *      |           Cancelling <---------------+
 *      +--cancel--+    | body and children ended
 *                 v    v
 *               Cancelled
 *
 *   state        is_active  is_completed  is_cancelled
 *   New          no         no            no
 *   Active       yes        no            no
 *   Completing   yes        no            no      (body done, children not)
 *   Cancelling   no         no            yes
 *   Cancelled    no         yes           yes
 *   Completed    no         yes           no
 *
 * A job becomes final only after its body and all its children, recursively,
 * are final.  Cancelling a job cancels its children; the failure of a child
 * cancels its parent, unless that is a supervisor.  A child that was cancelled
 * has not failed.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - borrows its pointers, for the duration of the call only;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect;
 *   - takes NULL for a job as misuse: reported, KIN_EINVAL (or false).
 *
 * Layer: job. */
#ifndef KIN_JOB_H
#define KIN_JOB_H

#include <kin/analyze.h>
#include <kin/context.h>
#include <kin/error.h>
#include <kin/time.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* --- Making one by hand --------------------------------------------------- */

/* A job without a body, active until kin_job_complete (or _fail, _cancel); it
 * then still waits for its children.  parent may be NULL.
 *
 * Owns:   *job is the caller's to release; releasing it does not end it.  One
 *         that has a parent keeps it waiting: complete or cancel it first.
 * Errors: KIN_ENOMEM.  Under a cancelled parent it is born cancelled. */
int kin_job_new(kin_job *parent, kin_job **job) KIN__MUST_CHECK;

/* As kin_job_new, but its children fail alone. */
int kin_supervisor_new(kin_job *parent, kin_job **job) KIN__MUST_CHECK;

/* 1 for the call that completes it, 0 if it was completed or cancelled before.
 * Errors: KIN_ENOTSUP for a job with a body; KIN_EHANDLER: it is completed, and
 *         of its callbacks, which ran inside this call, one failed. */
int kin_job_complete(kin_job *job);

/* Completes it as failed with error, whose reference is not taken.  Returns
 * and errors as kin_job_complete.  Never calls a failure handler. */
int kin_job_fail(kin_job *job, kin_error *error);

/* Always active, never cancelled, has no children: for kin_with_context
 * around cleanup that must run in a cancelled fiber.  Immortal. */
kin_job *kin_non_cancellable(void);

kin_job *kin_job_retain(kin_job *job);      /* NULL is fine; returns job      */
void kin_job_release(kin_job *job);         /* NULL is fine                   */
KIN__AUTO_RELEASE(kin_job)

/* --- Asking --------------------------------------------------------------- */

typedef enum kin_job_state {
    KIN_JOB_NEW, KIN_JOB_ACTIVE, KIN_JOB_COMPLETING, KIN_JOB_CANCELLING,
    KIN_JOB_CANCELLED, KIN_JOB_COMPLETED
} kin_job_state;

kin_job_state kin_job_state_of(const kin_job *job);
bool kin_job_is_active(const kin_job *job);
bool kin_job_is_completed(const kin_job *job);
bool kin_job_is_cancelled(const kin_job *job);

/* Its name, or that of what launched it; borrowed, never NULL. */
const char *kin_job_name(const kin_job *job);

/* Why it is cancelled: the error it was cancelled with, or a cancellation with
 * its failure as cause; for a completed one a cancellation that says so.
 *
 * Owns:   *cause is the caller's to release.
 * Errors: KIN_EBUSY while it is active. */
int kin_job_cancellation(kin_job *job, kin_error **cause) KIN__MUST_CHECK;

/* The parent, from creation until the job is final; then, and for a root, NULL.
 * Owns: *parent is the caller's to release. */
int kin_job_parent(kin_job *job, kin_job **parent);

/* Up to `room` of the attached children that are not final, in the order they
 * were attached; returns how many there are.
 * Owns: those stored are the caller's to release. */
size_t kin_job_children(kin_job *job, kin_job **children, size_t room);

/* --- Acting --------------------------------------------------------------- */

/* New -> Active: 1 for the call that does it, else 0. */
int kin_job_start(kin_job *job);

/* Asks job and its descendants to stop, with cause (NULL: a plain
 * cancellation; a cause that is no cancellation is wrapped in one).  All that
 * can be reached (children, parked calls, cancelling callbacks) has been told
 * when it returns; it does not wait for any to end.  Twice, or too late, is
 * fine: the first cause stays.
 * Complexity: O(descendants); no recursion. */
void kin_job_cancel(kin_job *job, kin_error *cause);

/* Likewise each child, but not job itself, which may launch new ones. */
void kin_job_cancel_children(kin_job *job, kin_error *cause);

/* Waits until job is final; starts it if it is New.  How it ended does not
 * matter, and the job is not affected if the wait is cancelled.
 *
 * Thread:    fiber.
 * Suspends:  unless the job is final (checkpoint all the same).
 * Cancelled: KIN_ECANCELED, even if the job is already final.
 * Errors:    KIN_ENOFIBER; KIN_EDEADLK for the caller's own job or an ancestor
 *            of it (unless the caller is cancelled). */
int kin_join(kin_job *job) KIN_SUSPENDS;

/* kin_join of each in turn. */
int kin_join_all(kin_job *const *jobs, size_t count) KIN_SUSPENDS;

/* kin_job_cancel, then kin_join. */
int kin_cancel_and_join(kin_job *job) KIN_SUSPENDS;

/* --- Being told ----------------------------------------------------------- */

/* cause is NULL for success.  Runs on the thread that completes (or cancels)
 * the job, or inside the registering call; must not suspend, should be quick.
 * Returns 0, or a negative code if it failed.  That changes nothing for the
 * job and the other callbacks: when all have run, the first such failure, with
 * the later ones suppressed, is the cause of one KIN_EHANDLER error, which goes
 * to the job's failure handler, else to the default report; or, of a job by
 * hand, is what the call returns that completed it. */
typedef int kin_completion_fn(kin_job *job, kin_error *cause, void *arg);

typedef struct kin_registration kin_registration;

#define KIN_ON_CANCELLING   1   /* at the Cancelling transition already; at
                                   completion, with NULL, if never cancelled */
#define KIN_NOT_IMMEDIATELY 2   /* if it is too late, do not call at all      */

/* Has fn(job, cause, arg) called once, when job is final; at once if it is.
 * Callbacks of one job run in the order of their registration.
 *
 * Owns:   *registration, if asked for, is the caller's to dispose of.
 * Errors: KIN_EINVAL, KIN_ENOMEM; what a callback that ran at once returned is
 *         not among them. */
int kin_invoke_on_completion(kin_job *job, kin_completion_fn *fn, void *arg,
                             int flags, kin_registration **registration);

/* Withdraws it, and frees the handle.  Harmless during and after the call.
 * When it returns the callback does not run any more, unless it is the one
 * that calls this.  NULL is fine. */
void kin_registration_dispose(kin_registration *registration);

/* --- The running fiber's -------------------------------------------------- */

/* The innermost job of the running fiber, borrowed; NULL off a fiber. */
kin_job *kin_current_job(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_JOB_H */
