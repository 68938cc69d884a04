/* core/trace.h -- where a fiber is: return addresses, and their names.
 *
 * Of the running fiber they are got by unwinding; of a parked one with a trick.
 * Nothing here is compiled with frame pointers, so a stack is read by the
 * unwinder, and that reads the stack it runs on.  So the unwinder is run *on*
 * the parked fiber's stack, below what it has saved, by kin__switch_then, whose
 * callee may leave it for ever at any point: nothing that is saved is touched.
 *
 * It writes up to KIN__TRACE_ROOM bytes below the fiber's own frames, so the
 * statistics of stacks (kin/stack.h) see a deeper use than there was. */
#ifndef KIN_CORE_TRACE_H
#define KIN_CORE_TRACE_H

#include "core/fiber.h"

#include <stddef.h>
#include <stdint.h>

/* A fiber with less than that left on its stack is not traced. */
#define KIN__TRACE_ROOM ((size_t)12 << 10)

/* To be called once before kin__trace, where the thread may take locks and
 * memory: the unwinder makes itself ready. */
void kin__trace_prepare(void);

/* Stores up to `room` return addresses of a fiber that is parked and stays so
 * (kin__wait_hold), innermost first; returns how many.  0 where it cannot be
 * done: with sanitizers, which would have to be told of every step, and with
 * Boost's switch. */
size_t kin__trace(const struct kin_fiber *fiber, const void **at, size_t room);

/* The same of the calling stack, from the caller's own frame outwards. */
size_t kin__trace_here(const void **at, size_t room);

/* Writes "function+0x1d (module+0x4210)" for a return address: the function
 * only if it is exported, "0x..." if the address is in no module.  The length,
 * as snprintf. */
size_t kin__trace_name(uintptr_t address, char *buffer, size_t size);

#define KIN__TRACE_NAME 512         /* bytes that nearly all names fit       */

#endif /* KIN_CORE_TRACE_H */
