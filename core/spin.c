/* core/spin.c -- the slow way through a spinlock.
 *
 * Whoever holds it may have lost its processor, so after some rounds this
 * one gives its own away. */
#include "core/spin.h"

#include <sched.h>

#define ROUNDS 64u                      /* before the first sched_yield()    */

void kin__spin_pause(unsigned *round)
{
    if (++*round % ROUNDS == 0)
        sched_yield();
    else
        KIN__CPU_RELAX();
}

void kin__spin_wait(struct kin__spin *lock)
{
    unsigned round = 0;

    do {
        /* relaxed: only a hint, the exchange decides */
        while (atomic_load_explicit(&lock->held, memory_order_relaxed))
            kin__spin_pause(&round);
    } while (!kin__spin_try_lock(lock));
}
