/* core/timer.c -- a heap of deadlines.
 *
 * Four children to a node, and the deadline in the node: the children of one
 * are one cache line, so a million timers are ten lines deep.  The root is at
 * index 3, which puts each family at a multiple of four:
 *
 *      3            children of i: 4i - 8 ... 4i - 5
 *    4 5 6 7        parent of i:   i / 4 + 2
 *    8 9 10 11  12 ...
 *
 * The heap moves entries, not timers: an entry names its timer by an index,
 * and place[index] says where the entry is, so that sifting writes to one
 * small array and not to the stacks of a million fibers.
 *
 * Leaving.  While a timer is fired, or carried to other timers, `leaving`
 * names it and a disarm on another thread waits: its owner may free it only
 * when nobody has his hands on it any more.
 *
 * Rejected: a timing wheel (equal deadlines in order, and exact ones, need
 * sorted slots); lazy removal (a timeout that does not fire is the common
 * case, and its timer lies on a stack that goes away). */
#include "core/timer.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/thread.h"
#include "kin/error.h"

#include <string.h>

#define ROOT     3u
#define LINE     64u
#define CAPACITY 64u                    /* the first one                     */

struct kin__timer_entry {
    int64_t deadline;
    uint32_t sequence;
    uint32_t index;
};

_Static_assert(4 * sizeof(struct kin__timer_entry) == LINE,
               "four children fill a line");

typedef struct kin__timer_entry entry;

static uint32_t parent_of(uint32_t i)
{
    return i / 4 + 2;
}

static uint32_t first_child_of(uint32_t i)
{
    return 4 * i - 8;
}

/* Sequence numbers wrap; those of equal deadlines are near each other. */
static bool before(const entry *a, const entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return (int32_t)(a->sequence - b->sequence) < 0;
}

static uint32_t end_of(const struct kin__timers *timers)
{
    return ROOT + timers->count;
}

static void put(struct kin__timers *timers, uint32_t i, const entry *e)
{
    timers->heap[i] = *e;
    timers->place[e->index] = i;
}

/* Fills the hole at i with e, which may belong further up. */
static void sift_up(struct kin__timers *timers, uint32_t i, const entry *e)
{
    while (i > ROOT && before(e, &timers->heap[parent_of(i)])) {
        put(timers, i, &timers->heap[parent_of(i)]);
        i = parent_of(i);
    }
    put(timers, i, e);
}

static uint32_t least_child(const struct kin__timers *timers, uint32_t i)
{
    const entry *heap = timers->heap;
    uint32_t least = first_child_of(i), end = end_of(timers);
    uint32_t stop = end - least < 4 ? end : least + 4;

    for (uint32_t child = least + 1; child < stop; child++)
        if (before(&heap[child], &heap[least]))
            least = child;
    return least;
}

/* Fills the hole at i with e, which may belong further down. */
static void sift_down(struct kin__timers *timers, uint32_t i, const entry *e)
{
    while (first_child_of(i) < end_of(timers)) {
        uint32_t child = least_child(timers, i);

        if (before(e, &timers->heap[child]))
            break;
        put(timers, i, &timers->heap[child]);
        i = child;
    }
    put(timers, i, e);
}

/* Nobody is before his parent, and each knows where he is. */
static bool heap_is_valid(const struct kin__timers *timers)
{
    for (uint32_t i = ROOT; i < end_of(timers); i++) {
        const entry *e = &timers->heap[i];

        if (i > ROOT && before(e, &timers->heap[parent_of(i)]))
            return false;
        if (timers->place[e->index] != i
            || timers->timer[e->index]->index != e->index)
            return false;
    }
    return true;
}

static void publish_earliest(struct kin__timers *timers)
    KIN_REQUIRES(timers->lock)
{
    int64_t first = timers->count ? timers->heap[ROOT].deadline : KIN_NEVER;

    KIN_SLOW_OF(timers->count, heap_is_valid(timers));
    /* relaxed: only written under the lock, which is held */
    if (atomic_load_explicit(&timers->sooner, memory_order_relaxed)
        != KIN_NEVER - first)
        /* release: pairs with acquire in kin__timers_earliest() */
        atomic_store_explicit(&timers->sooner, KIN_NEVER - first,
                              memory_order_release);
}

