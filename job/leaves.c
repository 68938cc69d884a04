/* leaves.c -- see leaves.h.
 *
 *   parent's LOCK   nobody else attaches, leaves, or comes to a child from here
 *   child's LOCK    only tried: it comes before the parent's, so whoever waits
 *                   for it here might wait for ever.  Then the long way goes.
 *   BUSY            of its wait, likewise: the fiber stays where it is, and with
 *                   it the record, which needs no reference therefore
 *
 * With all three the child is cancelled, and its wait decided.  From then on it
 * may not be touched but by putting it in a queue: it is nobody's, until it is
 * dispatched.  That is done when no lock is held any more, and in the order of
 * attachment; what would run in place there goes the long way, one by one, for
 * it would see the others cancelled too early.
 *
 * No barrier stands between the state and the look at the wait, as it does on
 * the long way: that one must not overlook a wait, this one may. */
#include "job/leaves.h"

#include "core/chance.h"
#include "core/error.h"
#include "dispatch/event_loop.h"
#include "job/coroutine.h"

#include <stddef.h>

enum {
#ifdef KIN_HARD
    BATCH = 2,
#else
    BATCH = 32,                         /* under one hold of the LOCK        */
#endif
    REFS = 2                            /* to the cause: the job's, the wait's */
};

void kin__leaves_begin(struct kin__leaves *leaves, kin_error *cause)
{
    *leaves = (struct kin__leaves){ .cause = cause, .room = BATCH };
    /* relaxed: this thread's own test, or none: the walk asks it each time */
    if (KIN__UNLIKELY(atomic_load_explicit(&kin__chances,
                                           memory_order_relaxed)))
        leaves->room = 1;
}

static bool runs_in_place(const kin_dispatcher *dispatcher)
{
    return dispatcher->ops->needs_dispatch;
}

/* A reference for the job, and one for its wait. */
static kin_error *take_cause(struct kin__leaves *leaves)
{
    if (leaves->spare == 0) {
        leaves->spare = REFS * leaves->room;
        kin__error_retain_many(leaves->cause, leaves->spare);
    }
    leaves->spare -= REFS;
    return leaves->cause;
}

/* The child is locked; false: it is not one of those, and as it was. */
static bool cancel_locked(struct kin__leaves *leaves, struct kin__coroutine *co)
    KIN_REQUIRES(co->job)
{
    struct kin__runnable *r = &co->runnable;

    if (co->job.list.next != &co->job.list || !kin__wait_try_hold(r, &co->job))
        return false;
    if (runs_in_place(co->dispatcher)) {
        kin__wait_let_go(r);
        return false;
    }
    co->job.cause = take_cause(leaves);
    return true;
}

/* Its parent is locked. */
static bool cancel_one(struct kin__leaves *leaves, struct kin_job *child)
{
    struct kin__coroutine *co = kin__coroutine_of_job(child);
    /* relaxed: tried to be locked as what is seen here */
    uint32_t word = atomic_load_explicit(&child->word, memory_order_relaxed);

    if (child->kind > KIN__ASYNC
        || (word & ~(uint32_t)KIN__JOB_PARENT) != KIN_JOB_ACTIVE
        || !kin__job_try_lock(child, word))
        return false;
    if (!cancel_locked(leaves, co)) {
        kin__job_unlock(child, word);
        return false;
    }
    kin__job_unlock(child, (word & KIN__JOB_PARENT) | KIN_JOB_CANCELLING);
    kin__wait_cancel_held(&co->runnable, leaves->cause);
    kin__task_queue_push(&leaves->woken, &co->runnable.task);
    return true;
}

/* The parent's own is the parent's as long as that is there, which the walk
 * sees to.  NULL: it has failed, and nobody has asked for it yet. */
static kin_error *cause_of(struct kin_job *parent) KIN_REQUIRES(*parent)
{
    if (!parent->cancellation && kin_error_is_cancellation(parent->cause))
        parent->cancellation = kin_error_retain(parent->cause);
    return parent->cancellation;
}

struct kin__node *kin__leaves_cancel(struct kin__leaves *leaves,
                                     struct kin_job *parent,
                                     struct kin__node *node)
{
    if (!leaves->cause && node->kind == KIN__NODE_CHILD)
        leaves->cause = cause_of(parent);
    if (!leaves->cause)
        return node;
    for (; node != &parent->list; node = node->next) {
        if (node->kind == KIN__NODE_CURSOR || node->kind == KIN__NODE_WAITER)
            continue;
        if (node->kind != KIN__NODE_CHILD || leaves->room == 0
            || !cancel_one(leaves, kin__job_of_child(node)))
            break;
        leaves->room--;
    }
    return node;
}

static void go_on(struct kin__runnable *r)
{
    if (!kin__event_loop_push(kin__thread(),
                              ((struct kin__coroutine *)r)->dispatcher,
                              &r->task))
        r->ops->ready(r);
}

bool kin__leaves_end(struct kin__leaves *leaves)
{
    struct kin_task *task;

    if (leaves->spare)
        kin__error_release_many(leaves->cause, leaves->spare);
    while ((task = kin__task_queue_pop(&leaves->woken)))
        go_on((struct kin__runnable *)task);
    return leaves->room == 0;
}
