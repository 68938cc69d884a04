/* dispatch/unconfined.h -- the dispatcher that does not. */
#ifndef KIN_DISPATCH_UNCONFINED_H
#define KIN_DISPATCH_UNCONFINED_H

#include "kin/analyze.h"

/* Yields to the other in-place slices that are queued on this thread, if any.
 * Returns what kin__park does; 0 if there was nothing to yield to. */
int kin__unconfined_yield(void) KIN_SUSPENDS;

#endif /* KIN_DISPATCH_UNCONFINED_H */
