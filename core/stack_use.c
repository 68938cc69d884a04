/* stack_use.c -- how deep the bodies of a function go.
 *
 * A body leaves its traces: words that are not zero.  The deepest of them says
 * how deep it went, if the stack was all zeroes before.  Three kinds of run:
 *
 *   measured    what lies below the caller's frame is zeroed before the run;
 *               afterwards the deepest word that is not zero is looked for.
 *               A microsecond or two: a function's first runs, then 1 in 16384.
 *   deeper      not measured, but the line below everything the stack was ever
 *               seen to hold, which was zero, is not any more.  What hangs
 *               together with that line counts as this run's.
 *   the others  only counted.
 *
 * So a figure is a lower bound: that deep it went. What may be missed: a run
 * that was not measured and stays above an older mark of the same stack, or
 * jumps over its probe line (frames with an unused buffer); words written as
 * zero. kin__resident() tells the pages that were touched from those that
 * were not, so looking touches nothing.
 *
 * Runs are counted by each thread for itself in a small direct-mapped table
 * (struct kin__stack_cache), and go from there into the common one, which has
 * a fixed size, is searched without a lock, and never forgets a function.
 * Everything in it is relaxed: entries are independent counters, and a
 * function, once in its place, stays there. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/check.h"
#include "core/stack_internal.h"

#include "core/memory.h"
#include "core/valgrind.h"

#include <sys/mman.h>

#define LINE            64u     /* bytes that a probe looks at */
#define FIRST_MARK      4096u   /* a mark is never less deep than this */
#define FRAME_MARGIN    256u    /* below our own frame: not to be zeroed */
#define OWN_FRAMES      2048u   /* below who begins a run: where ours were */
#define MEASURED_FIRST  4u      /* runs of a function */
#define MEASURED_PERIOD 16384u
#define PIECE           64u     /* pages asked about at a time */
#define TABLE_BITS      10
#define TABLE_SIZE      (1u << TABLE_BITS)

/* These look at words that belong to nobody any more. */
#define LOOKS_AT_DEAD_FRAMES \
    __attribute__((no_sanitize("address"), no_sanitize("thread"), noinline))

struct entry {
    _Atomic(const void *) function;     /* NULL: nobody's yet */
    atomic_ullong runs;
    atomic_ullong measured;
    atomic_size_t high_water;
};

/* The last entry is for all that found no place. */
static struct entry table[TABLE_SIZE + 1];
static atomic_size_t high_water;        /* of any stack */

const uint64_t kin__stack_no_probe[LINE / sizeof(uint64_t)];

/* --- Looking at a stack ----------------------------------------------- */

/* Sets mark; the probe is the line below it, unless that is another page
 * (looking there would touch it) or may be in use. */
static void set_mark(struct kin__stack *stack, char *mark)
{
    size_t page = kin__page_size();

    stack->mark = mark;
    if ((uintptr_t)mark % page < LINE || mark - LINE < (char *)stack->base)
        stack->probe = kin__stack_no_probe;
    else
        stack->probe = (const uint64_t *)(const void *)(mark - LINE);
}

void kin__stack_use_reset(struct kin__stack *stack, bool zeroed)
{
    uintptr_t mask = ~(uintptr_t)(kin__page_size() - 1);
    char *top = stack->top;
    char *page = (char *)((uintptr_t)(top - 1) & mask);

    if (top - page > (ptrdiff_t)FIRST_MARK)
        page = top - FIRST_MARK;
    if (page < (char *)stack->base)
        page = stack->base;
    stack->measured = false;
    /* The first probe is the lowest line of the first page. */
    set_mark(stack, page + LINE);
    stack->mark = page;
    if (!zeroed || kin__on_valgrind())
        stack->probe = kin__stack_no_probe;
}

/* The first word in [from, to) that is not zero, or to. */
LOOKS_AT_DEAD_FRAMES
static char *first_used(char *from, char *to)
{
    const uint64_t *word = (const uint64_t *)(const void *)from;
    const uint64_t *end = (const uint64_t *)(const void *)to;

    while (word < end && *word == 0)
        word++;
    return (char *)(uintptr_t)word;
}

/* The deepest word that is not zero, or top.  Goes down piece by piece, until
 * one has no page that was touched. */
