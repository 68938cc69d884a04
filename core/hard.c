/* hard.c -- what hard mode counts; see hard.h. */
#include "core/hard.h"

#if KIN__HARD

struct kin__hard_counts kin__hard_counts;

static void count(_Atomic unsigned long *counter)
{
    /* relaxed: a number, for tests */
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void kin__hard_taken(struct kin_task *task, const struct kin__thread *thread)
{
    struct kin__runnable *r = kin__parked_of(task);

    if (r)
        count(kin__hard_refuses(r, thread) ? &kin__hard_counts.stayed
                                           : &kin__hard_counts.crossed);
}

void kin__hard_handed(void)
{
    count(&kin__hard_counts.handed);
}

#endif
