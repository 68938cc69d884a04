/* dispatch/ring.h -- the queue of one permit: a ring, and a slot before it.
 *
 *            head                 tail
 *      +------+----+----+----+----+-------+        +------+
 *      |      | t1 | t2 | t3 | t4 |       |        | slot |  newest task
 *      +------+----+----+----+----+-------+        +------+
 *        thieves and owner          owner            owner puts and takes,
 *        take here (CAS)            puts here        thieves take if stale
 *
 * The owner is who holds the permit.  A thief copies first and then moves
 * head, so what he has read counts only if nobody else took it: the owner
 * overwrites a place only after head has passed it.
 *
 * Every put ends with a sequentially consistent store: what follows it, a
 * look at who sleeps, cannot come before it (see idle.c). */
#ifndef KIN_DISPATCH_RING_H
#define KIN_DISPATCH_RING_H

#include "core/check.h"
#include "core/task.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef KIN__RING_SIZE
#if defined(KIN_HARD)
#define KIN__RING_SIZE 2u               /* overflows all the time            */
#else
#define KIN__RING_SIZE 256u
#endif
#endif

_Static_assert((KIN__RING_SIZE & (KIN__RING_SIZE - 1)) == 0, "a power of two");

struct kin__ring {
    _Alignas(64) _Atomic uint32_t head;         /* atomic: see the picture   */
    _Alignas(64) _Atomic uint32_t tail;         /* written by the owner      */
    _Atomic(struct kin_task *) slot;            /* atomic: see the picture   */
    _Atomic(struct kin_task *) task[KIN__RING_SIZE];
};

/* Any thread; a hint, but seq_cst: pairs with seq_cst in kin__ring_put(). */
static inline bool kin__ring_is_empty(struct kin__ring *ring)
{
    /* pairs with seq_cst in kin__ring_put(), and with the takers of head */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_seq_cst);

    return atomic_load_explicit(&ring->head, memory_order_seq_cst) == tail;
}

/* Owner.  No more than it holds, and nothing is missing. */
static inline bool kin__ring_is_valid(struct kin__ring *ring)
{
    /* relaxed: own counter; a head that has moved on is further on */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    for (uint32_t i = head; i != tail && tail - i <= KIN__RING_SIZE; i++)
        if (!atomic_load_explicit(&ring->task[i % KIN__RING_SIZE],
                                  memory_order_relaxed))
            return false;
    return tail - head <= KIN__RING_SIZE;
}

/* Owner.  False: it is full. */
static inline bool kin__ring_put(struct kin__ring *ring, struct kin_task *task)
{
    /* acquire: the thief has read the place; pairs with release in
     * kin__ring_steal() */
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    /* relaxed: own counter */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    KIN_SLOW(kin__ring_is_valid(ring));
    if (tail - head >= KIN__RING_SIZE)
        return false;
    /* relaxed: published with tail */
    atomic_store_explicit(&ring->task[tail % KIN__RING_SIZE], task,
                          memory_order_relaxed);
    /* seq_cst: pairs with acquire in kin__ring_steal() (publishes the task)
     * and with seq_cst in kin__ring_is_empty() */
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_seq_cst);
    return true;
}

/* Owner of an empty ring.  Puts the first n tasks of the queue, fewer than
 * KIN__RING_SIZE, into it. */
static inline void kin__ring_fill(struct kin__ring *ring,
                                  struct kin__task_queue *queue, uint32_t n)
{
    /* relaxed: own counter, and published with tail */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (n == 0)
        return;
    /* acquire: pairs with release in kin__ring_steal(), see kin__ring_put() */
    (void)atomic_load_explicit(&ring->head, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++, tail++)
        atomic_store_explicit(&ring->task[tail % KIN__RING_SIZE],
                              kin__task_queue_pop(queue),
                              memory_order_relaxed);
    /* seq_cst: as in kin__ring_put(), pairs with the same */
    atomic_store_explicit(&ring->tail, tail, memory_order_seq_cst);
}

/* Owner.  The oldest task of the ring, or NULL. */
static inline struct kin_task *kin__ring_take(struct kin__ring *ring)
{
    /* relaxed: tail is the owner's own; head is checked by the CAS */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    struct kin_task *task;

    KIN_SLOW(kin__ring_is_valid(ring));
    do {
        if (head == tail)
            return NULL;
        task = atomic_load_explicit(&ring->task[head % KIN__RING_SIZE],
                                    memory_order_relaxed);
        /* relaxed: what the owner reads he has written himself, or got
         * with the permit */
    } while (!atomic_compare_exchange_weak_explicit(
                 &ring->head, &head, head + 1, memory_order_relaxed,
                 memory_order_relaxed));
    return task;
}

