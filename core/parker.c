/* core/parker.c -- one thread sleeps on a futex, any thread wakes it.
 *
 * Spinning before the sleep saves both sides a system call, and the sleeper
 * some tens of microseconds until its core is awake, but only if the wake
 * comes soon.  `gain` remembers whether it did: it grows with each spin that
 * was ended by a wake, shrinks with each in vain, and at 0 nobody spins.  Two
 * threads that answer each other and both sleep would never find out, so once
 * in some sleeps that were short there is a trial, which lasts long enough
 * for the other to wake up.  At most one thread less than there are processors
 * spins at a time: somebody has to do what is waited for. */
#include "core/parker.h"

#include "core/spin.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EMPTY, WOKEN, ASLEEP };

#define SPIN_NS    KIN_US(15)
#define TRIAL_NS   KIN_US(60)       /* the other may have to wake up         */
#define SHORT_NS   KIN_US(200)      /* of a sleep, with both wake-ups        */
#define TRIAL_EACH 8                /* short sleeps                          */
#define GAIN_MAX   8
#define LOOKS      16               /* at the word, between two at the clock */

static _Atomic int spinners;        /* threads that spin; statistics only    */

static int count_cpus(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN);     /* more than a set holds */
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

int kin__cpu_count(void)
{
    static _Atomic int count;
    /* relaxed: whoever finds it 0 counts himself, with the same result */
    int n = atomic_load_explicit(&count, memory_order_relaxed);

    if (n == 0) {
        n = count_cpus();
        atomic_store_explicit(&count, n, memory_order_relaxed);
    }
    return n;
}

static long futex(struct kin__parker *parker, int op, uint32_t value,
                  const struct timespec *deadline)
{
    return syscall(SYS_futex, &parker->word, op | FUTEX_PRIVATE_FLAG, value,
                   deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Sleeps while the word is ASLEEP.  False: the deadline has come. */
static bool futex_wait(struct kin__parker *parker, int64_t deadline)
{
    struct timespec until;
    int saved = errno;
    bool late;

    if (deadline < 0)
        deadline = 0;
    until.tv_sec = (time_t)(deadline / KIN_S(1));
    until.tv_nsec = (long)(deadline % KIN_S(1));
    late = futex(parker, FUTEX_WAIT_BITSET, ASLEEP,
                 deadline == KIN_NEVER ? NULL : &until) < 0 &&
           errno == ETIMEDOUT;
    errno = saved;
    return !late;
}

static bool take(struct kin__parker *parker)
{
    uint32_t woken = WOKEN;

    /* acquire: pairs with release in kin__parker_wake(); what the waker did */
    return atomic_compare_exchange_strong_explicit(
        &parker->word, &woken, EMPTY, memory_order_acquire,
        memory_order_relaxed);
}

static bool spin(struct kin__parker *parker, int64_t end)
{
    do {
        for (int i = 0; i < LOOKS; i++) {
            /* relaxed: take() follows */
            if (atomic_load_explicit(&parker->word, memory_order_relaxed))
                return take(parker);
            KIN__CPU_RELAX();
        }
    } while (kin_now() < end);
    return false;
}

/* May one more spin?  Who has just been woken takes a moment to be off. */
static bool begin_spinning(void)
{
    for (int i = 0; i < LOOKS; i++) {
        /* relaxed: a bound for the load of the machine, it guards nothing */
        if (atomic_fetch_add_explicit(&spinners, 1, memory_order_relaxed) + 1
            < kin__cpu_count())
            return true;
        atomic_fetch_sub_explicit(&spinners, 1, memory_order_relaxed);
        KIN__CPU_RELAX();
    }
    return false;
}

static bool spin_if_it_pays(struct kin__parker *parker, int64_t deadline)
{
    int64_t end = kin_now() + (parker->gain == 1 ? TRIAL_NS : SPIN_NS);
    bool woken;

    if (end > deadline || !begin_spinning())
        return false;
    woken = spin(parker, end);
    if (!woken)
        parker->gain--;
    else if (parker->gain < GAIN_MAX)
        parker->gain++;
    /* relaxed: as in begin_spinning() */
    atomic_fetch_sub_explicit(&spinners, 1, memory_order_relaxed);
    return woken;
}

/* Sleeps for good.  The word is EMPTY, or WOKEN since a moment. */
static bool sleep_until(struct kin__parker *parker, int64_t deadline)
{
    uint32_t seen = EMPTY;
    bool in_time = true;

    /* relaxed: tells nothing but that somebody sleeps */
    if (!atomic_compare_exchange_strong_explicit(&parker->word, &seen, ASLEEP,
                                                 memory_order_relaxed,
                                                 memory_order_relaxed))
        return take(parker);
    while (in_time) {
        in_time = futex_wait(parker, deadline);
        if (take(parker))
            return true;
    }
    seen = ASLEEP;
    /* relaxed: if it fails the token is there, and take() acquires */
    if (atomic_compare_exchange_strong_explicit(&parker->word, &seen, EMPTY,
                                                memory_order_relaxed,
                                                memory_order_relaxed))
        return false;
    return take(parker);
}

bool kin__parker_wait(struct kin__parker *parker, int64_t deadline)
{
    int64_t start;
    bool woken;

    if (take(parker))
        return true;
    if (parker->gain > 0 && spin_if_it_pays(parker, deadline))
        return true;
    start = kin_now();
    if (deadline <= start)
        return take(parker);
    woken = sleep_until(parker, deadline);
    if (woken && parker->gain == 0 && kin_now() - start < SHORT_NS)
        if (++parker->short_sleeps % TRIAL_EACH == 0)
            parker->gain = 1;
    return woken;
}

void kin__parker_wake(struct kin__parker *parker)
{
    int saved;

    /* release: pairs with acquire in take() */
    if (atomic_exchange_explicit(&parker->word, WOKEN, memory_order_release) !=
        ASLEEP)
        return;
    saved = errno;
    futex(parker, FUTEX_WAKE, 1, NULL);
    errno = saved;
}
