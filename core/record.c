/* record.c -- records in slabs; a list per thread, a common depot.
 *
 * A free record is linked through its first word, which is warm when it comes
 * and wanted when it goes.  The wait word keeps its generation. */
#include "core/record_internal.h"

#include "core/check.h"
#include "core/memory.h"
#include "core/sanitize.h"

#define BATCH KIN__RECORD_BATCH

_Static_assert(sizeof(struct free_record) == KIN__RECORD_SIZE, "layout");

struct kin__record_depot kin__records;
#define depot kin__records

static struct free_record *pop_batch(void)
{
    struct free_record *batch;

    kin__spin_lock(&depot.lock);
    batch = depot.batches;
    if (batch)
        depot.batches = batch->next_batch;
    kin__spin_unlock(&depot.lock);
    return batch;
}

void kin__record_push_batch(struct free_record *batch)
{
    kin__spin_lock(&depot.lock);
    batch->next_batch = depot.batches;
    depot.batches = batch;
    kin__spin_unlock(&depot.lock);
}

static struct free_record *map_slab(void)
{
    size_t size = KIN__SLAB_RECORDS * KIN__RECORD_SIZE;
    void *memory;

    if (kin__map(kin__page_round(size), &memory) != 0)
        return NULL;
    if (!kin__record_slab_add(memory)) {
        kin__unmap(memory, kin__page_round(size));
        return NULL;
    }
    kin__lsan_root(memory, size);
    return memory;
}

/* A batch from a fresh slab; the rest of the slab becomes batches too. */
static struct free_record *slab_batch(void)
{
    struct free_record *records = kin__record_slab_take();

    if (!records)
        records = map_slab();
    if (!records)
        return NULL;
    for (size_t i = 0; i < KIN__SLAB_RECORDS; i++)
        records[i].next = (i + 1) % BATCH ? &records[i + 1] : NULL;
    for (size_t i = BATCH; i < KIN__SLAB_RECORDS; i += BATCH)
        kin__record_push_batch(&records[i]);
    return records;
}

static struct free_record *pop_strays(size_t *count)
{
    struct free_record *strays;

    kin__spin_lock(&depot.lock);
    strays = depot.strays;
    *count = depot.stray_count;
    depot.strays = NULL;
    depot.stray_count = 0;
    kin__spin_unlock(&depot.lock);
    return strays;
}

static __attribute__((noinline)) bool refill(struct kin__thread *thread)
{
    struct free_record *list = pop_batch();
    size_t count = BATCH;

    if (!list)
        list = pop_strays(&count);
    if (!list) {
        list = slab_batch();
        count = BATCH;
    }
    thread->records = list;
    thread->record_count = list ? count : 0;
    return list != NULL;
}

void *kin__record_get(struct kin__thread *thread)
{
    struct free_record *record;

    if (KIN__UNLIKELY(!thread->records && !refill(thread)))
        return NULL;
    record = thread->records;
    thread->records = record->next;
    thread->record_count--;
    return record;
}

/* Moves BATCH records from the thread's list to the depot. */
static __attribute__((noinline)) void spill(struct kin__thread *thread)
{
    struct free_record *batch = thread->records, *last = batch;

    for (int i = 1; i < BATCH; i++)
        last = last->next;
    thread->records = last->next;
    thread->record_count -= BATCH;
    last->next = NULL;
    kin__record_push_batch(batch);
}

void kin__record_put(struct kin__thread *thread, void *memory)
{
    struct free_record *record = memory;

    record->next = thread->records;
    thread->records = record;
    if (++thread->record_count >= KIN__RECORD_FULL)
        spill(thread);
}

void kin__record_thread_exit(struct kin__thread *thread)
{
    while (thread->record_count >= BATCH)
        spill(thread);
    kin__spin_lock(&depot.lock);
    while (thread->records) {
        struct free_record *record = thread->records;

        thread->records = record->next;
        record->next = depot.strays;
        depot.strays = record;
        depot.stray_count++;
    }
    kin__spin_unlock(&depot.lock);
    thread->record_count = 0;
}
