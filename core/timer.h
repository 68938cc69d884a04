/* core/timer.h -- deadlines in order.
 *
 * A heap of timers that belongs to a loop or a pool, which fires what is due
 * between two tasks.  Ordered by deadline, equal deadlines by when they were
 * armed.  Any thread may arm and disarm; one thread at a time fires.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread, and never suspends;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * One timer is armed and disarmed by one thread at a time, its owner's. */
#ifndef KIN_CORE_TIMER_H
#define KIN_CORE_TIMER_H

#include "core/spin.h"
#include "kin/time.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kin__thread;
struct kin__timers;

/* On the stack of whoever waits, or in his record.  Zeroed, then `fire` set. */
struct kin_timer {
    void (*fire)(struct kin_timer *self);   /* short; must not suspend       */
    _Atomic(struct kin__timers *) timers;   /* where it was armed last; NULL:
                                               disarmed since, or never      */
    size_t index;                           /* guarded by their lock; 0: not */
    int64_t deadline;                       /* constant while armed          */
    void *dispatcher;                       /* dispatch/: who keeps it       */
    void *user_data;                        /* a foreign dispatcher's own    */
};

struct kin__timer_entry;

/* All zeroes is a valid empty one.  Everything but `sooner` is guarded by
 * lock. */
struct kin__timers {
    _Atomic int64_t sooner;     /* KIN_NEVER - earliest; 0: none             */
    struct kin__spin lock;
    uint32_t count;             /* armed timers                              */
    uint32_t capacity;          /* of the arrays below                       */
    uint32_t sequence;          /* of the next that is armed                 */
    uint32_t free_index;        /* list through place[]; 0: empty            */
    uint32_t high_index;        /* indices given out so far                  */
    struct kin__timer_entry *heap;
    struct kin_timer **timer;   /* by index                                  */
    uint32_t *place;            /* by index: in the heap; or the next free   */
    void *block;                /* the memory of all three                   */

    struct kin_timer *leaving;  /* being fired or taken away just now        */
    struct kin__thread *by;     /* on this thread                            */
    bool firing;                /* a kin__timers_fire() is under way         */
};

/* Frees the memory; nothing may be armed. */
void kin__timers_destroy(struct kin__timers *timers);

/* Arms timer; a timer that is armed already is disarmed first.  KIN_NEVER does
 * no more than that.
 * Errors: KIN_ENOMEM.
 * Complexity: O(log n); O(1) if its deadline is among the latest. */
int kin__timers_arm(struct kin__timers *timers, struct kin_timer *timer,
                    int64_t deadline);

/* Disarms timer, wherever it is armed.  True: it will not fire.  False: it was
 * not armed, or has fired; its fire function, if it was running on another
 * thread, has returned.  Called from inside that function it returns at once.
 * Complexity: O(log n); O(1) for one that was armed last. */
bool kin__timers_disarm(struct kin_timer *timer);

/* Fires all that is due at `now`, in order, without a lock held, and returns
 * how many.  If another thread is at it, 0 at once. */
size_t kin__timers_fire(struct kin__timers *timers, int64_t now);

/* Takes the first one away, due or not, to arm it elsewhere; NULL: there is
 * none.  A disarm of it waits until the next call of this function, which
 * must be the last call but one: one that returned NULL is the last. */
struct kin_timer *kin__timers_take(struct kin__timers *timers);

/* The first deadline; KIN_NEVER if there is none. */
static inline int64_t kin__timers_earliest(struct kin__timers *timers)
{
    /* acquire: pairs with release in publish_earliest() of timer.c */
    return KIN_NEVER
           - atomic_load_explicit(&timers->sooner, memory_order_acquire);
}

#endif /* KIN_CORE_TIMER_H */
