/* slab_give.c -- stacks go back to their slabs, pages to the system. */
#include "core/slab_internal.h"

#include "core/memory.h"
#include "core/valgrind.h"

#include <sys/mman.h>

/* Gives back the pages of the slots in mask, one call for each run of
 * neighbours: their guards lie between and stay.  Returns the slots for which
 * that failed. */
static void give_pages(const struct kin__slab *slab, const uint64_t *mask,
                       uint64_t *failed)
{
    char *start = kin__slab_start(slab);
    size_t stride = kin__slab_stride(slab);
    unsigned i = 0;

    while (i < slab->count) {
        unsigned end = i;
        char *from = start + i * stride + slab->guard_bytes;

        while (end < slab->count && mask[end / 64] >> end % 64 & 1)
            end++;
        if (end > i &&
            kin__advise(from, (size_t)(start + end * stride - from),
                        MADV_DONTNEED) != 0) {
            for (unsigned k = i; k < end; k++)
                failed[k / 64] |= (uint64_t)1 << k % 64;
        }
        i = end + 1;
    }
}

/* Under the lock: the slots in mask are free, some of them dirty. */
static void free_slots(struct kin__slab *slab, const uint64_t *mask,
                       const uint64_t *dirty)
{
    if (slab->taken == slab->count)
        kin__slab_list(slab);
    for (unsigned i = 0; i < KIN__SLAB_WORDS; i++) {
        uint64_t bits = kin__slab_free_bits(slab, i);

        KIN_CHECK((bits & mask[i]) == 0);
        kin__slab_set_free_bits(slab, i, bits | mask[i]);
        slab->dirty[i] |= dirty[i];
        slab->taken -= (unsigned)__builtin_popcountll(mask[i]);
    }
}

/* Takes all stacks of the first one's slab out of the list. */
static struct kin__slab *collect(struct kin__stack **list, uint64_t *mask)
{
    struct kin__slab *slab = (*list)->slab;
    struct kin__stack **link = list;

    while (*link) {
        struct kin__stack *stack = *link;

        if (stack->slab != slab) {
            link = &stack->next;
            continue;
        }
        *link = stack->next;
        mask[stack->index / 64] |= (uint64_t)1 << stack->index % 64;
        kin__valgrind_stack_gone(stack->valgrind);
        kin__lsan_root_gone(stack->base,
                            kin__slab_stride(slab) - slab->guard_bytes);
    }
    return slab;
}

static void give(struct kin__stack *list, bool later)
{
    while (list) {
        uint64_t mask[KIN__SLAB_WORDS] = {0};
        uint64_t failed[KIN__SLAB_WORDS] = {0};
        struct kin__slab *slab = collect(&list, mask);

        if (!later)
            give_pages(slab, mask, failed);
        kin__slab_lock();
        free_slots(slab, mask, later ? mask : failed);
        kin__slab_unlock();
    }
}

void kin__slab_give(struct kin__stack *list)
{
    give(list, false);
}

void kin__slab_give_later(struct kin__stack *list)
{
    give(list, true);
}

/* Under the lock, which is left meanwhile: gives back the pages of free slots
 * that still have some; they count as taken until that is done. */
static void clean_slab(struct kin__slab *slab)
{
    uint64_t mask[KIN__SLAB_WORDS];
    uint64_t failed[KIN__SLAB_WORDS] = {0};
    unsigned n = 0;

    for (unsigned i = 0; i < KIN__SLAB_WORDS; i++) {
        mask[i] = kin__slab_free_bits(slab, i) & slab->dirty[i];
        n += (unsigned)__builtin_popcountll(mask[i]);
    }
    if (n == 0)
        return;
    for (unsigned i = 0; i < KIN__SLAB_WORDS; i++) {
        kin__slab_set_free_bits(slab, i,
                                kin__slab_free_bits(slab, i) & ~mask[i]);
        slab->dirty[i] &= ~mask[i];
    }
    slab->taken += n;
    if (slab->taken == slab->count)
        kin__slab_unlist(slab);
    kin__slab_unlock();
    give_pages(slab, mask, failed);
    kin__slab_lock();
    free_slots(slab, mask, failed);
}

/* Under the lock, which is left meanwhile.  Returns the bytes unmapped. */
static size_t drop_slab(struct kin__slab *slab)
{
    size_t guards[KIN__GUARD_NONE + 1] = {0};
    uintptr_t start = (uintptr_t)kin__slab_start(slab);
    size_t bytes = kin__slab_bytes(slab);
    int err;

    kin__slab_unlist(slab);
    /* relaxed: new_slab() has a fence before it uses the descriptor again */
    atomic_store_explicit(&slab->start, 0, memory_order_relaxed);
    kin__slab_unlock();
    err = kin__unmap((void *)start, bytes);
    kin__slab_lock();
    if (err != 0) {                     /* stays, as it was */
        /* release: as in new_slab(); pairs with acquire in slab_contains() */
        atomic_store_explicit(&slab->start, start, memory_order_release);
        kin__slab_list(slab);
        clean_slab(slab);
        return 0;
    }
    for (unsigned i = 0; i < slab->count; i++)
        guards[kin__slab_guard(slab, i)]++;
    kin__guard_forget(KIN__GUARD_MPROTECT, guards[KIN__GUARD_MPROTECT]);
    kin__slab_forget(slab);
    return bytes;
}

size_t kin__slab_trim(void)
{
    size_t bytes = 0;

    kin__slab_lock();
    for (unsigned i = 0; i < kin__slab_descriptors(); i++) {
        struct kin__slab *slab = kin__slab_descriptor(i);

        if (!kin__slab_start(slab))
            continue;
        if (slab->taken == 0)
            bytes += drop_slab(slab);
        else
            clean_slab(slab);
    }
    kin__slab_unlock();
    return bytes;
}
