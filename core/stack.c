/* stack.c -- the caches of threads, the depot, statistics.
 *
 *   thread A                    depot                     slabs
 *   loaded 0..32  --full--->  magazines of each  --over the bound--> slots
 *   spare  0|32   <--empty--  class              <--none left------- slots
 *
 * Magazines after Bonwick: a thread exchanges whole ones with the depot, and
 * keeps a spare, so that a thread that gets and puts across the edge of one
 * does not come here each time.  What a fiber got on one thread and put on
 * another thus comes back, and the sum stays bounded.
 *
 * The bound counts the pages that stacks in the depot are known to occupy.
 * A magazine that would exceed it goes back to the slabs at once, its pages to
 * the system; the ones used last stay.
 *
 * Larger classes have smaller magazines, and from 2 MiB on one stack each. */
#include "core/stack_internal.h"

#include "core/record.h"

#include "core/environment.h"
#include "core/memory.h"
#include "core/overflow.h"

#include <pthread.h>

#define DEFAULT_LIMIT ((size_t)128 << 20)

bool kin__stack_is_watched;
struct kin__stack_cache *(*kin__stack_cache_here)(void);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool wipes;                      /* constant after `once` */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kin__stack_cache *caches;                     /* lock */
static struct kin__stack *depot[KIN__STACK_CLASSES];        /* lock */
static size_t depot_count;                                  /* lock */
static size_t depot_bytes;                                  /* lock */
static size_t depot_limit = DEFAULT_LIMIT;                  /* lock */

/* Calls of kin_trim().  relaxed: a late look only delays the tidying. */
static atomic_uint trims;

static void start(void)
{
    const char *wish = kin__environment("KIN_WIPE_STACKS");

    wipes = wish && *wish && !(wish[0] == '0' && wish[1] == '\0');
    kin__stack_is_watched = wipes || KIN__ASAN;
    kin__overflow_install();
}

bool kin__stack_wipes(void)
{
    return wipes;
}

/* How many stacks a magazine of the class holds: 32, down to 1 at 2 MiB. */
static unsigned batch_size(unsigned size_class)
{
    unsigned n = 128u >> size_class;

    n = n ? n : 1;
    return n < KIN__STACK_BATCH ? n : KIN__STACK_BATCH;
}

static unsigned class_of(size_t size)
{
    unsigned size_class = 0;

    if (size == 0)
        return KIN__STACK_DEFAULT_CLASS;
    while (KIN__STACK_MIN_SIZE << size_class < size)
        size_class++;
    return size_class;
}

static uint32_t spare_count(const struct kin__stack_magazine *magazine)
{
    return atomic_load_explicit(&magazine->spare_count,
                                memory_order_relaxed);
}

static void set_spare(struct kin__stack_magazine *magazine,
                      struct kin__stack *spare, uint32_t count)
{
    magazine->spare = spare;
    atomic_store_explicit(&magazine->spare_count, count,
                          memory_order_relaxed);
}

static void set_loaded(struct kin__stack_magazine *magazine,
                       struct kin__stack *loaded, uint32_t count)
{
    magazine->loaded = loaded;
    kin__magazine_set_count(magazine, count);
}

/* --- Depot ------------------------------------------------------------ */

/* Pages that the stacks of a list are known to occupy. */
static size_t list_bytes(const struct kin__stack *list)
{
    size_t page = kin__page_size();
    size_t bytes = 0;

    for (; list; list = list->next) {
        uintptr_t mark = (uintptr_t)list->mark & ~(page - 1);
        uintptr_t end = ((uintptr_t)list->top + page) & ~(page - 1);

        bytes += end - mark;
    }
    return bytes;
}

/* Under the lock. */
static struct kin__stack *pop_batch(unsigned size_class)
{
    struct kin__stack *batch = depot[size_class];

    if (batch) {
        depot[size_class] = batch->batch_next;
        depot_count -= batch->batch_count;
        depot_bytes -= batch->batch_bytes;
    }
    return batch;
}

