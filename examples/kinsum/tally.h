/* tally.h -- how much there is, and how much is done. */
#ifndef TALLY_H
#define TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tally {
    int64_t begin;                      /* constant, on kin_now's clock */
    _Atomic uint64_t hashed_bytes;      /* the sums add to it */
    _Atomic uint64_t all_files;         /* these three are the survey's */
    _Atomic uint64_t all_bytes;
    atomic_bool is_surveyed;            /* they will not grow any more */
    uint64_t shown_files;               /* these two are Main's */
    uint64_t shown_bytes;
};

static inline void tally_add(struct tally *tally, uint64_t bytes)
{
    atomic_fetch_add_explicit(&tally->hashed_bytes, bytes,
                              memory_order_relaxed);
}

static inline void tally_survey(struct tally *tally, uint64_t bytes)
{
    atomic_fetch_add_explicit(&tally->all_files, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tally->all_bytes, bytes, memory_order_relaxed);
}

#endif
