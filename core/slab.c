/* slab.c -- stacks are cut from slabs.
 *
 * A slab is one mapping of up to 256 equal slots, of one size class.  The
 * first of a class holds 16, each next one twice as many: a small program
 * stays small, a million stacks are some 4000 mappings, which the kernel
 * merges into a few.
 *
 * Slots of 64 KiB of use, with pages of 4 KiB: 16 pages usable, 1 for record
 * and colour, 4 of guard = 21 pages, 84 KiB, 168 bytes of page table.  The
 * number of pages is made odd, so that the top pages of many stacks fall on
 * all sets of the TLB instead of a sixteenth of them.  The guard is a quarter
 * of the size, 16 to 64 KiB: a frame can jump over a single page.
 *
 * Guards are installed when a slot is first taken, outside the lock.
 *
 * Rejected: powers of two as slots, so that an address leads to its stack by
 * a mask (the TLB; and 64 KiB would not be 64 KiB of use); all guards of a
 * slab at once (a program with five fibers pays for sixteen). */
#include "core/slab_internal.h"

#include "core/memory.h"
#include "core/valgrind.h"

#include <pthread.h>

#define SLOTS_FIRST 16u
#define SLAB_BYTES  ((size_t)32 << 20)  /* unless a single slot is more */
#define GUARD_MIN   ((size_t)16 << 10)
#define GUARD_MAX   ((size_t)64 << 10)
#define OVERHEAD    (KIN__STACK_RECORD + \
                     KIN__SLAB_COLOURS * KIN__SLAB_COLOUR_STEP)

/* The smallest stack holds 4 KiB of the program's, printf or the dynamic
 * linker's resolver (with the vector state on the stack), and a signal. */
#define USE_WITHOUT_SIGNAL ((size_t)10 << 10)

_Static_assert(OVERHEAD + 2048 <= 4096,
               "a parked fiber has half a page for its frames");
_Static_assert(sizeof(struct kin__stack) <= KIN__STACK_RECORD / 3,
               "most of the record is the fiber's");

#define CHUNK_SLABS 32u
#define CHUNKS      2048u   /* at most 65 536 slabs */

struct chunk {
    struct kin__slab slabs[CHUNK_SLABS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct chunk *) chunks[CHUNKS];
static _Atomic unsigned slabs_used;     /* descriptors ever used; lock */
static struct kin__slab *unused;        /* descriptors without a slab; lock */
static struct kin__slab *open_slabs[KIN__STACK_CLASSES];    /* lock */
static unsigned next_count[KIN__STACK_CLASSES];             /* lock */

void kin__slab_lock(void)
{
    pthread_mutex_lock(&lock);
}

void kin__slab_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

unsigned kin__slab_descriptors(void)
{
    return atomic_load_explicit(&slabs_used, memory_order_relaxed);
}

struct kin__slab *kin__slab_descriptor(unsigned i)
{
    /* acquire: the descriptors; pairs with release in new_descriptor() */
    struct chunk *chunk = atomic_load_explicit(&chunks[i / CHUNK_SLABS],
                                               memory_order_acquire);

    return chunk ? &chunk->slabs[i % CHUNK_SLABS] : NULL;
}

void kin__slab_list(struct kin__slab *slab)
{
    struct kin__slab **link = &open_slabs[slab->size_class];

    slab->next = *link;
    if (slab->next)
        slab->next->link = &slab->next;
    slab->link = link;
    *link = slab;
}

void kin__slab_unlist(struct kin__slab *slab)
{
    *slab->link = slab->next;
    if (slab->next)
        slab->next->link = slab->link;
    slab->link = NULL;
}

/* Under the lock.  NULL: no memory, or too many slabs. */
static struct kin__slab *new_descriptor(void)
{
    struct kin__slab *slab = unused;
    unsigned i = kin__slab_descriptors();
    void *chunk;

    if (slab) {
        unused = slab->next;
        return slab;
    }
    if (i == CHUNKS * CHUNK_SLABS)
        return NULL;
    if (!kin__slab_descriptor(i)) {
        if (kin__map(kin__page_round(sizeof(struct chunk)), &chunk) != 0)
            return NULL;
        /* release: the zeroes; pairs with acquire in kin__slab_descriptor() */
        atomic_store_explicit(&chunks[i / CHUNK_SLABS], chunk,
                              memory_order_release);
    }
    /* relaxed: kin__slab_descriptor() does not rely on it */
    atomic_store_explicit(&slabs_used, i + 1, memory_order_relaxed);
    return kin__slab_descriptor(i);
}

void kin__slab_forget(struct kin__slab *slab)
{
    slab->next = unused;
    unused = slab;
}

struct geometry {
    size_t guard_bytes;
    size_t stride;
};

static struct geometry class_geometry(unsigned size_class)
{
    size_t page = kin__page_size();
    size_t usable = KIN__STACK_MIN_SIZE << size_class;
    size_t least = USE_WITHOUT_SIGNAL + kin__signal_frame_size();
    struct geometry geometry;
    size_t guard;