static char *deepest_use(const struct kin__stack *stack)
{
    size_t page = kin__page_size();
    char *base = stack->base;
    char *top = stack->top;
    char *found = top;
    char *end = (char *)(((uintptr_t)top + page - 1) & ~(page - 1));
    bool touched = true;

    while (touched && end > base) {
        unsigned char resident[PIECE];
        size_t left = (size_t)(end - base) / page;
        size_t n = left < PIECE ? left : PIECE;
        char *start = end - n * page;
        bool is_found = false;

        touched = false;
        if (n == 0 || kin__resident(start, n, resident) != 0)
            break;
        for (size_t i = 0; i < n && !is_found; i++) {
            char *from = start + i * page;
            char *to = from + page < top ? from + page : top;
            char *used;

            if (!(resident[i] & 1) || from >= to)
                continue;
            touched = true;
            used = first_used(from, to);
            is_found = used < to;
            if (is_found)
                found = used;
        }
        end = start;
    }
    return found;
}

/* As far down from the probe as every line has been written. */
LOOKS_AT_DEAD_FRAMES
static char *deeper_use(const struct kin__stack *stack, const char *deepest)
{
    const char *line = (const char *)stack->probe;

    while (line - LINE >= deepest &&
           kin__stack_probe_seen((const uint64_t *)(const void *)
                                 (line - LINE)))
        line -= LINE;
    return (char *)(uintptr_t)line;
}

/* Zeroes [from, to), or what of it lies below our frame if that is in it. */
LOOKS_AT_DEAD_FRAMES
static void zero(const struct kin__stack *stack, char *from, char *to)
{
    char *frame = __builtin_frame_address(0);
    volatile uint64_t *word = (volatile uint64_t *)(void *)from;

    if (kin__stack_holds(stack, frame) && frame - FRAME_MARGIN < to)
        to = frame - FRAME_MARGIN;
    while ((char *)(uintptr_t)word < to)
        *word++ = 0;
}

void kin__stack_wipe(struct kin__stack *stack)
{
    uintptr_t mask = ~(uintptr_t)(kin__page_size() - 1);
    char *base = stack->base;
    char *page = (char *)((uintptr_t)stack->top & mask);

    if (page < base)
        page = base;
    if (page > base &&
        kin__advise(base, (size_t)(page - base), MADV_DONTNEED) != 0)
        zero(stack, base, page);
    zero(stack, page, stack->top);
    kin__stack_use_reset(stack, true);
}

/* --- The common table ------------------------------------------------- */

static struct entry *find(const void *function)
{
    uint64_t hash = (uint64_t)(uintptr_t)function * 0x9e3779b97f4a7c15u;
    unsigned at = (unsigned)(hash >> (64 - TABLE_BITS));

    for (unsigned i = 0; function && i < TABLE_SIZE; i++) {
        struct entry *entry = &table[(at + i) % TABLE_SIZE];
        const void *there = atomic_load_explicit(&entry->function,
                                                 memory_order_relaxed);

        if (there == NULL &&
            atomic_compare_exchange_strong_explicit(
                &entry->function, &there, function, memory_order_relaxed,
                memory_order_relaxed))
            return entry;
        if (there == function)
            return entry;
    }
    return &table[TABLE_SIZE];
}

static void raise_to(atomic_size_t *figure, size_t value)
{
    size_t before = atomic_load_explicit(figure, memory_order_relaxed);

    while (before < value &&
           !atomic_compare_exchange_weak_explicit(
               figure, &before, value, memory_order_relaxed,
               memory_order_relaxed))
        ;
}

static void flush_use(struct kin__stack_use *use)
{
    const void *function =
        atomic_load_explicit(&use->function, memory_order_relaxed);
    uint32_t runs = atomic_load_explicit(&use->runs, memory_order_relaxed);

    if (runs == 0)
        return;
    atomic_store_explicit(&use->runs, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&find(function)->runs, runs,
                              memory_order_relaxed);
}

void kin__stack_use_flush(struct kin__stack_cache *cache)
{
    for (unsigned i = 0; i < KIN__STACK_USES; i++)
        flush_use(&cache->uses[i]);
}

/* The thread's place for function, which may have been another's. */
static struct kin__stack_use *place(struct kin__stack_cache *cache,
                                    const void *function)
{
    struct kin__stack_use *use = kin__stack_use_slot(cache, function);

    kin__stack_cache_enlist(cache);
    if (!kin__stack_use_is(use, function)) {
        flush_use(use);
        atomic_store_explicit(&use->function, function,
                              memory_order_relaxed);
        /* The next run wipes, though another thread began the one that has
         * just ended here. */
        use->due = kin__stack_wipes() ? 1 : MEASURED_PERIOD;
    }
    return use;
}

/* --- Around a run ----------------------------------------------------- */

