/* chance.c -- asks the frame that runs here; see chance.h. */
#include "core/chance.h"

#include "core/run.h"
#include "core/thread.h"

_Atomic unsigned kin__chances;
_Atomic unsigned long kin__chance_counts[KIN__CHANCE_PLACES];

void kin__chance_draw(enum kin__chance_place place)
{
    struct kin__thread *thread = kin__thread();
    struct kin__frame *frame = thread->frame;
    struct kin__runnable *current = thread->current;

    if (!frame || !frame->chance || thread->no_suspend
        || thread->in_place.active)
        return;
    if (place >= KIN__CHANCE_ENDS && current)
        return;                 /* inside a call that does not suspend */
    if (place >= KIN__CHANCE_LEFT)
        thread->current = NULL; /* it will be continued; it is not yet */
    if (frame->chance(frame))
        /* relaxed: a number, for tests */
        atomic_fetch_add_explicit(&kin__chance_counts[place], 1,
                                  memory_order_relaxed);
    kin__thread()->current = current;
}
