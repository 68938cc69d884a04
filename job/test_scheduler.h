/* job/test_scheduler.h -- a virtual clock and its queue of events, from inside.
 *
 *   timers   by deadline, then by when they were armed: later than the clock
 *     |      the clock reaches their deadline
 *     v
 *   due      timers of this instant                 \  in that order: a timer
 *   tasks    slices dispatched at this instant, FIFO /  was there before
 *
 * The clock leaves an instant only when nothing of it is left, or for good, so
 * that is (time, insertion).  With a seed the next one is drawn from both.
 *
 * A fiber that waited for a timer goes on in the timer's place: firing names
 * that timer, and the task that comes for its `sleeper` meanwhile is `front`.
 *
 * Everything is guarded by lock, but what says otherwise.  No timer is fired,
 * no task run, no job touched with the lock held. */
#ifndef KIN_JOB_TEST_SCHEDULER_H
#define KIN_JOB_TEST_SCHEDULER_H

#include "core/parker.h"
#include "core/run.h"
#include "core/task.h"
#include "core/timer.h"
#include "kin/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An armed timer; timer->user_data refers to it. */
struct kin__test_event {
    struct kin_timer own;           /* first; in the scheduler's timers      */
    kin_test_scheduler *scheduler;  /* constant, as all down to `is_due`     */
    struct kin_timer *timer;        /* whose it is                           */
    struct kin__runnable *sleeper;  /* the fiber that waits for it, or NULL  */
    bool background;
    bool is_due;
    struct kin__test_event *next;   /* among those that are due              */
};

/* A failure that nobody else saw. */
struct kin__test_failure {
    struct kin__test_failure *next;
    kin_error *error;
};

/* One kin_run_test; lies on the stack of that call. */
struct kin__test_run {
    kin_test_scheduler *scheduler;  /* constant, as all down to `timeout`    */
    const char *site;
    kin_job *job;                   /* the body's                            */
    kin_job *background_job;
    kin_scope *background;
    int64_t timeout;
    int64_t deadline;               /* the driver's: of the real clock       */
    kin_error *expired;             /* the driver's: time is over            */
    uint64_t seed;                  /* 0: none                               */
    struct kin__test_failure *first, **last; /* guarded by scheduler->lock   */
};

struct kin_test_scheduler {
    _Atomic size_t refs;
    pthread_mutex_t lock;
    _Atomic int64_t now;            /* changed under the lock                */

    struct kin__timers timers;
    struct kin__test_event *due, *due_last;
    struct kin__task_queue tasks;
    size_t due_count, task_count;
    size_t foreground;              /* events that are not background        */

    struct kin_timer *firing;       /* NULL: none                            */
    struct kin__runnable *sleeper;  /* firing's                              */
    struct kin_task *front;

    bool seeded;
    uint64_t random;                /* state of the generator                */
    unsigned odds;                  /* one chance in so many; 0: none        */
    unsigned chances;               /* that are taken now, nested            */

    struct kin__thread *driver;     /* runs events; NULL: nobody             */
    unsigned depth;                 /* how many calls that is, nested        */
    struct kin__parker parker;      /* the driver's, if it has nothing to do */
    struct kin__test_run *run;      /* NULL: none                            */
};

/* The elements that a kin_run_test puts into its context; the value of both is
 * the scheduler. */
extern const kin_key kin__test_key;
extern const kin_key kin__test_background_key;

/* --- Events (test_events.c) ----------------------------------------------- */

void kin__test_lock(kin_test_scheduler *scheduler);
void kin__test_unlock(kin_test_scheduler *scheduler);

static inline int64_t kin__test_now(const kin_test_scheduler *scheduler)
{
    /* relaxed: a time, and nothing else, is learned from it */
    return atomic_load_explicit(&((kin_test_scheduler *)scheduler)->now,
                                memory_order_relaxed);
}

/* Forwards only.  With the lock held. */
void kin__test_move_clock(kin_test_scheduler *scheduler, int64_t now);

/* Queues a task for now.  Any thread. */
void kin__test_queue(kin_test_scheduler *scheduler, struct kin_task *task);

/* Arms, or disarms, as kin_dispatcher_ops.set_timer.  KIN_ENOMEM. */
int kin__test_set_timer(kin_test_scheduler *scheduler, struct kin_timer *timer,
                        int64_t deadline);

/* Until when to run events: the last instant of interest; if idle, only as long
 * as there is foreground work; if amid a slice, nothing that yielded to it. */
struct kin__test_limit {
    int64_t last;
    bool idle;
    bool amid;
};

/* The next task within the limit, having moved the clock and fired timers, or
 * NULL.  On a host stack, by the driver. */
struct kin_task *kin__test_next(kin_test_scheduler *scheduler,
                                const struct kin__test_limit *limit);

/* The same, of one event only: NULL also if that resumed no one here. */
struct kin_task *kin__test_next_one(kin_test_scheduler *scheduler,
                                    const struct kin__test_limit *limit,
                                    bool *ran);

/* Draws whether something comes first at a marked place: see test_chance.c. */
bool kin__test_draws(kin_test_scheduler *scheduler);

/* True if there is foreground work. */
bool kin__test_is_busy(kin_test_scheduler *scheduler);

/* 0: order of queueing. */
void kin__test_set_seed(kin_test_scheduler *scheduler, uint64_t seed);

/* --- Turning it (test_scheduler.c) ---------------------------------------- */

/* Makes the calling thread the driver; or KIN_EBUSY, KIN_EPERM: misuse. */
int kin__test_enter(kin_test_scheduler *scheduler, const char *function);
void kin__test_leave(kin_test_scheduler *scheduler);

/* --- At marked places (test_chance.c) ------------------------------------- */

/* kin__frame.chance of a frame that runs events of scheduler: perhaps runs one
 * that is due, and within the limit. */
bool kin__test_chance(kin_test_scheduler *scheduler,
                      const struct kin__test_limit *limit);

/* --- Dispatchers (test_dispatcher.c) -------------------------------------- */

/* Is a fiber's work background?  Not if runnable is NULL. */
bool kin__test_is_background(const struct kin__runnable *runnable);

/* The scheduler of a test dispatcher; NULL for any other. */
kin_test_scheduler *kin__test_scheduler_below(const kin_dispatcher *self);

/* --- Tests (test_run.c) --------------------------------------------------- */

/* Cancels the test if its real time is over; by the driver, off any fiber. */
void kin__test_check_time(struct kin__test_run *run);

#endif /* KIN_JOB_TEST_SCHEDULER_H */
