/* core/slab_internal.h -- a slab as slab.c, slab_give.c and slab_at.c see it.
 *
 *   slot: UNCUT --take--> TAKEN --give--> FREE --take--> TAKEN
 *
 *   UNCUT  free bit set, guards[i] UNSET
 *   TAKEN  free bit clear: in use, in a magazine, or in the depot
 *   FREE   free bit set; pages given back, unless its dirty bit is set
 *
 * The record lies in the slot's pages and is gone with them: what must outlive
 * it is here.  Descriptors are type-stable: kin__stack_at() looks through all
 * of them without the lock, in a signal handler. */
#ifndef KIN_CORE_SLAB_INTERNAL_H
#define KIN_CORE_SLAB_INTERNAL_H

#include "core/stack_internal.h"

#define KIN__SLAB_SLOTS       256u
#define KIN__SLAB_WORDS       (KIN__SLAB_SLOTS / 64)
#define KIN__SLAB_COLOURS     16u
#define KIN__SLAB_COLOUR_STEP 64u

struct kin__slab {
    /* Read by kin__stack_at(), any time.  start is 0 while there is no slab
     * here, and changes before and after all the others do. */
    _Atomic uintptr_t start;
    _Atomic size_t stride;
    _Atomic size_t bytes;
    _Atomic uint64_t free[KIN__SLAB_WORDS]; /* written under the lock */

    /* Constant while there is a slab. */
    size_t guard_bytes;
    unsigned count;
    unsigned size_class;

    /* Guarded by the lock; guards[i] by who took slot i. */
    uint64_t dirty[KIN__SLAB_WORDS];
    unsigned taken;
    struct kin__slab *next, **link;     /* of its class, if a slot is free */
    _Atomic uint8_t guards[KIN__SLAB_SLOTS];
};

static inline uint64_t kin__slab_free_bits(const struct kin__slab *slab,
                                           unsigned word)
{
    /* relaxed: by the lock, or looked at without a promise */
    return atomic_load_explicit(&slab->free[word], memory_order_relaxed);
}

static inline void kin__slab_set_free_bits(struct kin__slab *slab,
                                           unsigned word, uint64_t bits)
{
    atomic_store_explicit(&slab->free[word], bits, memory_order_relaxed);
}

static inline enum kin__guard kin__slab_guard(const struct kin__slab *slab,
                                              unsigned i)
{
    return (enum kin__guard)atomic_load_explicit(&slab->guards[i],
                                                 memory_order_relaxed);
}

static inline char *kin__slab_start(const struct kin__slab *slab)
{
    return (char *)atomic_load_explicit(&slab->start, memory_order_relaxed);
}

static inline size_t kin__slab_stride(const struct kin__slab *slab)
{
    return atomic_load_explicit(&slab->stride, memory_order_relaxed);
}

static inline size_t kin__slab_bytes(const struct kin__slab *slab)
{
    return atomic_load_explicit(&slab->bytes, memory_order_relaxed);
}

/* Where the record of slot i lies: a pure function of the slab. */
static inline struct kin__stack *kin__slab_record(char *start,
                                                  size_t stride, unsigned i)
{
    size_t colour = i % KIN__SLAB_COLOURS * KIN__SLAB_COLOUR_STEP;

    return (struct kin__stack *)(void *)(start + (i + 1) * stride - colour -
                                         KIN__STACK_RECORD);
}

/* --- slab.c, under kin__slab_lock ------------------------------------- */

void kin__slab_lock(void);
void kin__slab_unlock(void);

/* The descriptors there have ever been, and the i-th of them. */
unsigned kin__slab_descriptors(void);
struct kin__slab *kin__slab_descriptor(unsigned i);

/* Into and out of the list of slabs with a free slot. */
void kin__slab_list(struct kin__slab *slab);
void kin__slab_unlist(struct kin__slab *slab);

/* The slab is unmapped: its descriptor may be used again. */
void kin__slab_forget(struct kin__slab *slab);

#endif /* KIN_CORE_SLAB_INTERNAL_H */
