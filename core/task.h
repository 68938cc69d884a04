/* core/task.h -- a task as kin itself sees it; the struct is public. */
#ifndef KIN_CORE_TASK_H
#define KIN_CORE_TASK_H

#include "core/check.h"
#include "kin/task.h"

#include <stdbool.h>
#include <stddef.h>

/* The bits of kin_task.tag. */
#define KIN__TASK_BLOCKING ((uintptr_t)1)  /* goes through IO, may block      */
#define KIN__TASK_FAIR     ((uintptr_t)2)  /* to the tail: no LIFO slot       */
#define KIN__TASK_RUNNABLE ((uintptr_t)4)  /* is a kin__runnable's            */

/* A FIFO of tasks, linked through task->next; no locking.  All zeroes is a
 * valid empty queue. */
struct kin__task_queue {
    struct kin_task *head, *last;
};

static inline bool
kin__task_queue_is_empty(const struct kin__task_queue *queue)
{
    return queue->head == NULL;
}

/* Its first links lead on, and its last one ends it. */
static inline bool
kin__task_queue_is_valid(const struct kin__task_queue *queue)
{
    const struct kin_task *task = queue->head;

    for (int i = 0; task && task->next && i < 8; i++)
        task = task->next;
    return !task || (!queue->last->next && (task->next || task == queue->last));
}

static inline void kin__task_queue_push(struct kin__task_queue *queue,
                                        struct kin_task *task)
{
    KIN_SLOW(kin__task_queue_is_valid(queue));
    task->next = NULL;
    if (queue->head)
        queue->last->next = task;
    else
        queue->head = task;
    queue->last = task;
}

static inline struct kin_task *
kin__task_queue_pop(struct kin__task_queue *queue)
{
    struct kin_task *task = queue->head;

    KIN_SLOW(kin__task_queue_is_valid(queue));
    if (task)
        queue->head = task->next;
    return task;
}

#endif /* KIN_CORE_TASK_H */
