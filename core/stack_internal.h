/* core/stack_internal.h -- what stack.c, slab.c, stack_use.c and overflow.c
 * share.
 *
 *   stack.c      magazines of the threads, the depot, statistics
 *   stack_use.c  how deep the bodies of a function go
 *   slab*.c      mappings cut into slots, taken, given back, looked at
 *   guard.c      what stops an overflow
 *
 * Lock order: the depot's lock, then the slabs' lock. */
#ifndef KIN_CORE_STACK_INTERNAL_H
#define KIN_CORE_STACK_INTERNAL_H

#include "core/sanitize.h"
#include "core/stack.h"

#if KIN__ASAN
void __asan_unpoison_memory_region(const volatile void *start, size_t size);
#endif

/* What a fiber that was dropped, or jumped out of frames, left poisoned. */
static inline void kin__asan_unpoison(const void *start, size_t size)
{
#if KIN__ASAN
    __asan_unpoison_memory_region(start, size);
#else
    (void)start;
    (void)size;
#endif
}

/* --- guard.c ---------------------------------------------------------- */

/* Makes [start, start + size) trap: the best way that works.  size is a
 * multiple of the page size. */
enum kin__guard kin__guard_install(void *start, size_t size);

/* Says that count guards of that kind are unmapped. */
void kin__guard_forget(enum kin__guard guard, size_t count);

/* What a signal frame takes, at the most, on this machine. */
size_t kin__signal_frame_size(void);

/* --- slab.c ----------------------------------------------------------- */

/* Takes a slot, guards it and fills in its record.
 * Errors: KIN_ENOMEM. */
int kin__slab_take(unsigned size_class, struct kin__stack **out);

/* Takes back the stacks of a list (through `next`; a few dozen at the most),
 * their pages going back to the system now. */
void kin__slab_give(struct kin__stack *list);

/* As kin__slab_give, but the pages wait for kin__slab_trim(). */
void kin__slab_give_later(struct kin__stack *list);

/* Unmaps the slabs without a stack in use, gives back the pages of free slots
 * in others.  Returns the bytes unmapped. */
size_t kin__slab_trim(void);

/* Fills in what slabs know: free, slabs, bytes_mapped, the guards; and into
 * `live` all that are not free. */
void kin__slab_count(kin_stack_stats *stats);

/* --- stack.c ---------------------------------------------------------- */

/* Lists the cache for statistics. */
void kin__stack_cache_enlist(struct kin__stack_cache *cache);

/* Calls each on every listed cache, then last(arg), all under one lock. */
void kin__stack_caches_visit(void (*each)(struct kin__stack_cache *cache),
                             void (*last)(void *arg), void *arg);

/* Stacks are cleared before another body runs on them. */
bool kin__stack_wipes(void);

/* --- stack_use.c ------------------------------------------------------ */

/* Where probe points when there is nothing to look at. */
extern const uint64_t kin__stack_no_probe[8];

/* Sets mark and probe for a stack of zeroes, or of we know not what. */
void kin__stack_use_reset(struct kin__stack *stack, bool zeroed);

/* Overwrites everything on a stack that nothing runs on. */
void kin__stack_wipe(struct kin__stack *stack);

/* Adds the cache's runs to the common table. */
void kin__stack_use_flush(struct kin__stack_cache *cache);

/* The deepest use of any stack. */
size_t kin__stack_use_high_water(void);

#endif /* KIN_CORE_STACK_INTERNAL_H */
