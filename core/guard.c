/* guard.c -- what stops a stack from running into its neighbour.
 *
 *   MADVISE    MADV_GUARD_INSTALL (Linux 6.13): a mark in the page table, no
 *              mapping of its own; survives MADV_DONTNEED
 *   MPROTECT   splits the slab's mapping: two more of the 65 530 that a
 *              process may have.  A quarter is left to the program.
 *   NONE       when that is used up
 *
 * Which one works is found out by trying, never by the kernel's version:
 * vendors backport, and emulators accept any advice and do nothing.  So the
 * first guard is checked: a system call that is to read it must get EFAULT. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/stack_internal.h"

#include "core/memory.h"
#include "core/valgrind.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define DEFAULT_MAX_MAP_COUNT 65530
#define SIGNAL_FRAME_GUESS    4096      /* if the kernel does not say */

enum verdict { UNTRIED, WORKS, FAILS };

/* All relaxed: every thread that tries comes to the same verdict, and the
 * count of protected guards is a budget that may be missed by a few. */
static _Atomic int madvise_verdict;
static _Atomic int forced;
static atomic_size_t protected_count;
static atomic_size_t protected_max;     /* 0: not read yet */

void kin__stack_force_guard(enum kin__guard guard)
{
    atomic_store_explicit(&forced, guard, memory_order_relaxed);
}

static bool traps(const void *address)
{
    int before = errno;
    bool result = access(address, F_OK) != 0 && errno == EFAULT;

    errno = before;
    return result;
}

static bool guard_by_madvise(void *start, size_t size)
{
    int verdict =
        atomic_load_explicit(&madvise_verdict, memory_order_relaxed);
    int err;

    if (verdict == FAILS)
        return false;
    /* Valgrind would look at what the system call is to be refused. */
    err = kin__on_valgrind() ? -EINVAL
                             : kin__advise(start, size, MADV_GUARD_INSTALL);
    if (err == 0 && (verdict == WORKS || traps(start))) {
        if (verdict == UNTRIED)
            atomic_store_explicit(&madvise_verdict, WORKS,
                                  memory_order_relaxed);
        return true;
    }
    if (err == 0 || err == -EINVAL)     /* a lie, or unknown (or mlocked) */
        atomic_store_explicit(&madvise_verdict, FAILS, memory_order_relaxed);
    return false;
}

/* Three quarters of the mappings, two for each guard. */
static size_t read_protected_max(void)
{
    char text[32];
    long count = DEFAULT_MAX_MAP_COUNT;
    int fd;

    if (kin__open("/proc/sys/vm/max_map_count", &fd) == 0) {
        ssize_t length = read(fd, text, sizeof text - 1);

        if (length > 0) {
            text[length] = '\0';
            count = strtol(text, NULL, 10);
        }
        close(fd);
    }
    return count > 8 ? (size_t)count / 8 * 3 : 1;
}

static bool guard_by_mprotect(void *start, size_t size)
{
    size_t max = atomic_load_explicit(&protected_max, memory_order_relaxed);

    if (max == 0) {
        max = read_protected_max();
        atomic_store_explicit(&protected_max, max, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&protected_count, 1,
                                  memory_order_relaxed) < max &&
        kin__protect(start, size, PROT_NONE) == 0)
        return true;
    kin__guard_forget(KIN__GUARD_MPROTECT, 1);
    return false;
}

enum kin__guard kin__guard_install(void *start, size_t size)
{
    int only = atomic_load_explicit(&forced, memory_order_relaxed);

    if ((only == KIN__GUARD_UNSET || only == KIN__GUARD_MADVISE) &&
        guard_by_madvise(start, size))
        return KIN__GUARD_MADVISE;
    if ((only == KIN__GUARD_UNSET || only == KIN__GUARD_MPROTECT) &&
        guard_by_mprotect(start, size))
        return KIN__GUARD_MPROTECT;
    return KIN__GUARD_NONE;
}

void kin__guard_forget(enum kin__guard guard, size_t count)
{
    if (guard == KIN__GUARD_MPROTECT)
        atomic_fetch_sub_explicit(&protected_count, count,
                                  memory_order_relaxed);
}

size_t kin__signal_frame_size(void)
{
    size_t size = (size_t)getauxval(AT_MINSIGSTKSZ);

    return size ? size : SIGNAL_FRAME_GUESS;
}
