/* dispatch/fresh.h -- what a worker has launched and nobody has begun.
 *
 *         oldest                    newest
 *      +------+----+----+----+----+-------+
 *      |      | t1 | t2 | t3 | t4 |       |
 *      +------+----+----+----+----+-------+
 *        thieves take here,    owner puts and
 *        and whoever spills    takes here
 *
 * The owner is who holds the permit.  He begins the newest first, so that a
 * tree of launches is gone through in depth: few are under way at once, and
 * what they use is warm.  A thief takes the oldest, the biggest part of a tree
 * (Blumofe and Leiserson, "Scheduling multithreaded computations by work
 * stealing").  The ends are Chase and Lev's; but both are in one word, which
 * every move compares and swaps, so that a thief may take half at once:
 *
 *      word:  puts (40 bits) | oldest (12) | newest (12)
 *
 * A thief copies first and then moves `oldest`: what he has read counts only if
 * the word is still the same.  Without the count of puts it could be the same
 * again: the newest taken, another put in its place.  It comes round after
 * 2^40 puts, some hours, within one steal.
 *
 * Every put ends with a sequentially consistent operation, as in ring.h. */
#ifndef KIN_DISPATCH_FRESH_H
#define KIN_DISPATCH_FRESH_H

#include "core/check.h"
#include "core/task.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef KIN__FRESH_SIZE
#if defined(KIN_HARD)
#define KIN__FRESH_SIZE 2u              /* overflows all the time            */
#else
#define KIN__FRESH_SIZE 256u
#endif
#endif

#define KIN__FRESH_BATCH 32u            /* of those that are moved at once   */

#define KIN__FRESH_BITS   12
#define KIN__FRESH_PLACE  ((uint64_t)1 << KIN__FRESH_BITS)
#define KIN__FRESH_OLDEST KIN__FRESH_PLACE              /* one of them       */
#define KIN__FRESH_PUT    ((uint64_t)1 << 2 * KIN__FRESH_BITS)

_Static_assert((KIN__FRESH_SIZE & (KIN__FRESH_SIZE - 1)) == 0
               && KIN__FRESH_SIZE < KIN__FRESH_PLACE,
               "a power of two that a place can count to");

struct kin__fresh {
    _Alignas(64) _Atomic uint64_t word;         /* atomic: see the picture   */
    _Atomic(struct kin_task *) task[KIN__FRESH_SIZE];
};

static inline uint32_t kin__fresh_newest(uint64_t word)
{
    return (uint32_t)(word & (KIN__FRESH_PLACE - 1));
}

static inline uint32_t kin__fresh_oldest(uint64_t word)
{
    return (uint32_t)(word >> KIN__FRESH_BITS & (KIN__FRESH_PLACE - 1));
}

static inline uint32_t kin__fresh_count(uint64_t word)
{
    return (kin__fresh_newest(word) - kin__fresh_oldest(word))
           & (uint32_t)(KIN__FRESH_PLACE - 1);
}

/* word with its ends moved; either comes round by itself. */
static inline uint64_t kin__fresh_ends(uint64_t word, uint32_t oldest,
                                       uint32_t newest)
{
    return (word & ~(KIN__FRESH_PUT - 1))
           | (oldest & (KIN__FRESH_PLACE - 1)) << KIN__FRESH_BITS
           | (newest & (KIN__FRESH_PLACE - 1));
}

static inline uint64_t kin__fresh_after_put(uint64_t word, uint32_t newest)
{
    return kin__fresh_ends(word, kin__fresh_oldest(word), newest)
           + KIN__FRESH_PUT;
}

/* Any thread; a hint, but seq_cst: pairs with seq_cst in kin__fresh_put(). */
static inline bool kin__fresh_is_empty(struct kin__fresh *fresh)
{
    /* pairs with seq_cst in kin__fresh_put() */
    return kin__fresh_count(atomic_load_explicit(&fresh->word,
                                                 memory_order_seq_cst)) == 0;
}

/* Owner.  No more than it holds, and nothing is missing. */
static inline bool kin__fresh_is_valid(struct kin__fresh *fresh)
{
    /* relaxed: a word that has changed says of fewer */
    uint64_t word = atomic_load_explicit(&fresh->word, memory_order_relaxed);

    for (uint32_t i = 1; i <= kin__fresh_count(word); i++)
        if (!atomic_load_explicit(
                &fresh->task[(kin__fresh_newest(word) - i) % KIN__FRESH_SIZE],
                memory_order_relaxed))
            return false;
    return kin__fresh_count(word) <= KIN__FRESH_SIZE;
}

/* Owner.  False: it is full. */
static inline bool kin__fresh_put(struct kin__fresh *fresh,
                                  struct kin_task *task)
{
    /* acquire: the thief has read the place; pairs with release in
     * kin__fresh_take_oldest() */
    uint64_t word = atomic_load_explicit(&fresh->word, memory_order_acquire);
    uint32_t newest = kin__fresh_newest(word);

