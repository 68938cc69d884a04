/* kin/stack.h -- the stacks of fibers: how many, how big, how deep.
 *
 * A fiber's stack is 64 KiB of address space unless its launch says otherwise
 * (.stack_size, 4 KiB to 64 MiB, rounded up); memory is what it has touched:
 * usually a page.  To learn what a program really needs, run it and print
 * what its bodies used:
 *
 *     kin_stack_use uses[64];
 *     size_t n = kin_stack_usage(uses, 64);
 *     for (size_t i = 0; i < n && i < 64; i++)
 *         printf("%p %zu bytes\n", uses[i].function,
 *                uses[i].high_water_bytes);
 *
 * Stacks are kept for reuse; kin_trim() gives them back, when the system asks
 * for memory (onTrimMemory) or a busy time is over.
 *
 * With KIN_WIPE_STACKS set in the environment (and not in a setuid program),
 * no fiber finds on its stack what another one left there.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread and on any fiber, and never suspends;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * Layer: core. */
#ifndef KIN_STACK_H
#define KIN_STACK_H

#include <kin/error.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The bytes of use that a fiber gets if its launch says nothing, and the most
 * that it can ask for. */
#define KIN_STACK_SIZE_DEFAULT ((size_t)64 << 10)
#define KIN_STACK_SIZE_MAX     ((size_t)64 << 20)

/* Each number is right for some moment during the call; together they fit
 * only if no other thread was using stacks meanwhile. */
typedef struct kin_stack_stats {
    size_t live;                /* stacks with something on them             */
    size_t cached;              /* kept with their pages, for reuse          */
    size_t free;                /* kept without their pages                  */
    size_t slabs;               /* mappings that stacks are cut from         */
    size_t bytes_mapped;        /* address space, guards included            */
    size_t bytes_cached;        /* in the depot: what the limit is about     */
    size_t bytes_resident;      /* estimate: a page for each live stack, and
                                   what is known of the cached ones          */
    size_t bytes_limit;         /* as set by kin_stack_set_limit_bytes       */
    size_t bytes_high_water;    /* the deepest use seen on any stack         */
    size_t bytes_page;          /* the system's page size                    */
    /* How overflow is stopped, of the stacks that exist (live, cached, free):
     * where the kernel has lightweight guards, all of them; else mprotect as
     * far as the limit on mappings goes (vm.max_map_count). */
    size_t guarded_by_madvise;
    size_t guarded_by_mprotect;
    size_t unguarded;
} kin_stack_stats;

/* Errors: KIN_EINVAL for NULL. */
int kin_stack_get_stats(kin_stack_stats *stats);

/* Gives the memory of all stacks not in use back to the system, and the address
 * space of slabs in which no stack is.  Of other threads' own caches (64 stacks
 * at the most) each thread takes care when it next goes to sleep.
 * Returns the bytes given back: memory (estimated) or address space, whichever
 * is more. */
size_t kin_trim(void);

/* How many bytes stacks that nobody uses may occupy, beyond the 64 that each
 * thread may keep; more are given back at once.  Default 128 MiB; 0 keeps
 * none. */
void kin_stack_set_limit_bytes(size_t bytes);

/* What the bodies launched with one function used of their stacks. */
typedef struct kin_stack_use {
    const void *function;       /* NULL: all for which there was no room     */
    unsigned long long runs;    /* bodies that ended                         */
    unsigned long long measured; /* of these, on a stack cleared before      */
    /* The deepest use seen, to be compared with .stack_size.  It was really
     * used: what is needed is this or more.  Measured runs (the first four
     * of a function, then one in 16384) are seen to the word; of the others,
     * those that go deeper than any before them on the same stack. */
    size_t high_water_bytes;
} kin_stack_use;

/* Fills in up to count entries, the deepest first.  Returns how many there
 * are, which may be more.  uses may be NULL if count is 0. */
size_t kin_stack_usage(kin_stack_use *uses, size_t count);

/* Whether an overflow of a fiber's stack is told on stderr before the process
 * dies of it (default: yes).  This takes a handler for SIGSEGV and SIGBUS,
 * installed with the first stack, which hands on to the one before it.
 * false puts the former handlers back, if kin's is still the last. */
void kin_stack_report_overflow(bool on);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_STACK_H */
