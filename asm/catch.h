/* asm/catch.h -- a call that an exception does not get past.
 *
 * For the frames above it an exception (of C++, or of whatever else unwinds by
 * the rules of the C++ ABI) finds a handler here; below it nothing has to know
 * about exceptions.  It costs a frame, and nothing of the exception machine
 * unless something is thrown. */
#ifndef KIN_ASM_CATCH_H
#define KIN_ASM_CATCH_H

#include <stdint.h>

typedef int kin__caught_fn(void *a, void *b, uintptr_t c);

/* Returns fn(a, b, c).  If an exception left fn: 0, with *exception set to it
 * (a struct _Unwind_Exception); else *exception is left alone.  A forced
 * unwinding (the end of a thread) passes through. */
int kin__call_catching(kin__caught_fn *fn, void *a, void *b, uintptr_t c,
                       void **exception);

#endif /* KIN_ASM_CATCH_H */
