/* dispatch/submit.c -- where a task goes that is dispatched to Default or IO:
 * to the queues of the worker it comes from (worker.c says who takes what when)
 * or to those that all see; and that somebody hears of it. */
#include "dispatch/scheduler_internal.h"

#include "core/thread.h"

/* A body that nobody has begun. */
static bool is_fresh(const struct kin_task *task)
{
    return task->run == kin__runnable_run
        && !((const struct kin__runnable *)task)->fiber;
}

static bool is_blocking(const struct kin_task *task)
{
    return task->tag & KIN__TASK_BLOCKING;
}

void kin__shared_push(struct kin__scheduler *scheduler,
                      const struct kin__task_queue *tasks, size_t n)
{
    struct kin__shared_queue *queue = &scheduler->global;
    uint32_t count;

    kin__spin_lock(&queue->lock);
    if (queue->tasks.head)
        queue->tasks.last->next = tasks->head;
    else
        queue->tasks.head = tasks->head;
    queue->tasks.last = tasks->last;
    /* relaxed: only written under the lock */
    count = atomic_load_explicit(&queue->count, memory_order_relaxed);
    /* seq_cst: before the look at who is awake; pairs with seq_cst in
     * kin__permit_work_visible() */
    atomic_store_explicit(&queue->count, count + (uint32_t)n,
                          memory_order_seq_cst);
    kin__spin_unlock(&queue->lock);
}

/* The ring is full: half of it and the task go to the shared queue. */
static __attribute__((noinline)) void overflow(struct kin__worker *worker,
                                               struct kin_task *task)
{
    struct kin__task_queue tasks = { NULL, NULL };
    size_t n = kin__ring_spill(&worker->permit->ring, &tasks);

    kin__task_queue_push(&tasks, task);
    kin__shared_push(worker->scheduler, &tasks, n + 1);
}

/* Likewise, but the task is the newest. */
static __attribute__((noinline)) void
overflow_fresh(struct kin__worker *worker, struct kin_task *task)
{
    struct kin__task_queue tasks = { NULL, NULL };
    size_t n = kin__fresh_spill(&worker->permit->fresh, &tasks);

    if (n)                  /* else thieves have been there first */
        kin__shared_push(worker->scheduler, &tasks, n);
    while (!kin__fresh_put(&worker->permit->fresh, task))
        ;                               /* half of it is free */
}

/* There is work in a queue from which others may take. */
static void tell_others(struct kin__worker *worker)
{
    if (worker->between)
        worker->owes |= KIN__OWES_WAKE;
    else
        kin__idle_signal(worker->scheduler, false);
}

static void push_tail(struct kin__worker *worker, struct kin_task *task)
{
    if (is_blocking(task)) {
        kin__blocking_push(worker->scheduler, worker, task);
        return;
    }
    if (KIN__UNLIKELY(!kin__ring_put(&worker->permit->ring, task)))
        overflow(worker, task);
    tell_others(worker);
}

/* A yield: what is there has its turn before; but once, until the ring has had
 * its own, where every slice may launch one and yield. */
static void push_behind(struct kin__worker *worker, struct kin_task *task)
{
    struct kin__permit *permit = worker->permit;

    if (!permit->yielded)
        permit->from_ring = KIN__RING_STREAK;
    permit->yielded = true;
    push_tail(worker, task);
}

static void push_fresh(struct kin__worker *worker, struct kin_task *task)
{
    if (KIN__UNLIKELY(!kin__fresh_put(&worker->permit->fresh, task)))
        overflow_fresh(worker, task);
    tell_others(worker);
}

static void push_slot(struct kin__worker *worker, struct kin_task *task)
{
    struct kin__ring *ring = &worker->permit->ring;

    if (worker->between && kin__slot_is_empty(ring)) {
        kin__slot_put_quietly(ring, task);
        worker->owes |= KIN__OWES_WAKE;
        return;
    }
    task = kin__slot_put(ring, task);
    if (task)
        push_tail(worker, task);
    else
        kin__idle_signal(worker->scheduler, true);
}

static void push_from_outside(struct kin__scheduler *scheduler,
                              struct kin__worker *self, struct kin_task *task)
{
    struct kin__task_queue tasks = { task, task };

    if (is_blocking(task)) {
        kin__blocking_push(scheduler, self, task);
        return;
    }
    task->next = NULL;
    kin__shared_push(scheduler, &tasks, 1);
    kin__idle_signal(scheduler, false);
}

void kin__scheduler_submit(struct kin__scheduler *scheduler,
                           struct kin_task *task)
{
    struct kin__worker *worker = kin__thread()->worker;
    bool fair = task->tag & KIN__TASK_FAIR;

    task->tag &= ~KIN__TASK_FAIR;
    if (worker && worker->scheduler != scheduler)
        worker = NULL;
    if (!worker || !worker->permit)
        push_from_outside(scheduler, worker, task);
    else if (fair)
        push_behind(worker, task);
    else if (worker->firing)
        push_tail(worker, task);
    else if (is_fresh(task) && !is_blocking(task))
        push_fresh(worker, task);
    else
        push_slot(worker, task);
}
