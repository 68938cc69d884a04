/* core/stack.h -- stacks: guarded, cached, measured.
 *
 *   slot of a slab, low addresses left (slab.c cuts them)
 *
 *   +---------+------------------------------------+--------+--------+
 *   |  guard  |  usable: >= the size asked for     | record | colour |
 *   +---------+------------------------------------+--------+--------+
 *             ^ base                               ^ top
 *
 * The record is the first member of struct kin_fiber, for which the stack
 * reserves KIN__STACK_RECORD bytes; the first frame goes right below it, so a
 * fiber that parks early is one page.  The colour, 0 to 960 bytes by the slot,
 * keeps the records and frames of many fibers off the same cache sets.
 *
 * A stack is got from and put back to the cache of the calling thread: a few
 * instructions, no atomic read-modify-write, no system call.  A full magazine
 * goes to the common depot; beyond its bound in bytes, stacks go back to their
 * slabs without their pages.
 *
 *     struct kin__stack *stack;
 *     int err = kin__stack_get(&thread->stacks, 0, &stack);
 *     ...
 *     kin__stack_put(&thread->stacks, stack);
 *
 * Unless its comment says otherwise, a function here is called by the thread
 * that owns the cache, and never suspends. */
#ifndef KIN_CORE_STACK_H
#define KIN_CORE_STACK_H

#include "asm/wipe.h"
#include "core/check.h"
#include "kin/stack.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes at the top for the whole record of a fiber. */
#define KIN__STACK_RECORD 384

/* Class c has at least 16 KiB << c of use: 16 KiB to 64 MiB. */
#define KIN__STACK_CLASSES       13
#define KIN__STACK_MIN_SIZE      ((size_t)16 << 10)
#define KIN__STACK_DEFAULT_CLASS 2

_Static_assert(KIN__STACK_MIN_SIZE << KIN__STACK_DEFAULT_CLASS ==
                       KIN_STACK_SIZE_DEFAULT &&
                   KIN__STACK_MIN_SIZE << (KIN__STACK_CLASSES - 1) ==
                       KIN_STACK_SIZE_MAX,
               "the classes are what kin/stack.h promises");

/* Stacks in a full magazine: of a few MiB at the most. */
#if KIN__HARD
#define KIN__STACK_BATCH 1              /* to the depot and back all the time */
#else
#define KIN__STACK_BATCH 32
#endif

enum kin__guard {
    KIN__GUARD_UNSET,           /* for kin__stack_force_guard: the best      */
    KIN__GUARD_MADVISE,         /* costs no mapping                          */
    KIN__GUARD_MPROTECT,        /* costs two mappings                        */
    KIN__GUARD_NONE             /* nothing stops an overflow                 */
};

struct kin__slab;

/* The owner's, whoever that is: the fiber that runs on it, the cache that
 * holds it, or (under its lock) the depot.  What a fiber needs that goes on and
 * ends is the first line. */
struct kin__stack {
    struct kin__stack *next;    /* in a magazine; free for use outside       */
    void *sp;                   /* the fiber's: where it stopped             */
    struct kin__slab *slab;     /* NULL: memory borrowed from the caller     */
    const uint64_t *probe;      /* 8 words; see kin__stack_use_end           */
    uint16_t index;             /* slot in the slab                          */
    uint8_t size_class;
    uint8_t guard;              /* enum kin__guard                           */
    bool measured;              /* the run in progress began on zeroes       */
    void *top;                  /* below the record: the first frame         */
    char *mark;                 /* nothing below was seen in use; the first
                                   4 KiB at the most are not told apart      */
    void *base;                 /* lowest usable byte                        */

    struct kin__stack *batch_next; /* depot: the next magazine               */
    size_t batch_bytes;         /* depot: what this magazine holds           */
    uint32_t batch_count;
    uint32_t valgrind;
};

_Static_assert(offsetof(struct kin__stack, batch_next) == 64, "a line");

