/* dispatch/idle.c -- a worker that has found nothing: parking.
 *
 * It goes on the list of the parked first, gives its permit up then, and looks
 * around once more after that; why in this order, see wake.c.  From the list
 * it is taken by a waker, with a grant, or it leaves by itself, when its time
 * has come: the next timer (if it is the keeper), the next look at the slots
 * (if it is the watcher), or its end after a minute of nothing. */
#include "dispatch/scheduler_internal.h"

#define LOOK_NS_MIN KIN_US(100)
#define LOOK_NS_MAX KIN_US(400)

static void end_watch(struct kin__worker *worker)
{
    uint64_t state;

    if (!worker->watching)
        return;
    worker->watching = false;
    /* seq_cst: before the look that follows; pairs with seq_cst in reserve() */
    state = atomic_fetch_and_explicit(&worker->scheduler->state,
                                      ~KIN__WATCHED, memory_order_seq_cst);
    kin__idle_look_again(worker->scheduler, state & ~KIN__WATCHED);
}

static void begin_watch(struct kin__worker *worker)
{
    /* acq_rel: the watcher's fields; pairs with the same, and with seq_cst in
     * end_watch() */
    if (atomic_fetch_or_explicit(&worker->scheduler->state, KIN__WATCHED,
                                 memory_order_acq_rel) & KIN__WATCHED)
        return;
    worker->watching = true;
    worker->look_every = LOOK_NS_MIN;
    worker->look_at = kin_now() + LOOK_NS_MIN;
    kin__permit_look(worker);
    worker->stale = NULL;
}

/* Takes what the waker has given. */
static void accept(struct kin__worker *worker, enum kin__grant grant)
{
    if (grant == KIN__GRANT_CPU) {
        kin__permit_claim(worker);
        worker->searching = true;
    } else if (grant == KIN__GRANT_SEEK) {
        worker->owes |= KIN__OWES_SEEK;
    }
}

/* Gives back what the waker has given to a worker that needs it no more.  It
 * is a searcher itself, or looks around anyway. */
static void decline(struct kin__worker *worker, enum kin__grant grant)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    uint64_t state;

    if (grant == KIN__GRANT_SEEK) {
        kin__blocking_stop_seeking(scheduler);
    } else if (grant == KIN__GRANT_CPU) {
        /* seq_cst: before the look that follows; pairs with seq_cst in
         * reserve() */
        state = atomic_fetch_add_explicit(&scheduler->state,
                                          KIN__FREE_ONE - KIN__SEARCH_ONE,
                                          memory_order_seq_cst);
        kin__idle_look_again(scheduler,
                             state + KIN__FREE_ONE - KIN__SEARCH_ONE);
    }
}

/* Was it taken from the list?  Then *grant says what for. */
static bool was_taken(struct kin__worker *worker, enum kin__grant *grant)
{
    bool taken;

    kin__spin_lock(&worker->scheduler->idle_lock);
    taken = !worker->parked;
    *grant = worker->grant;
    kin__spin_unlock(&worker->scheduler->idle_lock);
    return taken;
}

/* Leaves the list by itself, or finds that it was taken from it. */
static enum kin__grant leave_list(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    enum kin__grant grant = KIN__GRANT_NONE;

    kin__spin_lock(&scheduler->idle_lock);
    if (worker->parked)
        kin__parked_remove(scheduler, worker);
    else
        grant = worker->grant;
    kin__spin_unlock(&scheduler->idle_lock);
    return grant;
}

/* Goes on, having taken a permit to search or a seeker's place itself. */
static bool resume(struct kin__worker *worker)
{
    decline(worker, leave_list(worker));
    end_watch(worker);
    worker->owes |= KIN__OWES_TIMER;
    return true;
}

static bool search_again(struct kin__worker *worker)
{
    if (!kin__permit_try(worker, true))
        return false;
    worker->searching = true;
    return resume(worker);
}

/* Timers are due.  Fired by a worker with a permit they go to its own ring. */
static bool fire_timers(struct kin__worker *worker, int64_t now)
{
    bool held;

    worker->until_clock = 1;
    if (search_again(worker))
        return true;
    worker->until_clock = worker->clock_every;
    held = kin__in_place_hold();
    kin__timers_fire(&worker->scheduler->timers, now);
    kin__in_place_let_go(held);
    /* What they have resumed in place runs here, permit or not. */
    return worker->thread->in_place.queue.head ? resume(worker) : false;
}

/* The watcher's duty. */
static bool watch(struct kin__worker *worker, int64_t now)
{
    worker->look_at = now + worker->look_every;
    switch (kin__permit_look(worker)) {
    case KIN__LOOK_STALE:
        worker->look_every = LOOK_NS_MIN;
        return search_again(worker);
    case KIN__LOOK_MOVED:
        if (worker->look_every < LOOK_NS_MAX)
            worker->look_every *= 2;
        return false;
    case KIN__LOOK_QUIET:
    default:
        end_watch(worker);
        return false;
    }
}

