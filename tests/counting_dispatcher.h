/* counting_dispatcher.h -- a dispatcher that counts and waits to be told.
 *
 * What is dispatched to it is counted and queued; the test runs it when it
 * wants, on its own thread.  Two of them on one thread make every race between
 * dispatchers an order that the test chooses. */
#ifndef KIN_TESTS_COUNTING_DISPATCHER_H
#define KIN_TESTS_COUNTING_DISPATCHER_H

#include "kin/launch.h"
#include "tests/check.h"

#include <pthread.h>

struct counting {
    kin_dispatcher dispatcher;
    pthread_mutex_t lock;
    pthread_cond_t more;
    kin_task *head, **tail;         /* guarded by lock                       */
    int dispatched;                 /* guarded by lock: taken so far         */
    int refusal;                    /* the test's: not 0 refuses all, thus   */
};

static inline int counting_dispatch(kin_dispatcher *self, kin_task *task)
{
    struct counting *d = (struct counting *)self;

    pthread_mutex_lock(&d->lock);
    int refusal = d->refusal;
    if (!refusal) {
        task->next = NULL;
        *d->tail = task;
        d->tail = &task->next;
        d->dispatched++;
        pthread_cond_signal(&d->more);
    }
    pthread_mutex_unlock(&d->lock);
    return refusal;
}

static inline void counting_init(struct counting *d, const char *name)
{
    static const kin_dispatcher_ops ops = { .dispatch = counting_dispatch };

    CHECK_EQ(kin_dispatcher_init(&d->dispatcher, &ops, name), 0);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    d->head = NULL;
    d->tail = &d->head;
    d->dispatched = 0;
    d->refusal = 0;
}

static inline int counting_dispatched(struct counting *d)
{
    pthread_mutex_lock(&d->lock);
    int n = d->dispatched;
    pthread_mutex_unlock(&d->lock);
    return n;
}

/* The first task of the queue, or NULL; waits for one if told to. */
static inline kin_task *counting_take(struct counting *d, bool wait)
{
    pthread_mutex_lock(&d->lock);
    while (wait && !d->head)
        pthread_cond_wait(&d->more, &d->lock);
    kin_task *task = d->head;
    if (task) {
        d->head = task->next;
        if (!d->head)
            d->tail = &d->head;
    }
    pthread_mutex_unlock(&d->lock);
    return task;
}

/* Runs what is queued, and what that queues.  Returns the number of slices. */
static inline int counting_run(struct counting *d)
{
    int slices = 0;
    for (kin_task *task; (task = counting_take(d, false)); slices++)
        kin_task_run(task);
    return slices;
}

/* Waits for one slice, which other threads may still have to post, and runs
 * it. */
static inline void counting_run_one(struct counting *d)
{
    kin_task_run(counting_take(d, true));
}

/* Makes d, and starts body on it as a root, to its first suspension.  The job
 * is the caller's. */
static inline kin_job *counting_start(struct counting *d, kin_body *body)
{
    kin_job *job = NULL;

    counting_init(d, "D1");
    CHECK_EQ(kin_launch(kin_global_scope(), body, NULL, .job = &job,
                        .dispatcher = &d->dispatcher), 0);
    CHECK_EQ(counting_run(d), 1);
    return job;
}

#endif
