/* unconfined.c -- Unconfined: starts and resumes run in place. */
#include "dispatch/unconfined.h"

#include "core/run.h"
#include "dispatch/dispatcher_more.h"
#include "kin/dispatcher.h"

static bool never(kin_dispatcher *self)
{
    (void)self;
    return false;
}

/* For who dispatches all the same: a view of it cannot be made, so nobody. */
static int run_now(kin_dispatcher *self, kin_task *task)
{
    (void)self;
    kin__run_in_place(task);
    return 0;
}

static int no_view(kin_dispatcher *self, int n, const char *name,
                   kin_dispatcher **view)
{
    (void)self, (void)n, (void)name, (void)view;
    return KIN_ENOTSUP;
}

static const kin_dispatcher_ops ops = {
    .dispatch = run_now, .needs_dispatch = never,
};

static const struct kin__dispatcher_more more = {
    .limited = no_view, .immortal = true,
};

static kin_dispatcher unconfined = {
    .ops = &ops, .more = &more, .name = "Unconfined", .refs = 1,
};

kin_dispatcher *kin_unconfined(void)
{
    return &unconfined;
}

static void to_the_back(void *task)
{
    kin__task_queue_push(&kin__thread()->in_place.queue, task);
}

int kin__unconfined_yield(void)
{
    struct kin__thread *thread = kin__thread();

    if (!thread->in_place.queue.head)
        return 0;
    return kin__park(to_the_back, &thread->current->task);
}
