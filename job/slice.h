/* job/slice.h -- thread-context elements: what a fiber wears while it runs.
 *
 * The elements of the innermost scope's context are installed on the thread
 * before each slice of the fiber, and taken away after it, also around whatever
 * runs in place inside a slice of it: so no other fiber sees them, and the
 * thread gets back what it had. */
#ifndef KIN_JOB_SLICE_H
#define KIN_JOB_SLICE_H

#include "job/coroutine.h"

/* Room to remember what the elements of scope's context replace.  KIN_ENOMEM.
 * A context without such elements needs none. */
int kin__slice_prepare(struct kin_scope *scope);
void kin__slice_free(struct kin_scope *scope);

/* Takes off, or puts on, what the innermost scope of the running fiber says:
 * around a change of that scope, at the beginning and at the end of a body. */
void kin__slice_off_all(struct kin__coroutine *co);
void kin__slice_on_all(struct kin__coroutine *co);

static inline void kin__slice_off(struct kin__coroutine *co)
{
    if (KIN__UNLIKELY(co->runnable.dressed & KIN__WEARS_ELEMENTS))
        kin__slice_off_all(co);
}

static inline void kin__slice_on(struct kin__coroutine *co)
{
    if (KIN__UNLIKELY(co->current->worn))
        kin__slice_on_all(co);
}

/* The same for a slice that ends or begins: what core calls. */
void kin__slice_leave(struct kin__runnable *runnable);
void kin__slice_enter(struct kin__runnable *runnable);

#endif /* KIN_JOB_SLICE_H */
