/* core/record.h -- type-stable memory for what is launched.
 *
 * A record is KIN__RECORD_SIZE bytes that stay records for ever: one that was
 * freed may be had again, but its address is never used for anything else, and
 * its first use finds it zeroed.  So the wait word in it (core/wait.h) can be
 * looked at by someone who is too late.  What memory is behind free records
 * goes back to the system when it is asked for; generations go on all the
 * same. */
#ifndef KIN_CORE_RECORD_H
#define KIN_CORE_RECORD_H

#include "core/thread.h"

#include <stddef.h>

/* In a hard build a runnable is two pointers bigger. */
#define KIN__RECORD_SIZE (296 + (KIN__HARD ? 2 * sizeof(void *) : 0))

/* NULL without memory.  What is in it is what the last user left.
 * Complexity: a few instructions from the thread's own list. */
void *kin__record_get(struct kin__thread *thread);
void kin__record_put(struct kin__thread *thread, void *record);

void kin__record_thread_exit(struct kin__thread *thread);

/* Gives the memory of slabs in which every record is free back to the system.
 * Returns the bytes.  Complexity: O(free records). */
size_t kin__record_trim(struct kin__thread *thread);

#endif /* KIN_CORE_RECORD_H */
