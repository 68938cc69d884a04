/* dispatch/scheduler.c -- Default and IO: their dispatchers, their threads. */
#include "dispatch/scheduler_internal.h"

#include "core/environment.h"
#include "core/fork.h"
#include "core/memory.h"
#include "dispatch/os_thread.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IO_MIN      64                  /* blocking tasks at once, at least  */
#define MAX_THREADS 16384
#define MAX_CORE    4096                /* what the state word and IO bear   */
#define IDLE_NS     KIN_S(60)
#define BLOCKED_NS  KIN_S(1)

/* --- Threads ------------------------------------------------------------- */

/* The last of a worker.  Who frees the scheduler waits for its thread, and
 * joins it; before that nobody does, and it may not touch the scheduler once it
 * has been counted out. */
static void end_worker(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    bool joined;

    worker->thread->worker = NULL;
    kin__spin_lock(&scheduler->idle_lock);
    /* relaxed: set before the first look, under this lock, at who is alive */
    joined = atomic_load_explicit(&scheduler->stopping, memory_order_relaxed);
    if (!joined)
        worker->thread = NULL;
    scheduler->alive--;
    worker->below = scheduler->ended;
    scheduler->ended = worker;
    kin__spin_unlock(&scheduler->idle_lock);
    if (joined)
        kin__parker_wake(&scheduler->joiner);
    else
        pthread_detach(pthread_self());
}

static void *worker_main(void *arg)
{
    struct kin__worker *worker = arg;

    kin__os_thread_enter(worker->scheduler->name, worker->number);
    worker->thread = kin__thread();
    worker->thread->worker = worker;
    kin__watchdog_enter(worker);
    if (worker->grant == KIN__GRANT_CPU) {
        kin__permit_claim(worker);
        worker->searching = true;
    }
    /* Without a stack it cannot run anything; what is queued waits for one. */
    while (kin__frame_run(&worker->frame) != 0)
        kin__parker_wait(&worker->parker, kin_after(KIN_MS(5)));
    end_worker(worker);
    return NULL;
}

/* The parker stays as it is: a late waker of its former life may touch it. */
static void init_worker(struct kin__worker *worker,
                        struct kin__scheduler *scheduler,
                        enum kin__grant grant, struct kin_task *handed)
{
    memset(worker, 0, offsetof(struct kin__worker, parker));
    worker->frame.poll = kin__worker_poll;
    worker->frame.next = grant || handed ? kin__worker_next
                                         : kin__idle_next_first;
    worker->scheduler = scheduler;
    worker->seed = 2654435769u * (uint32_t)worker->number | 1;
    worker->until_clock = worker->clock_every = 1;
    worker->grant = grant;
    worker->handed = handed;
    worker->owes = grant == KIN__GRANT_SEEK ? KIN__OWES_SEEK : 0;
}

/* Memory aligned as type wants; the address to free lies right before it. */
static void *allocate(size_t size, size_t align)
{
    void *block = kin__calloc(1, size + 2 * align);
    uintptr_t start = (uintptr_t)block + sizeof block + align - 1;

    if (!block)
        return NULL;
    start -= start % align;
    ((uintptr_t *)start)[-1] = (uintptr_t)block;
    return (void *)start;
}

static void deallocate(void *memory)
{
    if (memory)
        kin__free((void *)((uintptr_t *)memory)[-1]);
}

/* A worker whose thread has ended, or a new one.  NULL without memory. */
static struct kin__worker *take_worker(struct kin__scheduler *scheduler)
{
    struct kin__worker *worker;
    int number = 0;

    kin__spin_lock(&scheduler->idle_lock);
    worker = scheduler->ended;
    if (worker)
        scheduler->ended = worker->below;
    else
        number = ++scheduler->numbers;
    kin__spin_unlock(&scheduler->idle_lock);
    if (worker)
        return worker;
    worker = allocate(sizeof *worker, _Alignof(struct kin__worker));
    if (worker)
        worker->number = number;
    return worker;
}

