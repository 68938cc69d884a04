/* dispatch/pool.c -- dispatchers with threads of their own.
 *
 * One FIFO for all threads, under a spinlock; a thread that finds it empty
 * goes on the list of the idle, from which each push takes one.  A pool is
 * kept alive by its threads too: the last of them, or the user, frees it.
 *
 * In hard mode a pool of several threads has two more, which are idle when it
 * begins, and never do more run than usually do.  One that finds a fiber which
 * it must not run (core/hard.h) gives it to one of the idle and takes his place
 * among them, though what runs in place on its stack goes on.  Besides it at
 * most one may not run that either, so there is always one who may, until the
 * pool is closed and nobody is idle any more. */
#include "core/check.h"
#include "core/fork.h"
#include "core/hard.h"
#include "core/memory.h"
#include "core/parker.h"
#include "core/run.h"
#include "core/spin.h"
#include "dispatch/dispatcher_more.h"
#include "dispatch/os_thread.h"

#include <pthread.h>
#include <string.h>

#define MAX_THREADS 16384
#define MORE_THREADS (KIN__HARD ? 2 : 0)    /* than run, of several          */

struct pool;

struct pool_thread {
    struct kin__frame frame;            /* first                             */
    struct pool *pool;                  /* constant                          */
    int number;                         /* constant; 0: the only one         */
    pthread_t pthread;                  /* guarded by join_lock              */
    struct kin__parker parker;
    struct pool_thread *below;          /* guarded by lock: list of the idle */
    bool idle;                          /* guarded by lock                   */

    /* Hard mode; guarded by lock. */
    const struct kin__thread *thread;   /* NULL: it has not begun            */
    struct kin_task *handed;            /* to it, when it was idle           */
};

struct pool {
    kin_dispatcher dispatcher;          /* first                             */
    struct kin__dispatcher_more more;   /* constant                          */
    struct kin__spin lock;
    struct kin__task_queue queue;       /* guarded by lock                   */
    struct pool_thread *idle;           /* guarded by lock                   */
    bool closed;                        /* guarded by lock                   */
    int running;                        /* guarded by lock: not idle         */

    pthread_mutex_t join_lock;
    int to_join;                        /* guarded by join_lock              */
    int count;                          /* constant                          */
    int most;                           /* constant: of them run             */
    struct pool_thread *threads;        /* constant                          */
    char name[];
};

static struct pool *pool_of(kin_dispatcher *self)
{
    return (struct pool *)self;
}

/* --- Its threads ---------------------------------------------------------- */

static void push_idle(struct pool *pool, struct pool_thread *thread)
{
    thread->idle = true;
    thread->below = pool->idle;
    pool->idle = thread;
}

/* *place is one of the list. */
static struct pool_thread *remove_idle(struct pool_thread **place)
{
    struct pool_thread *thread = *place;

    *place = thread->below;
    thread->idle = false;
    return thread;
}

static struct pool_thread *take_idle(struct pool *pool)
{
    if (!pool->idle)
        return NULL;
    pool->running++;
    return remove_idle(&pool->idle);
}

/* One of the idle that may run r. */
static struct pool_thread *take_other(struct pool *pool,
                                      const struct kin__runnable *r)
{
    struct pool_thread **place = &pool->idle;

    while (*place && (*place)->thread
           && kin__hard_refuses(r, (*place)->thread))
        place = &(*place)->below;
    return *place ? remove_idle(place) : NULL;
}

/* Hard mode, locked: who is to run task in the place of self, which becomes
 * idle; NULL: self is. */
static struct pool_thread *hand_over(struct pool_thread *self,
                                     struct kin_task *task)
{
    struct kin__runnable *r = kin__parked_of(task);
    struct pool_thread *other = NULL;

    if (r && kin__hard_refuses(r, self->thread))
        other = take_other(self->pool, r);
    if (!other)
        return NULL;
    other->handed = task;
    push_idle(self->pool, self);
    kin__hard_handed();
    return other;
}

