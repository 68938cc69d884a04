/* core/wait_look.c -- a wait as those see it who do not decide it: who
 * registers what a cancellation calls, and who looks on.  See wait.h. */
#include "core/wait_word.h"

#include "core/thread.h"

#include <stddef.h>

/* Locks *wait for a callback; or the code that says why not. */
static int lock_for_callback(struct kin__runnable *r, uint64_t generation,
                             uint64_t *locked)
{
    uint64_t word;

    while (!(*locked = kin__wait_lock(r, generation, true))) {
        /* relaxed: it tells only which code it is */
        word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);
        if (word >> GENERATION_SHIFT != generation
            || state_of(word) == KIN__WAIT_IDLE)
            return KIN_ESTALE;
        if (word & CALLING)
            return KIN_EALREADY;
        /* else the callback has returned since: look again */
    }
    return 0;
}

int kin__wait_on_cancel(struct kin__runnable *r, uint64_t generation,
                        void (*fn)(kin_error *cause, void *arg), void *arg)
{
    struct kin__wait *wait;
    uint64_t word;
    int err = lock_for_callback(r, generation, &word);

    if (err)
        return err;
    wait = r->wait;
    if (!wait->owner)
        err = KIN_ENOTSUP;
    else if (wait->on_cancel)
        err = KIN_EALREADY;
    if (!err) {
        wait->on_cancel = fn;
        wait->on_cancel_arg = arg;
    }
    if (!err && state_of(word) == KIN__WAIT_CANCELLED) {
        /* The fiber waits for BUSY, so that arg may be on its stack.
         * relaxed: BUSY is ours */
        atomic_fetch_or_explicit(&r->wait_word, CALLING, memory_order_relaxed);
        kin__no_suspend_begin();
        fn(wait->error, arg);
        kin__no_suspend_end();
    }
    kin__wait_unlock(r);
    return err;
}

const struct kin__wait *kin__wait_hold(struct kin__runnable *r,
                                       enum kin__wait_state *state)
{
    /* relaxed: lock() looks again */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);

    *state = state_of(word);
    if (*state != KIN__WAIT_PARKED)
        return NULL;
    /* Of that generation it is parked still, or decided. */
    if (kin__wait_lock(r, word >> GENERATION_SHIFT, false))
        return r->wait;
    *state = kin__wait_state(r, word >> GENERATION_SHIFT);
    return NULL;
}

void kin__wait_let_go(struct kin__runnable *r)
{
    kin__wait_unlock(r);
}

enum kin__wait_state kin__wait_state(struct kin__runnable *r,
                                     uint64_t generation)
{
    /* acquire: pairs with release in kin__wait_unlock() */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_acquire);

    if (word >> GENERATION_SHIFT != generation)
        return KIN__WAIT_IDLE;
    return state_of(word);
}
