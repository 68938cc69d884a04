/* dispatch/watchdog.c -- finds workers that are blocked, and replaces them.
 *
 * A thread of its own, for every worker may be blocked.  A few times within the
 * limit it looks at each permit: the same holder, the same tick (nothing has
 * been taken since), next to no time on a processor, and a thread that would
 * not run if it could, for as long as the limit: then that worker sleeps in a
 * fiber that should have been on IO.
 *
 *   watchdog                        the worker, when it is back
 *   replaced = true                 sees `replaced` at its next probe
 *   one more permit is free         gives its permit up, counts none as free
 *   somebody takes it, and steals   is a worker without a permit
 *     what the blocked one has
 *
 * So there is one permit more than `core` only while somebody is blocked, and
 * for at most PROBE picks after that.  A permit that is marked though its
 * worker has just come back is as harmless, and as short.  While nobody works
 * the watchdog sleeps:
 *
 *   watchdog                        worker
 *   1 asleep = true                 1 takes one off the free permits
 *   2 all permits free?             2 asleep: wakes it
 * Both change the state in between or thereby; so either the watchdog sees the
 * permit taken or the worker sees it asleep. */
#include "dispatch/scheduler_internal.h"

#include "core/memory.h"
#include "dispatch/os_thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKS        4          /* within the limit                          */
#define LOOK_NS_MIN  KIN_MS(1)
#define LOOK_NS_MAX  KIN_S(1)
#define QUIET_LOOKS  8          /* that nobody works, before it sleeps       */
#define BUSY_SHARE   32         /* who runs for more than that of the time   */
                                /* computes, however busy the machine is     */

void (*kin__blocked_tell)(const struct kin_task *task, int64_t blocked);

/* It may have got no thread when the first worker got one.  On the worker's own
 * thread: whoever starts one may hold the lock. */
static void watch_again(struct kin__scheduler *scheduler)
{
    pthread_mutex_lock(&kin__start_lock);
    /* relaxed: started is written under the lock, and kin__watchdog_stop()
     * takes it after it was said to stop */
    if (atomic_load_explicit(&scheduler->started, memory_order_relaxed)
        && !scheduler->watchdog.started
        && !atomic_load_explicit(&scheduler->stopping, memory_order_relaxed))
        kin__watchdog_start(scheduler);
    pthread_mutex_unlock(&kin__start_lock);
}

void kin__watchdog_enter(struct kin__worker *worker)
{
    clockid_t clock;

    /* relaxed: a wrong one gives no time, a wrong thread no state */
    if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
        atomic_store_explicit(&worker->cpu_clock, clock, memory_order_relaxed);
    atomic_store_explicit(&worker->tid, (int)gettid(), memory_order_relaxed);
    watch_again(worker->scheduler);
}

/* True if the worker's thread runs, or would if the machine were less busy: as
 * far as the kernel tells. */
static bool is_runnable(struct kin__worker *worker)
{
    char text[128], *state;
    int fd;
    ssize_t length;

    /* relaxed: as above */
    snprintf(text, sizeof text, "/proc/self/task/%d/stat",
             atomic_load_explicit(&worker->tid, memory_order_relaxed));
    if (kin__open(text, &fd) != 0)
        return false;
    length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    state = strrchr(text, ')');         /* a name may hold anything */
    return state && state[1] == ' ' && state[2] == 'R';
}

/* How long the worker's thread has run; -1 if that is not to be had. */
static int64_t cpu_time(struct kin__worker *worker)
{
    struct timespec time;
    /* relaxed: as above */
    clockid_t clock = atomic_load_explicit(&worker->cpu_clock,
                                           memory_order_relaxed);

    if (!clock || clock_gettime(clock, &time) != 0)
        return -1;
    return (int64_t)time.tv_sec * KIN_S(1) + time.tv_nsec;
}

/* --- Replacing ------------------------------------------------------------ */

static int count_replaced(struct kin__scheduler *scheduler)
{
    int count = 0;

    for (int i = 0; i < 2 * scheduler->core; i++)
        count += kin__permit_is_replaced(&scheduler->permits[i]);
    return count;
}

/* Lets another worker run in the place of permit's holder. */
static void replace(struct kin__scheduler *scheduler,
                    struct kin__permit *permit)
{
    int replaced = count_replaced(scheduler) + 1;
    uint64_t state;

