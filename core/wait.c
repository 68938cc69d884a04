/* wait.c -- see wait.h; the word is in wait_word.h. */
#include "core/wait.h"

#include "core/chance.h"
#include "core/check.h"
#include "core/clock.h"
#include "core/hard.h"
#include "core/spin.h"
#include "core/thread.h"
#include "core/wait_word.h"

#include <sched.h>
#include <stddef.h>

static void relax(unsigned *rounds)
{
    if (++*rounds % 64 == 0)
        sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void kin__wait_prepare(struct kin__wait *wait, struct kin__runnable *r,
                       const void *owner)
{
    /* relaxed: only the running fiber begins and ends waits */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);

    /* one by one: so they are a handful of wide stores */
    wait->runnable = r;
    wait->generation = (word >> GENERATION_SHIFT) + 1;
    wait->owner = owner;
    wait->owner_word = NULL;
    wait->owner_alive = 0;
    wait->shared = wait->own = false;
    wait->what = NULL;
    wait->target = NULL;
    wait->until = wait->since = 0;
    wait->outcome = KIN__WAIT_IDLE;
    wait->result = 0;
    wait->error = NULL;
    wait->on_cancel = NULL;
    wait->on_undelivered = NULL;
    r->wait = wait;
}

void kin__wait_begin(struct kin__wait *wait)
{
    /* release: publishes *wait; pairs with acquire in kin__wait_lock() and
     * claim() */
    atomic_store_explicit(&wait->runnable->wait_word,
                          word_of(wait->generation, KIN__WAIT_UNDECIDED),
                          memory_order_release);
}

void kin__wait_open(struct kin__wait *wait)
{
    /* release: publishes *wait and the saved stack; pairs with acquire in
     * lock(), claim() and kin__wait_cancel_own() */
    atomic_store_explicit(&wait->runnable->wait_word, parked_word(wait),
                          memory_order_release);
}

/* The word when nobody is busy with *wait.  Only the fiber calls this. */
static uint64_t quiet_word(struct kin__runnable *r)
{
    unsigned rounds = 0;
    uint64_t word;

    /* acquire: pairs with release in kin__wait_unlock(): the outcome is
     * written */
    while ((word = atomic_load_explicit(&r->wait_word, memory_order_acquire))
           & BUSY)
        relax(&rounds);
    return word;
}

/* Moves the word from open to `to`; false if somebody has decided.  Waits while
 * the word is open but locked, which is for a few instructions. */
static bool move_undecided(struct kin__wait *wait, uint64_t to)
{
    struct kin__runnable *r = wait->runnable;
    uint64_t expected = word_of(wait->generation, KIN__WAIT_UNDECIDED);

    /* release: publishes the saved stack; pairs with acquire in claim().
     * acquire: pairs with release in kin__wait_unlock() */
    while (!atomic_compare_exchange_strong_explicit(
               &r->wait_word, &expected, to,
               memory_order_acq_rel, memory_order_acquire)) {
        if (state_of(expected) != KIN__WAIT_UNDECIDED)
            return false;
        expected = quiet_word(r);
        if (state_of(expected) != KIN__WAIT_UNDECIDED)
            return false;
    }
    return true;
}

/* Waits until nobody looks at *wait any more, and makes the word IDLE.  A
 * decided word is locked only by those who have a handle, to register what is
 * called if the value gets lost: where none was given out a store is enough. */
static void settle(struct kin__wait *wait)
{
    struct kin__runnable *r = wait->runnable;
    uint64_t idle = word_of(wait->generation, KIN__WAIT_IDLE);
    uint64_t word;

    kin__chance(KIN__CHANCE_SETTLES);
    word = quiet_word(r);
    if (wait->shared) {
        /* acquire: pairs with release in kin__wait_unlock() */
        while (!atomic_compare_exchange_weak_explicit(
                   &r->wait_word, &word, idle, memory_order_acquire,
                   memory_order_relaxed))
            word = quiet_word(r);
    } else {
        if (word & OWN && state_of(word) == KIN__WAIT_CANCELLED) {
            wait->outcome = KIN__WAIT_CANCELLED;
            wait->error = r->told;
        }
        /* relaxed: whoever finds IDLE does nothing */
        atomic_store_explicit(&r->wait_word, idle, memory_order_relaxed);
    }
}

