/* dispatch/os_thread.h -- threads of kin's own. */
#ifndef KIN_DISPATCH_OS_THREAD_H
#define KIN_DISPATCH_OS_THREAD_H

#include <pthread.h>

/* Starts a joinable thread in which signals that come from outside are
 * blocked: they are for the program's own threads.
 * Errors: KIN_EAGAIN. */
int kin__os_thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

/* Names the calling thread "name-number", or "name" if number is 0, as far as
 * it fits, and has it woken to the point when it sleeps until a time. */
void kin__os_thread_enter(const char *name, int number);

/* Of a thread that is not kin's own: has the kernel wake it in time, not some
 * 50 us later, until that is restored.  *saved is 0 before and afterwards. */
void kin__os_slack_less(unsigned long *saved);
void kin__os_slack_restore(unsigned long *saved);

#endif /* KIN_DISPATCH_OS_THREAD_H */
