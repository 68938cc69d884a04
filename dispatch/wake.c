/* dispatch/wake.c -- who wakes a worker, and why none is forgotten.
 *
 * No wake-up is lost.  What must never be: CPU work in a queue, a free
 * permit, no searcher, and nobody about to look.  scheduler->state has the
 * free permits and the searchers in one word, so both are changed at once.
 *
 *   who goes idle                     who pushes
 *   1 is on the list of the parked    1 task into ring, slot or shared queue
 *   2 free + 1, searching - 1 (RMW)   2 (seq_cst store, or RMW on state)
 *   3 looks at all queues             3 reads state: free > 0, searching = 0?
 *     -> takes a permit, goes on        -> takes permit and searcher's place
 *                                          for one of the parked, wakes him
 *
 * If 2 on the left comes before 3 on the right, the pusher sees the permit
 * free (or a searcher, who has his own 2 and 3 before him); else 3 on the left
 * comes after 1 on the right and sees the task.  The same holds for whoever
 * else frees a permit (a worker that takes a blocking task) or gives up a
 * searcher's place (it found something): the last one looks again.  A waker
 * that finds nobody parked starts a thread; if there is none to be had he
 * undoes 3 and looks again, and whoever parks later looks after parking.
 *
 * Slots.  A push into an empty slot wakes nobody while there is a watcher, who
 * looks at the slots some thousand times a second while something moves and
 * has a stale one stolen.  It gives up watching as a searcher gives up: the
 * bit first, then a look.  So two fibers that wake each other stay on one
 * thread, and one that was put down by a slice which then blocks is run.
 *
 * The list of the parked is a stack: the one that went last is the warmest. */
#include "dispatch/scheduler_internal.h"

#include "core/thread.h"

/* --- The list of the parked, under idle_lock ----------------------------- */

static bool parked_is_valid(const struct kin__scheduler *scheduler)
{
    const struct kin__worker *above = NULL, *worker = scheduler->parked;
    int n = 0;

    for (; worker; above = worker, worker = worker->below, n++)
        if (worker->above != above || !worker->parked
            || n == scheduler->parked_count)
            return false;
    return n == scheduler->parked_count;
}

void kin__parked_add(struct kin__scheduler *scheduler,
                       struct kin__worker *worker)
{
    worker->above = NULL;
    worker->below = scheduler->parked;
    if (scheduler->parked)
        scheduler->parked->above = worker;
    scheduler->parked = worker;
    scheduler->parked_count++;
    worker->parked = true;
    worker->grant = KIN__GRANT_NONE;
    scheduler->keeper_comes = false;    /* this one can keep the time */
    KIN_SLOW(parked_is_valid(scheduler));
}

void kin__parked_remove(struct kin__scheduler *scheduler,
                          struct kin__worker *worker)
{
    if (worker->above)
        worker->above->below = worker->below;
    else
        scheduler->parked = worker->below;
    if (worker->below)
        worker->below->above = worker->above;
    scheduler->parked_count--;
    worker->parked = false;
    if (scheduler->keeper == worker)
        scheduler->keeper = NULL;
    KIN_SLOW(parked_is_valid(scheduler));
}

/* The newest, but not the keeper of time if there is another. */
static struct kin__worker *choose_parked(struct kin__scheduler *scheduler)
{
    struct kin__worker *worker = scheduler->parked;

    if (worker && worker == scheduler->keeper && worker->below)
        return worker->below;
    return worker;
}

/* --- Waking -------------------------------------------------------------- */

/* Gives grant to a parked worker or to a new one. */
static bool wake_one(struct kin__scheduler *scheduler, enum kin__grant grant)
{
    struct kin__worker *worker;

    kin__spin_lock(&scheduler->idle_lock);
    worker = choose_parked(scheduler);
    if (worker) {
        kin__parked_remove(scheduler, worker);
        worker->grant = grant;
    }
    kin__spin_unlock(&scheduler->idle_lock);
    if (!worker)
        return kin__worker_create(scheduler, grant, NULL) == 0;
    kin__parker_wake(&worker->parker);
    return true;
}

bool kin__idle_wants_searcher(uint64_t state, bool in_slot)
{
    return kin__free_of(state) > 0 && kin__searching_of(state) == 0
           && !(in_slot && (state & KIN__WATCHED));
}

static bool reserve(struct kin__scheduler *scheduler, bool in_slot)
{
    /* seq_cst: after the push; pairs with seq_cst in kin__permit_release() */
    uint64_t state = atomic_load_explicit(&scheduler->state,
                                          memory_order_seq_cst);

    do {
        if (KIN__LIKELY(!kin__idle_wants_searcher(state, in_slot)))
            return false;
        /* seq_cst: pairs with the other changes of state, see above */
    } while (!atomic_compare_exchange_weak_explicit(
                 &scheduler->state, &state,
                 state - KIN__FREE_ONE + KIN__SEARCH_ONE,
                 memory_order_seq_cst, memory_order_seq_cst));
    return true;
}

