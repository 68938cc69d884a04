/* core/parker.h -- one thread sleeps, any thread wakes it.
 *
 * A wake is a token that stays until it is taken: one that comes before the
 * wait ends that wait at once, and several are as one.  So no wake is lost.
 * All zeroes is a valid parker without a token. */
#ifndef KIN_CORE_PARKER_H
#define KIN_CORE_PARKER_H

#include "kin/time.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* parker->word:
 *
 *            wake                        wait
 *   EMPTY ---------> WOKEN      EMPTY ---------> ASLEEP
 *     ^                |          ^                |
 *     +--- wait -------+          +-- deadline ----+
 *     +--- wait ------ WOKEN <------- wake --------+   (and a futex wake)
 */
struct kin__parker {
    _Atomic uint32_t word;      /* atomic: see the picture                  */
    uint16_t gain;              /* sleeper only: has spinning paid off?     */
    uint16_t short_sleeps;      /* sleeper only: might it have?             */
};

/* Sleeps until there is a token, and takes it, or until the deadline.  True:
 * there was one.  It may spin for some microseconds first, if such waits have
 * been short lately and processors are free.
 *
 * Thread: one at a time.
 * Order:  what came before the wake happens-before the return of true. */
bool kin__parker_wait(struct kin__parker *parker, int64_t deadline);

/* Puts a token there, and wakes who sleeps.  Its last look at the parker is
 * where the token is put: the woken one may free it.
 *
 * Thread: any; async-signal-safe. */
void kin__parker_wake(struct kin__parker *parker);

/* How many processors this process may run on; at least 1. */
int kin__cpu_count(void);

#endif /* KIN_CORE_PARKER_H */
