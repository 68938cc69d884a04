/* core/record.h -- type-stable memory for what is launched.
 *
 * A record is KIN__RECORD_SIZE bytes that stay records for ever: one that was
 * freed may be had again, but its memory is never used for anything else nor
 * given back, and its first use finds it zeroed.  So the wait word in it
 * (core/wait.h) can be looked at by someone who is too late. */
#ifndef KIN_CORE_RECORD_H
#define KIN_CORE_RECORD_H

#include "core/thread.h"

#include <stddef.h>

#define KIN__RECORD_SIZE 320

/* NULL without memory.  What is in it is what the last user left.
 * Complexity: a few instructions from the thread's own list. */
void *kin__record_get(struct kin__thread *thread);
void kin__record_put(struct kin__thread *thread, void *record);

void kin__record_thread_exit(struct kin__thread *thread);

#endif /* KIN_CORE_RECORD_H */
