/* dispatch/dispatcher_more.h -- what kin's own dispatchers can beyond the
 * public table of functions.
 *
 * A dispatcher may embed one of its own: `parallelism` differs from view to
 * view.  Foreign dispatchers have none (dispatcher->more == NULL). */
#ifndef KIN_DISPATCH_DISPATCHER_MORE_H
#define KIN_DISPATCH_DISPATCHER_MORE_H

#include "kin/dispatcher.h"

struct kin__dispatcher_more {
    /* Makes a view for n >= 1 slices at once, or retains self; it decides
     * alone.  NULL: self, retained, if 0 < parallelism <= n; else
     * kin__limited_new(). */
    int (*limited)(kin_dispatcher *self, int n, const char *name,
                   kin_dispatcher **view);

    /* kin_dispatcher_close.  NULL: cannot be closed. */
    int (*close)(kin_dispatcher *self);

    int parallelism;            /* slices at once, at most; 0: not known     */
    bool immortal;              /* retain and release do nothing             */
    bool stays;                 /* its dispatch needs no reference to it     */
};

static inline bool
kin__dispatcher_is_immortal(const kin_dispatcher *dispatcher)
{
    return dispatcher->more && dispatcher->more->immortal;
}

/* dispatch, with the dispatcher held: what it has taken may run and end before
 * it returns, and with that the last reference be gone.  The task is the
 * caller's until then, and its context holds the dispatcher. */
static inline int kin__dispatch(kin_dispatcher *dispatcher, kin_task *task)
{
    int err;

    if (dispatcher->more
        && (dispatcher->more->immortal || dispatcher->more->stays))
        return dispatcher->ops->dispatch(dispatcher, task);
    kin_dispatcher_retain(dispatcher);
    err = dispatcher->ops->dispatch(dispatcher, task);
    kin_dispatcher_release(dispatcher);
    return err;
}

/* A view of any dispatcher (dispatch/limited.c): a worker of the view is a
 * task on base that runs what is queued, up to 16 slices in place, then goes
 * to the tail of base.  *view is the caller's; it retains base.
 * Errors: KIN_ENOMEM. */
int kin__limited_new(kin_dispatcher *base, int n, const char *name,
                     kin_dispatcher **view);

#endif /* KIN_DISPATCH_DISPATCHER_MORE_H */
