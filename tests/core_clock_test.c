/* The monotonic clock, and deadlines that saturate. */
#include "core/clock.h"
#include "tests/check.h"

#include <time.h>

TEST(now_is_the_monotonic_clock_in_nanoseconds)
{
    struct timespec time;
    int64_t before, after;

    before = kin_now();
    clock_gettime(CLOCK_MONOTONIC, &time);
    after = kin_now();
    CHECK(before <= (int64_t)time.tv_sec * 1000000000 + time.tv_nsec);
    CHECK(after >= (int64_t)time.tv_sec * 1000000000 + time.tv_nsec);
}

TEST(now_never_goes_back)
{
    int64_t last = kin_now();

    for (int i = 0; i < 100000; i++) {
        int64_t now = kin_now();
        CHECK(now >= last);
        last = now;
    }
}

TEST(after_lies_ahead_by_the_duration)
{
    int64_t before = kin_now();
    int64_t deadline = kin_after(KIN_S(100));

    CHECK(deadline >= before + KIN_S(100));
    CHECK(deadline <= kin_now() + KIN_S(100));
}

TEST(after_nothing_is_now)
{
    static const int64_t durations[] = { 0, -1, KIN_MS(-5), INT64_MIN };

    for (int i = 0; i < 4; i++) {
        int64_t before = kin_now();
        int64_t deadline = kin_after(durations[i]);
        CHECK(before <= deadline);
        CHECK(deadline <= kin_now());
    }
}

TEST(after_too_long_is_never)
{
    CHECK_EQ(kin_after(KIN_NEVER), KIN_NEVER);
    CHECK_EQ(kin_after(KIN_NEVER - 1), KIN_NEVER);
    CHECK(kin_after(KIN_NEVER / 2) < KIN_NEVER);
}

TEST(durations_are_nanoseconds)
{
    CHECK_EQ(KIN_NS(7), 7);
    CHECK_EQ(KIN_US(7), 7000);
    CHECK_EQ(KIN_MS(7), 7000000);
    CHECK_EQ(KIN_S(7), 7000000000);
    CHECK_EQ(KIN_MS(1.5), 1500000);
}

/* It is the clock as it was some time ago, and gets on. */
TEST(the_coarse_clock_is_behind_the_fine_one_but_follows_it)
{
    int64_t first = kin__now_coarse();

    CHECK(first <= kin_now());
    for (int64_t last = first; last == first;) {
        int64_t before = kin_now();
        last = kin__now_coarse();
        CHECK(last >= first);
        CHECK(last <= kin_now());
        if (last == first)
            CHECK(before - last < check_slow(KIN_S(1)));
    }
}

TEST_MAIN
