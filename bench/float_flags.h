/* bench/float_flags.h -- what W1's n says about the two contexts.
 *
 * A thread's status flags (inexact, ...) stay set once something was computed,
 * and a switch that restores all of mxcsr restores them, too; on some CPUs
 * that takes tens of nanoseconds where they differ. */
#ifndef KIN_BENCH_FLOAT_FLAGS_H
#define KIN_BENCH_FLOAT_FLAGS_H

#include <fenv.h>

/* To be called by the one that begins, before each unit: leaves it with the
 * status flags of the other one, which are clear, or with others. */
static inline void float_flags_differ(long differ)
{
    volatile double third = 1;

    feclearexcept(FE_ALL_EXCEPT);
    if (differ)
        third = third / 3;              /* inexact */
}

#endif /* KIN_BENCH_FLOAT_FLAGS_H */
