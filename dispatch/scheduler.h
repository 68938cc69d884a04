/* dispatch/scheduler.h -- Default and IO: one pool of threads for both.
 *
 * `core` permits to run CPU tasks, each with a queue of its own; threads as
 * many as blocking tasks need.  A worker that takes a blocking task gives its
 * permit up.  kin_default() and kin_io() are those of the process's scheduler;
 * tests make others. */
#ifndef KIN_DISPATCH_SCHEDULER_H
#define KIN_DISPATCH_SCHEDULER_H

#include "kin/dispatcher.h"

#include <stddef.h>
#include <stdint.h>

struct kin__scheduler;

/* Arms a timer with the process's scheduler; KIN_NEVER disarms.  For whoever
 * has a dispatcher that keeps no time.
 * Errors: KIN_ENOMEM; KIN_EAGAIN: there is no thread to keep it. */
int kin__scheduler_set_timer(kin_timer *timer, int64_t deadline);

/* The calling thread is about to block in the middle of a slice.  If it is a
 * worker it gives its permit up, and what it has queued, so that others can
 * run that; it gets one again after the slice. */
void kin__scheduler_will_block(void);

/* core CPU tasks at once (1 is allowed), io_max blocking ones through its IO.
 * name: of the threads, name-1 and so on; must outlive it.  NULL: no memory.
 * Owns: to be freed when nothing of its is queued, running or armed; the call
 * waits for the threads, so it is made off them. */
struct kin__scheduler *kin__scheduler_new(int core, int io_max,
                                          const char *name);
void kin__scheduler_free(struct kin__scheduler *scheduler);

kin_dispatcher *kin__scheduler_default(struct kin__scheduler *scheduler);
kin_dispatcher *kin__scheduler_io(struct kin__scheduler *scheduler);

/* How long a worker idles before it ends (60 s), and how many threads there
 * may be at most.  Before it is used. */
void kin__scheduler_set_limits(struct kin__scheduler *scheduler,
                               int64_t idle_ns, int threads);

/* kin_blocked_limit() of that scheduler.  KIN_NEVER at first. */
int64_t kin__scheduler_set_blocked(struct kin__scheduler *scheduler,
                                   int64_t limit);

/* Told by the watchdog: a worker has been blocked for that long by the task
 * that it took last, which may be gone and is only to be compared.  Set by the
 * layer above before it launches anything; NULL: a plain line on stderr. */
extern void (*kin__blocked_tell)(const struct kin_task *task, int64_t blocked);

struct kin__scheduler_stats {
    int threads;                    /* alive                                 */
    int parked;                     /* of these: idle                        */
    int free_permits;
};
void kin__scheduler_get_stats(struct kin__scheduler *scheduler,
                              struct kin__scheduler_stats *stats);

#endif /* KIN_DISPATCH_SCHEDULER_H */
