/* core/wait.h -- the one way a fiber waits.
 *
 * Whatever a fiber waits for (a result, a deadline, another job, a callback),
 * one compare-and-swap on its runnable's wait word decides who wakes it.  The
 * word lives in type-stable memory and carries a generation, so whoever keeps
 * a (runnable, generation) pair may try at any later time: he finds that the
 * generation has gone on, and nothing happens.
 *
 *        begin                park                       settle
 *   IDLE ------> UNDECIDED ----------> PARKED               |
 *    ^              |  \                 |  \               |
 *    |         wake |   \ cancel    wake |   \ cancel       |
 *    |              v    v               v    v             |
 *    |           RESUMED CANCELLED    RESUMED CANCELLED     |
 *    +------------------------------------------------------+
 *
 *   state      the fiber          wake                 cancel
 *   IDLE       elsewhere          too late             too late
 *   UNDECIDED  runs, about to     decides, no dispatch decides, no dispatch
 *              park or not
 *   PARKED     off its stack      decides, dispatches  decides, dispatches
 *   RESUMED    made runnable      "already"            too late
 *   CANCELLED  made runnable      "too late", once     too late
 *
 * BUSY is a lock on struct kin__wait, which lies on the waiter's stack: whoever
 * decides holds it while he writes the outcome there, and a cancel while its
 * callback runs; settle waits until it is gone, so that the stack outlasts
 * every look at it.  With BUSY a state is already the decided one. */
#ifndef KIN_CORE_WAIT_H
#define KIN_CORE_WAIT_H

#include "core/run.h"
#include "kin/error.h"

#include <stdbool.h>
#include <stdint.h>

enum kin__wait_state {
    KIN__WAIT_IDLE, KIN__WAIT_UNDECIDED, KIN__WAIT_PARKED,
    KIN__WAIT_RESUMED, KIN__WAIT_CANCELLED
};

/* Where the generation begins in a wait word; 0 below it is IDLE. */
enum { KIN__GENERATION_SHIFT = 8 };

struct kin__wait {
    struct kin__runnable *runnable;     /* constant                          */
    uint64_t generation;                /* constant                          */
    const void *owner;      /* constant: whose cancellation ends it, or NULL */
    const _Atomic uint32_t *owner_word; /* constant: bit n of owner_alive says
                                       if state n, its three lowest bits,
                                       lets the wait go on; NULL: it does    */
    uint32_t owner_alive;               /* constant                          */
    bool shared;            /* the pair was handed to the user; the fiber's  */
    bool own;               /* the owner is the one to whom the runnable
                               belongs; set before it parks                  */

    /* Written under BUSY, read by the fiber after settling.  outcome is IDLE
     * if nobody has decided. */
    enum kin__wait_state outcome;
    int result;
    kin_error *error;                   /* its reference is the fiber's      */
    void (*on_cancel)(kin_error *cause, void *arg);
    void *on_cancel_arg;
    void (*on_undelivered)(void *value, kin_error *cause);
    void *value;

    /* For those who look on: set by who begins it, before it parks. */
    const char *what;       /* "delay"; NULL: nobody has said                */
    const void *target;     /* of the layer above: what it waits for         */
    int64_t until;          /* when it ends by itself, or 0                  */
    int64_t since;          /* kin__now_coarse() when it parked              */
};

/* Fills *wait in, for `running`, the running runnable; nobody can see it yet.
 * owner: an address by which kin__wait_cancel_owned knows that the wait is
 * meant, or NULL. */
void kin__wait_prepare(struct kin__wait *wait, struct kin__runnable *running,
                       const void *owner);

/* Begins a prepared wait.  From now on the pair (wait->runnable,
 * wait->generation) may be handed out.  An owner that is cancelled just now may
 * not see it: if it parks, owner_word is looked at once more. */
void kin__wait_begin(struct kin__wait *wait);

/* The short way, for what is registered only when the fiber has left its stack,
 * so that nobody finds it half-way: parks a prepared wait and calls opens(arg)
 * on the next stack, which is to call kin__wait_open first, and from that
 * moment has to reckon with the fiber going on: *wait and arg are there only as
 * long as it keeps the fiber from settling.  Returns as kin__wait_park, but
 * KIN_ENOMEM leaves no outcome: the wait was never open. */
int kin__wait_park_open(struct kin__wait *wait, void (*opens)(void *arg),
                        void *arg) KIN_SUSPENDS;
void kin__wait_open(struct kin__wait *wait);

/* Parks unless the wait is decided already; then settles it: the wait is over
 * and *wait holds the outcome.  KIN_ENOMEM: there was no stack to go to; the
 * wait is over too, with outcome CANCELLED unless it had been decided. */
int kin__wait_park(struct kin__wait *wait) KIN_SUSPENDS;

/* Ends a wait that will not be parked for.  The outcome is as after
 * kin__wait_park; IDLE: nobody had decided. */
void kin__wait_end(struct kin__wait *wait);

/* Decides the wait with a result, and has the fiber go on if it had parked.
 * Takes the reference to error (may be NULL), whatever happens.  Any thread.
 * Returns 0; KIN_EALREADY if resumed before; KIN_ESTALE: cancelled, or over. */
int kin__wait_wake(struct kin__runnable *runnable, uint64_t generation,
                   int result, kin_error *error);

/* Likewise with a value that must not get lost; nothing is taken or called
 * unless it returns 0.  For a wait that a handle was given out for.  *cause is
 * why it was cancelled, a new reference, if it is not over yet; else NULL. */
int kin__wait_wake_value(struct kin__runnable *runnable, uint64_t generation,
                         void (*on_undelivered)(void *value, kin_error *cause),
                         void *value, kin_error **cause);

/* Cancels the wait of that generation, if it has an owner: calls its callback,
 * then has the fiber go on if it had parked.  Retains cause.  True if this call
 * did it. */
bool kin__wait_cancel(struct kin__runnable *runnable, uint64_t generation,
                      kin_error *cause);

/* Cancels whatever runnable waits for now, if owner is the wait's.  Any thread;
 * the runnable must not be freed meanwhile. */
bool kin__wait_cancel_owned(struct kin__runnable *runnable, const void *owner,
                            kin_error *cause);

/* Cancels, by one exchange, what is the runnable's `own` wait, if it is parked
 * for that: without a look at its stack, or for anybody.  True: takes the
 * reference to cause, and the runnable is the caller's until he has it go on,
 * by ops->ready. */
bool kin__wait_cancel_own(struct kin__runnable *runnable, kin_error *cause);

/* Registers what a cancellation calls; at once if cancelled already.
 * Errors: KIN_EALREADY: there is one; KIN_ESTALE: over; KIN_ENOTSUP: the wait
 * has no owner. */
int kin__wait_on_cancel(struct kin__runnable *runnable, uint64_t generation,
                        void (*fn)(kin_error *cause, void *arg), void *arg);

/* Holds the wait of a parked fiber: until kin__wait_let_go the fiber is not
 * resumed, and whoever would wake it spins, so that should be soon.  Its stack,
 * and what it relies on while it waits, can be looked at.  NULL: it is not
 * parked now; *state says what else.  Any thread; the runnable must not be
 * freed meanwhile. */
const struct kin__wait *kin__wait_hold(struct kin__runnable *runnable,
                                       enum kin__wait_state *state);
void kin__wait_let_go(struct kin__runnable *runnable);

/* The state now; IDLE if that generation is over. */
enum kin__wait_state kin__wait_state(struct kin__runnable *runnable,
                                     uint64_t generation);

#endif /* KIN_CORE_WAIT_H */