/* Counts a thread in, if there may be one more. */
static bool count_in(struct kin__scheduler *scheduler)
{
    bool may;

    kin__spin_lock(&scheduler->idle_lock);
    may = scheduler->threads < scheduler->max_threads;
    scheduler->threads += may;
    scheduler->alive += may;
    kin__spin_unlock(&scheduler->idle_lock);
    return may;
}

static void count_out(struct kin__scheduler *scheduler,
                      struct kin__worker *worker)
{
    kin__spin_lock(&scheduler->idle_lock);
    scheduler->threads--;
    scheduler->alive--;
    if (worker) {
        worker->below = scheduler->ended;
        scheduler->ended = worker;
    }
    kin__spin_unlock(&scheduler->idle_lock);
}

int kin__worker_create(struct kin__scheduler *scheduler,
                       enum kin__grant grant, struct kin_task *handed)
{
    struct kin__worker *worker;

    if (!count_in(scheduler))
        return KIN_EAGAIN;
    worker = take_worker(scheduler);
    if (worker)
        init_worker(worker, scheduler, grant, handed);
    if (!worker
        || kin__os_thread_start(&worker->pthread, worker_main, worker) != 0) {
        count_out(scheduler, worker);
        return KIN_EAGAIN;
    }
    return 0;
}

/* --- Start --------------------------------------------------------------- */

pthread_mutex_t kin__start_lock = PTHREAD_MUTEX_INITIALIZER;

/* Under start_lock. */
static int start(struct kin__scheduler *scheduler)
{
    size_t core = (size_t)scheduler->core;

    if (!scheduler->permits) {
        scheduler->permits = allocate(2 * core * sizeof *scheduler->permits,
                                      _Alignof(struct kin__permit));
        if (!scheduler->permits)
            return KIN_ENOMEM;
    }
    /* relaxed: there are no threads yet.  One permit is the first worker's. */
    atomic_store_explicit(&scheduler->state,
                          (core - 1) * KIN__FREE_ONE + KIN__SEARCH_ONE,
                          memory_order_relaxed);
    atomic_store_explicit(&scheduler->reach, scheduler->core,
                          memory_order_relaxed);
    if (kin__worker_create(scheduler, KIN__GRANT_CPU, NULL) != 0)
        return KIN_EAGAIN;
    kin__watchdog_start(scheduler);
    /* release: pairs with acquire in kin__scheduler_ready() */
    atomic_store_explicit(&scheduler->started, true, memory_order_release);
    return 0;
}

int kin__scheduler_ready(struct kin__scheduler *scheduler)
{
    int err = 0;

    /* acquire: pairs with release in start() */
    if (KIN__LIKELY(atomic_load_explicit(&scheduler->started,
                                         memory_order_acquire)))
        return 0;
    pthread_mutex_lock(&kin__start_lock);
    /* relaxed: written under start_lock */
    if (!atomic_load_explicit(&scheduler->started, memory_order_relaxed))
        err = start(scheduler);
    pthread_mutex_unlock(&kin__start_lock);
    return err;
}

/* --- The dispatchers ----------------------------------------------------- */

static struct kin__scheduler *scheduler_of_cpu(kin_dispatcher *self)
{
    return (struct kin__scheduler *)self;
}

static struct kin__scheduler *scheduler_of_io(kin_dispatcher *self)
{
    return (struct kin__scheduler *)
        ((char *)self - offsetof(struct kin__scheduler, io));
}

static int cpu_dispatch(kin_dispatcher *self, kin_task *task)
{
    int err = kin__scheduler_ready(scheduler_of_cpu(self));

    if (err)
        return err;
    task->tag &= KIN__TASK_RUNNABLE | KIN__TASK_FAIR;
    kin__scheduler_submit(scheduler_of_cpu(self), task);
    return 0;
}

static int io_dispatch(kin_dispatcher *self, kin_task *task)
{
    int err = kin__scheduler_ready(scheduler_of_io(self));

    if (!err)
        kin__limiter_enter(&scheduler_of_io(self)->io_limiter, task);
    return err;
}

