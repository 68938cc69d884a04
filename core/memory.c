/* memory.c -- what the system may refuse, with a watch that tests switch on.
 *
 * `watched` is false in a program.  While it is true, every call is counted
 * and compared with the number that is to fail; exact counts matter more than
 * speed there, so the counters are plain shared atomics.
 *
 * Mappings are counted always: they are rare. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/memory.h"

#include "core/check.h"
#include "kin/error.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* All relaxed: statistics, and settings made before the threads start. */
static atomic_bool watched;
static atomic_ulong calls;
static atomic_ulong hits;
static atomic_ulong fail_number;        /* 0: none */
static atomic_bool fail_forever;
static atomic_long blocks;
static atomic_bool threads_were_made;
static atomic_size_t bytes_mapped;
static atomic_size_t page_size;         /* 0: not asked yet */
static atomic_size_t page_double;       /* 0: none */

#define LOAD(x)     atomic_load_explicit(&(x), memory_order_relaxed)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)
#define ADD(x, v)   atomic_fetch_add_explicit(&(x), (v), memory_order_relaxed)
#define SUB(x, v)   atomic_fetch_sub_explicit(&(x), (v), memory_order_relaxed)

static bool is_watched(void)
{
    return __builtin_expect(LOAD(watched), false);
}

__attribute__((cold)) static bool watched_call_fails(void)
{
    unsigned long number = ADD(calls, 1) + 1;
    unsigned long at = LOAD(fail_number);
    bool fails = at && (LOAD(fail_forever) ? number >= at : number == at);

    if (fails)
        ADD(hits, 1);
    return fails;
}

bool kin__fault(void)
{
    return is_watched() && watched_call_fails();
}

static void *count_block(void *block)
{
    if (block && is_watched())
        ADD(blocks, 1);
    return block;
}

void *kin__malloc(size_t size)
{
    return kin__fault() ? NULL : count_block(malloc(size));
}

void *kin__calloc(size_t count, size_t size)
{
    return kin__fault() ? NULL : count_block(calloc(count, size));
}

void *kin__realloc(void *block, size_t size)
{
    void *moved;

    if (kin__fault())
        return NULL;
    moved = realloc(block, size);
    return block ? moved : count_block(moved);
}

void kin__free(void *block)
{
    if (block && is_watched())
        SUB(blocks, 1);
    free(block);
}

void kin__free_foreign(void *block)
{
    free(block);
}

static void *map(size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
                0);
}

/* The test double: mappings begin where such a page would. */
static void *map_bigger_pages(size_t size, size_t page)
{
    char *start = map(size + page);
    size_t skip;

    if (start == MAP_FAILED)
        return MAP_FAILED;
    skip = -(uintptr_t)start & (page - 1);
    if (skip)
        munmap(start, skip);
    munmap(start + skip + size, page - skip);
    return start + skip;
}

int kin__map(size_t size, void **out)
{
    size_t bigger = LOAD(page_double);
    void *start;

    if (kin__fault())
        return KIN_ENOMEM;
    start = bigger ? map_bigger_pages(size, bigger) : map(size);
    if (start == MAP_FAILED)
        return KIN_ENOMEM;
    /* MAP_STACK says it too, since 6.7; a kernel that has no huge pages
     * refuses, and is right. */
    (void)madvise(start, size, MADV_NOHUGEPAGE);
    ADD(bytes_mapped, size);
    *out = start;
    return 0;
}

int kin__unmap(void *start, size_t size)
{
    if (kin__fault() || munmap(start, size) != 0)
        return KIN_ENOMEM;
    SUB(bytes_mapped, size);
    return 0;
}

int kin__advise(void *start, size_t size, int advice)
{
    if (kin__fault())
        return KIN_ENOMEM;
    return madvise(start, size, advice) == 0 ? 0 : -errno;
}

int kin__protect(void *start, size_t size, int protection)
{
    if (kin__fault())
        return KIN_ENOMEM;
    return mprotect(start, size, protection) == 0 ? 0 : -errno;
}

int kin__thread_create(pthread_t *thread, void *(*run)(void *), void *arg)
{
    if (kin__fault() || pthread_create(thread, NULL, run, arg) != 0)
        return KIN_EAGAIN;
    STORE(threads_were_made, true);
    return 0;
}

bool kin__threads_were_made(void)
{
    return LOAD(threads_were_made);
}

int kin__event_fd(int flags, int *fd)
{
    *fd = kin__fault() ? -1 : eventfd(0, EFD_CLOEXEC | flags);
    return *fd < 0 ? KIN_EAGAIN : 0;
}

int kin__timer_fd(int *fd)
{
    *fd = kin__fault() ? -1 : timerfd_create(CLOCK_MONOTONIC,
                                             TFD_NONBLOCK | TFD_CLOEXEC);
    return *fd < 0 ? KIN_EAGAIN : 0;
}

int kin__open(const char *path, int *fd)
{
    if (kin__fault())
        return -EMFILE;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? -errno : 0;
}

/* The test double: a page is there if a page of the system's in it is. */
static int resident_bigger_pages(char *start, size_t count,
                                 unsigned char *resident, size_t page)
{
    unsigned char parts[64];
    size_t n = page / (size_t)sysconf(_SC_PAGESIZE);

    KIN_CHECK(n <= sizeof parts);
    for (size_t i = 0; i < count; i++) {
        if (mincore(start + i * page, page, parts) != 0)
            return KIN_ENOMEM;
        resident[i] = 0;
        for (size_t k = 0; k < n; k++)
            resident[i] |= parts[k];
    }
    return 0;
}

int kin__resident(void *start, size_t count, unsigned char *resident)
{
    size_t bigger = LOAD(page_double);

    if (bigger)
        return resident_bigger_pages(start, count, resident, bigger);
    return mincore(start, count * kin__page_size(), resident) == 0
        ? 0 : KIN_ENOMEM;
}

size_t kin__page_size(void)
{
    size_t size = LOAD(page_size);

    if (size == 0) {
        size = (size_t)sysconf(_SC_PAGESIZE);
        STORE(page_size, size);
    }
    return size;
}

void kin__page_size_set(size_t size)
{
    STORE(page_size, size);
    STORE(page_double, size);
}

void kin__memory_watch(bool on)
{
    STORE(watched, on);
}

void kin__fail_at(unsigned long n, bool forever)
{
    STORE(calls, 0);
    STORE(hits, 0);
    STORE(fail_forever, forever);
    STORE(fail_number, n);
    STORE(watched, true);
}

unsigned long kin__fail_calls(void)
{
    return LOAD(calls);
}

unsigned long kin__fail_hits(void)
{
    return LOAD(hits);
}

void kin__memory_get_stats(struct kin__memory_stats *stats)
{
    stats->blocks = LOAD(blocks);
    stats->bytes_mapped = LOAD(bytes_mapped);
}