    if (kin__permit_is_replaced(permit) || replaced > scheduler->core)
        return;
    /* release: pairs with acquire in reach_of() of permit.c.  relaxed: only the
     * watchdog changes it */
    if (atomic_load_explicit(&scheduler->reach, memory_order_relaxed)
        < scheduler->core + replaced)
        atomic_store_explicit(&scheduler->reach, scheduler->core + replaced,
                              memory_order_release);
    /* relaxed: seen later, it is given up later */
    atomic_store_explicit(&permit->replaced, true, memory_order_relaxed);
    /* Its next pick is a probe.  relaxed: it is as well the one after that */
    atomic_store_explicit(&permit->tick, permit->sight.tick | (KIN__PROBE - 1),
                          memory_order_relaxed);
    permit->sight.tick |= KIN__PROBE - 1;
    /* seq_cst: before the look that follows; pairs with seq_cst in reserve() */
    state = atomic_fetch_add_explicit(&scheduler->state, KIN__FREE_ONE,
                                      memory_order_seq_cst) + KIN__FREE_ONE;
    kin__idle_look_again(scheduler, state);
}

/* The permit is free, and marked: its holder came back before it was.  Takes
 * one free permit away for the one too many. */
static void take_back(struct kin__scheduler *scheduler,
                      struct kin__permit *permit)
{
    /* relaxed: the exchange below decides */
    uint64_t state = atomic_load_explicit(&scheduler->state,
                                          memory_order_relaxed);

    /* relaxed: who clears it is the one who accounts for it */
    if (!atomic_exchange_explicit(&permit->replaced, false,
                                  memory_order_relaxed))
        return;
    do {
        if (kin__free_of(state) == 0) {
            atomic_store_explicit(&permit->replaced, true,
                                  memory_order_relaxed);
            return;                     /* whoever takes it gives it up */
        }
        /* seq_cst: pairs with the other changes of state, see wake.c */
    } while (!atomic_compare_exchange_weak_explicit(
                 &scheduler->state, &state, state - KIN__FREE_ONE,
                 memory_order_seq_cst, memory_order_relaxed));
}

static void tell(const struct kin_task *task, int64_t blocked)
{
    if (kin__blocked_tell)
        kin__blocked_tell(task, blocked);
    else
        fprintf(stderr, "kin: blocked: a worker, for %" PRId64 " ms\n",
                blocked / KIN_MS(1));
}

/* --- Looking -------------------------------------------------------------- */

static struct kin__worker *holder_of(struct kin__permit *permit)
{
    /* acquire: pairs with release in kin__permit_release() */
    return atomic_load_explicit(&permit->holder, memory_order_acquire);
}

static uint32_t tick_of(struct kin__permit *permit)
{
    /* relaxed: to be compared */
    return atomic_load_explicit(&permit->tick, memory_order_relaxed);
}

/* Has it done anything since the last look, `every` ago? */
static bool has_moved(struct kin__permit *permit, struct kin__worker *holder,
                      int64_t cpu, int64_t every)
{
    const struct kin__sight *sight = &permit->sight;

    return holder != sight->holder || tick_of(permit) != sight->tick || cpu < 0
        || cpu - sight->cpu > every / BUSY_SHARE || is_runnable(holder);
}

/* True if somebody has the permit. */
static bool look(struct kin__scheduler *scheduler, struct kin__permit *permit,
                 int64_t limit, int64_t every)
{
    struct kin__worker *holder = holder_of(permit);
    struct kin__sight *sight = &permit->sight;
    int64_t now = kin_now(), cpu = holder ? cpu_time(holder) : -1;
    struct kin_task *task;

    if (!holder && kin__permit_is_replaced(permit))
        take_back(scheduler, permit);
    if (!holder || has_moved(permit, holder, cpu, every)) {
        *sight = (struct kin__sight){
            .holder = holder, .tick = tick_of(permit), .since = now,
            .cpu = cpu, .tell_at = kin_after(limit),
        };
        return holder != NULL;
    }
    sight->cpu = cpu;
    if (kin__permit_is_replaced(permit))
        /* There may have been no thread for it.  relaxed: looked at again */
        kin__idle_look_again(scheduler,
                             atomic_load_explicit(&scheduler->state,
                                                  memory_order_relaxed));
    if (now < sight->tell_at)
        return true;
    /* relaxed: to be compared */
    task = atomic_load_explicit(&permit->running, memory_order_relaxed);
    if (tick_of(permit) != sight->tick)
        return true;
    tell(task, now - sight->since);
    replace(scheduler, permit);
    sight->tell_at = now + (now - sight->since);    /* twice as long */
    return true;
}