static bool anybody_parked(struct kin__scheduler *scheduler)
{
    bool any;

    kin__spin_lock(&scheduler->idle_lock);
    any = scheduler->parked != NULL;
    kin__spin_unlock(&scheduler->idle_lock);
    return any;
}

static __attribute__((noinline))
void wake_searcher(struct kin__scheduler *scheduler)
{
    do {
        uint64_t state;

        if (wake_one(scheduler, KIN__GRANT_CPU))
            return;
        /* seq_cst: before the look that follows; pairs with seq_cst in
         * reserve() */
        state = atomic_fetch_add_explicit(&scheduler->state,
                                          KIN__FREE_ONE - KIN__SEARCH_ONE,
                                          memory_order_seq_cst);
        if (kin__searching_of(state) > 1
            || !kin__permit_work_visible(scheduler, true)
            || !anybody_parked(scheduler))
            return;
    } while (reserve(scheduler, false));
}

void kin__idle_signal(struct kin__scheduler *scheduler, bool in_slot)
{
    if (reserve(scheduler, in_slot))
        wake_searcher(scheduler);
}

void kin__idle_look_again(struct kin__scheduler *scheduler, uint64_t state)
{
    bool watched = state & KIN__WATCHED;

    if (kin__idle_wants_searcher(state, false)
        && kin__permit_work_visible(scheduler, !watched))
        kin__idle_signal(scheduler, false);
}

void kin__idle_found(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    uint64_t state;

    worker->searching = false;
    /* seq_cst: before the look that follows; pairs with seq_cst in reserve() */
    state = atomic_fetch_sub_explicit(&scheduler->state, KIN__SEARCH_ONE,
                                      memory_order_seq_cst) - KIN__SEARCH_ONE;
    kin__idle_look_again(scheduler, state);
}

void kin__idle_wake_seeker(struct kin__scheduler *scheduler)
{
    do {
        if (wake_one(scheduler, KIN__GRANT_SEEK))
            return;
        kin__spin_lock(&scheduler->blocking.lock);
        scheduler->blocking.seekers--;
        kin__spin_unlock(&scheduler->blocking.lock);
        /* Who has parked meanwhile counted on that seeker. */
    } while (anybody_parked(scheduler) && kin__blocking_seek(scheduler));
}

void kin__idle_wake_all(struct kin__scheduler *scheduler)
{
    struct kin__worker *worker;

    do {
        kin__spin_lock(&scheduler->idle_lock);
        worker = scheduler->parked;
        if (worker)
            kin__parked_remove(scheduler, worker);
        kin__spin_unlock(&scheduler->idle_lock);
        if (worker)
            kin__parker_wake(&worker->parker);
    } while (worker);
}

/* --- Keeping time ------------------------------------------------------------
 *
 *   keeper, under idle_lock              who arms
 *   1 keeper = self                      1 inserts into the timers
 *   2 keeper_until = earliest            2 under idle_lock: keeper_until later,
 *   3 sleeps until that, exactly           or no keeper? wakes one, or starts
 *                                          a thread: there must be a keeper
 *
 * A thread that is started for that parks first of all, and until somebody has
 * parked no other one is started. */

static void start_keeper(struct kin__scheduler *scheduler)
{
    if (kin__worker_create(scheduler, KIN__GRANT_NONE, NULL) == 0)
        return;
    kin__spin_lock(&scheduler->idle_lock);
    scheduler->keeper_comes = false;    /* whoever parks next will keep it */
    kin__spin_unlock(&scheduler->idle_lock);
}

void kin__idle_keep_time(struct kin__scheduler *scheduler, int64_t deadline)
{
    struct kin__worker *self = kin__thread()->worker, *worker;
    bool kept, starts;

    if (deadline == KIN_NEVER)
        return;
    if (self && self->scheduler == scheduler && self->between) {
        self->owes |= KIN__OWES_TIMER;
        return;
    }
    kin__spin_lock(&scheduler->idle_lock);
    worker = scheduler->keeper;
    kept = worker && scheduler->keeper_until <= deadline;
    if (!worker)
        worker = scheduler->parked;
    starts = !worker && !scheduler->keeper_comes;
    if (starts)
        scheduler->keeper_comes = true;
    kin__spin_unlock(&scheduler->idle_lock);
    if (starts)
        start_keeper(scheduler);
    else if (worker && !kept)
        kin__parker_wake(&worker->parker);
}

bool kin__idle_is_keeper(struct kin__worker *worker, int64_t *until)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    int64_t earliest;
    bool is;

    kin__spin_lock(&scheduler->idle_lock);
    earliest = kin__timers_earliest(&scheduler->timers);
    is = worker->parked
         && (!scheduler->keeper || scheduler->keeper == worker
             || earliest < scheduler->keeper_until);
    if (is) {
        scheduler->keeper = worker;
        scheduler->keeper_until = earliest;
    }
    *until = earliest;
    kin__spin_unlock(&scheduler->idle_lock);
    return is;
}
