/* job/block.h -- a scope on a running fiber: the machine beneath the scope
 * functions, with_context, with_timeout, and their block forms.
 *
 *     enter      a job of its own, child of the fiber's; its scope becomes the
 *                innermost; maybe another dispatcher
 *     ...        the code of the block, on the same fiber
 *     leave      the body has ended; waits for the children; back to the outer
 *                scope and dispatcher; the outcome
 */
#ifndef KIN_JOB_BLOCK_H
#define KIN_JOB_BLOCK_H

#include "core/timer.h"
#include "job/coroutine.h"
#include "job/job.h"

struct kin__block_scope {
    struct kin_scope scope;         /* first                                 */
    uint64_t wait_word;             /* a coroutine's that had this record:
                                       never written; see core/record.h      */
    struct kin_job job;
    struct kin__runnable *runner;       /* constant: the fiber's             */
    kin_dispatcher *outer_dispatcher;   /* the fiber's                       */
    uint32_t parks_before;          /* the fiber's                           */
    bool moved;                     /* came by a hop, goes back by one       */
    bool shielded;                  /* below kin_non_cancellable()           */
    struct kin_timer timer;         /* of with_timeout                       */
    int64_t deadline, timeout;      /* constant once armed                   */
    _Atomic bool fired;             /* the first to set it cancels the job   */
    _Atomic(const kin_error *) expiry;  /* its own; to be compared only      */
    bool or_null, expired;          /* the fiber's                           */
};

_Static_assert(sizeof(struct kin__block_scope) <= KIN__RECORD_SIZE,
               "a block is a record");
_Static_assert(offsetof(struct kin__block_scope, wait_word)
                   == offsetof(struct kin__runnable, wait_word),
               "who looks late at a wait word finds one, and its generation");

/* Makes the block's scope the innermost; what it installs on the thread is for
 * the caller to put on (kin__slice_on), when the fiber is where it belongs.
 * context is taken if owned, else it lives as long as the outer scope's; parent
 * is the job's parent, NULL for none.  NULL without memory: context is still
 * the caller's. */
struct kin__block_scope *kin__block_enter(struct kin__coroutine *co,
                                          enum kin__job_kind kind,
                                          kin_context *context, bool owned,
                                          struct kin_job *parent);

/* The same in the context, and below the job, of the outer scope. */
static inline struct kin__block_scope *
kin__block_enter_here(struct kin__coroutine *co, enum kin__job_kind kind)
{
    return kin__block_enter(co, kind, co->current->context, false,
                            co->current->job);
}

/* The error with which job, if it is a with_timeout's, has timed out, to be
 * compared only; NULL: it has not. */
const kin_error *kin__block_expiry(const struct kin_job *job);

/* True if the timeout of that block may fire still. */
bool kin__block_is_timed(const struct kin_job *job);

/* The body has returned code.  Returns the outcome, with its error current. */
int kin__block_exit(struct kin__coroutine *co, struct kin__block_scope *block,
                    int code) KIN_SUSPENDS;

static inline struct kin__block_scope *kin__block_of_scope(kin_scope *scope)
{
    return (struct kin__block_scope *)scope;
}

/* Fires the timeouts of the fiber's blocks whose time is over: what a loop does
 * between two slices, for a fiber that has not let it.  Reads the clock only
 * inside such a block. */
void kin__timeouts_look(struct kin__coroutine *co);

static inline void kin__timeout_if_due(struct kin__coroutine *co)
{
    if (KIN__UNLIKELY(co->current->timed))
        kin__timeouts_look(co);
}

/* Sets the timer of every dispatcher: its own, or the shared ones. */
int kin__set_timer(kin_dispatcher *dispatcher, struct kin_timer *timer,
                   int64_t deadline);

/* Disarms it; when this returns, it is not firing. */
void kin__stop_timer(struct kin_timer *timer);

#endif /* KIN_JOB_BLOCK_H */