struct kin__stack_magazine {
    struct kin__stack *loaded;
    struct kin__stack *spare;   /* a second magazine: full or none           */
    _Atomic uint32_t count;     /* of loaded; statistics read it             */
    _Atomic uint32_t spare_count;
};

/* What one thread knows of a launching function; 0 bytes are an empty one. */
struct kin__stack_use {
    _Atomic(const void *) function;
    _Atomic uint32_t runs;      /* not yet in the common table               */
    uint32_t due;               /* runs until one is measured                */
};

#define KIN__STACK_USES 16      /* a power of two                            */

/* Embedded in the record of a thread; all zeroes is a valid one. */
struct kin__stack_cache {
    struct kin__stack_magazine magazines[KIN__STACK_CLASSES];
    struct kin__stack_use uses[KIN__STACK_USES];
    struct kin__stack_cache *next;      /* guarded by the depot's lock       */
    struct kin__stack_cache **link;     /* likewise                          */
    unsigned trims;                     /* calls of kin_trim() followed      */
    bool is_listed;
};

/* True: the fast path must not be taken, since stacks are wiped, or looked
 * after by a sanitizer.  Constant after the first stack. */
extern __attribute__((visibility("hidden"))) bool kin__stack_is_watched;

int kin__stack_get_slow(struct kin__stack_cache *cache, size_t size,
                        struct kin__stack **out);
void kin__stack_put_slow(struct kin__stack_cache *cache,
                         struct kin__stack *stack);

static inline void
kin__magazine_set_count(struct kin__stack_magazine *magazine, uint32_t count)
{
    /* relaxed: own counter */
    atomic_store_explicit(&magazine->count, count, memory_order_relaxed);
}

static inline uint32_t
kin__magazine_count(const struct kin__stack_magazine *magazine)
{
    return atomic_load_explicit(&magazine->count, memory_order_relaxed);
}

/* Gets a stack with at least size bytes of use; 0: the default, 64 KiB.  What
 * it contains is undefined, in its record too, but for struct kin__stack.
 *
 * Errors: KIN_EINVAL beyond 64 MiB; KIN_ENOMEM. */
static inline int kin__stack_get(struct kin__stack_cache *cache, size_t size,
                                 struct kin__stack **out)
{
    struct kin__stack_magazine *magazine =
        &cache->magazines[KIN__STACK_DEFAULT_CLASS];
    struct kin__stack *stack = magazine->loaded;

    if (KIN__UNLIKELY(size != 0 || !stack || kin__stack_is_watched))
        return kin__stack_get_slow(cache, size, out);
    magazine->loaded = stack->next;
    kin__magazine_set_count(magazine, kin__magazine_count(magazine) - 1);
    *out = stack;
    return 0;
}

/* True if kin__stack_get will find one of the default size at hand. */
static inline bool kin__stack_at_hand(const struct kin__stack_cache *cache)
{
    return cache->magazines[KIN__STACK_DEFAULT_CLASS].loaded
        && !kin__stack_is_watched;
}

/* Puts back a stack that nothing runs on, from any cache's get.  Its contents
 * are lost. */
static inline void kin__stack_put(struct kin__stack_cache *cache,
                                  struct kin__stack *stack)
{
    struct kin__stack_magazine *magazine =
        &cache->magazines[KIN__STACK_DEFAULT_CLASS];
    uint32_t count = kin__magazine_count(magazine);

    if (KIN__UNLIKELY(stack->size_class != KIN__STACK_DEFAULT_CLASS ||
                      count >= KIN__STACK_BATCH || kin__stack_is_watched)) {
        kin__stack_put_slow(cache, stack);
        return;
    }
    stack->next = magazine->loaded;
    magazine->loaded = stack;
    kin__magazine_set_count(magazine, count + 1);
}

/* Gives everything to the depot and forgets the cache.  At the thread's end;
 * the cache is as new afterwards. */
void kin__stack_cache_drain(struct kin__stack_cache *cache);

/* Does so only if kin_trim() was called since: for a thread that goes to
 * sleep, whose cache nobody else can empty. */
