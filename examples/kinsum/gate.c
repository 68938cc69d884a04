/* A waiter that was cancelled leaves a stale continuation behind: resuming it
 * does nothing, and the next one to enter finds the place. */
#include "gate.h"

#include <kin/checkpoint.h>

void gate_init(struct gate *gate, int places)
{
    *gate = (struct gate){ .places = places };
    pthread_mutex_init(&gate->lock, NULL);
}

void gate_destroy(struct gate *gate)
{
    pthread_mutex_destroy(&gate->lock);
}

static bool try_enter(struct gate *gate)
{
    bool is_in;

    pthread_mutex_lock(&gate->lock);
    is_in = gate->places > 0;
    gate->places -= is_in;
    pthread_mutex_unlock(&gate->lock);
    return is_in;
}

/* Leaves its continuation for the next gate_leave, unless one has just been. */
static int wait_for_place(kin_continuation waiter, void *arg)
{
    struct gate *gate = arg;
    bool has_place;

    pthread_mutex_lock(&gate->lock);
    has_place = gate->places > 0;
    gate->is_waited_for = !has_place;
    gate->waiter = waiter;
    pthread_mutex_unlock(&gate->lock);
    if (has_place)
        kin_resume(waiter, 0);
    return 0;
}

int gate_enter(struct gate *gate)
{
    KIN_TRY(kin_ensure_active());
    while (!try_enter(gate))
        KIN_TRY(kin_suspend_cancellable(wait_for_place, gate));
    return 0;
}

void gate_leave(struct gate *gate)
{
    kin_continuation waiter;
    bool is_waited_for;

    pthread_mutex_lock(&gate->lock);
    gate->places++;
    is_waited_for = gate->is_waited_for;
    waiter = gate->waiter;
    gate->is_waited_for = false;
    pthread_mutex_unlock(&gate->lock);
    if (is_waited_for)
        kin_resume(waiter, 0);
}
