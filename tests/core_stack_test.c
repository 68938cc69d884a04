/* Stacks: guards of every grade trap, sizes hold what they promise, what is
 * given back is gone, counters conserve, also when calls are refused at every
 * place.  Most of it needs no switch: a stack is written to by hand. */
#include "core/memory.h"
#include "core/sanitize.h"
#include "core/stack.h"
#include "core/valgrind.h"
#include "kin/stack.h"
#include "tests/check.h"
#include "tests/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kin__stack_cache cache;

static char *low(const struct kin__stack *stack)
{
    return stack->base;
}

static char *high(const struct kin__stack *stack)
{
    return stack->top;
}

static kin_stack_stats stats_now(void)
{
    kin_stack_stats stats;

    CHECK_EQ(kin_stack_get_stats(&stats), 0);
    return stats;
}

static struct kin__stack *get(size_t size)
{
    struct kin__stack *stack = NULL;

    CHECK_EQ(kin__stack_get(&cache, size, &stack), 0);
    return stack;
}

static void drain_and_trim(void)
{
    kin__stack_cache_drain(&cache);
    kin_trim();
}

/* KiB. */
static long resident(void)
{
    return (long)(process_resident() / 1024);
}

/* These have memory beside ours, which comes when they please. */
static bool memory_is_ours(void)
{
    return !KIN__ASAN && !KIN__TSAN;
}

static void touch(void *address)
{
    *(volatile char *)address = 1;
}

static void touch_guard(void *arg)
{
    struct kin__stack *stack = arg;

    signal(SIGSEGV, SIG_DFL);
    touch(low(stack) - 1);
}

static void check_guarded(struct kin__stack *stack)
{
    int status = check_dies(touch_guard, stack, "");

    CHECK(WIFSIGNALED(status));
}

/* --- Geometry --------------------------------------------------------- */

static void check_geometry(struct kin__stack *stack, size_t size)
{
    size_t page = kin__page_size();

    CHECK(kin__stack_size(stack) >= size);
    CHECK((char *)stack >= high(stack));
    CHECK_EQ((uintptr_t)stack % 64, 0);
    CHECK_EQ((uintptr_t)low(stack) % page, 0);
    /* Record and half a page of frames lie in one page. */
    CHECK_EQ(((uintptr_t)stack + KIN__STACK_RECORD - 1) / page,
             ((uintptr_t)high(stack) - 2048) / page);
    touch(low(stack));
    touch(high(stack) - 1);
    memset(stack + 1, 1, KIN__STACK_RECORD - sizeof *stack);
}

static void check_all_sizes(void)
{
    size_t sizes[] = { 0, 1, 4096, 16384, 16385, 65536, 100000, 1 << 20,
                       (4 << 20) + 1, 64 << 20 };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kin__stack *stack = get(sizes[i]);

        check_geometry(stack, sizes[i] ? sizes[i] : 65536);
        CHECK(kin__stack_at(low(stack)) == stack);
        CHECK(kin__stack_at(low(stack) - 1) == stack);
        CHECK(kin__stack_at(stack) == stack);
        check_guarded(stack);
        kin__stack_put(&cache, stack);
    }
    drain_and_trim();
    CHECK_EQ(stats_now().slabs, 0);
}

TEST(every_size_has_what_it_promises)
{
    check_all_sizes();
}

TEST(pages_of_16_kib_work)
{
    kin__page_size_set(16384);
    check_all_sizes();
}

TEST(pages_of_64_kib_work)
{
    kin__page_size_set(65536);
    check_all_sizes();
}

TEST(sizes_beyond_64_mib_are_refused)
{
    struct kin__stack *stack;

    CHECK_EQ(kin__stack_get(&cache, ((size_t)64 << 20) + 1, &stack),
             KIN_EINVAL);
    CHECK_EQ(kin__stack_get(&cache, (size_t)-1, &stack), KIN_EINVAL);
}