uint64_t kin__wait_lock(struct kin__runnable *r, uint64_t generation,
                        bool decided_too)
{
    /* acquire: pairs with release in kin__wait_unlock() */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_acquire);
    unsigned rounds = 0;

    for (;;) {
        if (word >> GENERATION_SHIFT != generation
            || state_of(word) == KIN__WAIT_IDLE
            || (word & CALLING) || (!decided_too && !is_open(word)))
            return 0;
        if (word & BUSY) {
            relax(&rounds);
            /* acquire: pairs with release in kin__wait_unlock() */
            word = atomic_load_explicit(&r->wait_word, memory_order_acquire);
        } else if (atomic_compare_exchange_weak_explicit(
                       &r->wait_word, &word, word | BUSY,
                       /* acquire: pairs with release in kin__wait_unlock() */
                       memory_order_acquire, memory_order_acquire)) {
            return word;
        }
    }
}

/* Under BUSY the word is its holder's alone. */
void kin__wait_unlock(struct kin__runnable *r)
{
    /* relaxed: ours */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);

    /* release: publishes what was written; pairs with acquire in
     * kin__wait_lock(), claim() and quiet_word() */
    atomic_store_explicit(&r->wait_word, word & ~(BUSY | CALLING),
                          memory_order_release);
}

/* Takes the decision for RESUMED, leaving BUSY set; *before is what it was.
 * The three answers are those of kin__wait_wake(). */
static int claim(struct kin__runnable *r, uint64_t generation,
                 enum kin__wait_state *before)
{
    /* acquire: pairs with release in kin__wait_unlock() */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_acquire);
    unsigned rounds = 0;

    for (;;) {
        if (word >> GENERATION_SHIFT != generation
            || state_of(word) == KIN__WAIT_IDLE)
            return KIN_ESTALE;
        if (!is_open(word))
            return state_of(word) == KIN__WAIT_RESUMED || (word & LATE)
                       ? KIN_EALREADY : KIN_ESTALE;
        if (word & BUSY) {              /* on_cancel is being registered, or
                                           somebody looks on */
            relax(&rounds);
            /* acquire: pairs with release in kin__wait_on_cancel() */
            word = atomic_load_explicit(&r->wait_word, memory_order_acquire);
            continue;
        }
        *before = state_of(word);
        /* acquire: pairs with release in publish(); release: with acquire in
         * a second claim() */
        if (atomic_compare_exchange_weak_explicit(
                &r->wait_word, &word,
                word_of(generation, KIN__WAIT_RESUMED) | BUSY,
                memory_order_acq_rel, memory_order_acquire))
            return 0;
    }
}

static void have_go_on(struct kin__runnable *r)
{
    kin__hard_woken(r);
    r->ops->ready(r);
}

/* The outcome is written: lets go of *wait, and has a parked fiber go on. */
static void decided(struct kin__runnable *r, enum kin__wait_state before)
{
    kin__wait_unlock(r);
    if (before == KIN__WAIT_PARKED)
        have_go_on(r);
}

/* As claim, and remembers that one came too late. */
static int claim_resume(struct kin__runnable *r, uint64_t generation,
                        enum kin__wait_state *before)
{
    uint64_t cancelled = word_of(generation, KIN__WAIT_CANCELLED);
    int err = claim(r, generation, before);

    if (err == KIN_ESTALE)
        /* relaxed: LATE only chooses between two reports */
        atomic_compare_exchange_strong_explicit(
            &r->wait_word, &cancelled, cancelled | LATE, memory_order_relaxed,
            memory_order_relaxed);
    return err;
}

static void resume_with(struct kin__runnable *r, int result, kin_error *error)
{
    r->wait->result = result;
    r->wait->error = error;
    r->wait->outcome = KIN__WAIT_RESUMED;
}

/* Of one that has parked, what most find: the fiber comes to see the outcome
 * only when it has been dispatched here, so that nobody needs BUSY. */
