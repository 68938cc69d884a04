/* bench/step.h -- counts what a piece of the program executes, instruction by
 * instruction, by the CPU's trap flag.  x86-64.
 *
 * Between step_begin and step_end on one thread, across switches of stacks.  A
 * few microseconds for each instruction. */
#ifndef KIN_BENCH_STEP_H
#define KIN_BENCH_STEP_H

#include <stdint.h>

struct step_counts {
    long instructions;
    long locked;                /* with a lock prefix, or xchg with memory   */
    long syscalls;
    long allocations;           /* calls of malloc, free and their kin       */
    long mutexes;               /* calls of pthread_mutex_lock and its kin   */
};

void step_begin(void);
struct step_counts step_end(void);

/* Called with the address of each instruction before it is executed; in a
 * signal handler, on the handler's stack.  NULL: nobody. */
extern void (*step_visit)(uintptr_t address);

#endif /* KIN_BENCH_STEP_H */
