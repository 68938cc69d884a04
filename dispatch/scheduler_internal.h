/* dispatch/scheduler_internal.h -- the nouns of the pool.
 *
 *   permit     the right to run CPU tasks, and their queues (ring.h, fresh.h);
 *              core many
 *   worker     a thread; holds at most one permit
 *   searcher   a worker with a permit, nothing to do, and not yet parked
 *   watcher    the one parked worker that looks at the slots now and then
 *   keeper     the one parked worker whose sleep ends with the first timer
 *   seeker     a worker on its way to the queue of blocking tasks
 *
 *                 push, permit free, no searcher
 *      parked ------------------------------------> searching
 *        ^  ^                                        |     |
 *        |  +------ nothing found -------------------+     | found
 *        |                                                 v
 *        +---- no permit --- running blocking <--- running CPU tasks
 *
 * Lock order: none is held while another is taken. */
#ifndef KIN_DISPATCH_SCHEDULER_INTERNAL_H
#define KIN_DISPATCH_SCHEDULER_INTERNAL_H

#include "core/check.h"
#include "core/parker.h"
#include "core/run.h"
#include "core/spin.h"
#include "core/timer.h"
#include "dispatch/fresh.h"
#include "dispatch/limiter.h"
#include "dispatch/ring.h"
#include "dispatch/scheduler.h"

#include <pthread.h>

struct kin__worker;

/* Picks between two looks at what is not the worker's own. */
#define KIN__PROBE 64u

/* Picks from the ring in a row, while fresh ones wait. */
#define KIN__RING_STREAK 16u

struct kin__permit {
    struct kin__ring ring;          /* what goes on                          */
    struct kin__fresh fresh;        /* what has not begun                    */
    _Alignas(64) _Atomic(struct kin__worker *) holder;  /* NULL: free        */
    _Atomic uint32_t tick;          /* tasks taken; written by the holder    */
    _Atomic(struct kin_task *) running; /* taken last; to be compared only   */
    _Atomic bool replaced;          /* see watchdog.c: there is one more     */
    uint32_t streak;                /* holder: from the slot in a row        */
    uint32_t from_ring;             /* holder: likewise, while fresh wait    */
    bool yielded;                   /* holder: a yield has had fresh go first
                                       since the ring had its turn           */
    uint32_t seen_tick;             /* watcher only                          */
    struct kin_task *seen_slot;     /* watcher only, to be compared          */
    struct kin__sight {             /* watchdog only                         */
        struct kin__worker *holder; /* to be compared                        */
        uint32_t tick;
        int64_t since, cpu, tell_at;
    } sight;
};

/* scheduler->state. */
#define KIN__FREE_ONE   ((uint64_t)1)           /* bits 0-15: free permits   */
#define KIN__SEARCH_ONE ((uint64_t)1 << 16)     /* bits 16-31: searchers     */
#define KIN__WATCHED    ((uint64_t)1 << 32)     /* there is a watcher        */

static inline unsigned kin__free_of(uint64_t state)
{
    return (unsigned)(state & 0xffff);
}

static inline unsigned kin__searching_of(uint64_t state)
{
    return (unsigned)(state >> 16 & 0xffff);
}

/* What whoever takes a worker from the parked ones gives it. */
enum kin__grant {
    KIN__GRANT_NONE,                /* a new one: it is to keep the time     */
    KIN__GRANT_CPU,                 /* a free permit and a searcher's place  */
    KIN__GRANT_SEEK                 /* a seeker's place                      */
};

/* What a worker owes for work it put down between two tasks. */
#define KIN__OWES_WAKE  1u
#define KIN__OWES_SEEK  2u
#define KIN__OWES_TIMER 4u

struct kin__worker {
    struct kin__frame frame;        /* first                                 */
    struct kin__scheduler *scheduler;   /* constant                          */
    struct kin__thread *thread;     /* constant, once it runs                */
    _Atomic clockid_t cpu_clock;    /* its thread's, once it runs            */
    _Atomic int tid;                /* likewise                              */

    /* The worker's own. */
    struct kin__permit *permit, *last;
    uintptr_t slice;                /* tag of what runs: limiter, BLOCKING   */
    uint32_t owes;
    bool between;                   /* between two tasks: will look around   */
    bool searching;
    bool firing;                    /* timers: push to the tail              */
    bool watching;
    uint32_t seed;
    uint32_t until_clock, clock_every;
    int64_t last_clock;
    struct kin__permit *stale;      /* whose slot to steal                   */
    int64_t idle_until, look_at, look_every;

    /* Guarded by scheduler->idle_lock. */
    struct kin__worker *above, *below;  /* parked; below: ended              */
    bool parked;
    enum kin__grant grant;
    struct kin_task *handed;        /* hard mode: what it is to run first    */

