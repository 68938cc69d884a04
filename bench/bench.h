/* bench.h -- timing for the benchmarks: rounds, their median and their spread.
 *
 * A benchmark is a function that does `n` operations.  It is run once to warm
 * up and then ROUNDS times; printed are nanoseconds for one operation. */
#ifndef KIN_BENCH_BENCH_H
#define KIN_BENCH_BENCH_H

#include <kin/kin.h>

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 9 };

static inline int bench__compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Runs `call`, which does n operations, and prints what one takes. */
#define BENCH(name, n, call)                                            \
    do {                                                                \
        double ns[ROUNDS];                                              \
        call;                                                           \
        for (int round = 0; round < ROUNDS; round++) {                  \
            int64_t begin = kin_now();                                  \
            call;                                                       \
            ns[round] = (double)(kin_now() - begin) / (double)(n);      \
        }                                                               \
        qsort(ns, ROUNDS, sizeof *ns, bench__compare);                  \
        printf("%-44s %9.1f ns  (%.1f to %.1f)\n", (name),              \
               ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);                  \
    } while (0)

#endif /* KIN_BENCH_BENCH_H */