/* A look around from the list.  True: the worker has left it to do something.
 * Whoever parks must look once after he has parked. */
static bool look_around(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    /* seq_cst: pairs with seq_cst in reserve(); see the top */
    uint64_t state = atomic_load_explicit(&scheduler->state,
                                          memory_order_seq_cst);

    if (kin__blocking_seek(scheduler)) {
        worker->owes |= KIN__OWES_SEEK;
        return resume(worker);
    }
    if (!kin__idle_wants_searcher(state, false))
        return false;
    if (kin__permit_work_visible(scheduler, false))
        return search_again(worker);
    if (!(state & KIN__WATCHED) && kin__permit_work_visible(scheduler, true))
        begin_watch(worker);
    return false;
}

static bool is_stopping(struct kin__scheduler *scheduler)
{
    /* acquire: pairs with release in kin__scheduler_free() */
    return atomic_load_explicit(&scheduler->stopping, memory_order_acquire);
}

/* Under idle_lock: is it for worker to keep the time?  It may have been woken
 * to, and not know yet. */
static bool is_to_keep_time(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;

    return (!scheduler->keeper || scheduler->keeper == worker)
           && kin__timers_earliest(&scheduler->timers) != KIN_NEVER;
}

/* Idle for too long, or no longer wanted: leaves the list for ever.  One
 * worker stays, so that there always is one; and one that keeps the time, for
 * the others may be blocked for longer than that. */
static bool ends(struct kin__worker *worker, int64_t now)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    bool stopping = is_stopping(scheduler), end;

    if (!stopping && now < worker->idle_until)
        return false;
    worker->idle_until = KIN_NEVER;
    kin__spin_lock(&scheduler->idle_lock);
    end = worker->parked && (stopping || scheduler->threads > 1);
    if (end && !stopping && is_to_keep_time(worker)) {
        worker->idle_until = now + scheduler->idle_ns;
        end = false;
    }
    if (end) {
        kin__parked_remove(scheduler, worker);
        scheduler->threads--;
    }
    kin__spin_unlock(&scheduler->idle_lock);
    return end;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What there is to do at `now`, besides looking around: true if it left the
 * list.  *until: when there is something to do next. */
static bool on_time(struct kin__worker *worker, int64_t now, int64_t *until)
{
    unsigned round = 0;
    int64_t first;

    *until = worker->idle_until;
    while (kin__idle_is_keeper(worker, &first)) {
        if (first > now) {
            *until = earlier(*until, first);
            break;
        }
        if (fire_timers(worker, now))
            return true;
        kin__spin_pause(&round);        /* another may be firing them */
        now = kin_now();
    }
    if (worker->watching && worker->look_at <= now && watch(worker, now))
        return true;
    if (worker->watching)
        *until = earlier(*until, worker->look_at);
    return false;
}

/* Gives up permit and searcher's place. */
static void give_up(struct kin__worker *worker)
{
    KIN_ASSERT(worker->permit || !worker->searching);
    if (worker->permit)
        kin__permit_release(worker, worker->searching ? KIN__SEARCH_ONE : 0);
    worker->searching = false;
    worker->owes = 0;               /* there is nothing left in its queues */
    worker->between = false;
}

static bool sleep_on_list(struct kin__worker *worker)
{
    enum kin__grant grant;
    int64_t now = kin_now(), until;

    worker->idle_until = now + worker->scheduler->idle_ns;
    for (;; now = kin_now()) {
        if (look_around(worker))
            return true;
        if (on_time(worker, now, &until))
            return true;
        if (ends(worker, now)) {
            end_watch(worker);
            return false;
        }
        if (!kin__parker_wait(&worker->parker, until))
            continue;
        if (was_taken(worker, &grant)) {
            accept(worker, grant);
            end_watch(worker);
            worker->owes |= KIN__OWES_TIMER;
            return true;
        }
    }
}

bool kin__idle_park(struct kin__worker *worker)
{
    struct kin__scheduler *scheduler = worker->scheduler;
    bool go_on;

    KIN_ASSERT(!(worker->owes & KIN__OWES_SEEK));
    kin__run_idle(worker->thread);
    kin__spin_lock(&scheduler->idle_lock);
    kin__parked_add(scheduler, worker);
    kin__spin_unlock(&scheduler->idle_lock);
    give_up(worker);
    go_on = sleep_on_list(worker);
    worker->between = true;
    return go_on;
}

struct kin_task *kin__idle_next_first(struct kin__frame *frame)
{
    struct kin__worker *worker = (struct kin__worker *)frame;

    frame->next = kin__worker_next;
    return kin__idle_park(worker) ? kin__worker_next(frame) : NULL;
}
