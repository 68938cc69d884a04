/* core/record_internal.h -- what record.c and record_trim.c share. */
#ifndef KIN_CORE_RECORD_INTERNAL_H
#define KIN_CORE_RECORD_INTERNAL_H

#include "core/record.h"
#include "core/run.h"
#include "core/spin.h"

#include <stddef.h>
#include <stdint.h>

/* How many go to or come from the depot, and when a thread has too many. */
#if KIN__HARD
#define KIN__RECORD_BATCH 1
#define KIN__RECORD_FULL  2         /* a thread keeps one                    */
#else
#define KIN__RECORD_BATCH 64
#define KIN__RECORD_FULL  (4 * KIN__RECORD_BATCH)
#endif
#define KIN__SLAB_RECORDS 192       /* three batches, less than 64 KiB       */

struct free_record {
    struct free_record *next;
    struct free_record *next_batch;     /* in the depot, of a batch's first  */
    unsigned char used[KIN__RECORD_SIZE - 2 * sizeof(void *)];
};

/* A wait word keeps its generation while the record is free. */
_Static_assert(offsetof(struct free_record, used)
                   <= offsetof(struct kin__runnable, wait_word),
               "a free record has its wait word still");

/* What is free and in no thread's list; guarded by lock. */
struct kin__record_depot {
    struct kin__spin lock;
    struct free_record *batches;        /* of exactly KIN__RECORD_BATCH      */
    struct free_record *strays;         /* of threads that ended             */
    size_t stray_count;
};
extern struct kin__record_depot kin__records;

void kin__record_push_batch(struct free_record *batch);

/* Remembers a slab that was mapped; false without memory. */
bool kin__record_slab_add(struct free_record *slab);

/* A slab whose memory went back to the system: its records are zeroes, but for
 * their wait words, which are beyond all that were.  NULL: there is none. */
struct free_record *kin__record_slab_take(void);

#endif /* KIN_CORE_RECORD_INTERNAL_H */
