/* core/wait_word.h -- what is in a wait word, for core/wait.c and wait_look.c.
 *
 *   generation (56 bits) | OWN | CALLING | LATE | BUSY | state (3 bits)
 *
 *   BUSY   a lock on struct kin__wait; see wait.h
 *   LATE   a wake that came after a cancellation has been swallowed; a wrong
 *          value only makes one report say "too late" for "already".
 *   CALLING  with BUSY: a cancelling callback runs; whoever would wait for
 *          BUSY to end, perhaps from inside it, must not.
 *   OWN    PARKED: whose cancellation ends it is known, and nobody has a
 *          handle: nothing has to be read or written in *wait to cancel it.
 *          CANCELLED: it was, and the cause is in runnable->told.  Who did it
 *          has the fiber to himself until he has it go on. */
#ifndef KIN_CORE_WAIT_WORD_H
#define KIN_CORE_WAIT_WORD_H

#include "core/wait.h"

#define STATE_MASK       ((uint64_t)7)
#define BUSY             ((uint64_t)8)
#define LATE             ((uint64_t)16)
#define CALLING          ((uint64_t)32)
#define OWN              ((uint64_t)64)
#define GENERATION_SHIFT KIN__GENERATION_SHIFT

static inline uint64_t word_of(uint64_t generation, enum kin__wait_state state)
{
    return generation << GENERATION_SHIFT | (uint64_t)state;
}

static inline enum kin__wait_state state_of(uint64_t word)
{
    return (enum kin__wait_state)(word & STATE_MASK);
}

static inline bool is_open(uint64_t word)
{
    return state_of(word) == KIN__WAIT_UNDECIDED
        || state_of(word) == KIN__WAIT_PARKED;
}

/* Of a wait that is parked, and nobody is busy with. */
static inline uint64_t parked_word(const struct kin__wait *wait)
{
    return word_of(wait->generation, KIN__WAIT_PARKED)
         | (wait->own && !wait->shared ? OWN : 0);
}

/* Locks *wait of that generation; 0 if it is over, or decided, which counts
 * only for those who have no handle: see settle(). */
uint64_t kin__wait_lock(struct kin__runnable *r, uint64_t generation,
                        bool decided_too);

/* Lets go of it. */
void kin__wait_unlock(struct kin__runnable *r);

#endif /* KIN_CORE_WAIT_WORD_H */