static int set_timer(struct kin__scheduler *scheduler, kin_timer *timer,
                     int64_t deadline)
{
    int err;

    if (deadline == KIN_NEVER) {
        kin__timers_disarm(timer);
        return 0;
    }
    err = kin__scheduler_ready(scheduler);
    if (!err)
        err = kin__timers_arm(&scheduler->timers, timer, deadline);
    if (!err && deadline <= kin__timers_earliest(&scheduler->timers))
        kin__idle_keep_time(scheduler, deadline);
    return err;
}

static int cpu_set_timer(kin_dispatcher *self, kin_timer *timer,
                         int64_t deadline)
{
    return set_timer(scheduler_of_cpu(self), timer, deadline);
}

static int io_set_timer(kin_dispatcher *self, kin_timer *timer,
                        int64_t deadline)
{
    return set_timer(scheduler_of_io(self), timer, deadline);
}

static int cpu_limited(kin_dispatcher *self, int n, const char *name,
                       kin_dispatcher **view)
{
    struct kin__scheduler *scheduler = scheduler_of_cpu(self);

    if (n >= scheduler->core) {
        *view = self;
        return 0;
    }
    return kin__limiter_view(self, NULL, scheduler, false, n, name, view);
}

/* A view of IO goes around IO's own limit. */
static int io_limited(kin_dispatcher *self, int n, const char *name,
                      kin_dispatcher **view)
{
    return kin__limiter_view(self, NULL, scheduler_of_io(self), true, n, name,
                             view);
}

static const kin_dispatcher_ops cpu_ops = {
    .dispatch = cpu_dispatch, .set_timer = cpu_set_timer,
};
static const kin_dispatcher_ops io_ops = {
    .dispatch = io_dispatch, .set_timer = io_set_timer,
};

static void init(struct kin__scheduler *scheduler, int core, int io_max,
                 const char *name)
{
    scheduler->core = core < 1 ? 1 : core > MAX_CORE ? MAX_CORE : core;
    scheduler->name = name;
    /* relaxed: not published yet */
    atomic_store_explicit(&scheduler->watchdog.limit, KIN_NEVER,
                          memory_order_relaxed);
    scheduler->max_threads = MAX_THREADS;
    scheduler->idle_ns = IDLE_NS;
    scheduler->cpu_more = (struct kin__dispatcher_more){
        .limited = cpu_limited, .parallelism = scheduler->core,
        .immortal = true,
    };
    scheduler->io_more = (struct kin__dispatcher_more){
        .limited = io_limited, .parallelism = io_max, .immortal = true,
    };
    scheduler->cpu = (kin_dispatcher){
        .ops = &cpu_ops, .more = &scheduler->cpu_more, .name = "Default",
        .refs = 1,
    };
    scheduler->io = (kin_dispatcher){
        .ops = &io_ops, .more = &scheduler->io_more, .name = "IO", .refs = 1,
    };
    scheduler->io_limiter.max = io_max;
    scheduler->io_limiter.blocking = true;
    scheduler->io_limiter.scheduler = scheduler;
}

/* --- The process's own --------------------------------------------------- */

static struct kin__scheduler process;
static pthread_once_t process_once = PTHREAD_ONCE_INIT;

static int refuse_dispatch(kin_dispatcher *self, kin_task *task)
{
    (void)task;
    return kin__fork_refuse(self->name);
}

/* There are no workers in the child of a fork. */
static void refuse_all(void)
{
    static kin_dispatcher_ops refuse;

    refuse = cpu_ops;
    refuse.dispatch = refuse_dispatch;
    process.cpu.ops = process.io.ops = &refuse;
}

/* How many blocking tasks IO runs at once, unless the environment says. */
static int io_limit(int usual)
{
    const char *text = kin__environment("KIN_IO_PARALLELISM");
    char *end;
    long wish;

    if (!text || !*text)
        return usual;
    wish = strtol(text, &end, 10);
    if (!*end && wish >= 1 && wish <= MAX_CORE)
        return (int)wish;
    fprintf(stderr, "kin: KIN_IO_PARALLELISM=%s is no number from 1 to %d\n",
            text, MAX_CORE);
    return usual;
}

