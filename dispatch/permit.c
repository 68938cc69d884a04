/* dispatch/permit.c -- the right to run CPU tasks, and the queue that goes
 * with it.
 *
 * Free permits are counted in scheduler->state, and a permit is free when its
 * holder is NULL.  Releasing stores the holder first and counts then; taking
 * counts first and looks for one then.  So whoever has counted one off finds
 * one, though not at once if others look too. */
#include "dispatch/scheduler_internal.h"

static struct kin__permit *permit_at(struct kin__scheduler *scheduler, int i)
{
    return &scheduler->permits[i];
}

static int reach_of(struct kin__scheduler *scheduler)
{
    /* acquire: pairs with release in replace() of watchdog.c; whoever reads
     * less than there are looks again */
    return atomic_load_explicit(&scheduler->reach, memory_order_acquire);
}

static bool grab(struct kin__permit *permit, struct kin__worker *worker)
{
    struct kin__worker *nobody = NULL;

    /* relaxed: only a hint, the exchange decides */
    if (atomic_load_explicit(&permit->holder, memory_order_relaxed))
        return false;
    /* acquire: the owner's side of the queue goes with the permit; pairs with
     * release in kin__permit_release().  release: the worker, to the watchdog;
     * pairs with acquire in holder_of() of watchdog.c */
    if (!atomic_compare_exchange_strong_explicit(
            &permit->holder, &nobody, worker, memory_order_acq_rel,
            memory_order_relaxed))
        return false;
    worker->permit = worker->last = permit;
    return true;
}

void kin__permit_claim(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    unsigned round = 0;

    KIN_ASSERT(!worker->permit);
    kin__watchdog_see(scheduler);
    if (worker->last && grab(worker->last, worker))
        return;
    for (;; kin__spin_pause(&round))
        for (int i = 0; i < reach_of(scheduler); i++)
            if (grab(permit_at(scheduler, i), worker))
                return;
}

bool kin__permit_try(struct kin__worker *worker, bool search)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    uint64_t add = search ? KIN__SEARCH_ONE : 0;
    /* relaxed: the exchange decides */
    uint64_t state = atomic_load_explicit(&scheduler->state,
                                          memory_order_relaxed);

    do {
        if (kin__free_of(state) == 0)
            return false;
        /* seq_cst: pairs with kin__idle_signal(); see idle.c */
    } while (!atomic_compare_exchange_weak_explicit(
                 &scheduler->state, &state, state - KIN__FREE_ONE + add,
                 memory_order_seq_cst, memory_order_relaxed));
    kin__permit_claim(worker);
    return true;
}

uint64_t kin__permit_release(struct kin__worker *worker, uint64_t less)
{
    struct kin__permit *permit = worker->permit;
    uint64_t add = KIN__FREE_ONE - less;

    /* relaxed: what else the watchdog does is ordered by `state` */
    if (kin__permit_is_replaced(permit)
        && atomic_exchange_explicit(&permit->replaced, false,
                                    memory_order_relaxed))
        add -= KIN__FREE_ONE;           /* another is there in its place */
    worker->permit = NULL;
    /* release: pairs with acquire in grab() */
    atomic_store_explicit(&permit->holder, NULL, memory_order_release);
    /* seq_cst: before the caller looks for work once more; pairs with seq_cst
     * in kin__idle_signal(), see idle.c */
    return atomic_fetch_add_explicit(&worker->scheduler->state, add,
                                     memory_order_seq_cst) + add;
}

/* Nobody comes back soon for what is in its slot. */
static bool is_abandoned(struct kin__permit *permit)
{
    /* relaxed: only a hint */
    return !atomic_load_explicit(&permit->holder, memory_order_relaxed)
        || kin__permit_is_replaced(permit);
}

bool kin__permit_work_visible(struct kin__scheduler *scheduler, bool slots)
{
    /* seq_cst: pairs with seq_cst in kin__shared_push() */
    if (atomic_load_explicit(&scheduler->global.count, memory_order_seq_cst))
        return true;
    for (int i = 0; i < reach_of(scheduler); i++) {
        struct kin__permit *permit = permit_at(scheduler, i);

        if (!kin__permit_is_empty(permit))
            return true;
        if (kin__slot_peek(&permit->ring) && (slots || is_abandoned(permit)))
            return true;
    }
    return false;
}

static struct kin_task *steal_slot(struct kin__worker *worker,
                                   struct kin__permit *victim)
{
    struct kin_task *seen = kin__slot_peek(&victim->ring);

    if (!seen || (victim != worker->stale && !is_abandoned(victim)))
        return NULL;
    return kin__slot_steal(&victim->ring, seen);
}

static uint32_t next_random(struct kin__worker *worker)
{
    uint32_t x = worker->seed;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return worker->seed = x;
}

struct kin_task *kin__permit_steal(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    unsigned core = (unsigned)reach_of(scheduler);
    unsigned start = next_random(worker) % core;
    struct kin_task *task = NULL;

    for (unsigned i = 0; i < core && !task; i++) {
        unsigned at = (start + i) % core;
        struct kin__permit *victim = permit_at(scheduler, (int)at);

        if (victim == worker->permit)
            continue;
        task = kin__ring_steal(&victim->ring, &worker->permit->ring);
        if (!task)
            task = kin__fresh_steal(&victim->fresh, &worker->permit->fresh);
        if (!task)
            task = steal_slot(worker, victim);
    }
    worker->stale = NULL;
    return task;
}

/* A slot is stale when it is full and its worker has taken nothing since the
 * last look: no clock is read when it is filled. */
enum kin__look kin__permit_look(struct kin__worker *watcher)
{
    struct kin__scheduler *scheduler = watcher->scheduler;
    enum kin__look look = KIN__LOOK_QUIET;

    watcher->stale = NULL;
    for (int i = 0; i < reach_of(scheduler); i++) {
        struct kin__permit *permit = permit_at(scheduler, i);
        struct kin_task *slot = kin__slot_peek(&permit->ring);
        /* relaxed: a slot that stays is found at the next look */
        uint32_t tick = atomic_load_explicit(&permit->tick,
                                             memory_order_relaxed);

        if (slot && slot == permit->seen_slot && tick == permit->seen_tick) {
            watcher->stale = permit;
            look = KIN__LOOK_STALE;
        } else if (look == KIN__LOOK_QUIET
                   && (slot || tick != permit->seen_tick)) {
            look = KIN__LOOK_MOVED;
        }
        permit->seen_slot = slot;
        permit->seen_tick = tick;
    }
    return look;
}
