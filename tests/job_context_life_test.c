/* How long contexts and the values of their elements live: across sums, threads
 * and a lack of memory.  Nothing here runs on a fiber. */
#include "core/memory.h"
#include "job/context.h"
#include "tests/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const kin_key key_a = { "a" }, key_b = { "b" }, key_c = { "c" };
static char value_a[] = "A", value_b[] = "B", value_c[] = "C";

static kin_context *a(void)
{
    return kin_context_of(&key_a, value_a, NULL);
}

static kin_context *b(void)
{
    return kin_context_of(&key_b, value_b, NULL);
}

static kin_context *c(void)
{
    return kin_context_of(&key_c, value_c, NULL);
}

static kin_context *named(const char *name)
{
    return kin_context_of_name(name);
}

static int handle(kin_job *job, kin_error *error, void *arg)
{
    (void)job;
    (void)error;
    (void)arg;
    return 0;
}

static int destroyed;

static int refuse(kin_dispatcher *self, kin_task *task)
{
    (void)self;
    (void)task;
    return KIN_ECLOSED;
}

static void count_destroyed(kin_dispatcher *self)
{
    (void)self;
    destroyed++;
}

static const kin_dispatcher_ops dispatcher_ops = {
    .dispatch = refuse, .destroy = count_destroyed
};

static kin_context *on(kin_dispatcher *dispatcher)
{
    return kin_context_of_dispatcher(dispatcher);
}

static void init(kin_dispatcher *dispatcher)
{
    CHECK_EQ(kin_dispatcher_init(dispatcher, &dispatcher_ops, "test"), 0);
}

static int write_element(const kin_key *key, void *value, void *arg)
{
    char *text = arg;
    size_t length = strlen(text);

    snprintf(text + length, 200 - length, "%s%s%s%s", length ? " " : "",
             key->name, key == &kin_key_name ? ":" : "",
             key == &kin_key_name ? (const char *)value : "");
    return 0;
}

static void check_order(const kin_context *context, const char *expected)
{
    char text[200] = "";

    CHECK_EQ(kin_context_fold(context, write_element, text), 0);
    CHECK_STR(text, expected);
}

static long blocks(void)
{
    struct kin__memory_stats stats;

    kin__memory_get_stats(&stats);
    return stats.blocks;
}

static void count_retained(void *value)
{
    ++*(int *)value;
}

static void count_released(void *value)
{
    *(int *)value += 100;
}

TEST(a_value_is_retained_once_and_released_once)
{
    const kin_element_ops ops = { .retain = count_retained,
                                  .release = count_released };
    int count = 0;
    kin_context *one = kin_context_of(&key_a, &count, &ops);
    kin_context *sum = kin_context_join(one, b());
    kin_context *more = kin_context_plus(sum, sum);
    kin_context *rest = kin_context_minus(sum, &key_b);

    CHECK_PTR(rest, one);
    kin_context_release(sum);
    kin_context_release(more);
    CHECK_EQ(count, 1);
    kin_context_release(rest);
    CHECK_EQ(count, 101);
}

TEST(a_value_may_be_given_away)
{
    const kin_element_ops ops = { .release = free };
    kin_context *sum = kin_context_join(
        kin_context_of(&key_a, malloc(100), &ops), b());

    sum = kin_context_join(sum, kin_context_of(&key_c, malloc(100), &ops));
    CHECK_EQ(kin_context_count(sum), 3);
    kin_context_release(sum);
}

TEST(a_dispatcher_lives_as_long_as_a_context_has_it)
{
    kin_dispatcher first, second;

    init(&first);
    init(&second);
    destroyed = 0;
    kin_context *left = kin_context_join(named("n"), on(&first));
    kin_dispatcher_release(&first);
    kin_context *right = on(&second);
    kin_dispatcher_release(&second);
    kin_context *sum = kin_context_plus(left, right);
    kin_context_release(right);
    CHECK_EQ(destroyed, 0);
    kin_context_release(left);
    CHECK_EQ(destroyed, 1);
    kin_context_release(kin_context_minus(sum, &kin_key_dispatcher));
    CHECK_EQ(destroyed, 1);
    kin_context_release(sum);
    CHECK_EQ(destroyed, 2);
}

/* A sum of six elements, or NULL. */
static kin_context *everything(kin_dispatcher *dispatcher)
{
    kin_context *sum = on(dispatcher);

    sum = kin_context_join(sum, kin_context_join(named("n"), a()));
    sum = kin_context_join(sum, kin_context_of_handler(handle, NULL));
    sum = kin_context_join(kin_context_join(b(), c()), sum);
    return sum;
}

static void make_and_take_apart(kin_dispatcher *dispatcher)
{
    KIN_AUTO(kin_context) sum = everything(dispatcher);
    KIN_AUTO(kin_context) rest = kin_context_minus(sum, &key_b);

    if (sum) {
        CHECK_EQ(kin_context_count(sum), 6);
        check_order(sum, "b c name:n a handler dispatcher");
    }
    if (rest)
        check_order(rest, "c name:n a handler dispatcher");
}

TEST(without_memory_a_sum_is_null_and_nothing_is_left_over)
{
    kin_dispatcher dispatcher;
    unsigned long n = 0;

    init(&dispatcher);
    destroyed = 0;
    do {
        kin__fail_at(++n, false);
        long before = blocks();
        make_and_take_apart(&dispatcher);
        CHECK_EQ(blocks(), before);
    } while (kin__fail_hits() > 0);
    CHECK(n > 12);
    kin__fail_at(1, true);
    make_and_take_apart(&dispatcher);
    kin__fail_at(0, false);
    CHECK_EQ(destroyed, 0);
    kin_dispatcher_release(&dispatcher);
    CHECK_EQ(destroyed, 1);
}

static void *add_and_release(void *arg)
{
    kin_context *context = arg;

    for (int i = 0; i < 5000; i++) {
        KIN_AUTO(kin_context) sum =
            kin_context_join(kin_context_retain(context), c());
        CHECK_EQ(kin_context_count(sum), 3);
        KIN_AUTO(kin_context) rest = kin_context_minus(sum, &key_b);
        CHECK_EQ(kin_context_count(rest), 2);
    }
    kin_context_release(context);
    return NULL;
}

TEST(references_are_counted_across_threads)
{
    const kin_element_ops ops = { .retain = count_retained,
                                  .release = count_released };
    int count = 0;
    pthread_t threads[4];

    kin__memory_watch(true);
    long before = blocks();
    kin_context *sum =
        kin_context_join(kin_context_of(&key_a, &count, &ops), b());
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, add_and_release,
                                kin_context_retain(sum)), 0);
    kin_context_release(sum);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(count, 101);
    CHECK_EQ(blocks(), before);
}

TEST_MAIN
