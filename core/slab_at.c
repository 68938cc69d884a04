/* slab_at.c -- looking at all slabs: by address, and for statistics.
 *
 * kin__stack_at() runs in signal handlers, so it takes no lock and trusts
 * nothing: the fields of a slab are read between two looks at `start`.  What
 * it finds is sure for a stack that is in use, which no one can unmap. */
#include "core/slab_internal.h"

/* The slab's start, if address lies in it; else 0. */
static uintptr_t slab_contains(const struct kin__slab *slab,
                               uintptr_t address, size_t *stride)
{
    /* acquire: stride and bytes; pairs with release in new_slab() */
    uintptr_t start =
        atomic_load_explicit(&slab->start, memory_order_acquire);

    if (start == 0 || address - start >= kin__slab_bytes(slab))
        return 0;
    *stride = kin__slab_stride(slab);
    /* acquire: the second look comes after the reads; pairs with the release
     * fence in new_slab() */
    atomic_thread_fence(memory_order_acquire);
    return start == (uintptr_t)kin__slab_start(slab) ? start : 0;
}

struct kin__stack *kin__stack_at(const void *address)
{
    unsigned n = kin__slab_descriptors();

    for (unsigned i = 0; i < n; i++) {
        const struct kin__slab *slab = kin__slab_descriptor(i);
        uintptr_t start;
        size_t stride;
        unsigned index;

        start = slab ? slab_contains(slab, (uintptr_t)address, &stride) : 0;
        if (start == 0)
            continue;
        index = (unsigned)(((uintptr_t)address - start) / stride);
        if (kin__slab_free_bits(slab, index / 64) >> index % 64 & 1)
            return NULL;
        return kin__slab_record((char *)start, stride, index);
    }
    return NULL;
}

static void count_slab(const struct kin__slab *slab, kin_stack_stats *stats)
{
    size_t guards[KIN__GUARD_NONE + 1] = {0};

    for (unsigned i = 0; i < slab->count; i++) {
        enum kin__guard guard = kin__slab_guard(slab, i);
        bool is_free = kin__slab_free_bits(slab, i / 64) >> i % 64 & 1;

        guards[guard]++;
        if (!is_free)
            stats->live++;
        else if (guard != KIN__GUARD_UNSET)
            stats->free++;
    }
    stats->slabs++;
    stats->bytes_mapped += kin__slab_bytes(slab);
    stats->guarded_by_madvise += guards[KIN__GUARD_MADVISE];
    stats->guarded_by_mprotect += guards[KIN__GUARD_MPROTECT];
    stats->unguarded += guards[KIN__GUARD_NONE];
}

void kin__slab_count(kin_stack_stats *stats)
{
    kin__slab_lock();
    for (unsigned i = 0; i < kin__slab_descriptors(); i++) {
        const struct kin__slab *slab = kin__slab_descriptor(i);

        if (kin__slab_start(slab))
            count_slab(slab, stats);
    }
    kin__slab_unlock();
}