    /* What follows outlives the thread, for the worker's next one. */
    _Alignas(64) struct kin__parker parker;
    pthread_t pthread;              /* constant                              */
    int number;                     /* constant                              */
};

/* The thread that looks for blocked workers; see watchdog.c. */
struct kin__watchdog {
    _Atomic int64_t limit;          /* KIN_NEVER: it does not look           */
    _Atomic bool asleep;            /* nobody works                          */
    bool started;                   /* guarded by start_lock of scheduler.c  */
    pthread_t pthread;              /* likewise                              */

    struct kin__parker parker;
};

/* A FIFO that all workers see. */
struct kin__shared_queue {
    _Alignas(64) struct kin__spin lock;
    struct kin__task_queue tasks;   /* guarded by lock                       */
    int seekers;                    /* guarded by lock; blocking tasks only  */
    _Atomic uint32_t count;         /* written under lock                    */
};

struct kin__scheduler {
    kin_dispatcher cpu;             /* first                                 */
    kin_dispatcher io;
    struct kin__dispatcher_more cpu_more, io_more;
    struct kin__limiter io_limiter;

    int core;                       /* constant                              */
    int max_threads;                /* constant once started                 */
    int64_t idle_ns;                /* likewise                              */
    const char *name;
    struct kin__permit *permits;    /* constant once started; 2 * core       */
    _Atomic int reach;              /* how many of them have been in use     */
    _Atomic bool started;
    _Atomic bool stopping;

    _Alignas(64) _Atomic uint64_t state;        /* see above, and idle.c     */

    struct kin__shared_queue global;            /* CPU tasks                 */
    struct kin__shared_queue blocking;
    struct kin__timers timers;                  /* has its own lock          */

    /* Guarded by idle_lock. */
    _Alignas(64) struct kin__spin idle_lock;
    struct kin__worker *parked;                 /* newest first              */
    struct kin__worker *ended;                  /* to be joined              */
    struct kin__worker *keeper;
    int64_t keeper_until;
    bool keeper_comes;              /* a thread was started to be that       */
    int threads;                    /* that have not decided to end          */
    int alive;                      /* that have not ended                   */
    int parked_count, numbers;

    struct kin__parker joiner;                  /* kin__scheduler_free()     */
    struct kin__watchdog watchdog;
};

/* --- scheduler.c --------------------------------------------------------- */

/* Sees to it that there is a worker at all.
 * Errors: KIN_EAGAIN: no thread; KIN_ENOMEM. */
int kin__scheduler_ready(struct kin__scheduler *scheduler);

/* Starts a thread.  handed: what it is to run first, or NULL.
 * Errors: KIN_EAGAIN. */
int kin__worker_create(struct kin__scheduler *scheduler,
                       enum kin__grant grant, struct kin_task *handed);

/* --- submit.c ------------------------------------------------------------ */

/* Takes a task whose tag says all: to the caller's own queue if it is a
 * worker, else to a shared one.  There is a worker. */
void kin__scheduler_submit(struct kin__scheduler *scheduler,
                           struct kin_task *task);

/* Appends n tasks to the queue that all workers see. */
void kin__shared_push(struct kin__scheduler *scheduler,
                      const struct kin__task_queue *tasks, size_t n);

/* --- worker.c ------------------------------------------------------------ */

/* frame->poll and frame->next of a worker. */
struct kin_task *kin__worker_poll(struct kin__frame *frame);
struct kin_task *kin__worker_next(struct kin__frame *frame);

/* --- permit.c ------------------------------------------------------------ */

/* But for the slot. */
static inline bool kin__permit_is_empty(struct kin__permit *permit)
{
    return kin__ring_is_empty(&permit->ring)
        && kin__fresh_is_empty(&permit->fresh);
}

/* Takes a free permit, and a searcher's place with it if `search`. */
bool kin__permit_try(struct kin__worker *worker, bool search);

/* Finds the permit that has been reserved for worker in the state. */
void kin__permit_claim(struct kin__worker *worker);

/* Gives the permit up; returns the state after, to which `less` was taken
 * from: KIN__SEARCH_ONE or 0. */
uint64_t kin__permit_release(struct kin__worker *worker, uint64_t less);

/* Is there CPU work that nobody runs?  Slots of running permits count if
 * `slots`. */
bool kin__permit_work_visible(struct kin__scheduler *scheduler, bool slots);

/* Steals for a worker whose own queue is empty. */
struct kin_task *kin__permit_steal(struct kin__worker *worker);

/* The watcher's look.  Sets worker->stale if a slot has not moved. */
enum kin__look { KIN__LOOK_QUIET, KIN__LOOK_MOVED, KIN__LOOK_STALE };
enum kin__look kin__permit_look(struct kin__worker *watcher);

