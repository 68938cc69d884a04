/* record_trim.c -- memory of free records back to the system.
 *
 * A slab goes back as a whole, by madvise: it stays mapped, so whoever looks
 * late at a wait word in it finds zeroes, which is no generation.  When it is
 * used again its words begin beyond the highest generation that any slab had
 * when it went: what was handed out before will never fit.
 *
 * Nothing says of a free record to which slab it belongs; so a trim counts:
 * it takes the depot, looks each record up in the sorted slabs, and puts back
 * those whose slab is not all there. */
#include "core/memory.h"
#include "core/record_internal.h"
#include "core/run.h"
#include "core/wait.h"

#include <pthread.h>
#include <sys/mman.h>

#define SLAB_BYTES (KIN__SLAB_RECORDS * KIN__RECORD_SIZE)
#define DIRECTORY_BYTES ((size_t)64 << 10)

struct slab {
    struct free_record *records;        /* constant                          */
    uint32_t free;                      /* the trim's: how many it has seen  */
    bool given;                         /* back to the system                */
};

/* All slabs, in pages that are linked; guarded by the depot's lock. */
struct directory {
    struct directory *next;
    size_t count;
    struct slab slabs[];
};
#define DIRECTORY_SLABS                                              \
    ((DIRECTORY_BYTES - sizeof(struct directory)) / sizeof(struct slab))

static struct directory *directory;
static size_t slab_count, given_count;
static uint64_t beyond;                 /* all wait words that were given    */

static pthread_mutex_t trimming = PTHREAD_MUTEX_INITIALIZER;

/* --- The directory -------------------------------------------------------- */

static bool add_locked(struct free_record *slab)
{
    if (!directory || directory->count == DIRECTORY_SLABS)
        return false;
    directory->slabs[directory->count++] = (struct slab){ .records = slab };
    slab_count++;
    return true;
}

static void link_locked(struct directory *page)
{
    page->next = directory;
    directory = page;
}

bool kin__record_slab_add(struct free_record *slab)
{
    void *page;
    bool added;

    kin__spin_lock(&kin__records.lock);
    added = add_locked(slab);
    kin__spin_unlock(&kin__records.lock);
    if (added)
        return true;
    if (kin__map(kin__page_round(DIRECTORY_BYTES), &page) != 0)
        return false;
    kin__spin_lock(&kin__records.lock);
    link_locked(page);
    added = add_locked(slab);
    kin__spin_unlock(&kin__records.lock);
    return added;
}

/* relaxed: nobody uses them yet */
static void set_wait_words(struct free_record *records, uint64_t word)
{
    for (size_t i = 0; i < KIN__SLAB_RECORDS; i++)
        atomic_store_explicit(
            &((struct kin__runnable *)(void *)&records[i])->wait_word, word,
            memory_order_relaxed);
}

static struct slab *find_given_locked(void)
{
    if (!given_count)
        return NULL;
    for (struct directory *page = directory; page; page = page->next)
        for (size_t i = page->count; i-- > 0;)
            if (page->slabs[i].given)
                return &page->slabs[i];
    return NULL;
}

struct free_record *kin__record_slab_take(void)
{
    struct free_record *records = NULL;
    struct slab *slab;
    uint64_t word;

    kin__spin_lock(&kin__records.lock);
    slab = find_given_locked();
    if (slab) {
        slab->given = false;
        given_count--;
        records = slab->records;
    }
    word = beyond;
    kin__spin_unlock(&kin__records.lock);
    if (records)
        set_wait_words(records, word);
    return records;
}

/* --- Counting ------------------------------------------------------------- */

/* The slabs by address: pointers into the directory, whose pages stay. */
static void sift(struct slab **slabs, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        struct slab *up = slabs[root];

        if (child + 1 < count
            && slabs[child + 1]->records > slabs[child]->records)
            child++;
        if (slabs[child]->records <= up->records)
            return;
        slabs[root] = slabs[child];
        slabs[child] = up;
    }
}

static void sort(struct slab **slabs, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(slabs, i, count);
    for (size_t end = count; end-- > 1;) {
        struct slab *highest = slabs[0];

        slabs[0] = slabs[end];
        slabs[end] = highest;
        sift(slabs, 0, end);
    }
}

static size_t list_locked(struct slab **slabs, size_t room)
{
    size_t count = 0;

    for (struct directory *page = directory; page; page = page->next)
        for (size_t i = 0; i < page->count && count < room; i++) {
            page->slabs[i].free = 0;
            slabs[count++] = &page->slabs[i];
        }
    return count;
}

