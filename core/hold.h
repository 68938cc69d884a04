/* core/hold.h -- what a fiber must not do while it holds a lock: kin/lock.h. */
#ifndef KIN_CORE_HOLD_H
#define KIN_CORE_HOLD_H

#include "core/thread.h"

/* The caller is not allowed to suspend here: tells why, as misuse of function.
 * Returns KIN_EPERM.  verb: what it must not do, "suspend" or "block". */
int kin__hold_refuse(const char *function, const char *verb);

/* Its body has ended; what it still holds is told, and no longer watched. */
void kin__hold_end(struct kin__thread *thread);

#endif /* KIN_CORE_HOLD_H */
