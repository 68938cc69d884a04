/* core/memory.h -- the one way to what the system may refuse: heap, mappings,
 * advice, protection, threads, descriptors.
 *
 * Every such call of the library is made here (make check-symbols), so that a
 * test can make the n-th of them fail and can see that nothing is left.  In
 * normal use that costs a relaxed load and a branch that is never taken.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread and on any fiber, and never suspends;
 *   - returns 0 or a negative errno, and a failed call has no effect. */
#ifndef KIN_CORE_MEMORY_H
#define KIN_CORE_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* As in <stdlib.h>.  NULL: no memory. */
void *kin__malloc(size_t size) __attribute__((malloc));
void *kin__calloc(size_t count, size_t size) __attribute__((malloc));
void *kin__realloc(void *block, size_t size);
void kin__free(void *block);
void kin__free_foreign(void *block);        /* not from here, so not counted */

/* Maps size bytes of zeroes: private, readable and writable, not reserved,
 * never in huge pages.  size is a multiple of the page size.
 * Errors: KIN_ENOMEM, whatever the reason. */
int kin__map(size_t size, void **out);

/* Errors: KIN_ENOMEM when the kernel would have to split a mapping and may
 * not; what was mapped is mapped still. */
int kin__unmap(void *start, size_t size);

int kin__advise(void *start, size_t size, int advice);        /* madvise  */
int kin__protect(void *start, size_t size, int protection);   /* mprotect */

/* A joinable thread.  Errors: KIN_EAGAIN. */
int kin__thread_create(pthread_t *thread, void *(*run)(void *), void *arg);
bool kin__threads_were_made(void);

/* An eventfd, closed on exec.  Errors: KIN_EAGAIN. */
int kin__event_fd(int flags, int *fd);

/* A timerfd of the monotonic clock that does not block, closed on exec.
 * Errors: KIN_EAGAIN. */
int kin__timer_fd(int *fd);

/* A file to be read, closed on exec.  Errors: -errno. */
int kin__open(const char *path, int *fd);

/* Says of each of the `count` pages from start whether it is in memory.
 * Errors: KIN_ENOMEM if one is not mapped. */
int kin__resident(void *start, size_t count, unsigned char *resident);

/* The system's page size, or a test's.  A power of two. */
size_t kin__page_size(void);

static inline size_t kin__page_round(size_t size)
{
    size_t page = kin__page_size();

    return (size + page - 1) & ~(page - 1);
}

/* --- For tests -------------------------------------------------------- */

/* True if this call is to fail: asked before each of those above. */
bool kin__fault(void);

/* Makes the n-th call from now on fail (1: the next), and all after it if
 * forever.  0 ends it.  Switches the watch on. */
void kin__fail_at(unsigned long n, bool forever);

/* Since kin__fail_at(): calls made, and how many of them were refused. */
unsigned long kin__fail_calls(void);
unsigned long kin__fail_hits(void);

struct kin__memory_stats {
    long blocks;                /* heap blocks, if watched all the time      */
    size_t bytes_mapped;        /* by kin__map                               */
};
void kin__memory_watch(bool on);
void kin__memory_get_stats(struct kin__memory_stats *stats);

/* The test double: a multiple of the system's page size; 0: the system's.
 * To be set before anything has been mapped. */
void kin__page_size_set(size_t size);

#endif /* KIN_CORE_MEMORY_H */