/* Owner of `to`, which is empty; any other ring as `from`.  Takes half of
 * what is there: returns the oldest, puts the others into `to`. */
static inline struct kin_task *kin__ring_steal(struct kin__ring *from,
                                               struct kin__ring *to)
{
    uint32_t base = atomic_load_explicit(&to->tail, memory_order_relaxed);
    uint32_t head, n;
    struct kin_task *first, *task;

    do {
        /* acquire: pairs with release in another's kin__ring_steal(), and
         * with seq_cst in kin__ring_put(): the tasks are readable */
        head = atomic_load_explicit(&from->head, memory_order_acquire);
        n = atomic_load_explicit(&from->tail, memory_order_acquire) - head;
        if (n == 0 || n > KIN__RING_SIZE)       /* or they do not match */
            return NULL;
        n -= n / 2;
        /* relaxed: counts only if the exchange succeeds */
        first = atomic_load_explicit(&from->task[head % KIN__RING_SIZE],
                                     memory_order_relaxed);
        for (uint32_t i = 1; i < n; i++) {
            task = atomic_load_explicit(
                &from->task[(head + i) % KIN__RING_SIZE],
                memory_order_relaxed);
            atomic_store_explicit(&to->task[(base + i - 1) % KIN__RING_SIZE],
                                  task, memory_order_relaxed);
        }
        /* release: the places have been read; pairs with acquire in
         * kin__ring_put() */
    } while (!atomic_compare_exchange_weak_explicit(
                 &from->head, &head, head + n, memory_order_acq_rel,
                 memory_order_relaxed));
    if (n > 1)
        /* seq_cst: as in kin__ring_put(), pairs with the same */
        atomic_store_explicit(&to->tail, base + n - 1, memory_order_seq_cst);
    return first;
}

/* Owner.  Moves the older half to the queue and returns how many. */
static inline size_t kin__ring_spill(struct kin__ring *ring,
                                     struct kin__task_queue *queue)
{
    struct kin_task *task;
    size_t n = 0;

    while (n < KIN__RING_SIZE / 2 && (task = kin__ring_take(ring)) != NULL) {
        kin__task_queue_push(queue, task);
        n++;
    }
    return n;
}

/* --- The slot ------------------------------------------------------------ */

/* Any thread; only to be compared, and seq_cst. */
static inline struct kin_task *kin__slot_peek(struct kin__ring *ring)
{
    /* pairs with seq_cst in kin__slot_put() */
    return atomic_load_explicit(&ring->slot, memory_order_seq_cst);
}

static inline bool kin__slot_is_empty(struct kin__ring *ring)
{
    /* relaxed: the owner's own look */
    return !atomic_load_explicit(&ring->slot, memory_order_relaxed);
}

/* Owner.  Returns the task that was there, or NULL. */
static inline struct kin_task *kin__slot_put(struct kin__ring *ring,
                                             struct kin_task *task)
{
    /* publishes the task; pairs with acquire in kin__slot_steal() and with
     * seq_cst in kin__slot_peek() */
    return atomic_exchange_explicit(&ring->slot, task, memory_order_seq_cst);
}

/* Owner, the slot being empty: as kin__slot_put(), without its barrier; whoever
 * has to be woken is woken later. */
static inline void kin__slot_put_quietly(struct kin__ring *ring,
                                         struct kin_task *task)
{
    /* release: publishes the task; pairs with acquire in kin__slot_steal() */
    atomic_store_explicit(&ring->slot, task, memory_order_release);
}

/* Owner. */
static inline struct kin_task *kin__slot_take(struct kin__ring *ring)
{
    if (kin__slot_is_empty(ring))
        return NULL;
    /* relaxed: what the owner gets he has put himself, or got with the
     * permit */
    return atomic_exchange_explicit(&ring->slot, NULL, memory_order_relaxed);
}

/* Anyone else, if the slot still holds `seen`. */
static inline struct kin_task *kin__slot_steal(struct kin__ring *ring,
                                               struct kin_task *seen)
{
    /* acquire: pairs with the release in kin__slot_put() and
     * kin__slot_put_quietly(): the task is readable */
    return seen && atomic_compare_exchange_strong_explicit(
                       &ring->slot, &seen, NULL, memory_order_acquire,
                       memory_order_relaxed) ? seen : NULL;
}

#endif /* KIN_DISPATCH_RING_H */
