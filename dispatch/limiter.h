/* dispatch/limiter.h -- at most so many slices at once, the rest in line.
 *
 * What IO is to the pool, and what a view of Default or IO is.  A task that
 * is let in is submitted to the pool at once and carries the limiter's address
 * in its tag; the worker says when the slice is over, and the next in line is
 * let in.  So a slice of a view costs no frame of its own.
 *
 *    view ----> outer view ----> pool          let in by each, inside out
 *    queue      queue            ring, ...
 *
 * Invariant: something is in line only while max slices are in flight. */
#ifndef KIN_DISPATCH_LIMITER_H
#define KIN_DISPATCH_LIMITER_H

#include "core/spin.h"
#include "core/task.h"
#include "dispatch/dispatcher_more.h"

#include <stdbool.h>
#include <stdint.h>

struct kin__scheduler;

struct kin__limiter {
    _Alignas(16) struct kin__spin lock; /* room in the tag for its bits      */
    int in_flight;                  /* guarded by lock                       */
    struct kin__task_queue queue;   /* guarded by lock                       */
    int max;                        /* constant, as all below                */
    bool blocking;                  /* the pool's IO side                    */
    struct kin__limiter *outer;     /* to be asked next, or NULL             */
    struct kin__scheduler *scheduler;
    kin_dispatcher *keep;           /* retained while in_flight > 0, or NULL */
};

/* The bits of kin_task.tag that are not an address. */
#define KIN__TAG_BITS ((uintptr_t)15)

static inline struct kin__limiter *kin__limiter_of(uintptr_t tag)
{
    return (struct kin__limiter *)(tag & ~KIN__TAG_BITS);
}

/* Lets task in through limiter and all outer ones, or puts it in line.  There
 * is a worker: see kin__scheduler_ready(). */
void kin__limiter_enter(struct kin__limiter *limiter, struct kin_task *task);

/* The slice of a task that came through limiter is over. */
void kin__limiter_leave(struct kin__limiter *limiter);

/* A view of a scheduler's dispatcher: outer may be NULL.
 * Errors: KIN_ENOMEM. */
int kin__limiter_view(kin_dispatcher *base, struct kin__limiter *outer,
                      struct kin__scheduler *scheduler, bool blocking, int n,
                      const char *name, kin_dispatcher **view);

#endif /* KIN_DISPATCH_LIMITER_H */