/* Hard mode: what was handed to self, or comes from the queue and is for it. */
static struct kin_task *take_hard(struct pool_thread *self)
{
    struct pool *pool = self->pool;
    struct pool_thread *other = NULL;
    struct kin_task *task = NULL;

    kin__spin_lock(&pool->lock);
    if (!self->idle) {
        task = self->handed;
        self->handed = NULL;
        if (!task)
            task = kin__task_queue_pop(&pool->queue);
        if (task)
            other = hand_over(self, task);
    }
    kin__spin_unlock(&pool->lock);
    if (!other && task)
        kin__hard_taken(task, self->thread);
    if (!other)
        return task;
    kin__parker_wake(&other->parker);
    return NULL;
}

static struct kin_task *take_task(struct pool_thread *self)
{
    struct pool *pool = self->pool;
    struct kin_task *task = kin__in_place_take(kin__thread());

    if (task)
        return task;
    if (KIN__HARD && pool->count > 1)
        return take_hard(self);
    kin__spin_lock(&pool->lock);
    task = kin__task_queue_pop(&pool->queue);
    kin__spin_unlock(&pool->lock);
    return task;
}

static struct kin_task *pool_poll(struct kin__frame *frame)
{
    return take_task((struct pool_thread *)frame);
}

/* Goes on the list of the idle, if it is not there and nothing has come
 * meanwhile.  False: the pool is closed and empty. */
static bool go_idle(struct pool_thread *self)
{
    struct pool *pool = self->pool;
    bool open;

    kin__spin_lock(&pool->lock);
    open = !pool->closed || pool->queue.head || self->handed;
    if (open && !pool->queue.head && !self->handed && !self->idle) {
        push_idle(pool, self);
        pool->running--;
    }
    kin__spin_unlock(&pool->lock);
    return open;
}

static bool is_idle(struct pool_thread *self)
{
    bool idle;

    kin__spin_lock(&self->pool->lock);
    idle = self->idle;
    kin__spin_unlock(&self->pool->lock);
    return idle;
}

static struct kin_task *pool_next(struct kin__frame *frame)
{
    struct pool_thread *self = (struct pool_thread *)frame;

    for (;;) {
        struct kin_task *task = take_task(self);

        if (task)
            return task;
        if (!go_idle(self))
            return NULL;
        kin__run_idle(self->frame.thread);
        while (is_idle(self))
            kin__parker_wait(&self->parker, KIN_NEVER);
    }
}

static void *pool_main(void *arg)
{
    struct pool_thread *self = arg;

    kin__os_thread_enter(self->pool->name, self->number);
    kin__spin_lock(&self->pool->lock);
    self->thread = kin__thread();
    kin__spin_unlock(&self->pool->lock);
    while (kin__frame_run(&self->frame) != 0)   /* no stack: try again */
        kin__parker_wait(&self->parker, kin_after(KIN_MS(5)));
    kin_dispatcher_release(&self->pool->dispatcher);
    return NULL;
}

/* None of them has begun. */
static void prepare_threads(struct pool *pool)
{
    for (int i = 0; i < pool->count; i++) {
        struct pool_thread *thread = &pool->threads[i];

        thread->frame.poll = pool_poll;
        thread->frame.next = pool_next;
        thread->pool = pool;
        thread->number = pool->count == 1 ? 0 : i + 1;
        if (i >= pool->most)
            push_idle(pool, thread);
    }
    pool->running = pool->most;
}

static int start_threads(struct pool *pool)
{
    int err = 0;

    prepare_threads(pool);
    for (int i = 0; i < pool->count && !err; i++) {
        struct pool_thread *thread = &pool->threads[i];

        kin_dispatcher_retain(&pool->dispatcher);
        err = kin__os_thread_start(&thread->pthread, pool_main, thread);
        if (err)
            kin_dispatcher_release(&pool->dispatcher);
        else
            pool->to_join++;
    }
    return err;
}

/* --- Its dispatcher ------------------------------------------------------- */

