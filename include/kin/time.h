/* kin/time.h -- durations and points in time.
 *
 * A duration is a number of nanoseconds; a deadline is an absolute point on
 * the monotonic clock, as kin_now() tells it.  Both are int64_t.  Calendar time
 * is not kin's business.
 *
 * Any thread; never suspends.
 *
 * Layer: core. */
#ifndef KIN_TIME_H
#define KIN_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KIN_NS(n) ((int64_t)(n))
#define KIN_US(n) ((int64_t)((n) * INT64_C(1000)))
#define KIN_MS(n) ((int64_t)((n) * INT64_C(1000000)))
#define KIN_S(n)  ((int64_t)((n) * INT64_C(1000000000)))

/* A deadline that never comes, and the duration that lasts for ever. */
#define KIN_NEVER INT64_MAX

/* Nanoseconds of the monotonic clock. */
int64_t kin_now(void);

/* The deadline that lies `duration` ahead; saturates at KIN_NEVER.  A duration
 * of 0 or less is now. */
int64_t kin_after(int64_t duration);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_TIME_H */
