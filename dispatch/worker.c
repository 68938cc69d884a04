/* dispatch/worker.c -- what a worker does between two tasks.
 *
 * Between.  From the end of a slice until the next task is chosen the worker
 * is bound to look around, so what is put into its own queue meanwhile (a
 * fiber that moves to another dispatcher is published then) needs nobody
 * else: it is noted in `owes`, and if the worker runs something else first,
 * others are told then, in settle().  So a hop costs no wake-up.
 *
 * The slot.  The task dispatched last runs first, for its data is warm; after
 * STREAK of them in a row the ring has its turn, so that two fibers which wake
 * each other do not starve the rest.
 *
 * Fresh ones.  What has begun goes on before anything new begins, so that few
 * are under way; but after KIN__RING_STREAK of the ring in a row, and after
 * each yield, a fresh one has its turn, and now and then it is the oldest. */
#include "dispatch/scheduler_internal.h"

#include "core/hard.h"
#include "core/thread.h"

#if defined(KIN_HARD) && KIN_HARD == 1
#define STREAK       0u                 /* the slot is never taken first     */
#else
#define STREAK       16u
#endif
#define FRESH_PATIENCE (128 * KIN__PROBE)
#define CLOCK_PICKS  64u                /* at most, between two clock reads  */
#define CLOCK_NS_MIN KIN_US(20)
#define CLOCK_NS_MAX KIN_US(100)

static struct kin__worker *worker_of(struct kin__frame *frame)
{
    return (struct kin__worker *)frame;
}

/* --- Picking ------------------------------------------------------------- */

/* Takes a share of the shared queue, at most `most`: the first is returned,
 * the others go to the ring, which is empty if most > 1. */
static struct kin_task *take_shared(struct kin__worker *worker, uint32_t most)
{
    struct kin__shared_queue *queue = &worker->scheduler->global;
    struct kin_task *first;
    uint32_t count, n;

    /* relaxed: whoever pushes looks for somebody after that */
    if (atomic_load_explicit(&queue->count, memory_order_relaxed) == 0)
        return NULL;
    kin__spin_lock(&queue->lock);
    count = atomic_load_explicit(&queue->count, memory_order_relaxed);
    n = count / (uint32_t)worker->scheduler->core + 1;
    n = n < most ? n : most;
    n = n < count ? n : count;
    first = n > 0 ? kin__task_queue_pop(&queue->tasks) : NULL;
    if (n > 1)
        kin__ring_fill(&worker->permit->ring, &queue->tasks, n - 1);
    /* relaxed: fewer than before, nobody waits for that */
    atomic_store_explicit(&queue->count, count - n, memory_order_relaxed);
    kin__spin_unlock(&queue->lock);
    return first;
}

static uint32_t clock_every(struct kin__worker *worker, int64_t passed)
{
    uint32_t every = worker->clock_every;

    if (passed > CLOCK_NS_MAX)
        return every > 1 ? every / 2 : 1;
    if (passed < CLOCK_NS_MIN && every < CLOCK_PICKS)
        return every * 2;
    return every;
}

/* Fires the timers that are due.  The clock is read every so many picks, as
 * many as take some tens of microseconds, and only if a timer is armed. */
static void look_at_clock(struct kin__worker *worker)
{
    struct kin__timers *timers = &worker->scheduler->timers;
    int64_t earliest = kin__timers_earliest(timers), now;
    bool held;

    worker->until_clock = worker->clock_every;
    if (earliest == KIN_NEVER)
        return;
    now = kin_now();
    worker->clock_every = clock_every(worker, now - worker->last_clock);
    worker->until_clock = worker->clock_every;
    worker->last_clock = now;
    if (earliest > now)
        return;
    worker->firing = true;
    held = kin__in_place_hold();
    kin__timers_fire(timers, now);
    kin__in_place_let_go(held);
    worker->firing = false;
}

static uint32_t count_pick(struct kin__permit *permit)
{
    /* relaxed: the holder's own counter; the watcher compares */
    uint32_t tick = atomic_load_explicit(&permit->tick,
                                         memory_order_relaxed) + 1;

    atomic_store_explicit(&permit->tick, tick, memory_order_relaxed);
    return tick;
}

