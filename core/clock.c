/* clock.c -- the monotonic clock. */
#include "core/clock.h"

#include "core/check.h"
#include "kin/time.h"

#include <time.h>

int64_t kin_now(void)
{
    struct timespec now;

    KIN_CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * KIN_S(1) + now.tv_nsec;
}

int64_t kin__now_coarse(void)
{
    struct timespec now;

    KIN_CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (int64_t)now.tv_sec * KIN_S(1) + now.tv_nsec;
}

int64_t kin_after(int64_t duration)
{
    int64_t now = kin_now();
    int64_t deadline;

    if (duration <= 0)
        return now;
    return __builtin_add_overflow(now, duration, &deadline) ? KIN_NEVER
                                                            : deadline;
}
