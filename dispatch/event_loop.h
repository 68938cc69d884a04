/* dispatch/event_loop.h -- a FIFO queue with timers, run by one thread.
 *
 * Under kin_run_blocking, and under Main.  Its own thread pushes to the queue
 * without a lock; others push to an inbox, which the thread empties into the
 * queue between two tasks.
 *
 *        others                          owner
 *   push to inbox (CAS) --.     .-- take inbox, append to queue
 *   wake the parker        `--->    fire timers that are due (they append)
 *                                   run the head
 *                                   nothing: park until the next deadline
 *
 * So what the thread pushes itself goes before what others have pushed since it
 * took the inbox, though that may be older; but not for longer than one task,
 * for the inbox is taken before the next. */
#ifndef KIN_DISPATCH_EVENT_LOOP_H
#define KIN_DISPATCH_EVENT_LOOP_H

#include "core/parker.h"
#include "core/run.h"
#include "core/task.h"
#include "core/timer.h"
#include "kin/dispatcher.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The tasks of the queue that come soon, so that what they need is fetched in
 * time: number n is at [n % KIN__OUTLOOK], for n from `taken`, the head, to
 * `last`.  Only as true as last is not before taken, so none of them wraps. */
enum { KIN__OUTLOOK = 32, KIN__LONG_QUEUE = 2048 };
struct kin__outlook {
    uint64_t last;
    struct kin_task *task[KIN__OUTLOOK];
};

struct kin__event_loop {
    struct kin_dispatcher dispatcher;       /* first                         */
    _Atomic(struct kin__thread *) owner;    /* NULL: closed                  */
    struct kin__task_queue queue;           /* owner only                    */
    uint64_t put, taken;                    /* owner only: into the queue,
                                               and from it, so far           */
    struct kin__outlook outlook;            /* owner only                    */
    bool firing;                            /* owner only: timers are fired  */
    _Atomic(struct kin_task *) inbox;       /* newest first; see the .c file */
    struct kin__timers timers;              /* has its own lock              */
    struct kin__parker parker;

    /* Where tasks go once it is closed; set before it is used. */
    int (*refuse)(struct kin_task *task);
    /* Called, on any thread, when there is work for a loop that is not in
     * kin__event_loop_run; NULL: the parker is enough. */
    void (*announce)(struct kin__event_loop *loop);
};

/* Owner: the calling thread.  *loop is zeroed, or one that was closed and
 * handed over: its timers and its parker stay as they are. */
void kin__event_loop_init(struct kin__event_loop *loop,
                          const struct kin_dispatcher_ops *ops,
                          const char *name);

/* The ops' dispatch and set_timer of every event loop. */
int kin__event_loop_dispatch(struct kin_dispatcher *self,
                             struct kin_task *task);
int kin__event_loop_set_timer(struct kin_dispatcher *self,
                              struct kin_timer *timer, int64_t deadline);

/* The next task that is due, or NULL; owner only. */
struct kin_task *kin__event_loop_poll(struct kin__event_loop *loop,
                                      struct kin__thread *thread);

/* When the loop has something to do next: 0 if now, KIN_NEVER if nothing. */
int64_t kin__event_loop_deadline(struct kin__event_loop *loop);

/* Refuses all that comes from now on; what is in the inbox goes to the queue.
 * Owner only. */
void kin__event_loop_close(struct kin__event_loop *loop);

/* After it is closed: hands what is queued to refuse(), and its timers to the
 * shared ones.  Owner's thread only. */
void kin__event_loop_hand_over(struct kin__event_loop *loop);

/* --- Blocking a thread on an event loop ----------------------------------- */

/* Set once, from any thread. */
struct kin__done {
    _Atomic int flag;
    struct kin__event_loop *loop;   /* constant: whom to wake                */
    /* Called once by the blocked thread when it has had nothing to do for
     * idle_ns; NULL: never.  Constant, as arg. */
    void (*idle)(void *arg);
    void *arg;
    int64_t idle_ns;
};

/* The event loop that is being run on this thread, retained, or a new one.
 * NULL without memory.  *is_new says which. */
struct kin__event_loop *kin__event_loop_here(bool *is_new);

/* Runs the loop with the calling stack blocked, until done is set.  A loop
 * that is_new is closed then, after what is queued has run.
 * Errors: KIN_ENOMEM; nothing has run. */
int kin__event_loop_run(struct kin__event_loop *loop, bool is_new,
                        struct kin__done *done);

/* Parks the running fiber at the tail of the queue. */
int kin__event_loop_requeue(void) KIN_SUSPENDS;

/* The head of the queue, if that is all the loop has to look at; or NULL. */
static inline struct kin_task *
kin__event_loop_peek(struct kin__thread *thread, struct kin__event_loop *loop)
{
    /* relaxed: what comes just now is seen the next time */
    if (KIN__UNLIKELY(thread->in_place.queue.head
                      || atomic_load_explicit(&loop->inbox,
                                              memory_order_relaxed)
                      || kin__timers_earliest(&loop->timers) != KIN_NEVER))
        return NULL;
    return loop->queue.head;
}

/* Takes the head of the queue; it is not empty. */
static inline struct kin_task *
kin__event_loop_pop(struct kin__event_loop *loop)
{
    loop->taken++;
    return kin__task_queue_pop(&loop->queue);
}

static inline void kin__event_loop_append(struct kin__event_loop *loop,
                                          struct kin_task *task)
{
    loop->put++;
    kin__task_queue_push(&loop->queue, task);
}

void kin__event_loop_fetch(struct kin__event_loop *loop);

/* Has fetched what those will need who come some turns later; if they are so
 * many that it is not in the caches. */
static inline void kin__event_loop_look_ahead(struct kin__event_loop *loop)
{
    if (KIN__UNLIKELY(loop->put - loop->taken > KIN__LONG_QUEUE))
        kin__event_loop_fetch(loop);
}

/* Parks the running fiber at the tail of the queue, the short way, if it is
 * this dispatcher's loop that runs it here.  KIN_ENOTSUP: it is not. */
KIN_SUSPENDS
static inline int kin__event_loop_yield(struct kin__thread *thread,
                                        struct kin_dispatcher *dispatcher)
{
    struct kin__event_loop *loop = thread->loop;
    struct kin_task *task;

    if (KIN__UNLIKELY(thread->frame->local != dispatcher))
        return KIN_ENOTSUP;
    task = kin__event_loop_peek(thread, loop);
    if (KIN__UNLIKELY(!task || !kin__parked_of(task)))
        return kin__event_loop_requeue();
    kin__event_loop_pop(loop);
    kin__event_loop_append(loop, &thread->current->task);
    kin__event_loop_look_ahead(loop);
    kin__park_for(thread, kin__parked_of(task));
    return 0;
}

/* Dispatches a task the short way, if it is this dispatcher's loop that runs
 * here and no timer is armed, which would go first.  False: it is not. */
static inline bool kin__event_loop_push(struct kin__thread *thread,
                                        struct kin_dispatcher *dispatcher,
                                        struct kin_task *task)
{
    struct kin__event_loop *loop = thread->loop;

    if (KIN__UNLIKELY(!thread->frame || thread->frame->local != dispatcher
                      || kin__timers_earliest(&loop->timers) != KIN_NEVER))
        return false;
    kin__event_loop_append(loop, task);
    return true;
}

/* Any thread; *done may be gone when this returns. */
void kin__done_set(struct kin__done *done);

#endif /* KIN_DISPATCH_EVENT_LOOP_H */