    KIN_SLOW(kin__fresh_is_valid(fresh));
    if (kin__fresh_count(word) == KIN__FRESH_SIZE)
        return false;
    /* relaxed: published with the word */
    atomic_store_explicit(&fresh->task[newest % KIN__FRESH_SIZE], task,
                          memory_order_relaxed);
    /* seq_cst: publishes the task, pairs with acquire in
     * kin__fresh_take_oldest(); and with seq_cst in kin__fresh_is_empty() */
    while (!atomic_compare_exchange_weak_explicit(
               &fresh->word, &word, kin__fresh_after_put(word, newest + 1),
               memory_order_seq_cst, memory_order_relaxed))
        ;
    return true;
}

/* Owner.  The newest, or NULL. */
static inline struct kin_task *kin__fresh_take(struct kin__fresh *fresh)
{
    /* relaxed: what the owner reads he has written himself, or got with the
     * permit; thieves move only the other end */
    uint64_t word = atomic_load_explicit(&fresh->word, memory_order_relaxed);
    uint32_t newest = kin__fresh_newest(word) - 1;

    do {
        if (kin__fresh_count(word) == 0)
            return NULL;
        /* acquire: who has read this place and lost has done so before it is
         * written again; pairs with release in kin__fresh_take_oldest() */
    } while (!atomic_compare_exchange_weak_explicit(
                 &fresh->word, &word,
                 kin__fresh_ends(word, kin__fresh_oldest(word), newest),
                 memory_order_acquire, memory_order_relaxed));
    return atomic_load_explicit(&fresh->task[newest % KIN__FRESH_SIZE],
                                memory_order_relaxed);
}

/* Any thread.  Takes the oldest into task[], half of them but no more than
 * `most`; returns how many. */
static inline uint32_t kin__fresh_take_oldest(struct kin__fresh *fresh,
                                              struct kin_task **task,
                                              uint32_t most)
{
    /* acquire: the tasks are readable; pairs with seq_cst in kin__fresh_put()
     * and kin__fresh_steal() */
    uint64_t word = atomic_load_explicit(&fresh->word, memory_order_acquire);
    uint32_t oldest, n;

    do {
        oldest = kin__fresh_oldest(word);
        n = kin__fresh_count(word);
        n -= n / 2;
        n = n < most ? n : most;
        if (n == 0)
            return 0;
        /* relaxed: counts only if the exchange succeeds */
        for (uint32_t i = 0; i < n; i++)
            task[i] = atomic_load_explicit(
                &fresh->task[(oldest + i) % KIN__FRESH_SIZE],
                memory_order_relaxed);
        /* release: the places have been read; pairs with acquire in
         * kin__fresh_put() and kin__fresh_take() */
    } while (!atomic_compare_exchange_weak_explicit(
                 &fresh->word, &word,
                 kin__fresh_ends(word, oldest + n, kin__fresh_newest(word)),
                 memory_order_acq_rel, memory_order_acquire));
    return n;
}

/* Owner of `to`, which is empty; any other as `from`.  Takes the oldest of
 * them: returns the first, puts the others into `to`. */
static inline struct kin_task *kin__fresh_steal(struct kin__fresh *from,
                                                struct kin__fresh *to)
{
    struct kin_task *task[KIN__FRESH_BATCH];
    uint32_t n = kin__fresh_take_oldest(from, task, KIN__FRESH_BATCH);
    /* relaxed: an empty one is its owner's own */
    uint64_t word = atomic_load_explicit(&to->word, memory_order_relaxed);
    uint32_t newest = kin__fresh_newest(word);

    if (n == 0)
        return NULL;
    if (n == 1)
        return task[0];
    /* acquire: pairs with release in kin__fresh_take_oldest(), as when it is
     * put there */
    (void)atomic_load_explicit(&to->word, memory_order_acquire);
    for (uint32_t i = 1; i < n; i++, newest++)
        atomic_store_explicit(&to->task[newest % KIN__FRESH_SIZE], task[i],
                              memory_order_relaxed);
    /* seq_cst: as in kin__fresh_put(), pairs with the same */
    atomic_store_explicit(&to->word, kin__fresh_after_put(word, newest),
                          memory_order_seq_cst);
    return task[0];
}

/* Owner.  Moves the older half to the queue and returns how many. */
static inline size_t kin__fresh_spill(struct kin__fresh *fresh,
                                      struct kin__task_queue *queue)
{
    struct kin_task *task[KIN__FRESH_BATCH];
    size_t moved = 0;
    uint32_t n;

    while (moved < KIN__FRESH_SIZE / 2
           && (n = kin__fresh_take_oldest(fresh, task,
                                          KIN__FRESH_BATCH)) > 0) {
        for (uint32_t i = 0; i < n; i++)
            kin__task_queue_push(queue, task[i]);
        moved += n;
    }
    return moved;
}

#endif /* KIN_DISPATCH_FRESH_H */
