/* Stacks that are got on one thread and put on another, while some thread
 * trims and changes the limit; and every call refused in turn.  Counters
 * conserve: at the end nothing is live, cached or mapped. */
#include "core/memory.h"
#include "core/stack.h"
#include "kin/stack.h"
#include "tests/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHELF 64

static void *_Atomic shelf[SHELF];
static atomic_bool is_over;
static atomic_long in_use;

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Swaps stacks with whoever was at the shelf before. */
static void *exchange(void *arg)
{
    struct kin__stack_cache *cache = calloc(1, sizeof *cache);
    uint32_t random = (uint32_t)(uintptr_t)arg;
    long rounds = 0;

    CHECK(cache != NULL);
    while (!atomic_load(&is_over)) {
        size_t size = (size_t)16384 << next_random(&random) % 6;
        struct kin__stack *stack;

        if (kin__stack_get(cache, random % 8 ? 0 : size, &stack) != 0)
            FAIL("no stack");
        atomic_fetch_add(&in_use, 1);
        CHECK(kin__stack_at(stack->base) == stack);
        memset((char *)stack->top - 2000, (int)random, 2000);
        stack = atomic_exchange(&shelf[next_random(&random) % SHELF], stack);
        if (stack) {
            kin__stack_use_begin(cache, stack, &shelf[random % 20]);
            memset((char *)stack->top - 3000, (int)random, 3000);
            kin__stack_use_end(cache, stack, &shelf[random % 20]);
            kin__stack_put(cache, stack);
            atomic_fetch_sub(&in_use, 1);
        }
        if (++rounds % 1000 == 0)
            kin__stack_cache_tidy(cache);
    }
    kin__stack_cache_drain(cache);
    free(cache);
    return NULL;
}

static void *disturb(void *arg)
{
    uint32_t random = 7;
    kin_stack_stats stats;

    for (int i = 0; i < 300; i++) {
        kin_stack_set_limit_bytes(next_random(&random) % (1 << 20));
        kin_trim();
        CHECK_EQ(kin_stack_get_stats(&stats), 0);
        kin_stack_usage(NULL, 0);
    }
    atomic_store(&is_over, true);
    return arg;
}

TEST(stacks_wander_between_threads)
{
    struct kin__stack_cache cache = { .is_listed = false };
    pthread_t threads[4];
    kin_stack_stats stats;

    for (uintptr_t i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, i ? exchange : disturb,
                                (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(kin_stack_get_stats(&stats), 0);
    CHECK_EQ(stats.live, atomic_load(&in_use));
    for (int i = 0; i < SHELF; i++)
        if (shelf[i])
            kin__stack_put(&cache, shelf[i]);
    kin__stack_cache_drain(&cache);
    kin_trim();
    CHECK_EQ(kin_stack_get_stats(&stats), 0);
    CHECK_EQ(stats.live + stats.cached + stats.slabs, 0);
}

/* Some of everything.  Returns how many calls had a documented failure. */
static long use_everything(struct kin__stack_cache *cache)
{
    struct kin__stack *stacks[60];
    long refused = 0;

    for (int i = 0; i < 60; i++) {
        size_t size = i % 10 ? 0 : (size_t)16384 << i / 10;
        int err = kin__stack_get(cache, size, &stacks[i]);

        if (err != 0) {
            CHECK_EQ(err, KIN_ENOMEM);
            stacks[i] = NULL;
            refused++;
            continue;
        }
        memset((char *)stacks[i]->top - 5000, i, 5000);
    }
    for (int i = 0; i < 60; i++)
        if (stacks[i])
            kin__stack_put(cache, stacks[i]);
    kin_stack_set_limit_bytes(100000);
    kin__stack_cache_drain(cache);
    kin_trim();
    return refused;
}

static void refuse_each(bool forever)
{
    struct kin__stack_cache cache = { .is_listed = false };
    struct kin__memory_stats before, after;
    kin_stack_stats stats;
    unsigned long n = 1;

    use_everything(&cache);
    kin__memory_watch(true);
    kin__memory_get_stats(&before);
    for (;; n++) {
        kin__fail_at(n, forever);
        use_everything(&cache);
        if (kin__fail_hits() == 0)
            break;
        kin__fail_at(0, false);
        CHECK_EQ(kin_stack_get_stats(&stats), 0);
        CHECK_EQ(stats.live + stats.cached, 0);
        kin_trim();
        CHECK_EQ(kin_stack_get_stats(&stats), 0);
        CHECK_EQ(stats.slabs, 0);
        kin__memory_get_stats(&after);
        CHECK_EQ(after.blocks, before.blocks);
        CHECK_EQ(after.bytes_mapped, before.bytes_mapped);
        CHECK_EQ(use_everything(&cache), 0);
    }
    CHECK(n > 60);
}

TEST(each_call_can_be_refused_once)
{
    refuse_each(false);
}

TEST(all_calls_from_any_on_can_be_refused)
{
    refuse_each(true);
}

TEST(the_first_stack_of_all_can_be_refused)
{
    struct kin__stack_cache cache = { .is_listed = false };
    struct kin__stack *stack;

    kin__fail_at(1, true);
    CHECK_EQ(kin__stack_get(&cache, 0, &stack), KIN_ENOMEM);
    CHECK_EQ(kin__stack_get(&cache, 64 << 20, &stack), KIN_ENOMEM);
    kin__fail_at(0, false);
    CHECK_EQ(kin__stack_get(&cache, 0, &stack), 0);
}

TEST_MAIN
