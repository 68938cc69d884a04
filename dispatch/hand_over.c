/* dispatch/hand_over.c -- hard mode: a worker that must not go on with a fiber
 * gives it to another (core/hard.h).
 *
 *   the worker                         the other, from the list of the parked,
 *   1 takes him from the list                              or a new thread
 *   2 puts its searcher's place and
 *     permit down, if the fiber        3 claims the permit that was put down
 *     needs one                        4 runs the fiber, as one he has found
 *   5 goes to sleep
 *
 * The permit is counted free at no moment, so nobody else can take it off; and
 * the other is a searcher until 4, so what the worker leaves in the permit's
 * queues is not forgotten.  A thread is started only if none of the parked may
 * run the fiber, and of those there are at most two: so there are at most two
 * threads more than in a usual build.  If none is to be had the worker takes
 * up the permit again and runs the fiber itself: that is what `stayed` counts.
 * So nothing is passed on twice, and nothing waits. */
#include "dispatch/scheduler_internal.h"

#include "core/hard.h"

#if KIN__HARD

static bool is_blocking(const struct kin_task *task)
{
    return task->tag & KIN__TASK_BLOCKING;
}

/* The newest of the parked that may run r. */
static struct kin__worker *take_parked(struct kin__scheduler *scheduler,
                                       const struct kin__runnable *r,
                                       enum kin__grant grant)
{
    struct kin__worker *worker;

    kin__spin_lock(&scheduler->idle_lock);
    worker = scheduler->parked;
    while (worker && kin__hard_refuses(r, worker->thread))
        worker = worker->below;
    if (worker) {
        kin__parked_remove(scheduler, worker);
        worker->grant = grant;
        worker->handed = (struct kin_task *)&r->task;
    }
    kin__spin_unlock(&scheduler->idle_lock);
    return worker;
}

/* For one who has been promised it, with a searcher's place. */
static void put_permit_down(struct kin__worker *worker)
{
    struct kin__permit *permit = worker->permit;

    if (!worker->searching)
        /* relaxed: leaving is what others must see */
        atomic_fetch_add_explicit(&worker->scheduler->state, KIN__SEARCH_ONE,
                                  memory_order_relaxed);
    worker->searching = false;
    worker->permit = NULL;
    /* release: pairs with acquire in grab() of permit.c */
    atomic_store_explicit(&permit->holder, NULL, memory_order_release);
}

/* Nobody came for it. */
static void take_permit_up(struct kin__worker *worker)
{
    kin__permit_claim(worker);
    worker->searching = true;
}

bool kin__hand_over_hard(struct kin__worker *worker, struct kin_task *task)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    enum kin__grant grant = is_blocking(task) ? KIN__GRANT_NONE
                                              : KIN__GRANT_CPU;
    struct kin__runnable *r = kin__parked_of(task);
    struct kin__worker *other;

    if (!r || !kin__hard_refuses(r, worker->thread))
        return false;
    other = take_parked(scheduler, r, grant);
    if (grant == KIN__GRANT_CPU)
        put_permit_down(worker);
    if (other) {
        kin__parker_wake(&other->parker);
    } else if (kin__worker_create(scheduler, grant, task) != 0) {
        if (grant == KIN__GRANT_CPU)
            take_permit_up(worker);
        return false;
    }
    kin__hard_handed();
    return true;
}

struct kin_task *kin__handed_hard(struct kin__worker *worker)
{
    struct kin_task *task = worker->handed;

    worker->handed = NULL;
    if (!task || is_blocking(task) || worker->permit)
        return task;
    /* It has left the list for another reason, and given the permit back. */
    kin__scheduler_submit(worker->scheduler, task);
    return NULL;
}

#endif