static void init_process(void)
{
    int cpus = kin__cpu_count();

    init(&process, cpus < 2 ? 2 : cpus,
         io_limit(cpus < IO_MIN ? IO_MIN : cpus), "kin");
    kin__fork_child = refuse_all;
    /* relaxed: published by pthread_once() */
    atomic_store_explicit(&process.watchdog.limit, BLOCKED_NS,
                          memory_order_relaxed);
}

static struct kin__scheduler *the_process(void)
{
    pthread_once(&process_once, init_process);
    return &process;
}

kin_dispatcher *kin_default(void)
{
    return &the_process()->cpu;
}

kin_dispatcher *kin_io(void)
{
    return &the_process()->io;
}

int64_t kin_blocked_limit(int64_t limit)
{
    return kin__scheduler_set_blocked(the_process(), limit);
}

int kin__scheduler_set_timer(kin_timer *timer, int64_t deadline)
{
    return set_timer(the_process(), timer, deadline);
}

/* --- Others, for tests --------------------------------------------------- */

struct kin__scheduler *kin__scheduler_new(int core, int io_max,
                                          const char *name)
{
    struct kin__scheduler *scheduler =
        allocate(sizeof *scheduler, _Alignof(struct kin__scheduler));

    if (scheduler)
        init(scheduler, core, io_max, name);
    return scheduler;
}

static int count_alive(struct kin__scheduler *scheduler)
{
    int alive;

    kin__spin_lock(&scheduler->idle_lock);
    alive = scheduler->alive;
    kin__spin_unlock(&scheduler->idle_lock);
    return alive;
}

void kin__scheduler_free(struct kin__scheduler *scheduler)
{
    struct kin__worker *worker;

    if (!scheduler)
        return;
    /* release: pairs with acquire in is_stopping() of idle.c */
    atomic_store_explicit(&scheduler->stopping, true, memory_order_release);
    kin__watchdog_stop(scheduler);
    kin__idle_wake_all(scheduler);
    while (count_alive(scheduler) > 0)
        kin__parker_wait(&scheduler->joiner, KIN_NEVER);
    while ((worker = scheduler->ended) != NULL) {
        scheduler->ended = worker->below;
        if (worker->thread)             /* NULL: nobody waits for it */
            pthread_join(worker->pthread, NULL);
        deallocate(worker);
    }
    kin__timers_destroy(&scheduler->timers);
    deallocate(scheduler->permits);
    deallocate(scheduler);
}

kin_dispatcher *kin__scheduler_default(struct kin__scheduler *scheduler)
{
    return &scheduler->cpu;
}

kin_dispatcher *kin__scheduler_io(struct kin__scheduler *scheduler)
{
    return &scheduler->io;
}

void kin__scheduler_set_limits(struct kin__scheduler *scheduler,
                               int64_t idle_ns, int threads)
{
    scheduler->idle_ns = idle_ns;
    scheduler->max_threads = threads;
}

int64_t kin__scheduler_set_blocked(struct kin__scheduler *scheduler,
                                   int64_t limit)
{
    struct kin__watchdog *watchdog = &scheduler->watchdog;
    int64_t before;

    if (limit <= 0)
        /* relaxed: a number */
        return atomic_load_explicit(&watchdog->limit, memory_order_relaxed);
    pthread_mutex_lock(&kin__start_lock);
    /* relaxed: a number; the watchdog is woken to see it */
    before = atomic_exchange_explicit(&watchdog->limit, limit,
                                      memory_order_relaxed);
    /* relaxed: written under start_lock */
    if (atomic_load_explicit(&scheduler->started, memory_order_relaxed))
        kin__watchdog_start(scheduler);
    pthread_mutex_unlock(&kin__start_lock);
    return before;
}

void kin__scheduler_get_stats(struct kin__scheduler *scheduler,
                              struct kin__scheduler_stats *stats)
{
    kin__spin_lock(&scheduler->idle_lock);
    stats->threads = scheduler->threads;
    stats->parked = scheduler->parked_count;
    kin__spin_unlock(&scheduler->idle_lock);
    /* relaxed: statistics */
    stats->free_permits = (int)kin__free_of(
        atomic_load_explicit(&scheduler->state, memory_order_relaxed));
}