static struct kin_task *take_ring(struct kin__permit *permit)
{
    permit->yielded = false;
    return kin__ring_take(&permit->ring);
}

/* Of what has begun, or of what has not. */
static struct kin_task *pick_queued(struct kin__permit *permit)
{
    struct kin_task *task = NULL;

    if (permit->from_ring++ < KIN__RING_STREAK)
        task = take_ring(permit);
    if (task)
        return task;
    permit->from_ring = 0;
    task = kin__fresh_take(&permit->fresh);
    return task ? task : take_ring(permit);
}

static struct kin_task *pick_local(struct kin__permit *permit)
{
    struct kin_task *task;

    if (permit->streak + 1 <= STREAK) {
        task = kin__slot_take(&permit->ring);
        if (task) {
            permit->streak++;
            return task;
        }
    }
    permit->streak = 0;
    task = pick_queued(permit);
    return task ? task : kin__slot_take(&permit->ring);
}

/* What would wait for ever behind what is newer, or nearer.  The oldest fresh
 * one comes seldom: begun before its turn it is one more that is under way. */
static struct kin_task *pick_far(struct kin__worker *worker, uint32_t tick)
{
    struct kin_task *task = NULL;

    if (tick % FRESH_PATIENCE == 0
        && kin__fresh_take_oldest(&worker->permit->fresh, &task, 1))
        return task;
    return take_shared(worker, 1);
}

/* A blocking slice holds no permit. */
static void give_permit_up(struct kin__worker *worker)
{
    uint64_t state = kin__permit_release(worker, 0);

    if (kin__searching_of(state) == 0
        && kin__permit_work_visible(worker->scheduler,
                                    !(state & KIN__WATCHED)))
        kin__idle_signal(worker->scheduler, false);
}

/* It was blocked for long, and another worker runs in its place: gives permit
 * and queue up, and goes on without. */
static struct kin_task *give_back(struct kin__worker *worker)
{
    struct kin__task_queue tasks = { NULL, NULL };
    struct kin_task *task;
    size_t n = 0;

    for (; (task = pick_local(worker->permit)) != NULL; n++)
        kin__task_queue_push(&tasks, task);
    if (n)
        kin__shared_push(worker->scheduler, &tasks, n);
    give_permit_up(worker);
    return kin__blocking_take(worker->scheduler, false);
}

/* What this worker has at hand, without asking others. */
static struct kin_task *find(struct kin__worker *worker)
{
    struct kin__permit *permit = worker->permit;
    struct kin_task *task = NULL;
    uint32_t tick;

    if (KIN__UNLIKELY(worker->owes & KIN__OWES_SEEK)) {
        worker->owes &= ~KIN__OWES_SEEK;
        task = kin__blocking_take(worker->scheduler, true);
        if (task)
            return task;
    }
    if (!permit)
        return kin__blocking_take(worker->scheduler, false);
    if (KIN__UNLIKELY(--worker->until_clock == 0))
        look_at_clock(worker);
    tick = count_pick(permit);
    if (KIN__UNLIKELY(tick % KIN__PROBE == 0)) {
        /* A searcher gives it up with its place, when it has found nothing. */
        if (kin__permit_is_replaced(permit) && !worker->searching)
            return give_back(worker);
        task = pick_far(worker, tick);
    }
    if (!task)
        task = pick_local(permit);
    if (!task)
        task = take_shared(worker, KIN__RING_SIZE / 2);
    return task;
}

/* --- Between two tasks --------------------------------------------------- */

static void end_slice(struct kin__worker *worker)
{
    uintptr_t slice = worker->slice;

    worker->slice = 0;
    if ((slice & KIN__TASK_BLOCKING) && !worker->permit)
        kin__permit_try(worker, false);
    if (kin__limiter_of(slice))
        kin__limiter_leave(kin__limiter_of(slice));
}