static struct slab *slab_of(struct slab **slabs, size_t count,
                            const struct free_record *record)
{
    size_t low = 0;

    while (count > 1) {
        size_t half = count / 2;

        if (slabs[low + half]->records <= record)
            low += half;
        count -= half;
    }
    return slabs[low];
}

static bool is_in(const struct slab *slab, const struct free_record *record)
{
    return record >= slab->records
        && record < slab->records + KIN__SLAB_RECORDS;
}

/* All free records, in one list. */
static struct free_record *take_depot_locked(void)
{
    struct free_record *list = kin__records.strays, *batch, *record;

    while ((batch = kin__records.batches)) {
        kin__records.batches = batch->next_batch;
        for (record = batch; record->next; record = record->next)
            ;
        record->next = list;
        list = batch;
    }
    kin__records.strays = NULL;
    kin__records.stray_count = 0;
    return list;
}

static uint64_t count_free(struct slab **slabs, size_t count,
                           struct free_record *list)
{
    uint64_t highest = 0;

    for (; list; list = list->next) {
        struct slab *slab = slab_of(slabs, count, list);
        /* relaxed: the record is free, and ours */
        uint64_t word = atomic_load_explicit(
            &((struct kin__runnable *)(void *)list)->wait_word,
            memory_order_relaxed);

        highest = word > highest ? word : highest;
        slab->free += is_in(slab, list);
    }
    return highest;
}

/* --- Putting back, giving back -------------------------------------------- */

/* Puts back what is not to go; NULL slabs: everything. */
static void put_back(struct slab **slabs, size_t count,
                     struct free_record *list)
{
    struct free_record *batch = NULL, *next;
    size_t length = 0;

    for (; list; list = next) {
        next = list->next;
        if (slabs
            && slab_of(slabs, count, list)->free == KIN__SLAB_RECORDS)
            continue;
        list->next = batch;
        batch = list;
        if (++length == KIN__RECORD_BATCH) {
            kin__record_push_batch(batch);
            batch = NULL;
            length = 0;
        }
    }
    kin__spin_lock(&kin__records.lock);
    for (; batch; batch = next) {
        next = batch->next;
        batch->next = kin__records.strays;
        kin__records.strays = batch;
        kin__records.stray_count++;
    }
    kin__spin_unlock(&kin__records.lock);
}

static size_t give(struct slab **slabs, size_t count, uint64_t highest)
{
    uint64_t next = (highest >> KIN__GENERATION_SHIFT) + 1;
    size_t given = 0;

    for (size_t i = 0; i < count; i++)
        if (slabs[i]->free == KIN__SLAB_RECORDS)
            kin__advise(slabs[i]->records, kin__page_round(SLAB_BYTES),
                        MADV_DONTNEED);
    kin__spin_lock(&kin__records.lock);
    if (beyond < next << KIN__GENERATION_SHIFT)
        beyond = next << KIN__GENERATION_SHIFT;
    for (size_t i = 0; i < count; i++)
        if (slabs[i]->free == KIN__SLAB_RECORDS) {
            slabs[i]->given = true;
            given++;
        }
    given_count += given;
    kin__spin_unlock(&kin__records.lock);
    return given * SLAB_BYTES;
}

static size_t trim(struct slab **slabs, size_t room)
{
    struct free_record *list;
    uint64_t highest;
    size_t count;
    bool all;

    kin__spin_lock(&kin__records.lock);
    list = take_depot_locked();
    count = list_locked(slabs, room);
    all = count == slab_count;
    kin__spin_unlock(&kin__records.lock);
    if (!list || !all) {
        put_back(NULL, 0, list);
        return 0;
    }
    sort(slabs, count);
    highest = count_free(slabs, count, list);
    put_back(slabs, count, list);
    return give(slabs, count, highest);
}

size_t kin__record_trim(struct kin__thread *thread)
{
    size_t room, bytes, given = 0;
    void *slabs;

    kin__record_thread_exit(thread);
    pthread_mutex_lock(&trimming);
    kin__spin_lock(&kin__records.lock);
    room = slab_count + 16;             /* others may map some meanwhile */
    kin__spin_unlock(&kin__records.lock);
    bytes = kin__page_round(room * sizeof(struct slab *));
    if (room > 16 && kin__map(bytes, &slabs) == 0) {
        given = trim(slabs, bytes / sizeof(struct slab *));
        kin__unmap(slabs, bytes);
    }
    pthread_mutex_unlock(&trimming);
    return given;
}
