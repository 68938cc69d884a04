/* core/run.h -- running fibers on a thread.
 *
 * A *runnable* is what can be run: a body that has not begun, or a fiber that
 * has parked.  It has no stack before its first instruction.  A *frame* is
 * something on this thread that runs runnables and to which control comes
 * back: an event loop, a worker, or a call that runs one slice in place.
 * Frames of one thread nest strictly.
 *
 *    native stack            host stack A              host stack B
 *    ------------            ------------              ------------
 *    kin__frame_run
 *      switch ------------>  host_main
 *                              next(frame) = r1 (new)
 *                              r1->body()       <- a call, no switch
 *                                parks, keeps A
 *                                switch ------------>  host_main
 *                                                        next(frame) = r2 (new)
 *                                                        r2->body() returns
 *                                                        next(frame) = r1
 *                              <----------- switch       (B becomes the spare)
 *                              r1->body() returns
 *                              next(frame) = NULL: done
 *      <---------- switch      (A becomes the spare)
 *
 * A body is called from host_main on a pooled stack.  If it parks it keeps the
 * stack and the thread goes on with another: straight into the next parked
 * fiber, or into host_main on a fresh one.  A body that never parks costs a
 * call.
 *
 * A runnable is made visible to others (published) only by a function that
 * runs on the next stack, after the switch: nobody can resume what is not yet
 * saved.  A queue that only this thread reads is not visible to others. */
#ifndef KIN_CORE_RUN_H
#define KIN_CORE_RUN_H

#include "core/fiber.h"
#include "core/fiber_switch.h"
#include "core/task.h"
#include "core/thread.h"

#include <stdatomic.h>
#include <stdint.h>

/* A body, or the rest of one.  Embedded in what the job layer launches; lives
 * in type-stable memory (core/record.h), so that a late look at `wait_word` is
 * always a look at a wait word. */
struct kin__runnable {
    struct kin_task task;           /* first; run == kin__runnable_run       */
    const struct kin__runnable_ops *ops;
    struct kin_fiber *fiber;        /* where it parked; NULL before the body */
    _Atomic uint64_t wait_word;     /* see core/wait.h                       */
    union {
        struct kin__wait *wait;     /* guarded by wait_word                  */
        kin_error *told;            /* why: kin__wait_cancel_own()           */
    };
    kin_error *error;               /* current error; the running fiber's    */
    uint8_t dressed;                /* what is the slice's: KIN__WEARS_…      */
    uint32_t stack_size;            /* of the body; 0: the default           */
    uint32_t parks;                 /* how often it has parked; the fiber's  */
#if KIN__HARD
    struct {                        /* threads; to be compared (core/hard.h) */
        const struct kin__thread *left, *woken_by;
    } hard;
#endif
};

/* What the layer that launches it says. */
struct kin__runnable_ops {
    /* Called once, on a host; ends with no runnable current on the thread,
     * which may be another one. */
    void (*body)(struct kin__runnable *self, struct kin__thread *thread);
    void (*ready)(struct kin__runnable *self);  /* dispatches it; any thread */
    kin_error *(*cancellation)(const void *owner);  /* why the owner of a wait
                                       was cancelled: a new reference        */
    void (*refuse)(struct kin__runnable *self, int code); /* no stack for it */
    /* Its dispatcher took it and then closed: it must run elsewhere. */
    void (*reject)(struct kin__runnable *self, int code);
    /* Of its elements: before it leaves a thread, and when it is back. */
    void (*leave)(struct kin__runnable *self);
    void (*enter)(struct kin__runnable *self);
    /* Says who it is, for a report; in a signal handler. */
    void (*describe)(struct kin__runnable *self, char *buffer, size_t size);
};

/* task->run of every runnable: runs one slice in place, in a frame of its own,
 * and returns when it parks or ends.  Loops recognise it and go the short way
 * instead (kin__frame_run).  Any thread, on or off a fiber. */
void kin__runnable_run(struct kin_task *task);

struct kin__frame {
    struct kin__frame *outer;
    struct kin_fiber *host;         /* where control goes back to            */
    struct kin__thread *thread;     /* whose it is                           */

    /* The next task, without blocking; NULL if there is none now.  It may be
     * called on the stack of a fiber that is about to park.  It may fire
     * timers, but must not run tasks. */
    struct kin_task *(*poll)(struct kin__frame *self);

    /* The next task; blocks the thread until there is one.  NULL: this frame
     * is done.  Called on a host stack, with nothing unpublished. */
    struct kin_task *(*next)(struct kin__frame *self);

    /* Whoever has this address has a queue that only this thread reads, and
     * that `poll` takes from; NULL: there is none. */
    const void *local;
    const void *local_hidden;       /* it, while `pending` is to go first    */

    /* May run a task in a frame of its own (core/chance.h); true if it did.
     * NULL: does not. */
    bool (*chance)(struct kin__frame *self);

    struct kin__runnable *current;  /* saved while the frame runs            */
    struct kin_task *pending;       /* saved likewise                        */
    unsigned no_suspend;            /* saved likewise                        */
    bool in_place_active;           /* saved likewise                        */
};