/* --- Memory ----------------------------------------------------------------
 * Three arrays in one block.  It grows by doubling and goes when the last
 * timer of many goes. */

static bool has_room(const struct kin__timers *timers)
{
    return end_of(timers) + 1 < timers->capacity;
}

static void copy_arrays(struct kin__timers *to, const struct kin__timers *from)
{
    if (from->count == 0) {
        to->free_index = to->high_index = 0;
        return;
    }
    memcpy(to->heap, from->heap, end_of(from) * sizeof *to->heap);
    memcpy(to->timer, from->timer,
           (from->high_index + 1) * sizeof *to->timer);
    memcpy(to->place, from->place,
           (from->high_index + 1) * sizeof *to->place);
}

static bool allocate(struct kin__timers *into, uint32_t capacity)
{
    size_t n = capacity, head;
    char *block = kin__malloc(n * (sizeof *into->heap + sizeof *into->timer
                                   + sizeof *into->place) + LINE);

    if (!block)
        return false;
    head = -(uintptr_t)block % LINE;
    into->block = block;
    into->capacity = capacity;
    into->heap = (entry *)(void *)(block + head);
    into->timer = (struct kin_timer **)(void *)(into->heap + n);
    into->place = (uint32_t *)(void *)(into->timer + n);
    return true;
}

/* Called with the lock held, which it gives up meanwhile. */
static int grow(struct kin__timers *timers) KIN_REQUIRES(timers->lock)
{
    uint32_t capacity = timers->capacity ? 2 * timers->capacity : CAPACITY;
    struct kin__timers bigger;
    void *old;
    bool done;

    kin__spin_unlock(&timers->lock);
    done = capacity != 0 && allocate(&bigger, capacity);
    kin__spin_lock(&timers->lock);
    if (!done)
        return has_room(timers) ? 0 : KIN_ENOMEM;
    if (timers->capacity >= capacity) {         /* another thread was first */
        old = bigger.block;
    } else {
        bigger.free_index = timers->free_index;
        bigger.high_index = timers->high_index;
        copy_arrays(&bigger, timers);
        old = timers->block;
        timers->free_index = bigger.free_index;
        timers->high_index = bigger.high_index;
        timers->heap = bigger.heap;
        timers->timer = bigger.timer;
        timers->place = bigger.place;
        timers->block = bigger.block;
        timers->capacity = capacity;
    }
    kin__spin_unlock(&timers->lock);
    kin__free(old);
    kin__spin_lock(&timers->lock);
    return 0;
}

/* The block of many timers, if there are none any more; to be freed without
 * the lock. */
static void *drop_block(struct kin__timers *timers) KIN_REQUIRES(timers->lock)
{
    void *block = timers->block;

    if (timers->count > 0 || timers->capacity <= 64 * CAPACITY)
        return NULL;
    timers->block = NULL;
    timers->heap = NULL;
    timers->timer = NULL;
    timers->place = NULL;
    timers->capacity = timers->free_index = timers->high_index = 0;
    return block;
}

static uint32_t take_index(struct kin__timers *timers)
{
    uint32_t index = timers->free_index;

    if (index == 0)
        return ++timers->high_index;
    timers->free_index = timers->place[index];
    return index;
}

static void put_index(struct kin__timers *timers, uint32_t index)
{
    timers->place[index] = timers->free_index;
    timers->free_index = index;
}

/* --- Insertion and removal, with the lock held ---------------------------- */

static void insert(struct kin__timers *timers, struct kin_timer *timer,
                   int64_t deadline) KIN_REQUIRES(timers->lock)
{
    entry e = { deadline, timers->sequence++, take_index(timers) };

    timer->index = e.index;
    timer->deadline = deadline;
    timers->timer[e.index] = timer;
    sift_up(timers, timers->count++ + ROOT, &e);
    publish_earliest(timers);
}

static void remove_timer(struct kin__timers *timers, struct kin_timer *timer)
    KIN_REQUIRES(timers->lock)
{
    uint32_t index = (uint32_t)timer->index, i = timers->place[index];
    entry last = timers->heap[end_of(timers) - 1];

    timers->count--;
    timer->index = 0;
    put_index(timers, index);
    if (i != end_of(timers)) {
        if (i > ROOT && before(&last, &timers->heap[parent_of(i)]))
            sift_up(timers, i, &last);
        else
            sift_down(timers, i, &last);
    }
    publish_earliest(timers);
}

