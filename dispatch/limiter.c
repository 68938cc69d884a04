/* dispatch/limiter.c -- see limiter.h. */
#include "dispatch/limiter.h"

#include "core/memory.h"
#include "dispatch/scheduler_internal.h"

#include <string.h>

/* Counts task in, or puts it in line. */
static bool let_in(struct kin__limiter *limiter, struct kin_task *task)
{
    bool first = false, in;

    kin__spin_lock(&limiter->lock);
    in = limiter->in_flight < limiter->max;
    if (in)
        first = limiter->in_flight++ == 0;
    else
        kin__task_queue_push(&limiter->queue, task);
    kin__spin_unlock(&limiter->lock);
    if (first && limiter->keep)
        kin_dispatcher_retain(limiter->keep);
    return in;
}

static void enter_from(struct kin__limiter *limiter, struct kin_task *task,
                       struct kin__scheduler *scheduler)
{
    for (; limiter; limiter = limiter->outer)
        if (!let_in(limiter, task))
            return;
    kin__scheduler_submit(scheduler, task);
}

void kin__limiter_enter(struct kin__limiter *limiter, struct kin_task *task)
{
    task->tag = (task->tag & KIN__TAG_BITS & ~KIN__TASK_BLOCKING)
                | (limiter->blocking ? KIN__TASK_BLOCKING : 0)
                | (uintptr_t)limiter;
    enter_from(limiter, task, limiter->scheduler);
}

void kin__limiter_leave(struct kin__limiter *limiter)
{
    struct kin__scheduler *scheduler = limiter->scheduler;
    struct kin__limiter *outer;

    for (; limiter; limiter = outer) {
        kin_dispatcher *drop = NULL;
        struct kin_task *next;

        outer = limiter->outer;
        kin__spin_lock(&limiter->lock);
        next = kin__task_queue_pop(&limiter->queue);
        if (!next && --limiter->in_flight == 0)
            drop = limiter->keep;
        kin__spin_unlock(&limiter->lock);
        if (next)
            enter_from(outer, next, scheduler);
        if (drop)
            kin_dispatcher_release(drop);       /* limiter may be gone now */
    }
}

/* --- Views --------------------------------------------------------------- */

struct view {
    kin_dispatcher dispatcher;              /* first                         */
    struct kin__dispatcher_more more;       /* constant                      */
    kin_dispatcher *base;                   /* constant; retained            */
    struct kin__limiter limiter;
    char name[];
};

static struct view *view_of(kin_dispatcher *self)
{
    return (struct view *)self;
}

static int view_dispatch(kin_dispatcher *self, kin_task *task)
{
    struct kin__limiter *limiter = &view_of(self)->limiter;
    int err = kin__scheduler_ready(limiter->scheduler);

    if (!err)
        kin__limiter_enter(limiter, task);
    return err;
}

static int view_set_timer(kin_dispatcher *self, kin_timer *timer,
                          int64_t deadline)
{
    kin_dispatcher *base = view_of(self)->base;

    return base->ops->set_timer(base, timer, deadline);
}

static void view_destroy(kin_dispatcher *self)
{
    kin_dispatcher *base = view_of(self)->base;

    kin__free((void *)((uintptr_t *)(void *)self)[-1]);
    kin_dispatcher_release(base);
}

static const kin_dispatcher_ops view_ops = {
    .dispatch = view_dispatch,
    .set_timer = view_set_timer,
    .destroy = view_destroy,
};

static int view_limited(kin_dispatcher *self, int n, const char *name,
                        kin_dispatcher **view)
{
    struct kin__limiter *limiter = &view_of(self)->limiter;

    if (n >= limiter->max) {
        *view = kin_dispatcher_retain(self);
        return 0;
    }
    return kin__limiter_view(self, limiter, limiter->scheduler,
                             limiter->blocking, n, name, view);
}

/* Memory for a view, aligned as its limiter must be; the address to free lies
 * right before it. */
static struct view *allocate_view(size_t name_size)
{
    size_t align = _Alignof(struct view);
    void *block = kin__calloc(1, sizeof(struct view) + name_size + 2 * align);
    uintptr_t start = (uintptr_t)block + sizeof block + align - 1;
    struct view *view;

    if (!block)
        return NULL;
    view = (struct view *)(start - start % align);
    ((uintptr_t *)(void *)view)[-1] = (uintptr_t)block;
    return view;
}

int kin__limiter_view(kin_dispatcher *base, struct kin__limiter *outer,
                      struct kin__scheduler *scheduler, bool blocking, int n,
                      const char *name, kin_dispatcher **result)
{
    const char *text = name ? name : kin_dispatcher_name(base);
    size_t size = strlen(text) + 1;
    struct view *view = allocate_view(size);

    if (!view)
        return KIN_ENOMEM;
    memcpy(view->name, text, size);
    view->more = (struct kin__dispatcher_more){
        .limited = view_limited, .parallelism = n,
    };
    view->dispatcher = (kin_dispatcher){
        .ops = &view_ops, .more = &view->more, .name = view->name, .refs = 1,
    };
    view->base = kin_dispatcher_retain(base);
    view->limiter = (struct kin__limiter){
        .max = n, .blocking = blocking, .outer = outer,
        .scheduler = scheduler, .keep = &view->dispatcher,
    };
    *result = &view->dispatcher;
    return 0;
}