/* Runs the frame on a host stack until next() returns NULL, with the calling
 * stack blocked meanwhile.  May be nested, on or off a fiber.
 * Errors: KIN_ENOMEM if no stack can be had; nothing has run then. */
int kin__frame_run(struct kin__frame *frame);

/* Makes sure that a kin__frame_run or kin__runnable_run that comes next on this
 * thread does not fail.  KIN_ENOMEM. */
int kin__frame_prepare(void);

/* Parks the running runnable: leaves its stack, then calls publish(arg) on the
 * next one, from which moment it may be run again, on any thread, by
 * dispatching its task.  Returns 0 when it has been.  KIN_ENOMEM: no stack to
 * go to; it has not parked, publish has not been called. */
int kin__park(void (*publish)(void *arg), void *arg) KIN_SUSPENDS;

/* In publish(): the fiber that is to go on here has not come yet, and what is
 * called meanwhile (a dispatcher, a callback) is not called by it. */
static inline struct kin__runnable *kin__hide_next(void)
{
    struct kin__thread *thread = kin__thread();
    struct kin__runnable *next = thread->current;

    thread->current = NULL;
    return next;
}

static inline void kin__show_next(struct kin__runnable *next)
{
    kin__thread()->current = next;
}

/* Parks the running runnable behind `requeue`: for a queue that only this
 * thread reads.  requeue(task) is called before leaving.  If the next task is
 * the runnable itself, there is no switch. */
int kin__park_local(void (*requeue)(struct kin_task *task)) KIN_SUSPENDS;

/* The runnable, if task is one's that has parked; else NULL. */
static inline struct kin__runnable *kin__parked_of(struct kin_task *task)
{
    struct kin__runnable *r = (struct kin__runnable *)task;

    return task->run == kin__runnable_run && r->fiber ? r : NULL;
}

/* Fetches what a parked fiber will read first, as it will run soon: the record
 * of its stack, and then (a step later, for that is where `sp` is) its frames.
 * A fiber that has been away has them in no cache. */
enum { KIN__LINE = 64, KIN__FETCHED = 12 * KIN__LINE };

static inline void kin__fetch(const void *from, size_t size)
{
    for (size_t at = 0; at < size; at += KIN__LINE)
        __builtin_prefetch((const char *)from + at);
}

static inline void kin__fetch_frames(const struct kin_fiber *fiber)
{
    size_t size = (size_t)((const char *)fiber->stack.top
                           - (const char *)fiber->stack.sp);

    kin__fetch(fiber->stack.sp, size < KIN__FETCHED ? size : KIN__FETCHED);
    __builtin_prefetch(fiber->stack.probe);
}

/* What a fiber has installed on the thread is nobody else's. */
enum {
    KIN__WEARS_ELEMENTS   = 1,      /* ops->leave and enter                  */
    KIN__WEARS_EXCEPTIONS = 2       /* core/exceptions.h                     */
};

void kin__undress_all(struct kin__runnable *r);
void kin__dress_all(struct kin__runnable *r);

static inline void kin__undress(struct kin__runnable *r)
{
    if (KIN__UNLIKELY(r->dressed))
        kin__undress_all(r);
}

static inline void kin__dress(struct kin__runnable *r)
{
    if (KIN__UNLIKELY(r->dressed))
        kin__dress_all(r);
}

/* Goes on with `next`, which has parked and is in no queue any more.  The
 * running runnable has been put into one that only this thread reads. */
KIN_SUSPENDS
static inline void kin__park_for(struct kin__thread *thread,
                                 struct kin__runnable *next)
{
    struct kin_fiber *self = thread->fiber;
    struct kin__runnable *r = thread->current;

    kin__undress(r);
    r->fiber = self;
    r->parks++;
    thread->current = next;
    kin__fiber_switch(thread, self, next->fiber, NULL);
    kin__dress(r);
}

/* Runs task in place, or queues it if an in-place slice is active on this
 * thread; the outermost drains the queue.  For Unconfined and the immediate
 * dispatchers. */
void kin__run_in_place(struct kin_task *task);

/* Between these two nothing runs in place on this thread, it is queued: for a
 * loop that fires timers, perhaps on the stack of a fiber that is parking.
 * hold returns what let_go is to be given. */
bool kin__in_place_hold(void);
void kin__in_place_let_go(bool held);

/* Takes the oldest queued in-place task, or NULL: a loop runs these first.
 * thread is the calling one's. */
static inline struct kin_task *kin__in_place_take(struct kin__thread *thread)
{
    return kin__task_queue_pop(&thread->in_place.queue);
}

/* Who runs on stack, for a report; async-signal-safe. */
void kin__run_describe(const struct kin__stack *stack, char *buffer,
                       size_t size);

/* Before the thread goes to sleep: gives back the spare stack, and what
 * kin_trim() has asked for since. */
void kin__run_idle(struct kin__thread *thread);

/* At the end of a thread. */
void kin__run_thread_exit(struct kin__thread *thread);

#endif /* KIN_CORE_RUN_H */
