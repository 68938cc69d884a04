/* core/hard.h -- hard mode (make check HARD=1): rare paths become common ones.
 *
 * Of a fiber that has parked it is remembered which thread it left and which
 * one woke it up.  A worker of Default or IO refuses it then, and another one
 * runs it (dispatch/hand_over.c); so does a pool of several threads
 * (dispatch/pool.c).  There a fiber never goes on on the thread it left, and
 * every wake-up crosses threads.
 *
 * Where no other thread can be had a fiber stays all the same, and that is
 * counted.  On a dispatcher of one thread (an event loop, Main) and in place
 * nothing can cross, and nothing is counted.
 *
 * In a usual build all of this is nothing. */
#ifndef KIN_CORE_HARD_H
#define KIN_CORE_HARD_H

#include "core/run.h"

#include <stdatomic.h>
#include <stdbool.h>

/* What has become of fibers that had parked, on Default, IO and pools. */
struct kin__hard_counts {
    _Atomic unsigned long crossed;      /* taken by a thread that may        */
    _Atomic unsigned long handed;       /* refused, and given to another     */
    _Atomic unsigned long stayed;       /* taken by one that should not      */
};

/* A wait that is decided parks all the same, unless it was handed out: what is
 * resumed by its own start must not. */
static inline bool kin__hard_parks(bool handed_out)
{
    return KIN__HARD && !handed_out;
}

extern struct kin__hard_counts kin__hard_counts     /* hard builds only */
    __attribute__((visibility("hidden")));

#if KIN__HARD

/* thread is being left by r, which has not been published. */
static inline void kin__hard_left(struct kin__runnable *r,
                                  struct kin__thread *thread)
{
    r->hard.left = thread;
    r->hard.woken_by = NULL;
}

/* The calling thread has decided r's wait, and is about to dispatch it. */
static inline void kin__hard_woken(struct kin__runnable *r)
{
    r->hard.woken_by = kin__thread();
}

/* r has parked, and thread must not run it if there is another. */
static inline bool kin__hard_refuses(const struct kin__runnable *r,
                                     const struct kin__thread *thread)
{
    return r->hard.left == thread || r->hard.woken_by == thread;
}

/* thread takes task. */
void kin__hard_taken(struct kin_task *task, const struct kin__thread *thread);
void kin__hard_handed(void);

#else

static inline void kin__hard_left(struct kin__runnable *r,
                                  struct kin__thread *thread)
{
    (void)r;
    (void)thread;
}

static inline void kin__hard_woken(struct kin__runnable *r)
{
    (void)r;
}

static inline bool kin__hard_refuses(const struct kin__runnable *r,
                                     const struct kin__thread *thread)
{
    (void)r;
    (void)thread;
    return false;
}

static inline void kin__hard_taken(struct kin_task *task,
                                   const struct kin__thread *thread)
{
    (void)task;
    (void)thread;
}

static inline void kin__hard_handed(void)
{
}

#endif

#endif /* KIN_CORE_HARD_H */