/* Removes the first, which is `leaving` from now on. */
static struct kin_timer *remove_first(struct kin__timers *timers)
    KIN_REQUIRES(timers->lock)
{
    struct kin_timer *timer = timers->timer[timers->heap[ROOT].index];

    remove_timer(timers, timer);
    timers->leaving = timer;
    timers->by = kin__thread();
    return timer;
}

/* --- Public --------------------------------------------------------------- */

void kin__timers_destroy(struct kin__timers *timers)
{
    KIN_CHECK(timers->count == 0);
    kin__free(timers->block);
    timers->block = NULL;
    timers->capacity = 0;
}

int kin__timers_arm(struct kin__timers *timers, struct kin_timer *timer,
                    int64_t deadline)
{
    int err = 0;

    kin__timers_disarm(timer);
    if (deadline == KIN_NEVER)
        return 0;
    kin__spin_lock(&timers->lock);
    while (!err && !has_room(timers))
        err = grow(timers);
    if (!err) {
        /* relaxed: a disarm that is not the owner's does not exist, and his
         * finds it in program order, or through the lock if it was moved */
        atomic_store_explicit(&timer->timers, timers, memory_order_relaxed);
        insert(timers, timer, deadline);
    }
    kin__spin_unlock(&timers->lock);
    return err;
}

/* Where timer is armed, with the lock held; NULL: nowhere, ever.  (Which lock
 * that is cannot be told to the analysis.) */
KIN_UNCHECKED
static struct kin__timers *lock_timers_of(struct kin_timer *timer)
{
    struct kin__timers *timers, *now;

    /* relaxed: whoever moved it did so under the lock, so a second look under
     * the lock is as new as the lock */
    timers = atomic_load_explicit(&timer->timers, memory_order_relaxed);
    while (timers) {
        kin__spin_lock(&timers->lock);
        now = atomic_load_explicit(&timer->timers, memory_order_relaxed);
        if (now == timers)
            return timers;
        kin__spin_unlock(&timers->lock);
        timers = now;
    }
    return NULL;
}

KIN_UNCHECKED
bool kin__timers_disarm(struct kin_timer *timer)
{
    struct kin__timers *timers;
    unsigned round = 0;
    bool was_armed;
    void *unused;

    while ((timers = lock_timers_of(timer)) != NULL) {
        /* leaving first: a timer on its way to others is theirs already */
        if (timers->leaving != timer || timers->by == kin__thread()) {
            was_armed = timer->index != 0;
            if (was_armed)
                remove_timer(timers, timer);
            if (timers->leaving != timer)
                /* relaxed: the owner's, who finds it in program order */
                atomic_store_explicit(&timer->timers, NULL,
                                      memory_order_relaxed);
            unused = drop_block(timers);
            kin__spin_unlock(&timers->lock);
            kin__free(unused);
            return was_armed;
        }
        kin__spin_unlock(&timers->lock);
        kin__spin_pause(&round);
    }
    return false;
}

size_t kin__timers_fire(struct kin__timers *timers, int64_t now)
{
    struct kin_timer *timer;
    size_t fired = 0;
    void *unused;

    kin__spin_lock(&timers->lock);
    if (timers->firing) {
        kin__spin_unlock(&timers->lock);
        return 0;
    }
    timers->firing = true;
    while (timers->count > 0 && timers->heap[ROOT].deadline <= now) {
        timer = remove_first(timers);
        kin__spin_unlock(&timers->lock);
        timer->fire(timer);
        fired++;
        kin__spin_lock(&timers->lock);
        timers->leaving = NULL;
    }
    timers->firing = false;
    unused = drop_block(timers);
    kin__spin_unlock(&timers->lock);
    kin__free(unused);
    return fired;
}

struct kin_timer *kin__timers_take(struct kin__timers *timers)
{
    struct kin_timer *timer = NULL;

    kin__spin_lock(&timers->lock);
    timers->leaving = NULL;
    if (timers->count > 0)
        timer = remove_first(timers);
    kin__spin_unlock(&timers->lock);
    return timer;
}