/* --- wake.c -------------------------------------------------------------- */

/* Under idle_lock. */
void kin__parked_add(struct kin__scheduler *scheduler,
                     struct kin__worker *worker);
void kin__parked_remove(struct kin__scheduler *scheduler,
                        struct kin__worker *worker);

/* A permit is free and nobody searches (nor watches, if in_slot). */
bool kin__idle_wants_searcher(uint64_t state, bool in_slot);

/* To be called after giving up what others relied on, a searcher's place or
 * the watch; state is the one after. */
void kin__idle_look_again(struct kin__scheduler *scheduler, uint64_t state);

/* There is CPU work that may need one more worker.  in_slot: only in a slot,
 * where a watcher will see it. */
void kin__idle_signal(struct kin__scheduler *scheduler, bool in_slot);

/* The seeker that a push of a blocking task has promised. */
void kin__idle_wake_seeker(struct kin__scheduler *scheduler);

/* There is a timer for `deadline`: someone is to sleep no longer than that. */
void kin__idle_keep_time(struct kin__scheduler *scheduler, int64_t deadline);

/* The searcher has found something. */
void kin__idle_found(struct kin__worker *worker);

/* Becomes, or is, the one who sleeps no longer than *until, the first timer. */
bool kin__idle_is_keeper(struct kin__worker *worker, int64_t *until);

/* Wakes all parked workers, to look around. */
void kin__idle_wake_all(struct kin__scheduler *scheduler);

/* --- idle.c -------------------------------------------------------------- */

/* Parks until there is something to look for.  False: the worker is to end. */
bool kin__idle_park(struct kin__worker *worker);

/* frame->next, the first time, of a worker that was started to keep the time:
 * it parks before it does anything. */
struct kin_task *kin__idle_next_first(struct kin__frame *frame);

/* --- hand_over.c --------------------------------------------------------- */

#if KIN__HARD
bool kin__hand_over_hard(struct kin__worker *worker, struct kin_task *task);
struct kin_task *kin__handed_hard(struct kin__worker *worker);
#else
#define kin__hand_over_hard(worker, task) false
#define kin__handed_hard(worker) NULL
#endif

/* Hard mode: true if another worker runs task, which this one found and must
 * not run; this one may have no permit any more. */
static inline bool kin__hand_over(struct kin__worker *worker,
                                  struct kin_task *task)
{
    (void)worker;
    (void)task;
    return KIN__HARD && task && kin__hand_over_hard(worker, task);
}

/* Hard mode: what was handed to this worker, or NULL. */
static inline struct kin_task *kin__handed(struct kin__worker *worker)
{
    (void)worker;
    return KIN__HARD ? kin__handed_hard(worker) : NULL;
}

/* --- watchdog.c ---------------------------------------------------------- */

/* Starts its thread, if it is wanted.  Under start_lock.  Without a thread
 * there is no watchdog, and all else goes on. */
extern pthread_mutex_t kin__start_lock;
void kin__watchdog_start(struct kin__scheduler *scheduler);
void kin__watchdog_stop(struct kin__scheduler *scheduler);

/* On a worker's thread, when it begins: says how its time is read. */
void kin__watchdog_enter(struct kin__worker *worker);

/* A worker has taken a permit: from now on somebody is to look. */
void kin__watchdog_wake(struct kin__scheduler *scheduler);

static inline void kin__watchdog_see(struct kin__scheduler *scheduler)
{
    /* relaxed: ordered by the changes of state; see watchdog.c */
    if (KIN__UNLIKELY(atomic_load_explicit(&scheduler->watchdog.asleep,
                                           memory_order_relaxed)))
        kin__watchdog_wake(scheduler);
}

/* True if permit's holder was taken for blocked, and has been replaced; and
 * then, once: the holder gives the permit up for the one that stands in. */
static inline bool kin__permit_is_replaced(struct kin__permit *permit)
{
    /* relaxed: seen later, it is given up later */
    return atomic_load_explicit(&permit->replaced, memory_order_relaxed);
}

/* --- blocking.c ---------------------------------------------------------- */

/* Queues a blocking task and sees to it that someone comes for it.  self: the
 * calling worker, or NULL. */
void kin__blocking_push(struct kin__scheduler *scheduler,
                        struct kin__worker *self, struct kin_task *task);

/* The oldest, or NULL.  A seeker gives its place up with it. */
struct kin_task *kin__blocking_take(struct kin__scheduler *scheduler,
                                    bool seeker);

/* A seeker has something else to do. */
void kin__blocking_stop_seeking(struct kin__scheduler *scheduler);

/* Becomes a seeker if a task has none. */
bool kin__blocking_seek(struct kin__scheduler *scheduler);

#endif /* KIN_DISPATCH_SCHEDULER_INTERNAL_H */
