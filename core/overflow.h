/* core/overflow.h -- a stack overflow is told, with names, before it kills.
 *
 * A handler for SIGSEGV and SIGBUS, on an alternate stack, tells which fiber's
 * stack was too small and what to do, and hands on to the handler before it:
 * by default the process then dies of the same signal at the same place.
 *
 * Core knows neither fibers' names nor the running thread: two pointers are
 * set by those who do.  Both are called in a signal handler, on any thread. */
#ifndef KIN_CORE_OVERFLOW_H
#define KIN_CORE_OVERFLOW_H

#include <stddef.h>

struct kin__stack;

/* Writes who runs on stack, like
 *     fiber "parse", launched at loader.c:12, job main/loader/parse
 * without a line's end; must terminate buffer.  NULL: not known. */
extern void (*kin__overflow_describe)(const struct kin__stack *stack,
                                      char *buffer, size_t size);

/* The stack that the calling thread runs on; NULL: its own, or none of kin's.
 * It is what tells apart a fiber that jumped over its guard, into another's
 * stack, from that other one. */
extern const struct kin__stack *(*kin__overflow_running)(void);

/* Installs the handler, once; done with the first stack.  Not if
 * kin_stack_report_overflow(false) was called. */
void kin__overflow_install(void);

/* Before a thread first runs a fiber: gives it an alternate stack, unless it
 * has one that is big enough.
 * Errors: KIN_ENOMEM; fibers can be run nevertheless, untold. */
int kin__overflow_thread_enter(void);

/* At the thread's end.  Puts the former alternate stack back.  A thread that
 * never entered may leave. */
void kin__overflow_thread_leave(void);

#endif /* KIN_CORE_OVERFLOW_H */
