/* What errors lead to, and that each is freed when nothing leads to it any
 * more, rings included.  That is checked against a model: a random graph of
 * errors, and after each release the blocks that should be there; and by
 * threads that walk such a graph, holding only where they stand. */
#include "core/error.h"
#include "core/memory.h"
#include "tests/check.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static kin_error *failure(const char *message)
{
    return kin_error_new("", -EIO, NULL, "%s", message);
}

static kin_error *failure_because(const char *message, kin_error *cause)
{
    return kin_error_new("", -EIO, cause, "%s", message);
}

static long blocks(void)
{
    struct kin__memory_stats stats;

    kin__memory_get_stats(&stats);
    return stats.blocks;
}

/* --- Suppressed --------------------------------------------------------- */

TEST(suppressed_errors_are_listed_once_in_the_order_they_came)
{
    kin_error *winner = failure("winner"), *one = failure("one");
    kin_error *two = failure("two");
    kin_error *canceled = kin_error_new("", KIN_ECANCELED, NULL, "bye");

    kin__error_suppress(winner, one);
    kin__error_suppress(winner, canceled);
    kin__error_suppress(winner, two);
    kin__error_suppress(winner, winner);
    kin__error_suppress(winner, one);
    CHECK_EQ(kin_error_suppressed_count(winner), 2);
    CHECK_PTR(kin_error_suppressed(winner, 0), one);
    CHECK_PTR(kin_error_suppressed(winner, 1), two);
    CHECK_PTR(kin_error_suppressed(winner, 2), NULL);
    CHECK_PTR(kin_error_suppressed(winner, SIZE_MAX), NULL);
    kin_error_release(one);
    kin_error_release(two);
    CHECK_STR(kin_error_message(kin_error_suppressed(winner, 1)), "two");
    kin_error_release(canceled);
    kin_error_release(winner);
}

TEST(a_failure_with_its_own_cause_suppressed_is_freed)
{
    long before;

    kin__memory_watch(true);
    before = blocks();
    kin_error *child = failure("child");
    kin_error *body = failure_because("body", child);
    kin__error_suppress(child, body);
    kin_error_release(body);
    CHECK_PTR(kin_error_suppressed(child, 0), body);
    CHECK_PTR(kin_error_cause(body), child);
    kin_error_retain(body);
    kin_error_release(child);
    CHECK_STR(kin_error_message(kin_error_cause(body)), "child");
    kin_error_release(body);
    CHECK_EQ(blocks(), before);
}

TEST(a_ring_takes_along_what_only_it_leads_to)
{
    long before;

    kin__memory_watch(true);
    before = blocks();
    kin_error *leaf = failure("leaf"), *kept = failure("kept");
    kin_error *a = failure_because("a", leaf);
    kin_error *b = failure_because("b", kept);
    kin__error_suppress(a, b);
    kin__error_suppress(b, a);
    kin_error_release(leaf);
    kin_error_release(b);
    CHECK_EQ(blocks(), before + 4 + 2);
    kin_error_release(a);
    CHECK_EQ(blocks(), before + 1);
    CHECK_STR(kin_error_message(kept), "kept");
    kin_error_release(kept);
    CHECK_EQ(blocks(), before);
}

enum { ERRORS = 12 };

struct graph {
    kin_error *error[ERRORS];
    int cause[ERRORS];              /* -1: none                              */
    bool suppresses[ERRORS][ERRORS];
    bool is_held[ERRORS];
};

static void grow(struct graph *graph, unsigned *seed)
{
    int i, j, n;

    memset(graph, 0, sizeof *graph);
    for (i = 0; i < ERRORS; i++) {
        graph->cause[i] = i && rand_r(seed) % 2 ? rand_r(seed) % i : -1;
        graph->error[i] = failure_because(
            "", graph->cause[i] < 0 ? NULL : graph->error[graph->cause[i]]);
        graph->is_held[i] = true;
    }
    for (n = rand_r(seed) % (2 * ERRORS); n > 0; n--) {
        i = rand_r(seed) % ERRORS;
        j = rand_r(seed) % ERRORS;
        kin__error_suppress(graph->error[i], graph->error[j]);
        graph->suppresses[i][j] = i != j;
    }
}

static void visit(const struct graph *graph, int i, bool *seen, long *count)
{
    if (seen[i])
        return;
    seen[i] = true;
    ++*count;
    if (graph->cause[i] >= 0)
        visit(graph, graph->cause[i], seen, count);
    for (int j = 0; j < ERRORS; j++)
        if (graph->suppresses[i][j]) {
            ++*count;
            visit(graph, j, seen, count);
        }
}

static long blocks_expected(const struct graph *graph)
{
    bool seen[ERRORS] = { false };
    long count = 0;

    for (int i = 0; i < ERRORS; i++)
        if (graph->is_held[i])
            visit(graph, i, seen, &count);
    return count;
}