    if (usable < least)
        usable = least;
    guard = usable / 4;
    guard = guard < GUARD_MIN ? GUARD_MIN : guard;
    guard = guard > GUARD_MAX ? GUARD_MAX : guard;
    guard = kin__page_round(guard);
    usable = kin__page_round(usable) + kin__page_round(OVERHEAD);
    if ((guard + usable) / page % 2 == 0)
        guard += page;
    geometry.guard_bytes = guard;
    geometry.stride = guard + usable;
    return geometry;
}

/* Maps as many slots as the class has come to, fewer if that is refused. */
static int map_slots(unsigned size_class, size_t stride, unsigned *count,
                     void **start)
{
    unsigned n = next_count[size_class];

    n = n ? n : SLOTS_FIRST;
    while (n > 1 && n * stride > SLAB_BYTES)
        n /= 2;
    while (kin__map(n * stride, start) != 0) {
        if (n == 1)
            return KIN_ENOMEM;
        n /= 2;
    }
    next_count[size_class] =
        2 * n < KIN__SLAB_SLOTS ? 2 * n : KIN__SLAB_SLOTS;
    *count = n;
    return 0;
}

/* Under the lock. */
static struct kin__slab *new_slab(unsigned size_class)
{
    struct geometry geometry = class_geometry(size_class);
    struct kin__slab *slab = new_descriptor();
    unsigned count;
    void *start;

    if (!slab)
        return NULL;
    if (map_slots(size_class, geometry.stride, &count, &start) != 0) {
        kin__slab_forget(slab);
        return NULL;
    }
    /* release: whoever sees what is written from here on sees that the slab
     * before is gone; pairs with the acquire fence in slab_contains() */
    atomic_thread_fence(memory_order_release);
    slab->guard_bytes = geometry.guard_bytes;
    slab->count = count;
    slab->size_class = size_class;
    slab->taken = 0;
    for (unsigned i = 0; i < KIN__SLAB_WORDS; i++) {
        unsigned left = i * 64 < count ? count - i * 64 : 0;

        slab->dirty[i] = 0;
        kin__slab_set_free_bits(slab, i,
                                left >= 64 ? ~(uint64_t)0
                                           : ((uint64_t)1 << left) - 1);
    }
    for (unsigned i = 0; i < KIN__SLAB_SLOTS; i++)
        atomic_store_explicit(&slab->guards[i], KIN__GUARD_UNSET,
                              memory_order_relaxed);
    atomic_store_explicit(&slab->stride, geometry.stride,
                          memory_order_relaxed);
    atomic_store_explicit(&slab->bytes, count * geometry.stride,
                          memory_order_relaxed);
    /* release: stride, bytes; pairs with acquire in slab_contains() */
    atomic_store_explicit(&slab->start, (uintptr_t)start,
                          memory_order_release);
    kin__slab_list(slab);
    return slab;
}

/* Clears the first free bit.  *dirty: the slot was not emptied. */
static unsigned take_slot(struct kin__slab *slab, bool *dirty)
{
    unsigned word = 0;
    uint64_t bits, bit;

    while ((bits = kin__slab_free_bits(slab, word)) == 0)
        word++;
    bit = bits & -bits;
    kin__slab_set_free_bits(slab, word, bits & ~bit);
    *dirty = slab->dirty[word] & bit;
    slab->dirty[word] &= ~bit;
    if (++slab->taken == slab->count)
        kin__slab_unlist(slab);
    return word * 64 + (unsigned)__builtin_ctzll(bit);
}

int kin__slab_take(unsigned size_class, struct kin__stack **out)
{
    struct kin__slab *slab;
    struct kin__stack *stack;
    enum kin__guard guard;
    unsigned index = 0;
    bool dirty = false;
    char *slot;

    pthread_mutex_lock(&lock);
    slab = open_slabs[size_class];
    if (!slab)
        slab = new_slab(size_class);
    if (slab)
        index = take_slot(slab, &dirty);
    pthread_mutex_unlock(&lock);
    if (!slab)
        return KIN_ENOMEM;

    slot = kin__slab_start(slab) + index * kin__slab_stride(slab);
    guard = kin__slab_guard(slab, index);
    if (guard == KIN__GUARD_UNSET || guard == KIN__GUARD_NONE) {
        guard = kin__guard_install(slot, slab->guard_bytes);
        atomic_store_explicit(&slab->guards[index], (uint8_t)guard,
                              memory_order_relaxed);
    }
    stack = kin__slab_record(kin__slab_start(slab), kin__slab_stride(slab),
                             index);
    kin__asan_unpoison(slot + slab->guard_bytes,
                       kin__slab_stride(slab) - slab->guard_bytes);
    *stack = (struct kin__stack){
        .base = slot + slab->guard_bytes,
        .top = stack,
        .slab = slab,
        .index = (uint16_t)index,
        .size_class = (uint8_t)size_class,
        .guard = (uint8_t)guard,
    };
    stack->valgrind = kin__valgrind_stack(stack->base, stack->top);
    kin__lsan_root(stack->base, kin__slab_stride(slab) - slab->guard_bytes);
    kin__stack_use_reset(stack, !dirty);
    *out = stack;
    return 0;
}

