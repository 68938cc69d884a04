/* leaves.c -- see leaves.h.
 *
 *   parent's LOCK   nobody else attaches, leaves, or comes to a child from here
 *   child's LOCK    only tried: it comes before the parent's, so whoever waits
 *                   for it here might wait for ever.  Then the long way goes.
 *   its wait        is decided: from now on the fiber is ours, and with it the
 *                   record, which needs no reference therefore
 *
 * They are dispatched when no lock is held any more, in the order they were
 * attached.  What would run in place there ends the batch: it must not find
 * those cancelled that come after it.
 *
 * No barrier stands between the state and the look at the wait, as it does on
 * the long way: that one must not overlook a wait, this one may. */
#include "job/leaves.h"

#include "core/chance.h"
#include "core/error.h"
#include "core/hard.h"
#include "dispatch/event_loop.h"
#include "job/coroutine.h"

#include <stddef.h>

enum {
#ifdef KIN_HARD
    BATCH = 2,
#else
    BATCH = 32,                         /* under one hold of the LOCK        */
#endif
    REFS = 2                            /* to the cause, of a job and a wait */
};

void kin__leaves_begin(struct kin__leaves *leaves, kin_error *cause)
{
    *leaves = (struct kin__leaves){ .cause = cause, .room = BATCH };
    /* relaxed: this thread's own test, or none: the walk asks it each time */
    if (KIN__UNLIKELY(atomic_load_explicit(&kin__chances,
                                           memory_order_relaxed)))
        leaves->room = 1;
}

/* A reference for the job, and one for its wait, are there to be taken. */
static void have_cause(struct kin__leaves *leaves)
{
    if (leaves->spare)
        return;
    leaves->spare = REFS * leaves->room;
    kin__error_retain_many(leaves->cause, leaves->spare);
}

/* Its parent is locked.  False: it is not one of those, and as it was. */
static bool cancel_one(struct kin__leaves *leaves, struct kin_job *child)
{
    struct kin__coroutine *co = kin__coroutine_of_job(child);
    /* relaxed: tried to be locked as what is seen here */
    uint32_t word = atomic_load_explicit(&child->word, memory_order_relaxed);

    if (child->kind > KIN__ASYNC
        || (word & ~(uint32_t)KIN__JOB_PARENT) != KIN_JOB_ACTIVE
        || !kin__job_try_lock(child, word))
        return false;
    if (child->list.next != &child->list
        || !kin__wait_cancel_own(&co->runnable, leaves->cause)) {
        kin__job_unlock(child, word);
        return false;
    }
    child->cause = leaves->cause;
    leaves->spare -= REFS;
    kin__job_unlock(child, (word & KIN__JOB_PARENT) | KIN_JOB_CANCELLING);
    kin__task_queue_push(&leaves->woken, &co->runnable.task);
    /* What would run in place is the last: it sees who comes after it. */
    leaves->room = co->dispatcher->ops->needs_dispatch ? 0 : leaves->room - 1;
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

/* --- Looking ahead -------------------------------------------------------- */

/* Children that have not been touched for a while are in no cache, and each is
 * known only from the one before it.  So a scout goes on in the list, a few
 * steps ahead, and has fetched of their records what is needed here. */
struct scout {
    struct kin__node *at, *head;
};
enum { AHEAD = 8 };

static void scout_step(struct scout *scout)
{
    struct kin__coroutine *co;

    if (scout->at == scout->head)
        return;
    scout->at = scout->at->next;
    co = kin__coroutine_of_job(kin__job_of_child(scout->at));
    __builtin_prefetch(&co->runnable.wait_word);
    kin__fetch(&co->dispatcher, 2 * KIN__LINE);
}

static void scout_begin(struct scout *scout, struct kin__node *head,
                        struct kin__node *node)
{
    *scout = (struct scout){ .at = node, .head = head };
    for (int i = 0; i < AHEAD; i++)
        scout_step(scout);
}

struct kin__node *kin__leaves_cancel(struct kin__leaves *leaves,
                                     struct kin_job *parent,
                                     struct kin__node *node)
{
    struct scout scout;

    if (!leaves->cause && node->kind == KIN__NODE_CHILD)
        leaves->cause = cause_of(parent);
    if (!leaves->cause)
        return node;
    scout_begin(&scout, &parent->list, node);
    for (; node != &parent->list; node = node->next) {
        if (node->kind == KIN__NODE_CURSOR || node->kind == KIN__NODE_WAITER)
            continue;
        if (node->kind != KIN__NODE_CHILD || leaves->room == 0)
            break;
        have_cause(leaves);
        if (!cancel_one(leaves, kin__job_of_child(node)))
            break;
        scout_step(&scout);
    }
    return node;
}

static void go_on(struct kin__runnable *r)
{
    kin__hard_woken(r);
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