TEST(neighbours_do_not_share_cache_sets_or_memory)
{
    struct kin__stack *stacks[16];
    unsigned colours = 0;

    for (int i = 0; i < 16; i++) {
        stacks[i] = get(0);
        memset(low(stacks[i]), i, kin__stack_size(stacks[i]));
        colours |= 1u << (uintptr_t)stacks[i] / 64 % 16;
    }
    CHECK_EQ(colours, 0xffff);
    for (int i = 0; i < 16; i++)
        for (char *at = low(stacks[i]); at < high(stacks[i]); at++)
            if (*at != i)
                FAIL("stack %d: %d", i, *at);
}

TEST(a_stack_is_found_by_its_addresses)
{
    struct kin__stack *a = get(0);
    struct kin__stack *b = get(0);
    int here;

    CHECK(kin__stack_at(&here) == NULL);
    CHECK(kin__stack_at(NULL) == NULL);
    CHECK(kin__stack_at((void *)-1) == NULL);
    CHECK(kin__stack_at(high(a) - 8) == a);
    CHECK(kin__stack_at(high(b) - 8) == b);
    CHECK(kin__stack_holds(a, low(a)));
    CHECK(!kin__stack_holds(a, low(a) - 1));
    CHECK(!kin__stack_holds(a, high(a)));
    kin__stack_put(&cache, a);
    kin_stack_set_limit_bytes(0);
    kin__stack_cache_drain(&cache);
    CHECK(kin__stack_at(a) == NULL);
    CHECK(kin__stack_at(high(b) - 8) == b);
}

/* --- Guards ----------------------------------------------------------- */

static bool have_madvise_guards(void)
{
    return get(0)->guard == KIN__GUARD_MADVISE;
}

TEST(the_best_guard_is_taken)
{
    struct kin__stack *stack = get(0);

    CHECK(stack->guard == KIN__GUARD_MADVISE ||
          stack->guard == KIN__GUARD_MPROTECT);
    check_guarded(stack);
    CHECK_EQ(stats_now().unguarded, 0);
}

TEST(guards_by_madvise_trap_and_survive_reuse)
{
    struct kin__stack *stack;

    kin__stack_force_guard(KIN__GUARD_MADVISE);
    if (!have_madvise_guards())
        SKIP("this kernel has no MADV_GUARD_INSTALL");
    stack = get(0);
    check_guarded(stack);
    kin__stack_put(&cache, stack);
    kin_stack_set_limit_bytes(0);
    kin__stack_cache_drain(&cache);
    for (int i = 0; i < 15; i++)
        check_guarded(get(0));
    CHECK_EQ(stats_now().guarded_by_madvise, 16);
    CHECK_EQ(stats_now().guarded_by_mprotect, 0);
}

TEST(guards_by_mprotect_trap_and_are_told)
{
    struct kin__stack *stack;

    kin__stack_force_guard(KIN__GUARD_MPROTECT);
    stack = get(0);
    CHECK_EQ(stack->guard, KIN__GUARD_MPROTECT);
    check_guarded(stack);
    CHECK_EQ(stats_now().guarded_by_mprotect, 1);
    kin__stack_put(&cache, stack);
    drain_and_trim();
    CHECK_EQ(stats_now().guarded_by_mprotect, 0);
}

TEST(no_guard_is_told)
{
    struct kin__stack *stack;

    kin__stack_force_guard(KIN__GUARD_NONE);
    stack = get(0);
    touch(low(stack) - 1);
    CHECK_EQ(stack->guard, KIN__GUARD_NONE);
    CHECK_EQ(stats_now().unguarded, 1);
}

TEST(a_refused_guard_falls_back_to_the_next_grade)
{
    struct kin__stack *stack = get(0);

    if (stack->guard != KIN__GUARD_MADVISE)
        SKIP("this kernel has no MADV_GUARD_INSTALL");
    kin__fail_at(1, false);
    CHECK_EQ(get(0)->guard, KIN__GUARD_MPROTECT);
    kin__fail_at(1, true);
    CHECK_EQ(get(0)->guard, KIN__GUARD_NONE);
    kin__fail_at(0, false);
    CHECK_EQ(get(0)->guard, KIN__GUARD_MADVISE);
    CHECK_EQ(stats_now().guarded_by_madvise, 2);
    CHECK_EQ(stats_now().guarded_by_mprotect, 1);
    CHECK_EQ(stats_now().unguarded, 1);
}

