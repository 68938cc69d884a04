/* core/wait_look.c -- a wait as those see it who do not decide it: who
 * registers what a cancellation calls, and who looks on.  See wait.h. */
#include "core/wait_word.h"

#include "core/thread.h"

#include <stddef.h>

/* Why it cannot be locked for a callback. */
static int why_not(struct kin__runnable *r, uint64_t generation)
{
    /* relaxed: it tells only which code it is */
    uint64_t word = atomic_load_explicit(&r->wait_word, memory_order_relaxed);

    if ((word & ~BUSY) == word_of(generation, KIN__WAIT_RESUMED))
        return 0;                       /* nothing will have to be called */
    return word & CALLING ? KIN_EALREADY : KIN_ESTALE;
}

int kin__wait_on_cancel(struct kin__runnable *r, uint64_t generation,
                        void (*fn)(kin_error *cause, void *arg), void *arg)
{
    uint64_t word = kin__wait_lock(r, generation, true);
    struct kin__wait *wait;
    int err = 0;

    if (!word)
        return why_not(r, generation);
    wait = r->wait;
    if (!wait->owner)
        err = KIN_ENOTSUP;
    else if (wait->on_cancel)
        err = KIN_EALREADY;
    if (!err) {
        wait->on_cancel = fn;
        wait->on_cancel_arg = arg;
    }
    if (!err && is_cancelled(word)) {
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