/* Gives a magazine of count stacks away. */
static void push_batch(struct kin__stack *batch, uint32_t count)
{
    bool has_room;

    if (!batch)
        return;
    batch->batch_bytes = list_bytes(batch);
    batch->batch_count = count;
    pthread_mutex_lock(&lock);
    has_room = depot_bytes + batch->batch_bytes <= depot_limit;
    if (has_room) {
        batch->batch_next = depot[batch->size_class];
        depot[batch->size_class] = batch;
        depot_count += count;
        depot_bytes += batch->batch_bytes;
    }
    pthread_mutex_unlock(&lock);
    if (!has_room)
        kin__slab_give(batch);
}

/* Takes magazines out of the depot until bytes are left, largest first. */
static struct kin__stack *take_excess(size_t bytes)
{
    struct kin__stack *batches = NULL;

    pthread_mutex_lock(&lock);
    for (unsigned i = KIN__STACK_CLASSES; i-- > 0;)
        while (depot_bytes > bytes && depot[i]) {
            struct kin__stack *batch = pop_batch(i);

            batch->batch_next = batches;
            batches = batch;
        }
    pthread_mutex_unlock(&lock);
    return batches;
}

static size_t give_batches(struct kin__stack *batches,
                           void (*give)(struct kin__stack *list))
{
    size_t bytes = 0;

    while (batches) {
        struct kin__stack *batch = batches;

        batches = batch->batch_next;
        bytes += batch->batch_bytes;
        give(batch);
    }
    return bytes;
}

/* Empties the depot.  Returns the bytes given back. */
static size_t give_all(void)
{
    size_t pages = give_batches(take_excess(0), kin__slab_give_later);
    size_t space = kin__slab_trim();

    return pages > space ? pages : space;
}

/* --- A thread's cache ------------------------------------------------- */

void kin__stack_cache_enlist(struct kin__stack_cache *cache)
{
    if (cache->is_listed)
        return;
    cache->is_listed = true;
    pthread_once(&once, start);
    cache->trims = atomic_load_explicit(&trims, memory_order_relaxed);
    pthread_mutex_lock(&lock);
    cache->next = caches;
    if (caches)
        caches->link = &cache->next;
    cache->link = &caches;
    caches = cache;
    pthread_mutex_unlock(&lock);
}

static void empty_magazines(struct kin__stack_cache *cache)
{
    for (unsigned i = 0; i < KIN__STACK_CLASSES; i++) {
        struct kin__stack_magazine *magazine = &cache->magazines[i];
        struct kin__stack *loaded = magazine->loaded;
        struct kin__stack *spare = magazine->spare;
        uint32_t count = kin__magazine_count(magazine);
        uint32_t spares = spare_count(magazine);

        set_loaded(magazine, NULL, 0);
        set_spare(magazine, NULL, 0);
        push_batch(loaded, count);
        push_batch(spare, spares);
    }
}

void kin__stack_cache_drain(struct kin__stack_cache *cache)
{
    empty_magazines(cache);
    kin__stack_use_flush(cache);
    if (!cache->is_listed)
        return;
    cache->is_listed = false;
    pthread_mutex_lock(&lock);
    *cache->link = cache->next;
    if (cache->next)
        cache->next->link = cache->link;
    pthread_mutex_unlock(&lock);
}

void kin__stack_cache_tidy(struct kin__stack_cache *cache)
{
    unsigned now = atomic_load_explicit(&trims, memory_order_relaxed);

    if (cache->is_listed && cache->trims != now) {
        cache->trims = now;
        empty_magazines(cache);
        give_all();
    }
}

/* Loads an empty magazine with the spare one, or one of the depot's. */
static void reload(struct kin__stack_magazine *magazine, unsigned size_class)
{
    struct kin__stack *batch = magazine->spare;
    uint32_t count = spare_count(magazine);

    if (batch) {
        set_spare(magazine, NULL, 0);
    } else {
        pthread_mutex_lock(&lock);
        batch = pop_batch(size_class);
        pthread_mutex_unlock(&lock);
        count = batch ? batch->batch_count : 0;
    }
    set_loaded(magazine, batch, count);
}

int kin__stack_get_slow(struct kin__stack_cache *cache, size_t size,
                        struct kin__stack **out)
{
    struct kin__stack_magazine *magazine;
    unsigned size_class;

