/* core/chance.h -- places where something else may come first.
 *
 * Between two steps of kin another thread may come in: between the beginning of
 * a wait and the parking for it, between the end of a body and the end of its
 * job.  Such a place is marked with kin__chance().  In a test with a seed
 * (kin/test.h) it is drawn there whether another slice or a timer goes first,
 * on this thread and with this stack blocked meanwhile, so that the very
 * interleaving can be had again.  Otherwise it costs a load, and a branch that
 * is never taken.
 *
 * To be marked: where a fiber suspends or ends anyway (what runs on one thread
 * must not find others coming in elsewhere), and no lock is held. */
#ifndef KIN_CORE_CHANCE_H
#define KIN_CORE_CHANCE_H

#include "core/check.h"

#include <stdatomic.h>

enum kin__chance_place {
    /* The running fiber's, which goes on afterwards. */
    KIN__CHANCE_BEGUN,      /* a wait: begun; is its owner cancelled?        */
    KIN__CHANCE_LINKS,      /* it: to be registered with what it waits for   */
    KIN__CHANCE_PARKS,      /* it: registered; decided already?              */
    KIN__CHANCE_SETTLES,    /* it: decided, and not over                     */
    KIN__CHANCE_DISARMS,    /* it, or a block: over, but its timer runs      */
    KIN__CHANCE_LEAVES,     /* a block: its body has ended, its job has not  */

    /* On the next stack, of one that has left its own. */
    KIN__CHANCE_LEFT,       /* a wait: not marked as parked                  */
    KIN__CHANCE_HOPS,       /* between two dispatchers                       */

    /* A job's, off any fiber; elsewhere they are not looked at. */
    KIN__CHANCE_ENDS,       /* its body has ended; the job does not know     */
    KIN__CHANCE_WALKS,      /* cancelling: between two of its children       */
    KIN__CHANCE_SEALED,     /* its outcome is known; it is not final         */
    KIN__CHANCE_FINAL,      /* final; nobody who waits for it has been told  */
    KIN__CHANCE_FREED,      /* its parent still waits for it                 */
    KIN__CHANCE_PLACES
};

/* How many tests with a seed there are, in all threads. */
extern _Atomic unsigned kin__chances __attribute__((visibility("hidden")));

/* How often something did come first there. */
extern _Atomic unsigned long kin__chance_counts[KIN__CHANCE_PLACES]
    __attribute__((visibility("hidden")));

void kin__chance_draw(enum kin__chance_place place);

static inline void kin__chance(enum kin__chance_place place)
{
    /* relaxed: this thread's own test is looked for, or none */
    if (KIN__UNLIKELY(atomic_load_explicit(&kin__chances,
                                           memory_order_relaxed)))
        kin__chance_draw(place);
}

#endif /* KIN_CORE_CHANCE_H */