static bool look_at_all(struct kin__scheduler *scheduler, int64_t limit,
                        int64_t every)
{
    bool busy = false;

    for (int i = 0; i < 2 * scheduler->core; i++)
        if (look(scheduler, &scheduler->permits[i], limit, every))
            busy = true;
    return busy;
}

/* Until somebody works.  See the top. */
static void sleep_until_woken(struct kin__scheduler *scheduler)
{
    struct kin__watchdog *watchdog = &scheduler->watchdog;
    uint64_t state;

    /* relaxed: the change of state orders it */
    atomic_store_explicit(&watchdog->asleep, true, memory_order_relaxed);
    /* seq_cst: pairs with seq_cst in kin__permit_try() and reserve() */
    state = atomic_fetch_add_explicit(&scheduler->state, 0,
                                      memory_order_seq_cst);
    if (kin__free_of(state) == (unsigned)scheduler->core
        && !count_replaced(scheduler))
        kin__parker_wait(&watchdog->parker, KIN_NEVER);
    atomic_store_explicit(&watchdog->asleep, false, memory_order_relaxed);
}

static bool is_stopping(struct kin__scheduler *scheduler)
{
    /* acquire: pairs with release in kin__scheduler_free() */
    return atomic_load_explicit(&scheduler->stopping, memory_order_acquire);
}

static void *watch(void *arg)
{
    struct kin__scheduler *scheduler = arg;
    struct kin__watchdog *watchdog = &scheduler->watchdog;
    int64_t limit, every;

    kin__os_thread_enter("kin-watch", 0);
    for (int quiet = 0; !is_stopping(scheduler); quiet++) {
        /* relaxed: whoever changes it wakes this thread */
        limit = atomic_load_explicit(&watchdog->limit, memory_order_relaxed);
        if (limit == KIN_NEVER && !count_replaced(scheduler)) {
            kin__parker_wait(&watchdog->parker, KIN_NEVER);
            continue;
        }
        every = limit / LOOKS > LOOK_NS_MIN ? limit / LOOKS : LOOK_NS_MIN;
        every = every < LOOK_NS_MAX ? every : LOOK_NS_MAX;
        if (look_at_all(scheduler, limit, every))
            quiet = 0;
        if (quiet > QUIET_LOOKS)
            sleep_until_woken(scheduler);
        else
            kin__parker_wait(&watchdog->parker, kin_after(every));
    }
    return NULL;
}

void kin__watchdog_wake(struct kin__scheduler *scheduler)
{
    struct kin__watchdog *watchdog = &scheduler->watchdog;

    /* relaxed: one that finds it true wakes it */
    if (atomic_exchange_explicit(&watchdog->asleep, false,
                                 memory_order_relaxed))
        kin__parker_wake(&watchdog->parker);
}

void kin__watchdog_start(struct kin__scheduler *scheduler)
{
    struct kin__watchdog *watchdog = &scheduler->watchdog;

    if (watchdog->started) {
        kin__parker_wake(&watchdog->parker);
        return;
    }
    /* relaxed: changed under start_lock */
    if (atomic_load_explicit(&watchdog->limit, memory_order_relaxed)
        != KIN_NEVER)
        watchdog->started = kin__os_thread_start(&watchdog->pthread, watch,
                                                 scheduler) == 0;
}

void kin__watchdog_stop(struct kin__scheduler *scheduler)
{
    struct kin__watchdog *watchdog = &scheduler->watchdog;
    bool started;

    pthread_mutex_lock(&kin__start_lock);
    started = watchdog->started;
    pthread_mutex_unlock(&kin__start_lock);
    if (!started)
        return;
    kin__parker_wake(&watchdog->parker);
    pthread_join(watchdog->pthread, NULL);
}
