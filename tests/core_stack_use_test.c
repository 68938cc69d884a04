/* How deep bodies go: measured runs are seen to the word, deeper ones are
 * noticed, others are counted.  A body is a function of the test that writes
 * to a stack by hand. */
#include "core/memory.h"
#include "core/stack.h"
#include "core/valgrind.h"
#include "kin/stack.h"
#include "tests/check.h"

#include <pthread.h>
#include <string.h>

static struct kin__stack_cache cache;
static char names[2000];        /* bodies: their addresses are all we need */

static struct kin__stack *get(size_t size)
{
    struct kin__stack *stack = NULL;

    if (kin__on_valgrind())
        SKIP("Valgrind does not like dead frames looked at");
    CHECK_EQ(kin__stack_get(&cache, size, &stack), 0);
    return stack;
}

/* A body that uses `bytes`, with nothing between but the last `written`. */
static void run(struct kin__stack *stack, const void *body, size_t bytes,
                size_t written)
{
    kin__stack_use_begin(&cache, stack, body);
    memset((char *)stack->top - bytes, 1, written);
    kin__stack_use_end(&cache, stack, body);
}

static kin_stack_use usage_of(const void *body)
{
    static kin_stack_use uses[1100];
    size_t n = kin_stack_usage(uses, 1100);

    for (size_t i = 0; i < n; i++)
        if (uses[i].function == body)
            return uses[i];
    return (kin_stack_use){ .function = NULL };
}

TEST(the_first_runs_are_seen_to_the_word)
{
    struct kin__stack *stack = get(0);

    run(stack, &names[0], 1000, 1000);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, 1000);
    CHECK_EQ(usage_of(&names[0]).runs, 1);
    CHECK_EQ(usage_of(&names[0]).measured, 1);
    run(stack, &names[0], 20000, 8);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, 20000);
    CHECK_EQ(usage_of(&names[0]).measured, 2);
    CHECK_EQ(kin__stack_high_water(stack) / 64, (20000 + 63) / 64);
}

TEST(a_shallow_body_is_not_charged_with_what_was_there)
{
    struct kin__stack *stack = get(0);

    run(stack, &names[0], 50000, 50000);
    run(stack, &names[1], 304, 304);
    CHECK_EQ(usage_of(&names[1]).high_water_bytes, 304);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, 50000);
}

TEST(a_deeper_run_is_noticed_when_not_measured)
{
    struct kin__stack *stack = get(0);
    kin_stack_use use;

    for (int i = 0; i < 100; i++)
        run(stack, &names[0], 2000, 2000);
    CHECK_EQ(usage_of(&names[0]).measured, 4);
    run(stack, &names[0], 6000, 6000);
    use = usage_of(&names[0]);
    CHECK_EQ(use.measured, 4);
    CHECK_EQ(use.runs, 101);
    CHECK(use.high_water_bytes <= 6000 + 64);
    CHECK(use.high_water_bytes >= 6000 - 64);
}

TEST(one_run_in_16384_is_measured)
{
    struct kin__stack *stack = get(0);

    for (int i = 0; i < 4 + 16384 * 3; i++)
        run(stack, &names[0], 640, 8);
    CHECK_EQ(usage_of(&names[0]).measured, 7);
    CHECK_EQ(usage_of(&names[0]).runs, 4 + 16384 * 3);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, 640);
}

TEST(only_words_that_were_written_count)
{
    struct kin__stack *stack = get(1 << 20);
    kin_stack_stats stats;

    for (int i = 0; i < 10; i++)
        run(stack, &names[0], 104, 104);
    run(stack, &names[0], 700000, 0);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, 104);
    CHECK_EQ(kin_stack_get_stats(&stats), 0);
    CHECK_EQ(stats.bytes_high_water, 104);
}

TEST(uses_of_big_stacks_are_found_piece_by_piece)
{
    struct kin__stack *stack = get(16 << 20);

    run(stack, &names[0], 3000000, 3000000);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, 3000000);
}

TEST(the_whole_stack_can_be_used)
{
    struct kin__stack *stack = get(16384);
    size_t size = kin__stack_size(stack);

    for (int i = 0; i < 10; i++)
        run(stack, &names[0], size, size);
    CHECK_EQ(usage_of(&names[0]).high_water_bytes, size);
    CHECK_EQ(kin__stack_high_water(stack), size);
}

TEST(the_deepest_come_first)
{
    kin_stack_use uses[3];

    for (size_t i = 0; i < 100; i++)
        run(get(0), &names[i], 104 + i * 37 % 100 * 8, 8);
    CHECK_EQ(kin_stack_usage(NULL, 0), 100);
    CHECK_EQ(kin_stack_usage(uses, 3), 100);
    CHECK_EQ(uses[0].high_water_bytes, 104 + 99 * 8);
    CHECK_EQ(uses[1].high_water_bytes, 104 + 98 * 8);
    CHECK_EQ(uses[2].high_water_bytes, 104 + 97 * 8);
}

TEST(functions_without_a_place_are_counted_together)
{
    struct kin__stack *stack = get(0);

    for (int i = 0; i < 2000; i++)
        run(stack, &names[i], 80, 8);
    CHECK_EQ(kin_stack_usage(NULL, 0), 1025);
    CHECK_EQ(usage_of(NULL).runs, 2000 - 1024);
    CHECK_EQ(usage_of(NULL).high_water_bytes, 80);
}

TEST(memory_of_the_callers_is_only_counted)
{
    struct kin__stack borrowed = { .base = names, .top = names + 1000 };

    kin__stack_use_begin(&cache, &borrowed, &names[0]);
    kin__stack_use_end(&cache, &borrowed, &names[0]);
    CHECK_EQ(usage_of(&names[0]).runs, 1);
    CHECK_EQ(usage_of(&names[0]).measured, 0);
}

static void *run_many(void *arg)
{
    static _Thread_local struct kin__stack_cache own;
    struct kin__stack *stack;

    CHECK_EQ(kin__stack_get(&own, 0, &stack), 0);
    for (int i = 0; i < 10000; i++) {
        const char *body = &names[i % 40];

        kin__stack_use_begin(&own, stack, body);
        kin__stack_use_end(&own, stack, body);
    }
    kin__stack_put(&own, stack);
    kin__stack_cache_drain(&own);
    return arg;
}

TEST(runs_on_all_threads_are_counted)
{
    pthread_t threads[4];
    kin_stack_use uses[40];
    unsigned long long runs = 0;

    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, run_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(kin_stack_usage(uses, 40), 40);
    for (int i = 0; i < 40; i++)
        runs += uses[i].runs;
    CHECK_EQ(runs, 40000);
}

TEST_MAIN