size_t kin__stack_use_expect(struct kin__stack_cache *cache,
                             struct kin__stack *stack, const void *function)
{
    struct kin__stack_use *use = place(cache, function);
    unsigned long long measured = atomic_load_explicit(
        &find(function)->measured, memory_order_relaxed);
    bool is_due =
        measured < MEASURED_FIRST || use->due == 0 || kin__stack_wipes();
    bool is_next_due = (measured + 1 < MEASURED_FIRST || kin__stack_wipes())
                    && !kin__on_valgrind();     /* which is not measured */

    use->due = is_next_due ? 1 : MEASURED_PERIOD;
    if (!is_due || !stack->slab || stack->measured || kin__on_valgrind())
        return 0;
    zero(stack, deepest_use(stack), stack->top);
    stack->measured = true;
    return kin__stack_wipes() ? OWN_FRAMES : 0;
}

/* What the run that ends went down to, as far as can be told; or NULL. */
static char *use_of_run(struct kin__stack *stack)
{
    char *deepest = deepest_use(stack);
    char *use = deepest;

    if (!stack->measured)
        use = deeper_use(stack, deepest);
    deepest = (char *)((uintptr_t)deepest & ~(uintptr_t)(LINE - 1));
    if (deepest < stack->mark)
        set_mark(stack, deepest);
    else if (!stack->measured)
        stack->probe = kin__stack_no_probe;     /* a page's lowest line */
    return use;
}

void kin__stack_use_account(struct kin__stack_cache *cache,
                            struct kin__stack *stack, const void *function)
{
    struct kin__stack_use *use = place(cache, function);
    struct entry *entry = find(function);
    size_t depth;

    atomic_store_explicit(
        &use->runs,
        atomic_load_explicit(&use->runs, memory_order_relaxed) + 1,
        memory_order_relaxed);
    if (!stack->slab)
        return;
    if (!stack->measured && !kin__stack_probe_seen(stack->probe))
        return;
    depth = (size_t)((char *)stack->top - use_of_run(stack));
    if (stack->measured)
        atomic_fetch_add_explicit(&entry->measured, 1, memory_order_relaxed);
    stack->measured = false;
    raise_to(&entry->high_water, depth);
    raise_to(&high_water, depth);
}

size_t kin__stack_use_high_water(void)
{
    return atomic_load_explicit(&high_water, memory_order_relaxed);
}

/* --- The report ------------------------------------------------------- */

/* Guarded by the lock under which caches are visited. */
static uint32_t pending[TABLE_SIZE + 1];

static void add_pending(struct kin__stack_cache *cache)
{
    for (unsigned i = 0; i < KIN__STACK_USES; i++) {
        struct kin__stack_use *use = &cache->uses[i];
        const void *function =
            atomic_load_explicit(&use->function, memory_order_relaxed);

        if (function)
            pending[find(function) - table] +=
                atomic_load_explicit(&use->runs, memory_order_relaxed);
    }
}

/* Puts use into its place among the n deepest. */
static void insert(kin_stack_use *uses, size_t n, size_t count,
                   const kin_stack_use *use)
{
    size_t at = n < count ? n : count;

    while (at > 0 && uses[at - 1].high_water_bytes < use->high_water_bytes) {
        if (at < count)
            uses[at] = uses[at - 1];
        at--;
    }
    if (at < count)
        uses[at] = *use;
}

struct report {
    kin_stack_use *uses;
    size_t count;
    size_t n;
};

static void fill_report(void *arg)
{
    struct report *report = arg;

    for (size_t i = 0; i <= TABLE_SIZE; i++) {
        const struct entry *entry = &table[i];
        kin_stack_use use = {
            .function = atomic_load_explicit(&entry->function,
                                             memory_order_relaxed),
            .runs = atomic_load_explicit(&entry->runs, memory_order_relaxed) +
                    pending[i],
            .measured = atomic_load_explicit(&entry->measured,
                                             memory_order_relaxed),
            .high_water_bytes = atomic_load_explicit(&entry->high_water,
                                                     memory_order_relaxed),
        };

        pending[i] = 0;
        if (use.runs == 0)
            continue;
        insert(report->uses, report->n, report->count, &use);
        report->n++;
    }
}

size_t kin_stack_usage(kin_stack_use *uses, size_t count)
{
    struct report report = { uses, uses ? count : 0, 0 };

    if (!uses && count)
        kin__misuse(KIN_EINVAL, "kin_stack_usage", "uses is NULL, count is %zu",
                    count);
    kin__stack_caches_visit(add_pending, fill_report, &report);
    return report.n;
}