TEST(guards_by_mprotect_leave_room_for_mappings)
{
    long before = process_mappings();
    kin_stack_stats stats;

    if (kin__page_size() != 4096 || check_slow(1) > 1)
        SKIP("too slow here");
    kin__stack_force_guard(KIN__GUARD_MPROTECT);
    for (int i = 0; i < 40000; i++)
        get(16384);
    stats = stats_now();
    CHECK_EQ(stats.guarded_by_mprotect + stats.unguarded, 40000);
    CHECK(stats.guarded_by_mprotect > 10000);
    CHECK(process_mappings() - before <
          2 * (long)stats.guarded_by_mprotect + 200);
    CHECK_EQ(get(0)->guard, stats.unguarded ? KIN__GUARD_NONE
                                            : KIN__GUARD_MPROTECT);
}

TEST(two_hundred_thousand_guarded_stacks_are_few_mappings)
{
    enum { N = 200000 };
    static struct kin__stack *stacks[N];
    int n = check_slow(1) > 1 ? N / 20 : N;
    long before = resident();

    if (!have_madvise_guards())
        SKIP("this kernel has no MADV_GUARD_INSTALL");
    for (int i = 0; i < n; i++)
        stacks[i] = get(0);
    CHECK_EQ(stats_now().guarded_by_madvise, n + 1);
    CHECK(process_mappings() < 2000);
    if (memory_is_ours())
        CHECK(resident() - before < n * 42L / 10 + 10000);
    for (int i = 0; i < n; i += n / 8)
        check_guarded(stacks[i]);
    for (int i = 0; i < n; i++)
        kin__stack_put(&cache, stacks[i]);
    CHECK_EQ(stats_now().live, 1);
    drain_and_trim();
    if (memory_is_ours())
        CHECK(resident() - before < 16384);
    CHECK_EQ(stats_now().slabs, 1);
}

/* --- Reuse and giving back -------------------------------------------- */

TEST(a_stack_put_is_the_next_one_got)
{
    struct kin__stack *stack = get(0);

    kin__stack_put(&cache, stack);
    CHECK(get(0) == stack);
}

TEST(statistics_count_what_there_is)
{
    struct kin__stack *stacks[100];
    kin_stack_stats stats;

    CHECK_EQ(stats_now().live, 0);
    for (int i = 0; i < 100; i++)
        stacks[i] = get(0);
    CHECK_EQ(stats_now().live, 100);
    for (int i = 0; i < 100; i++)
        kin__stack_put(&cache, stacks[i]);
    stats = stats_now();
    CHECK_EQ(stats.live, 0);
    CHECK_EQ(stats.cached, 100);
    CHECK(stats.bytes_cached > 0);
    CHECK(stats.bytes_mapped > 100 * 65536);
    CHECK(stats.slabs > 0);
    kin__stack_cache_drain(&cache);
    CHECK_EQ(stats_now().cached, 100);
    CHECK_EQ(stats_now().bytes_cached, stats_now().bytes_resident);
    kin_trim();
    stats = stats_now();
    CHECK_EQ(stats.cached, 0);
    CHECK_EQ(stats.slabs, 0);
    CHECK_EQ(stats.bytes_mapped, 0);
    CHECK_EQ(stats.free, 0);
}