static int pool_dispatch(kin_dispatcher *self, kin_task *task)
{
    struct pool *pool = pool_of(self);
    struct pool_thread *thread = NULL;
    bool closed;

    if (KIN__UNLIKELY(kin__is_forked))
        return kin__fork_refuse("a pool");
    kin__spin_lock(&pool->lock);
    closed = pool->closed;
    if (!closed) {
        kin__task_queue_push(&pool->queue, task);
        if (pool->running < pool->most)
            thread = take_idle(pool);
    }
    kin__spin_unlock(&pool->lock);
    if (thread)
        kin__parker_wake(&thread->parker);
    return closed ? KIN_ECLOSED : 0;
}

static bool is_own_thread(struct pool *pool)
{
    for (struct kin__frame *f = kin__thread()->frame; f; f = f->outer)
        if (f->next == pool_next && ((struct pool_thread *)f)->pool == pool)
            return true;
    return false;
}

static int pool_close(kin_dispatcher *self)
{
    struct pool *pool = pool_of(self);
    struct pool_thread *thread;

    do {
        kin__spin_lock(&pool->lock);
        pool->closed = true;
        thread = take_idle(pool);
        kin__spin_unlock(&pool->lock);
        if (thread)
            kin__parker_wake(&thread->parker);
    } while (thread);
    if (is_own_thread(pool))
        return 0;
    pthread_mutex_lock(&pool->join_lock);
    while (pool->to_join > 0)
        pthread_join(pool->threads[--pool->to_join].pthread, NULL);
    pthread_mutex_unlock(&pool->join_lock);
    return 0;
}

/* No thread needs it any more, though the last may be the calling one. */
static void pool_destroy(kin_dispatcher *self)
{
    struct pool *pool = pool_of(self);

    while (pool->to_join > 0)
        pthread_detach(pool->threads[--pool->to_join].pthread);
    pthread_mutex_destroy(&pool->join_lock);
    kin__free(pool->threads);
    kin__free(pool);
}

static const kin_dispatcher_ops pool_ops = {
    .dispatch = pool_dispatch,
    .destroy = pool_destroy,
};

static struct pool *pool_new(int n, const char *name)
{
    size_t size = strlen(name) + 1;
    struct pool *pool = kin__calloc(1, sizeof *pool + size);
    int count = n > 1 ? n + MORE_THREADS : n;

    if (!pool)
        return NULL;
    pool->threads = kin__calloc((size_t)count, sizeof *pool->threads);
    if (!pool->threads) {
        kin__free(pool);
        return NULL;
    }
    memcpy(pool->name, name, size);
    pthread_mutex_init(&pool->join_lock, NULL);
    pool->more = (struct kin__dispatcher_more){
        .close = pool_close, .parallelism = n,
    };
    pool->dispatcher = (kin_dispatcher){
        .ops = &pool_ops, .more = &pool->more, .name = pool->name, .refs = 1,
    };
    pool->count = count;
    pool->most = n;
    return pool;
}

static int make(const char *function, int n, const char *name,
                kin_dispatcher **result)
{
    struct pool *pool;
    int err;

    if (!name || !result)
        return kin__misuse(KIN_EINVAL, function, "%s is NULL",
                           name ? "the result" : "name");
    if (n < 1)
        return kin__misuse(KIN_EINVAL, function,
                           "n is %d, must be at least 1", n);
    if (kin__is_forked)
        return kin__fork_refuse(function);
    if (n > MAX_THREADS)
        return KIN_EAGAIN;
    pool = pool_new(n, name);
    if (!pool)
        return KIN_ENOMEM;
    err = start_threads(pool);
    if (err) {
        pool_close(&pool->dispatcher);
        kin_dispatcher_release(&pool->dispatcher);
        return err;
    }
    *result = &pool->dispatcher;
    return 0;
}

int kin_fixed_pool(int n, const char *name, kin_dispatcher **pool)
{
    return make("kin_fixed_pool", n, name, pool);
}

int kin_single_thread(const char *name, kin_dispatcher **thread)
{
    return make("kin_single_thread", 1, name, thread);
}
