/* core/clock.h -- the clock for those who need not know exactly. */
#ifndef KIN_CORE_CLOCK_H
#define KIN_CORE_CLOCK_H

#include "kin/time.h"

/* kin_now() as it was at the kernel's last tick, some milliseconds ago, at a
 * fifth of the cost: what a fiber that parks can afford. */
int64_t kin__now_coarse(void);

#endif /* KIN_CORE_CLOCK_H */
