/* dispatch/blocking.c -- the queue of tasks that may block.
 *
 * Each of them may hold its thread for long, so each needs a thread that is
 * on its way: a seeker.  Under the lock, count <= seekers holds after every
 * push, unless the system gave no thread; and then whoever is free looks. */
#include "dispatch/scheduler_internal.h"

static uint32_t count_of(struct kin__shared_queue *queue)
{
    /* relaxed: written under the lock, which the caller holds or will take */
    return atomic_load_explicit(&queue->count, memory_order_relaxed);
}

static void set_count(struct kin__shared_queue *queue, uint32_t count)
{
    atomic_store_explicit(&queue->count, count, memory_order_relaxed);
}

/* Under the lock: takes a seeker's place if one is needed. */
static bool need_seeker(struct kin__shared_queue *queue)
{
    if ((int64_t)count_of(queue) <= queue->seekers)
        return false;
    queue->seekers++;
    return true;
}

void kin__blocking_push(struct kin__scheduler *scheduler,
                        struct kin__worker *self, struct kin_task *task)
{
    struct kin__shared_queue *queue = &scheduler->blocking;
    bool needed;

    kin__spin_lock(&queue->lock);
    kin__task_queue_push(&queue->tasks, task);
    set_count(queue, count_of(queue) + 1);
    needed = need_seeker(queue);
    kin__spin_unlock(&queue->lock);
    if (!needed)
        return;
    if (self && self->between && !(self->owes & KIN__OWES_SEEK))
        self->owes |= KIN__OWES_SEEK;       /* it comes by itself */
    else
        kin__idle_wake_seeker(scheduler);
}

struct kin_task *kin__blocking_take(struct kin__scheduler *scheduler,
                                    bool seeker)
{
    struct kin__shared_queue *queue = &scheduler->blocking;
    struct kin_task *task;

    /* relaxed: a push that is missed here has a seeker of its own */
    if (!seeker && count_of(queue) == 0)
        return NULL;
    kin__spin_lock(&queue->lock);
    if (seeker)
        queue->seekers--;
    task = kin__task_queue_pop(&queue->tasks);
    if (task)
        set_count(queue, count_of(queue) - 1);
    kin__spin_unlock(&queue->lock);
    return task;
}

void kin__blocking_stop_seeking(struct kin__scheduler *scheduler)
{
    struct kin__shared_queue *queue = &scheduler->blocking;
    bool needed;

    kin__spin_lock(&queue->lock);
    queue->seekers--;
    needed = need_seeker(queue);
    kin__spin_unlock(&queue->lock);
    if (needed)
        kin__idle_wake_seeker(scheduler);
}

bool kin__blocking_seek(struct kin__scheduler *scheduler)
{
    struct kin__shared_queue *queue = &scheduler->blocking;
    bool needed;

    kin__spin_lock(&queue->lock);
    needed = need_seeker(queue);
    kin__spin_unlock(&queue->lock);
    return needed;
}