static bool wake_parked(struct kin__runnable *r, uint64_t generation,
                        int result, kin_error *error)
{
    /* relaxed: the exchange decides */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);

    /* acquire: pairs with release in publish() and kin__wait_open(); release:
     * with acquire in a claim() that comes too late */
    if ((word & ~OWN) != word_of(generation, KIN__WAIT_PARKED)
        || !atomic_compare_exchange_strong_explicit(
               &r->wait_word, &word, word_of(generation, KIN__WAIT_RESUMED),
               memory_order_acq_rel, memory_order_relaxed))
        return false;
    resume_with(r, result, error);
    have_go_on(r);
    return true;
}

static __attribute__((noinline)) int
wake_slowly(struct kin__runnable *r, uint64_t generation, int result,
            kin_error *error)
{
    enum kin__wait_state before;
    int err = claim_resume(r, generation, &before);

    if (err) {
        kin_error_release(error);
        return err;
    }
    resume_with(r, result, error);
    decided(r, before);
    return 0;
}

int kin__wait_wake(struct kin__runnable *r, uint64_t generation, int result,
                   kin_error *error)
{
    if (KIN__LIKELY(wake_parked(r, generation, result, error)))
        return 0;
    return wake_slowly(r, generation, result, error);
}

/* Why that wait was cancelled: a new reference; NULL if it is over, or its
 * callback is running. */
static kin_error *cause_of(struct kin__runnable *r, uint64_t generation)
{
    uint64_t word = kin__wait_lock(r, generation, true);
    kin_error *cause = NULL;

    if (!word)
        return NULL;
    if (state_of(word) == KIN__WAIT_CANCELLED)
        cause = kin_error_retain(r->wait->error);
    kin__wait_unlock(r);
    return cause;
}

int kin__wait_wake_value(struct kin__runnable *r, uint64_t generation,
                         void (*on_undelivered)(void *value, kin_error *cause),
                         void *value, kin_error **cause)
{
    enum kin__wait_state before;
    int err = claim_resume(r, generation, &before);

    *cause = err == KIN_ESTALE ? cause_of(r, generation) : NULL;
    if (err)
        return err;
    r->wait->on_undelivered = on_undelivered;
    r->wait->value = value;
    r->wait->outcome = KIN__WAIT_RESUMED;
    decided(r, before);
    return 0;
}

/* *wait is locked, and open: decides. */
static void cancel_locked(struct kin__runnable *r, uint64_t locked,
                          kin_error *cause)
{
    struct kin__wait *wait = r->wait;

    /* relaxed: BUSY is ours, and stays until decided() */
    atomic_store_explicit(&r->wait_word,
                          word_of(locked >> GENERATION_SHIFT,
                                  KIN__WAIT_CANCELLED)
                              | BUSY | (wait->on_cancel ? CALLING : 0),
                          memory_order_relaxed);
    wait->error = kin_error_retain(cause);
    wait->outcome = KIN__WAIT_CANCELLED;
    if (wait->on_cancel) {
        kin__no_suspend_begin();
        wait->on_cancel(cause, wait->on_cancel_arg);
        kin__no_suspend_end();
    }
    decided(r, state_of(locked));
}

static bool owner_is_alive(const struct kin__wait *wait)
{
    /* relaxed: publish() has ordered it */
    uint32_t word = wait->owner_word
        ? atomic_load_explicit(wait->owner_word, memory_order_relaxed) : 0;

    return !wait->owner_word || wait->owner_alive >> (word & 7) & 1;
}

/* *wait, which has just been parked, is locked, and its owner cancelled. */
static void cancel_late(struct kin__runnable *r, uint64_t locked,
                        const void *owner)
{
    struct kin__runnable *next = kin__hide_next();
    kin_error *cause = r->ops->cancellation(owner);

    cancel_locked(r, locked, cause);
    kin_error_release(cause);
    kin__show_next(next);
}

/* It was decided while it ran still; its dispatcher may refuse it, of which
 * callbacks are told. */
static void ready_late(struct kin__runnable *r)
{
    struct kin__runnable *next = kin__hide_next();

    r->ops->ready(r);
    kin__show_next(next);
}