/* Tells others of what was put down here and is not taken along. */
static __attribute__((noinline)) void settle(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    uint32_t owes = worker->owes;

    worker->owes = 0;
    if (owes & KIN__OWES_SEEK)
        kin__blocking_stop_seeking(scheduler);
    if (owes & KIN__OWES_TIMER)
        kin__idle_keep_time(scheduler,
                            kin__timers_earliest(&scheduler->timers));
    if (!(owes & KIN__OWES_WAKE) || !worker->permit)
        return;
    if (kin__slot_is_empty(&worker->permit->ring)
        && kin__permit_is_empty(worker->permit))
        return;
    /* acq_rel: in the place of the push's own barrier; pairs with seq_cst in
     * kin__permit_release(), see idle.c */
    atomic_fetch_add_explicit(&scheduler->state, 0, memory_order_acq_rel);
    kin__idle_signal(scheduler, kin__permit_is_empty(worker->permit));
}

void kin__scheduler_will_block(void)
{
    struct kin__worker *worker = kin__thread()->worker;

    if (!worker || !worker->permit)
        return;
    worker->slice |= KIN__TASK_BLOCKING;    /* end_slice() asks for one again */
    give_permit_up(worker);
}

/* The worker is about to run task. */
static struct kin_task *begin(struct kin__worker *worker,
                              struct kin_task *task)
{
    kin__hard_taken(task, worker->thread);
    worker->between = false;
    worker->slice = task->tag & ~(KIN__TASK_RUNNABLE | KIN__TASK_FAIR);
    if (worker->permit)
        /* relaxed: told by the watchdog, if it stays for long */
        atomic_store_explicit(&worker->permit->running, task,
                              memory_order_relaxed);
    if (KIN__UNLIKELY(worker->owes))
        settle(worker);
    if ((worker->slice & KIN__TASK_BLOCKING) && worker->permit)
        give_permit_up(worker);
    if (KIN__UNLIKELY(worker->searching))
        kin__idle_found(worker);
    return task;
}

/* Slices that run in place come first, and are nobody's but this thread's. */
static struct kin_task *begin_in_place(struct kin__worker *worker)
{
    struct kin_task *task = kin__in_place_take(worker->thread);

    if (!task)
        return NULL;
    worker->between = false;
    if (worker->owes)
        settle(worker);
    if (worker->searching)
        kin__idle_found(worker);
    return task;
}

static bool has_in_place(const struct kin__worker *worker)
{
    return worker->thread->in_place.queue.head;
}

struct kin_task *kin__worker_poll(struct kin__frame *frame)
{
    struct kin__worker *worker = worker_of(frame);
    struct kin_task *task;

    worker->between = true;
    if (worker->slice)
        end_slice(worker);
    if (KIN__UNLIKELY(has_in_place(worker)))
        return begin_in_place(worker);
    task = find(worker);
    return task && !kin__hand_over(worker, task) ? begin(worker, task) : NULL;
}

/* Looks at what others have.  Half of those that are busy may search, or one:
 * more would only be in each other's way. */
static struct kin_task *search(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    struct kin_task *task;
    uint64_t state;

    if (!worker->permit)
        return NULL;
    if (!worker->searching) {
        /* relaxed: a bound, not a protocol */
        state = atomic_load_explicit(&scheduler->state, memory_order_relaxed);
        if (2 * kin__searching_of(state)
            >= (unsigned)scheduler->core - kin__free_of(state))
            return NULL;
        /* relaxed: leaving is what others must see */
        atomic_fetch_add_explicit(&scheduler->state, KIN__SEARCH_ONE,
                                  memory_order_relaxed);
        worker->searching = true;
    }
    task = kin__permit_steal(worker);
    return task ? task : kin__blocking_take(scheduler, false);
}

struct kin_task *kin__worker_next(struct kin__frame *frame)
{
    struct kin__worker *worker = worker_of(frame);
    struct kin_task *task;

    worker->between = true;
    if (worker->slice)
        end_slice(worker);
    for (;;) {
        task = kin__handed(worker);
        if (task)
            return begin(worker, task);
        if (KIN__UNLIKELY(has_in_place(worker)))
            return begin_in_place(worker);
        task = find(worker);
        if (!task)
            task = search(worker);
        if (kin__hand_over(worker, task))
            continue;
        if (task)
            return begin(worker, task);
        if ((worker->owes & KIN__OWES_SEEK)     /* a timer has just fired */
            || has_in_place(worker))
            continue;
        if (!kin__idle_park(worker))
            return NULL;
    }
}
