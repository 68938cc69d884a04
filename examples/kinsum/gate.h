/* gate.h -- lets so many through, and parks the one who comes too early.
 *
 * What is let through is up to its users: free lanes, room for lines.  One
 * fiber enters, any thread may leave. */
#ifndef GATE_H
#define GATE_H

#include <kin/continuation.h>

#include <pthread.h>
#include <stdbool.h>

struct gate {
    pthread_mutex_t lock;       /* never held across a suspension */
    int places;                 /* free ones; guarded by lock */
    bool is_waited_for;         /* guarded by lock */
    kin_continuation waiter;    /* if so; guarded by lock */
};

void gate_init(struct gate *gate, int places);
void gate_destroy(struct gate *gate);

/* Takes a place; parks while there is none.
 * Cancelled: KIN_ECANCELED, no place is taken. */
int gate_enter(struct gate *gate) KIN_SUSPENDS;

/* Gives a place back. */
void gate_leave(struct gate *gate);

#endif
