/* core/fiber.h -- a stack and where it stopped.
 *
 * The record of a fiber lies at the top of its stack (core/stack.h); the
 * thread's own stack is stood for by a record in struct kin__thread.  Upper
 * layers run runnables (core/run.h) on fibers; kin/fiber.h makes the fiber
 * itself public, for generators and parsers. */
#ifndef KIN_CORE_FIBER_H
#define KIN_CORE_FIBER_H

#include "core/exceptions.h"
#include "core/stack.h"
#include "kin/fiber.h"

#include <stdatomic.h>
#include <stdbool.h>

struct kin__thread;

struct kin_fiber {
    struct kin__stack stack;        /* first: the stack this record tops     */
    void (*entry)(void *value);     /* what a fresh one begins with          */
    void *value;                    /* handed over to it                     */

    struct kin__exceptions exceptions;  /* while it does not run             */

    /* What follows serves kin/fiber.h only. */
    kin_fiber_body *body;
    struct kin_fiber *resumer;      /* who goes on when this one suspends    */
    const char *name;
    void *local;
    _Atomic unsigned char state;    /* see generator.c                       */
    unsigned char left_as;          /* the state it is to have when left     */
    bool borrowed;                  /* on the caller's memory                */

    /* Sanitizers; unused otherwise (core/sanitize.h). */
    bool asan_arrived, asan_dying;
    void *asan_fake;
    const void *asan_bottom;
    size_t asan_size;
    void *tsan;
    unsigned tsan_uses;             /* of tsan, by other fibers before       */
};

_Static_assert(sizeof(struct kin_fiber) <= KIN__STACK_RECORD,
               "the record fits what a stack reserves for it");

/* A fiber on a stack of at least size bytes (0: the default), that will call
 * entry(value) when first continued; entry must not return.  NULL without
 * memory, or for a size beyond what there is. */
struct kin_fiber *kin__fiber_get(struct kin__thread *thread, size_t size,
                                 void (*entry)(void *value));

/* The same on the caller's memory of at least KIN_FIBER_MEMORY_MIN bytes. */
struct kin_fiber *kin__fiber_on_memory(void *memory, size_t size,
                                       void (*entry)(void *value));

/* Gives the stack back; the fiber is suspended, or has been left for good. */
void kin__fiber_put(struct kin__thread *thread, struct kin_fiber *fiber);

/* Says, before a last switch, that from will not be continued. */
static inline void kin__fiber_dying(struct kin_fiber *from)
{
    from->asan_dying = true;
}

#endif /* KIN_CORE_FIBER_H */
