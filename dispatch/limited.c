/* dispatch/limited.c -- a view of any dispatcher.
 *
 * A FIFO and up to `max` workers.  A worker of the view is a task of its own
 * on the base; it runs what is queued in place, and after BATCH slices goes
 * to the tail of the base, so that others there have their turn.  It takes its
 * next task first: the base is not touched for nothing.
 *
 * The base refuses a worker: the count is put right, and if others of the view
 * are at work they will come to the task.  If there are none the task itself
 * is refused to whoever dispatched it.
 *
 * Views of Default and IO do without workers, see limiter.h. */
#include "core/memory.h"
#include "core/run.h"
#include "core/spin.h"
#include "core/task.h"
#include "dispatch/dispatcher_more.h"
#include "dispatch/scheduler.h"

#include <string.h>

#define BATCH 16

struct view;

struct view_worker {
    struct kin_task task;                   /* first                         */
    struct view *view;                      /* constant                      */
    struct kin_task *taken;                 /* its own: to be run next       */
};

struct view {
    kin_dispatcher dispatcher;              /* first                         */
    struct kin__dispatcher_more more;       /* constant                      */
    kin_dispatcher *base;                   /* constant; retained            */
    int max;                                /* constant                      */
    struct kin__spin lock;
    int running;                            /* guarded by lock: workers      */
    struct kin__task_queue queue;           /* guarded by lock               */
    struct view_worker *spare;              /* guarded by lock: or NULL      */
    char name[];
};

static struct view *view_of(kin_dispatcher *self)
{
    return (struct view *)self;
}

/* --- Workers -------------------------------------------------------------- */

/* The worker has ended; keeps one for next time. */
static void put_worker(struct view *view, struct view_worker *worker)
{
    kin__spin_lock(&view->lock);
    if (!view->spare) {
        view->spare = worker;
        worker = NULL;
    }
    kin__spin_unlock(&view->lock);
    kin__free(worker);
}

/* The next task; NULL: there is none, and the worker no longer counts. */
static struct kin_task *take_or_end(struct view *view)
{
    struct kin_task *task;

    kin__spin_lock(&view->lock);
    task = kin__task_queue_pop(&view->queue);
    if (!task)
        view->running--;
    kin__spin_unlock(&view->lock);
    return task;
}

static void worker_run(struct kin_task *self)
{
    struct view_worker *worker = (struct view_worker *)self;
    struct view *view = worker->view;
    struct kin_task *task = worker->taken;

    if (!task)
        task = take_or_end(view);
    for (int n = 1; task; n++) {
        kin_task_run(task);
        task = take_or_end(view);
        if (task && n % BATCH == 0) {
            worker->taken = task;
            if (kin__dispatch(view->base, self) == 0)
                return;
        }
    }
    put_worker(view, worker);
    kin_dispatcher_release(&view->dispatcher);
}

static int start_worker(struct view *view, struct view_worker *worker)
{
    int err;

    if (!worker)
        worker = kin__malloc(sizeof *worker);
    if (!worker)
        return KIN_ENOMEM;
    *worker = (struct view_worker){ .task.run = worker_run, .view = view };
    kin_dispatcher_retain(&view->dispatcher);
    err = kin__dispatch(view->base, &worker->task);
    if (err) {
        put_worker(view, worker);
        kin_dispatcher_release(&view->dispatcher);
    }
    return err;
}

/* --- Its dispatcher ------------------------------------------------------- */

/* Takes task out of the queue; false: it is not there. */
static bool unqueue(struct kin__task_queue *queue, struct kin_task *task)
{
    struct kin_task **link = &queue->head, *before = NULL;

    while (*link && *link != task) {
        before = *link;
        link = &before->next;
    }
    if (!*link)
        return false;
    *link = task->next;
    if (queue->last == task)
        queue->last = before;
    return true;
}

/* The base takes nothing, and nobody of the view will come to task. */
static void reject(struct kin_task *task, int code)
{
    struct kin__runnable *runnable = (struct kin__runnable *)task;

    if (task->run == kin__runnable_run)
        runnable->ops->reject(runnable, code);
    else if (kin__dispatch(kin_io(), task) != 0)
        kin__run_in_place(task);
}

/* The base has refused a worker that was counted already.  Returns what to
 * tell whoever dispatched task. */
static int refused(struct view *view, struct kin_task *task, int err)
{
    struct kin__task_queue orphans = { NULL, NULL };
    bool mine;

    kin__spin_lock(&view->lock);
    mine = --view->running == 0 && unqueue(&view->queue, task);
    if (view->running == 0) {
        orphans = view->queue;          /* they relied on this worker */
        view->queue.head = NULL;
    }
    kin__spin_unlock(&view->lock);
    while ((task = kin__task_queue_pop(&orphans)) != NULL)
        reject(task, err);
    return mine ? err : 0;
}

static int view_dispatch(kin_dispatcher *self, kin_task *task)
{
    struct view *view = view_of(self);
    struct view_worker *worker = NULL;
    bool starts;
    int err;

    kin__spin_lock(&view->lock);
    kin__task_queue_push(&view->queue, task);
    starts = view->running < view->max;
    if (starts) {
        view->running++;
        worker = view->spare;
        view->spare = NULL;
    }
    kin__spin_unlock(&view->lock);
    if (!starts)
        return 0;
    err = start_worker(view, worker);
    return err ? refused(view, task, err) : 0;
}

static int64_t view_now(kin_dispatcher *self)
{
    kin_dispatcher *base = view_of(self)->base;

    return base->ops->now ? base->ops->now(base) : kin_now();
}

static int view_set_timer(kin_dispatcher *self, kin_timer *timer,
                          int64_t deadline)
{
    kin_dispatcher *base = view_of(self)->base;

    if (!base->ops->set_timer)
        return kin__scheduler_set_timer(timer, deadline);
    return base->ops->set_timer(base, timer, deadline);
}

static void view_destroy(kin_dispatcher *self)
{
    struct view *view = view_of(self);
    kin_dispatcher *base = view->base;

    kin__free(view->spare);
    kin__free(view);
    kin_dispatcher_release(base);
}

static const kin_dispatcher_ops view_ops = {
    .dispatch = view_dispatch,
    .set_timer = view_set_timer,
    .now = view_now,
    .destroy = view_destroy,
};

int kin__limited_new(kin_dispatcher *base, int n, const char *name,
                     kin_dispatcher **result)
{
    const char *text = name ? name : kin_dispatcher_name(base);
    size_t size = strlen(text) + 1;
    struct view *view = kin__calloc(1, sizeof *view + size);

    if (!view)
        return KIN_ENOMEM;
    memcpy(view->name, text, size);
    view->more.parallelism = n;
    view->dispatcher = (kin_dispatcher){
        .ops = &view_ops, .more = &view->more, .name = view->name, .refs = 1,
    };
    view->base = kin_dispatcher_retain(base);
    view->max = n;
    *result = &view->dispatcher;
    return 0;
}
