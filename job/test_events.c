/* test_events.c -- a virtual clock's queue: what is in it, what comes next.
 *
 * A timer that the clock has reached is fired by itself, not with all others of
 * its instant: what it resumes goes on before the next one.  It is fired only
 * where no fiber is half parked (kin__frame.next), since a fiber that is not
 * yet saved would queue up behind instead of going on in its place.
 *
 * Rejected: one heap of tasks and timers (a dispatch would need memory);
 * keeping timers sorted here (core/timer.h does). */
#include "job/test_scheduler.h"

#include "core/chance.h"
#include "core/check.h"
#include "core/memory.h"
#include "core/spin.h"
#include "core/thread.h"
#include "core/wait.h"

/* --- Clock, lock, random numbers ------------------------------------------ */

void kin__test_lock(kin_test_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
}

void kin__test_unlock(kin_test_scheduler *scheduler)
{
    pthread_mutex_unlock(&scheduler->lock);
}

void kin__test_move_clock(kin_test_scheduler *scheduler, int64_t now)
{
    if (now > kin__test_now(scheduler))
        /* relaxed: see kin__test_now() */
        atomic_store_explicit(&scheduler->now, now, memory_order_relaxed);
}

/* splitmix64, by Sebastiano Vigna: prng.di.unimi.it/splitmix64.c (public
 * domain). */