    if (size > KIN_STACK_SIZE_MAX)
        return KIN_EINVAL;
    kin__stack_cache_enlist(cache);
    size_class = class_of(size);
    magazine = &cache->magazines[size_class];
    if (!magazine->loaded)
        reload(magazine, size_class);
    if (!magazine->loaded)
        return kin__slab_take(size_class, out);
    *out = magazine->loaded;
    set_loaded(magazine, (*out)->next, kin__magazine_count(magazine) - 1);
    return 0;
}

static void push_spare(struct kin__stack_magazine *magazine)
{
    struct kin__stack *spare = magazine->spare;
    uint32_t count = spare_count(magazine);

    set_spare(magazine, NULL, 0);
    push_batch(spare, count);
}

/* Makes room in a full magazine: it becomes the spare one, if one is kept. */
static void unload(struct kin__stack_magazine *magazine)
{
    push_spare(magazine);
    set_spare(magazine, magazine->loaded, kin__magazine_count(magazine));
    set_loaded(magazine, NULL, 0);
    if (KIN__HARD)
        push_spare(magazine);           /* a thread keeps a single stack */
}

void kin__stack_put_slow(struct kin__stack_cache *cache,
                         struct kin__stack *stack)
{
    struct kin__stack_magazine *magazine =
        &cache->magazines[stack->size_class];

    KIN_CHECK(stack->slab != NULL);
    kin__stack_cache_enlist(cache);
    kin__asan_unpoison(stack->base, kin__stack_size(stack));
    if (wipes)
        kin__stack_wipe(stack);
    if (kin__magazine_count(magazine) >= batch_size(stack->size_class))
        unload(magazine);
    stack->next = magazine->loaded;
    set_loaded(magazine, stack, kin__magazine_count(magazine) + 1);
}

/* --- For everyone ----------------------------------------------------- */

void kin__stack_caches_visit(void (*each)(struct kin__stack_cache *cache),
                             void (*last)(void *arg), void *arg)
{
    pthread_mutex_lock(&lock);
    for (struct kin__stack_cache *cache = caches; cache; cache = cache->next)
        each(cache);
    last(arg);
    pthread_mutex_unlock(&lock);
}

/* Under the lock: stacks that wait in the magazines of threads. */
static size_t count_magazines(void)
{
    size_t n = 0;

    for (const struct kin__stack_cache *cache = caches; cache;
         cache = cache->next)
        for (unsigned i = 0; i < KIN__STACK_CLASSES; i++)
            n += kin__magazine_count(&cache->magazines[i]) +
                 spare_count(&cache->magazines[i]);
    return n;
}

int kin_stack_get_stats(kin_stack_stats *stats)
{
    if (!stats)
        return kin__misuse(KIN_EINVAL, "kin_stack_get_stats",
                           "stats is NULL; pass a struct to fill in");
    *stats = (kin_stack_stats){ .bytes_page = kin__page_size() };
    kin__slab_count(stats);
    pthread_mutex_lock(&lock);
    stats->cached = depot_count + count_magazines();
    stats->bytes_cached = depot_bytes;
    stats->bytes_limit = depot_limit;
    stats->bytes_resident =
        depot_bytes + (stats->cached - depot_count) * stats->bytes_page;
    pthread_mutex_unlock(&lock);
    stats->live -= stats->cached < stats->live ? stats->cached : stats->live;
    stats->bytes_resident += stats->live * stats->bytes_page;
    stats->bytes_high_water = kin__stack_use_high_water();
    return 0;
}

size_t kin_trim(void)
{
    struct kin__stack_cache *cache =
        kin__stack_cache_here ? kin__stack_cache_here() : NULL;
    unsigned now =
        atomic_fetch_add_explicit(&trims, 1, memory_order_relaxed) + 1;

    if (cache && cache->is_listed) {
        cache->trims = now;
        empty_magazines(cache);
    }
    return give_all() + kin__record_trim(kin__thread());
}

void kin_stack_set_limit_bytes(size_t bytes)
{
    pthread_mutex_lock(&lock);
    depot_limit = bytes;
    pthread_mutex_unlock(&lock);
    give_batches(take_excess(bytes), kin__slab_give);
}
