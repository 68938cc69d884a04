/* kin/fiber.h -- the bare fiber: a stack that can be left and continued.
 *
 * For generators, parsers and scripting; no job, no dispatcher, no scheduler.
 * A fiber runs where it is resumed, and gives control back to its resumer when
 * it suspends or ends:
 *
 *     static void *squares(void *first)
 *     {
 *         for (intptr_t i = (intptr_t)first;; i++)
 *             if (!kin_fiber_suspend((void *)(i * i)))
 *                 return NULL;
 *     }
 *
 *     kin_fiber *fiber;
 *     void *square;
 *     if (kin_fiber_new(squares, &fiber) == 0)
 *         kin_fiber_resume(fiber, (void *)1, &square);      // 1
 *     kin_fiber_destroy(fiber);
 *
 * Options are named arguments: kin_fiber_new(body, &fiber, .name = "lexer").
 * A fiber may be resumed from any thread, by one at a time, also from a fiber
 * that belongs to a job; what suspends a job inside it (kin_delay, …) parks the
 * whole job, and goes on in here.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread and on any fiber;
 *   - borrows its pointers, for the duration of the call only;
 *   - returns 0 or a negative KIN_E* code, and a failed call has no effect.
 *
 * Layer: core. */
#ifndef KIN_FIBER_H
#define KIN_FIBER_H

#include <kin/analyze.h>
#include <kin/error.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kin_fiber kin_fiber;

/* The body gets the value of the first resume; what it returns is what the
 * last resume yields. */
typedef void *kin_fiber_body(void *value);

typedef struct kin_fiber_options {
    kin_fiber **fiber;      /* set by the macro: where the handle goes       */
    size_t stack_size;      /* bytes of use; 0: the default, 64 KiB          */
    const char *name;       /* for diagnostics; must outlive the fiber       */
    void *memory;           /* run on this instead of a stack of kin's; no   */
    size_t memory_size;     /* guard below it; at least KIN_FIBER_MEMORY_MIN */
} kin_fiber_options;

#define KIN_FIBER_MEMORY_MIN 16384

/* Makes a fiber, suspended before body's first instruction.
 *
 * Owns:   *fiber is the caller's to destroy; memory must outlive it.
 * Errors: KIN_EINVAL for NULL, too small a memory or a size beyond 64 MiB;
 *         KIN_ENOMEM. */
#define kin_fiber_new(body, ...) \
    kin_fiber_new_with((body), &(kin_fiber_options){.fiber = __VA_ARGS__})
int kin_fiber_new_with(kin_fiber_body *body, const kin_fiber_options *options)
    KIN__MUST_CHECK;

/* Continues fiber, handing it value, until it suspends or ends; *out (which
 * may be NULL) is what it handed over.
 *
 * Errors: KIN_EINVAL for NULL, KIN_ESTALE when it has ended, KIN_EBUSY when it
 *         is running or waits for one that it resumed. */
int kin_fiber_resume(kin_fiber *fiber, void *value, void **out);

/* Gives value and control back to the resumer; returns the value of the next
 * resume.  Off a fiber of this kind: reported, returns NULL. */
void *kin_fiber_suspend(void *value) KIN_SUSPENDS;

/* Leaves the running fiber as kin_fiber_suspend does, but continues `to` in
 * its place, which inherits the resumer: symmetric transfer.  Returns the
 * value of the next resume (or transfer) through *out.
 * Errors: as kin_fiber_resume; KIN_ENOFIBER off a fiber. */
int kin_fiber_transfer(kin_fiber *to, void *value, void **out) KIN_SUSPENDS;

/* True when the body has returned; also for NULL. */
bool kin_fiber_is_done(const kin_fiber *fiber);

/* Gives the stack back.  A suspended fiber is dropped where it stands: nothing
 * on its stack is unwound or freed.  NULL is fine; one that is running is
 * reported and left alone. */
void kin_fiber_destroy(kin_fiber *fiber);

/* The running fiber of this kind, or NULL. */
kin_fiber *kin_fiber_current(void);

const char *kin_fiber_name(const kin_fiber *fiber);     /* NULL if unnamed   */

/* A pointer of the user's, NULL at first. */
void kin_fiber_set_local(kin_fiber *fiber, void *local);
void *kin_fiber_local(const kin_fiber *fiber);

/* Runs fn(arg) on the stack that the system gave this thread, and comes back:
 * for code that needs a big or a native stack (JNI, OpenSSL).  fn must not
 * suspend; a suspending call in it fails with KIN_EPERM.  Off a fiber it is a
 * plain call. */
void kin_call_on_thread_stack(void (*fn)(void *arg), void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_FIBER_H */