static uint64_t random_number(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void kin__test_set_seed(kin_test_scheduler *scheduler, uint64_t seed)
{
    static const unsigned odds[] = { 0, 2, 4, 8 };
    bool before;

    kin__test_lock(scheduler);
    before = scheduler->seeded;
    scheduler->seeded = seed != 0;
    scheduler->random = seed;
    scheduler->odds = seed ? odds[random_number(&scheduler->random) % 4] : 0;
    kin__test_unlock(scheduler);
    /* relaxed: see kin__chance() */
    atomic_fetch_add_explicit(&kin__chances,
                              (unsigned)scheduler->seeded - (unsigned)before,
                              memory_order_relaxed);
}

bool kin__test_draws(kin_test_scheduler *scheduler)
{
    bool drawn;

    kin__test_lock(scheduler);
    drawn = scheduler->odds
        && random_number(&scheduler->random) % scheduler->odds == 0;
    kin__test_unlock(scheduler);
    return drawn;
}

/* --- Queueing, with the lock held ----------------------------------------- */

static void count(kin_test_scheduler *scheduler, bool background, size_t change)
{
    if (!background)
        scheduler->foreground += change;
}

static const struct kin__runnable *runnable_of(const struct kin_task *task)
{
    return task->run == kin__runnable_run ? (const struct kin__runnable *)task
                                          : NULL;
}

static void count_task(kin_test_scheduler *scheduler,
                       const struct kin_task *task, size_t change)
{
    count(scheduler, kin__test_is_background(runnable_of(task)), change);
    scheduler->task_count += change;
}

/* The clock has reached an event: fire of event->own. */
static void come_due(struct kin_timer *own)
{
    struct kin__test_event *event = (struct kin__test_event *)own;
    kin_test_scheduler *scheduler = event->scheduler;

    event->is_due = true;
    event->next = NULL;
    if (scheduler->due)
        scheduler->due_last->next = event;
    else
        scheduler->due = event;
    scheduler->due_last = event;
    scheduler->due_count++;
}

static void remove_due(kin_test_scheduler *scheduler,
                       struct kin__test_event *event)
{
    struct kin__test_event **link = &scheduler->due, *before = NULL;

    while (*link != event) {
        before = *link;
        link = &before->next;
    }
    *link = event->next;
    if (scheduler->due_last == event)
        scheduler->due_last = before;
    scheduler->due_count--;
}

static void collect_due(kin_test_scheduler *scheduler)
{
    int64_t now = kin__test_now(scheduler);

    if (kin__timers_earliest(&scheduler->timers) <= now)
        kin__timers_fire(&scheduler->timers, now);
}

/* Takes the nth task out. */
static struct kin_task *take_task(kin_test_scheduler *scheduler, size_t n)
{
    struct kin__task_queue *queue = &scheduler->tasks;
    struct kin_task **link = &queue->head, *before = NULL, *task;

    while (n--) {
        before = *link;
        link = &before->next;
    }
    task = *link;
    *link = task->next;
    if (queue->last == task)
        queue->last = before;
    task->tag &= ~KIN__TASK_FAIR;
    count_task(scheduler, task, (size_t)-1);
    return task;
}

/* Takes the nth timer out of those that are due. */
static struct kin__test_event *take_due(kin_test_scheduler *scheduler, size_t n)
{
    struct kin__test_event *event = scheduler->due;

    while (n--)
        event = event->next;
    remove_due(scheduler, event);
    count(scheduler, event->background, (size_t)-1);
    return event;
}

/* --- Dispatching and arming ----------------------------------------------- */

void kin__test_queue(kin_test_scheduler *scheduler, struct kin_task *task)
{
    bool wakes;

    kin__test_lock(scheduler);
    wakes = scheduler->driver != kin__thread();
    if (scheduler->sleeper && &scheduler->sleeper->task == task && !wakes) {
        scheduler->front = task;
    } else {
        kin__task_queue_push(&scheduler->tasks, task);
        count_task(scheduler, task, 1);
    }
    kin__test_unlock(scheduler);
    if (wakes)
        kin__parker_wake(&scheduler->parker);
}

/* Disarms; if the timer is being fired on another thread, waits for that. */
static void disarm_locked(kin_test_scheduler *scheduler,
                          struct kin_timer *timer)
{
    struct kin__test_event *event;
    unsigned round = 0;

    while (scheduler->firing == timer && scheduler->driver != kin__thread()) {
        kin__test_unlock(scheduler);
        kin__spin_pause(&round);
        kin__test_lock(scheduler);
    }
    event = timer->user_data;
    if (!event)
        return;
    if (event->is_due)
        remove_due(scheduler, event);
    else
        kin__timers_disarm(&event->own);
    count(scheduler, event->background, (size_t)-1);
    timer->user_data = NULL;
    kin__free(event);
}

/* The running fiber, if it has begun to wait: then this timer is what it waits
 * for, and not that of a block around what it will do next. */
static struct kin__runnable *sleeper_here(void)
{
    struct kin__runnable *runnable = kin__thread()->current;

    if (!runnable)
        return NULL;
    /* relaxed: the fiber's own.  The low three bits are the state. */
    return (atomic_load_explicit(&runnable->wait_word, memory_order_relaxed)
            & 7) != KIN__WAIT_IDLE ? runnable : NULL;
}

static int arm_locked(kin_test_scheduler *scheduler, struct kin_timer *timer,
                      int64_t deadline)
{
    struct kin__test_event *event = kin__malloc(sizeof *event);
    int err;

    if (!event)
        return KIN_ENOMEM;
    *event = (struct kin__test_event){
        .own.fire = come_due, .scheduler = scheduler, .timer = timer,
        .sleeper = sleeper_here(),
        .background = kin__test_is_background(kin__thread()->current),
    };
    err = kin__timers_arm(&scheduler->timers, &event->own, deadline);
    if (err) {
        kin__free(event);
        return err;
    }
    timer->user_data = event;
    count(scheduler, event->background, 1);
    return 0;
}

int kin__test_set_timer(kin_test_scheduler *scheduler, struct kin_timer *timer,
                        int64_t deadline)
{
    bool wakes = false;
    int err = 0;

    kin__test_lock(scheduler);
    disarm_locked(scheduler, timer);
    if (deadline != KIN_NEVER) {
        err = arm_locked(scheduler, timer, deadline);
        wakes = scheduler->driver != kin__thread();
    }
    kin__test_unlock(scheduler);
    if (wakes)
        kin__parker_wake(&scheduler->parker);
    return err;
}

/* --- What comes next ------------------------------------------------------ */

/* Makes sure that something is due, moving the clock if need be.  False: there
 * is nothing within the limit. */
static bool come_to_next(kin_test_scheduler *scheduler,
                         const struct kin__test_limit *limit)
{
    int64_t first;

    if (limit->idle && !scheduler->foreground)
        return false;
    collect_due(scheduler);
    if (scheduler->due_count || scheduler->task_count)
        return kin__test_now(scheduler) <= limit->last;
    first = kin__timers_earliest(&scheduler->timers);
    if (first == KIN_NEVER || first > limit->last)
        return false;
    kin__test_move_clock(scheduler, first);
    collect_due(scheduler);
    return true;
}

/* Fires a timer that was taken out.  Gives up the lock.  The task of the fiber
 * that waited for it, or NULL. */
static struct kin_task *fire(kin_test_scheduler *scheduler,
                             struct kin__test_event *event)
{
    struct kin_timer *timer = event->timer;
    struct kin_task *front;
    bool held;

    timer->user_data = NULL;
    scheduler->firing = timer;
    scheduler->sleeper = event->sleeper;
    scheduler->front = NULL;
    kin__test_unlock(scheduler);
    kin__free(event);
    held = kin__in_place_hold();
    kin_timer_fire(timer);
    kin__in_place_let_go(held);
    kin__test_lock(scheduler);
    scheduler->firing = NULL;
    scheduler->sleeper = NULL;
    front = scheduler->front;
    kin__test_unlock(scheduler);
    return front;
}

/* One that yields goes on after all that was due before it. */
static bool may_be_drawn(const kin_test_scheduler *scheduler,
                         const struct kin__test_limit *limit,
                         const struct kin_task *task)
{
    return !(task->tag & KIN__TASK_FAIR)
        || (task == scheduler->tasks.head && !scheduler->due_count
            && !limit->amid);
}

/* Draws one of those that may be.  *place: of timers, then tasks.  False: there
 * is none. */
static bool draw(kin_test_scheduler *scheduler,
                 const struct kin__test_limit *limit, size_t *place)
{
    size_t n, candidates = scheduler->due_count;
    const struct kin_task *task;

    for (task = scheduler->tasks.head; task; task = task->next)
        candidates += may_be_drawn(scheduler, limit, task);
    if (!candidates)
        return false;
    n = (size_t)(random_number(&scheduler->random) % candidates);
    *place = n < scheduler->due_count ? n : scheduler->due_count;
    if (n < scheduler->due_count)
        return true;
    n -= scheduler->due_count;
    for (task = scheduler->tasks.head; task; task = task->next, ++*place)
        if (may_be_drawn(scheduler, limit, task) && n-- == 0)
            break;
    return true;
}

/* Takes the nth of what is due.  Gives up the lock.  NULL: it was a timer that
 * resumed no one here. */
static struct kin_task *take_nth(kin_test_scheduler *scheduler, size_t n)
{
    size_t timers = scheduler->due_count;
    struct kin_task *task;

    if (n < timers)
        return fire(scheduler, take_due(scheduler, n));
    task = take_task(scheduler, n - timers);
    kin__test_unlock(scheduler);
    return task;
}

struct kin_task *kin__test_next_one(kin_test_scheduler *scheduler,
                                    const struct kin__test_limit *limit,
                                    bool *ran)
{
    /* A timer has resumed it, or another one. */
    struct kin_task *task = kin__in_place_take(kin__thread());
    size_t n = 0;

    *ran = true;
    if (task)
        return task;
    kin__test_lock(scheduler);
    if (come_to_next(scheduler, limit)
        && (!scheduler->seeded || draw(scheduler, limit, &n)))
        return take_nth(scheduler, n);
    kin__test_unlock(scheduler);
    *ran = false;
    return NULL;
}

struct kin_task *kin__test_next(kin_test_scheduler *scheduler,
                                const struct kin__test_limit *limit)
{
    struct kin_task *task;
    bool ran;

    do {
        if (scheduler->run)             /* set and cleared by the driver */
            kin__test_check_time(scheduler->run);
        task = kin__test_next_one(scheduler, limit, &ran);
    } while (ran && !task);
    return task;
}

bool kin__test_is_busy(kin_test_scheduler *scheduler)
{
    bool busy;

    kin__test_lock(scheduler);
    busy = scheduler->foreground > 0;
    kin__test_unlock(scheduler);
    return busy;
}