/* Runs on the next stack.  If the wait was decided since, the fiber has to be
 * made runnable here: the one who decided saw it not parked.
 *
 *   publish()                      cancel of the owner
 *   1 wait_word = PARKED (RMW)     1 owner_word = cancelled (RMW)
 *   2 owner_word cancelled?        2 wait_word open?
 * Either the one sees the cancellation, or the other the wait.  BUSY keeps the
 * fiber, and so its owner, from going on in between.  The locked operation of
 * 1 and seq_cst: pair with seq_cst load in kin__wait_cancel_owned() */
static void publish(void *arg)
{
    struct kin__wait *wait = arg;
    struct kin__runnable *r = wait->runnable;
    uint64_t parked = parked_word(wait);

    kin__chance(KIN__CHANCE_LEFT);
    if (!move_undecided(wait, parked | BUSY)) {
        ready_late(r);
        return;
    }
    kin__full_barrier_after_rmw();
    if (KIN__LIKELY(owner_is_alive(wait))) {
        /* release: pairs with acquire in kin__wait_lock(), claim() and
         * kin__wait_cancel_own() */
        atomic_store_explicit(&r->wait_word, parked, memory_order_release);
        return;
    }
    cancel_late(r, parked, wait->owner);
}

int kin__wait_park(struct kin__wait *wait)
{
    struct kin__runnable *r = wait->runnable;
    int err = 0;

    kin__chance(KIN__CHANCE_PARKS);
    /* relaxed: publish() and settle() look again */
    if (state_of(atomic_load_explicit(&r->wait_word, memory_order_relaxed))
        == KIN__WAIT_UNDECIDED || kin__hard_parks(wait->shared)) {
        wait->since = kin__now_coarse();
        err = kin__park(publish, wait);
        if (err && !move_undecided(wait, word_of(wait->generation,
                                                 KIN__WAIT_IDLE)))
            err = 0;                    /* decided meanwhile: no need to park */
    }
    settle(wait);
    if (err)
        wait->outcome = KIN__WAIT_CANCELLED;
    return err;
}

int kin__wait_park_open(struct kin__wait *wait, void (*opens)(void *arg),
                        void *arg)
{
    int err;

    wait->since = kin__now_coarse();
    err = kin__park(opens, arg);
    if (KIN__LIKELY(!err))
        settle(wait);
    return err;
}

void kin__wait_end(struct kin__wait *wait)
{
    if (!move_undecided(wait, word_of(wait->generation, KIN__WAIT_IDLE)))
        settle(wait);
}

bool kin__wait_cancel_owned(struct kin__runnable *r, const void *owner,
                            kin_error *cause)
{
    uint64_t word, locked;

    for (;;) {
        /* seq_cst: pairs with the locked operation in publish() */
        word = atomic_load_explicit(&r->wait_word, memory_order_seq_cst);
        if (!is_open(word))
            return false;
        locked = kin__wait_lock(r, word >> GENERATION_SHIFT, false);
        if (!locked)
            continue;                   /* that wait is over: look again */
        if (r->wait->owner == owner)
            break;
        kin__wait_unlock(r);
        return false;
    }
    cancel_locked(r, locked, cause);
    return true;
}

bool kin__wait_cancel_own(struct kin__runnable *r, kin_error *cause)
{
    /* relaxed: the exchange below orders it */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);

    /* acquire: pairs with release in publish() and kin__wait_open() */
    if ((word & (STATE_MASK | BUSY | OWN)) != (KIN__WAIT_PARKED | OWN)
        || !atomic_compare_exchange_strong_explicit(
               &r->wait_word, &word,
               word ^ KIN__WAIT_PARKED ^ KIN__WAIT_CANCELLED,
               memory_order_acquire, memory_order_relaxed))
        return false;
    r->told = cause;
    return true;
}

bool kin__wait_cancel(struct kin__runnable *r, uint64_t generation,
                      kin_error *cause)
{
    uint64_t locked = kin__wait_lock(r, generation, false);

    if (!locked)
        return false;
    if (!r->wait->owner) {
        kin__wait_unlock(r);
        return false;
    }
    cancel_locked(r, locked, cause);
    return true;
}