TEST(an_error_is_freed_exactly_when_nothing_held_leads_to_it)
{
    long long rounds = 3000 / check_slow(1);

    kin__memory_watch(true);
    long before = blocks();
    for (unsigned round = 0; round < rounds; round++) {
        unsigned seed = round;
        struct graph graph;
        grow(&graph, &seed);
        for (int left = ERRORS; left > 0; left--) {
            int i = rand_r(&seed) % ERRORS;
            while (!graph.is_held[i])
                i = (i + 1) % ERRORS;
            graph.is_held[i] = false;
            kin_error_release(graph.error[i]);
            if (blocks() - before != blocks_expected(&graph))
                FAIL("round %u: %ld blocks, not %ld", round,
                     blocks() - before, blocks_expected(&graph));
        }
    }
}

static void *release_deep_chain(void *arg)
{
    kin_error_release(arg);
    return NULL;
}

TEST(a_deep_chain_of_causes_is_released_on_a_small_stack)
{
    kin_error *error = failure("root");
    pthread_attr_t attr;
    pthread_t thread;

    for (int i = 0; i < 200000; i++) {
        kin_error *effect = failure_because("", error);
        kin_error_release(error);
        error = effect;
    }
    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attr, 128 * 1024), 0);
    CHECK_EQ(pthread_create(&thread, &attr, release_deep_chain, error), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
}

/* --- Threads ------------------------------------------------------------ */

enum { THREADS = 4 };

struct shared {
    kin_error *winner;
    kin_error *others[THREADS][50];
};

static void on_threads(void *(*body)(void *arg), void *args[THREADS])
{
    pthread_t thread[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, body, args[i]), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

static void *retain_and_release(void *arg)
{
    for (int i = 0; i < 20000; i++)
        kin_error_release(kin_error_retain(arg));
    kin_error_release(arg);
    return NULL;
}

TEST(references_are_counted_across_threads)
{
    kin_error *error = failure("shared");
    void *args[THREADS];

    kin__memory_watch(true);
    long before = blocks();
    for (int i = 0; i < THREADS; i++)
        args[i] = kin_error_retain(error);
    kin_error_release(error);
    on_threads(retain_and_release, args);
    CHECK_EQ(blocks(), before - 1);
}

static struct shared shared;

static void *suppress_fifty(void *arg)
{
    kin_error **others = arg;
    size_t seen = 0, count;

    for (int i = 0; i < 50; i++) {
        kin__error_suppress(shared.winner, others[i]);
        kin__error_suppress(others[i], shared.winner);
        kin_error_release(others[i]);
        count = kin_error_suppressed_count(shared.winner);
        CHECK(count > seen);
        seen = count;
        CHECK_EQ(kin_error_code(kin_error_suppressed(shared.winner, count - 1)),
                 -EIO);
    }
    kin_error_release(shared.winner);
    return NULL;
}

TEST(errors_are_suppressed_from_several_threads)
{
    void *args[THREADS];

    kin__memory_watch(true);
    long before = blocks();
    shared.winner = failure("winner");
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < 50; j++)
            shared.others[i][j] = failure("other");
        args[i] = shared.others[i];
        kin_error_retain(shared.winner);
    }
    on_threads(suppress_fifty, args);
    CHECK_EQ(kin_error_suppressed_count(shared.winner), 50 * THREADS);
    kin_error_release(shared.winner);
    CHECK_EQ(blocks(), before);
}

/* Walks at random along what leads from one error to the next, holding only
 * the one it stands on. */
static void *walk(void *arg)
{
    kin_error *error = arg, *next;
    unsigned seed = (unsigned)(uintptr_t)&error;

    for (int i = 0; i < 3000; i++) {
        size_t count = kin_error_suppressed_count(error);
        next = count && rand_r(&seed) % 3
            ? kin_error_suppressed(error, (size_t)rand_r(&seed) % count)
            : kin_error_cause(error);
        if (!next)
            continue;
        kin_error_retain(next);
        if (rand_r(&seed) % 8 == 0)
            kin__error_suppress(next, error);
        kin_error_release(error);
        error = next;
    }
    kin_error_release(error);
    return NULL;
}

TEST(rings_are_walked_and_freed_by_several_threads)
{
    kin__memory_watch(true);
    long before = blocks();
    for (unsigned round = 0; round < 20; round++) {
        unsigned seed = round;
        struct graph graph;
        void *args[THREADS];
        grow(&graph, &seed);
        for (int i = 0; i < THREADS; i++)
            args[i] = kin_error_retain(graph.error[rand_r(&seed) % ERRORS]);
        for (int i = 0; i < ERRORS; i++)
            kin_error_release(graph.error[i]);
        on_threads(walk, args);
        CHECK_EQ(blocks(), before);
    }
}

TEST_MAIN