void kin__stack_cache_tidy(struct kin__stack_cache *cache);

/* The calling thread's cache or NULL, for kin_trim(); set by whoever keeps the
 * caches. */
extern struct kin__stack_cache *(*kin__stack_cache_here)(void);

/* The stack whose slot contains address (guard included), or NULL.  Takes no
 * lock.
 *
 * Thread: any, also in a signal handler. */
struct kin__stack *kin__stack_at(const void *address);

/* True if address lies between base and top. */
static inline bool kin__stack_holds(const struct kin__stack *stack,
                                    const void *address)
{
    return (uintptr_t)address - (uintptr_t)stack->base <
           (uintptr_t)stack->top - (uintptr_t)stack->base;
}

static inline size_t kin__stack_size(const struct kin__stack *stack)
{
    return (size_t)((uintptr_t)stack->top - (uintptr_t)stack->base);
}

/* The deepest use seen on this stack since its pages were last given back,
 * in bytes; up to one page (or 4 KiB) it is that. */
static inline size_t kin__stack_high_water(const struct kin__stack *stack)
{
    return stack->mark ? (size_t)((char *)stack->top - stack->mark) : 0;
}

/* --- How much a function needs (stack_use.c) -------------------------- */

/* Bytes of nobody's below the caller's frame that it could not clear. */
size_t kin__stack_use_expect(struct kin__stack_cache *cache,
                             struct kin__stack *stack, const void *function);
void kin__stack_use_account(struct kin__stack_cache *cache,
                            struct kin__stack *stack, const void *function);

static inline struct kin__stack_use *
kin__stack_use_slot(struct kin__stack_cache *cache, const void *function)
{
    uint64_t hash = (uint64_t)(uintptr_t)function * 0x9e3779b97f4a7c15u;

    return &cache->uses[(hash >> 56) % KIN__STACK_USES];
}

static inline bool kin__stack_use_is(const struct kin__stack_use *use,
                                     const void *function)
{
    /* relaxed: own field; statistics read it */
    return atomic_load_explicit(&use->function, memory_order_relaxed) ==
           function;
}

/* Around each run of a body: `function` is about to be called on stack, by the
 * caller, who runs on it (or nothing does, and it is empty).  What lies below
 * the caller's frame may be overwritten. */
static inline void kin__stack_use_begin(struct kin__stack_cache *cache,
                                        struct kin__stack *stack,
                                        const void *function)
{
    struct kin__stack_use *use = kin__stack_use_slot(cache, function);

    if (KIN__UNLIKELY(!kin__stack_use_is(use, function) || --use->due == 0))
        kin__wipe_below(kin__stack_use_expect(cache, stack, function));
}

static inline bool kin__stack_probe_seen(const uint64_t *probe)
{
    return ((probe[0] | probe[1]) | (probe[2] | probe[3]) |
            (probe[4] | probe[5]) | (probe[6] | probe[7])) != 0;
}

/* The body has ended; cache is that of the thread it ended on.
 *
 * The eight words at `probe` lie below everything the stack was seen to hold
 * and were zero: if they are not, this run went deeper. */
static inline void kin__stack_use_end(struct kin__stack_cache *cache,
                                      struct kin__stack *stack,
                                      const void *function)
{
    struct kin__stack_use *use = kin__stack_use_slot(cache, function);

    if (KIN__UNLIKELY(!kin__stack_use_is(use, function) || !stack->slab ||
                      stack->measured ||
                      kin__stack_probe_seen(stack->probe))) {
        kin__stack_use_account(cache, stack, function);
        return;
    }
    /* relaxed: own counter; statistics read it */
    atomic_store_explicit(
        &use->runs,
        atomic_load_explicit(&use->runs, memory_order_relaxed) + 1,
        memory_order_relaxed);
}

/* --- For tests -------------------------------------------------------- */

/* What new stacks are guarded with; UNSET: the best there is.  To be set
 * before the first stack. */
void kin__stack_force_guard(enum kin__guard guard);

#endif /* KIN_CORE_STACK_H */