TEST(the_cache_is_bounded_in_bytes)
{
    enum { N = 2000 };
    struct kin__stack *stacks[N];
    size_t page = kin__page_size();
    long before;

    kin_stack_set_limit_bytes(100 * page);
    for (int i = 0; i < N; i++)
        touch(high(stacks[i] = get(0)) - 1);
    before = resident();
    for (int i = 0; i < N; i++)
        kin__stack_put(&cache, stacks[i]);
    CHECK(stats_now().bytes_cached <= 100 * page);
    CHECK(stats_now().cached <= 100 + 64);
    if (memory_is_ours())
        CHECK(before - resident() > (N - 300) * 4);
    kin_stack_set_limit_bytes(0);
    CHECK_EQ(stats_now().bytes_cached, 0);
    CHECK(stats_now().cached <= 64);
    CHECK(stats_now().free >= N - 64);
}

TEST(a_deep_stack_counts_with_all_its_pages)
{
    struct kin__stack *stack = get(0);
    int body;

    if (kin__on_valgrind())
        SKIP("Valgrind does not like dead frames looked at");
    kin__stack_use_begin(&cache, stack, &body);
    memset(high(stack) - 40000, 1, 40000);
    kin__stack_use_end(&cache, stack, &body);
    kin__stack_put(&cache, stack);
    kin__stack_cache_drain(&cache);
    CHECK(stats_now().bytes_cached >= 40000);
}

TEST(what_comes_back_from_the_system_is_zero)
{
    struct kin__stack *stack = get(0);

    memset(low(stack), 1, kin__stack_size(stack));
    kin__stack_put(&cache, stack);
    kin_stack_set_limit_bytes(0);
    kin__stack_cache_drain(&cache);
    for (int i = 0; i < 16; i++) {
        stack = get(0);
        for (char *at = low(stack); at < high(stack); at++)
            CHECK(*at == 0);
    }
}

TEST(trimming_leaves_stacks_in_use_alone)
{
    struct kin__stack *stacks[40];

    for (int i = 0; i < 40; i++)
        memset(low(stacks[i] = get(0)), i, 65536);
    for (int i = 0; i < 40; i++)
        if (i % 3)
            kin__stack_put(&cache, stacks[i]);
    drain_and_trim();
    CHECK_EQ(stats_now().live, 14);
    CHECK_EQ(stats_now().cached, 0);
    for (int i = 0; i < 40; i += 3)
        for (int k = 0; k < 65536; k++)
            CHECK(low(stacks[i])[k] == i);
    for (int i = 0; i < 40; i += 3)
        kin__stack_put(&cache, stacks[i]);
    drain_and_trim();
    CHECK_EQ(stats_now().slabs, 0);
}

TEST(a_thread_tidies_its_cache_after_a_trim)
{
    kin__stack_put(&cache, get(0));
    kin__stack_cache_tidy(&cache);
    CHECK_EQ(stats_now().cached, 1);
    kin_trim();
    CHECK_EQ(stats_now().cached, 1);
    kin__stack_cache_tidy(&cache);
    CHECK_EQ(stats_now().cached, 0);
    CHECK_EQ(stats_now().slabs, 0);
}

static struct kin__stack_cache *cache_here(void)
{
    return &cache;
}

TEST(trimming_empties_the_callers_own_cache)
{
    kin__stack_cache_here = cache_here;
    kin__stack_put(&cache, get(0));
    CHECK(kin_trim() > 0);
    CHECK_EQ(stats_now().cached, 0);
    CHECK_EQ(kin_trim(), 0);
}

TEST(stacks_are_wiped_if_the_environment_says_so)
{
    struct kin__stack *stack;

    setenv("KIN_WIPE_STACKS", "1", 1);
    stack = get(0);
    memset(low(stack), 1, kin__stack_size(stack));
    kin__stack_put(&cache, stack);
    CHECK(get(0) == stack);
    for (char *at = low(stack); at < high(stack); at++)
        CHECK(*at == 0);
}

TEST(statistics_of_nothing_are_refused)
{
    if (KIN_DEBUG)
        SKIP("aborts");
    CHECK_EQ(kin_stack_get_stats(NULL), KIN_EINVAL);
    CHECK_EQ(kin_stack_usage(NULL, 10), 0);
}

TEST_MAIN
