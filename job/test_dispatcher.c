/* test_dispatcher.c -- the two dispatchers on a virtual clock. */
#include "job/test_scheduler.h"

#include "core/check.h"
#include "core/memory.h"
#include "dispatch/dispatcher_more.h"
#include "job/context.h"
#include "job/coroutine.h"

const kin_key kin__test_key = { "test scheduler" };
const kin_key kin__test_background_key = { "background work" };

struct test_dispatcher {
    kin_dispatcher dispatcher;          /* first                             */
    kin_test_scheduler *scheduler;      /* constant; retained                */
};

static kin_test_scheduler *scheduler_of(kin_dispatcher *self)
{
    return ((struct test_dispatcher *)self)->scheduler;
}

/* An element of the fiber's context. */
static void *element_of(const struct kin__runnable *runnable,
                        const kin_key *key)
{
    const struct kin__coroutine *co = (const struct kin__coroutine *)runnable;

    return kin_context_get(kin__scope_context(co->current), key);
}

bool kin__test_is_background(const struct kin__runnable *runnable)
{
    return runnable && element_of(runnable, &kin__test_background_key);
}

/* One test, one clock. */
static int check_clock(kin_test_scheduler *scheduler,
                       const struct kin__runnable *runnable)
{
    kin_test_scheduler *own = element_of(runnable, &kin__test_key);

    return own && own != scheduler
        ? kin__misuse(KIN_EINVAL, "kin_test_dispatcher", "a fiber of a "
                      "kin_run_test came to another test scheduler's "
                      "dispatcher") : 0;
}

static int queue(kin_dispatcher *self, kin_task *task)
{
    kin_test_scheduler *scheduler = scheduler_of(self);

    if (task->run == kin__runnable_run)
        KIN_TRY(check_clock(scheduler, (struct kin__runnable *)task));
    kin__test_queue(scheduler, task);
    return 0;
}

static int set_timer(kin_dispatcher *self, kin_timer *timer, int64_t deadline)
{
    kin_test_scheduler *scheduler = scheduler_of(self);
    struct kin__runnable *runnable = kin__thread()->current;

    if (runnable && deadline != KIN_NEVER)
        KIN_TRY(check_clock(scheduler, runnable));
    return kin__test_set_timer(scheduler, timer, deadline);
}

static int64_t now(kin_dispatcher *self)
{
    return kin_test_now(scheduler_of(self));
}

static void destroy(kin_dispatcher *self)
{
    kin_test_scheduler *scheduler = scheduler_of(self);

    kin__free(self);
    kin_test_scheduler_release(scheduler);
}

/* --- The one that queues nothing ------------------------------------------ */

static bool never(kin_dispatcher *self)
{
    (void)self;
    return false;
}

/* For kin_yield: behind the other in-place slices of this thread. */
static int run_in_place(kin_dispatcher *self, kin_task *task)
{
    struct kin__thread *thread = kin__thread();

    (void)self;
    if (kin__task_queue_is_empty(&thread->in_place.queue))
        kin__run_in_place(task);
    else
        kin__task_queue_push(&thread->in_place.queue, task);
    return 0;
}

static int no_view(kin_dispatcher *self, int n, const char *name,
                   kin_dispatcher **view)
{
    (void)self, (void)n, (void)name, (void)view;
    return KIN_ENOTSUP;
}

/* --- Making them ---------------------------------------------------------- */

static const kin_dispatcher_ops standard_ops = {
    .dispatch = queue, .set_timer = set_timer, .now = now, .destroy = destroy,
};

static const kin_dispatcher_ops unconfined_ops = {
    .dispatch = run_in_place, .needs_dispatch = never, .set_timer = set_timer,
    .now = now, .destroy = destroy,
};

static const struct kin__dispatcher_more standard_more = { .parallelism = 1 };
static const struct kin__dispatcher_more unconfined_more = {
    .limited = no_view,
};

kin_test_scheduler *kin__test_scheduler_below(const kin_dispatcher *self)
{
    if (self->ops != &standard_ops && self->ops != &unconfined_ops)
        return NULL;
    return ((const struct test_dispatcher *)self)->scheduler;
}

static int make(kin_test_scheduler *scheduler, bool unconfined,
                kin_dispatcher **dispatcher)
{
    struct test_dispatcher *made = kin__malloc(sizeof *made);

    if (!made)
        return KIN_ENOMEM;
    made->dispatcher = (kin_dispatcher){
        .ops = unconfined ? &unconfined_ops : &standard_ops,
        .more = unconfined ? &unconfined_more : &standard_more,
        .name = unconfined ? "UnconfinedTest" : "Test", .refs = 1,
    };
    made->scheduler = kin_test_scheduler_retain(scheduler);
    *dispatcher = &made->dispatcher;
    return 0;
}

int kin_test_dispatcher(kin_test_scheduler *scheduler,
                        kin_dispatcher **dispatcher)
{
    if (!scheduler || !dispatcher)
        return kin__misuse(KIN_EINVAL, "kin_test_dispatcher", "%s is NULL",
                           scheduler ? "dispatcher" : "scheduler");
    return make(scheduler, false, dispatcher);
}

int kin_test_unconfined(kin_test_scheduler *scheduler,
                        kin_dispatcher **dispatcher)
{
    if (!scheduler || !dispatcher)
        return kin__misuse(KIN_EINVAL, "kin_test_unconfined", "%s is NULL",
                           scheduler ? "dispatcher" : "scheduler");
    return make(scheduler, true, dispatcher);
}
