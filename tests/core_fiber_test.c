/* core_fiber_test.c -- the bare fiber: values both ways, nesting, transfer,
 * the end of one, its stack, and many threads.
 *
 * A fiber that must not be left where a sanitizer looks for leaks runs to its
 * end; those that are dropped suspended own nothing. */
#include "kin/fiber.h"
#include "kin/stack.h"
#include "tests/check.h"

#include <alloca.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define MUST(call) CHECK_EQ((call), 0)
#define WORD(value) ((void *)(intptr_t)(value))
#define NUMBER(word) ((intptr_t)(word))

static kin_fiber *new_fiber(kin_fiber_body *body)
{
    kin_fiber *fiber = NULL;
    MUST(kin_fiber_new(body, &fiber));
    return fiber;
}

static intptr_t resume(kin_fiber *fiber, intptr_t value)
{
    void *out = NULL;
    MUST(kin_fiber_resume(fiber, WORD(value), &out));
    return NUMBER(out);
}

/* --- Values and the end ------------------------------------------------- */

KIN_SUSPENDS
static void *add_up(void *value)
{
    intptr_t sum = 0;
    while (value) {
        sum += NUMBER(value);
        value = kin_fiber_suspend(WORD(sum));
    }
    return WORD(-sum);
}

TEST(values_travel_both_ways_and_the_last_is_what_the_body_returns)
{
    kin_fiber *fiber = new_fiber(add_up);

    CHECK_EQ(resume(fiber, 1), 1);
    CHECK_EQ(resume(fiber, 2), 3);
    CHECK_EQ(resume(fiber, 3), 6);
    CHECK(!kin_fiber_is_done(fiber));
    CHECK_EQ(resume(fiber, 0), -6);
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
}

static void *echo(void *value)
{
    return value;
}

TEST(fiber_that_has_ended_is_not_resumed_again)
{
    kin_fiber *fiber = new_fiber(echo);
    void *out = &fiber;

    CHECK(!kin_fiber_is_done(fiber));
    CHECK_EQ(resume(fiber, 5), 5);
    CHECK_EQ(kin_fiber_resume(fiber, NULL, &out), KIN_ESTALE);
    CHECK_PTR(out, &fiber);
    CHECK(kin_fiber_is_done(fiber));
    CHECK(kin_fiber_is_done(NULL));
    kin_fiber_destroy(fiber);
}

TEST(resume_needs_no_place_for_the_value)
{
    kin_fiber *fiber = new_fiber(add_up);

    MUST(kin_fiber_resume(fiber, WORD(1), NULL));
    MUST(kin_fiber_resume(fiber, NULL, NULL));
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
}

KIN_SUSPENDS
static void *log_each_resume(UNUSED void *value)
{
    do {
        ev("in");
    } while (!kin_fiber_suspend(NULL));
    return NULL;
}

TEST(fiber_runs_only_inside_resume)
{
    kin_fiber *fiber = new_fiber(log_each_resume);

    ev("new");
    resume(fiber, 0);
    ev("out");
    resume(fiber, 0);
    ev("out");
    kin_fiber_destroy(fiber);
    CHECK_LOG("new in out in out");
}

TEST(fiber_may_be_destroyed_unborn_suspended_or_done)
{
    kin_fiber *unborn = new_fiber(echo), *suspended = new_fiber(add_up),
              *done = new_fiber(echo);

    resume(suspended, 1);
    resume(done, 1);
    kin_fiber_destroy(unborn);
    kin_fiber_destroy(suspended);
    kin_fiber_destroy(done);
    kin_fiber_destroy(NULL);
}

TEST(destroyed_fibers_leave_no_stack_behind)
{
    kin_stack_stats before, after;

    kin_fiber_destroy(new_fiber(echo));
    MUST(kin_stack_get_stats(&before));
    for (int i = 0; i < 1000; i++) {
        kin_fiber *fiber = new_fiber(add_up);
        resume(fiber, 1);
        kin_fiber_destroy(fiber);
    }
    MUST(kin_stack_get_stats(&after));
    CHECK_EQ(after.live, before.live);
}

/* --- Inside one another ------------------------------------------------- */

static kin_fiber *outer, *inner;

KIN_SUSPENDS
static void *resume_oneself(UNUSED void *value)
{
    CHECK_PTR(kin_fiber_current(), outer);
    CHECK_EQ(kin_fiber_resume(outer, NULL, NULL), KIN_EBUSY);
    CHECK_EQ(kin_fiber_transfer(outer, NULL, NULL), KIN_EBUSY);
    return NULL;
}

TEST(running_fiber_is_busy)
{
    outer = new_fiber(resume_oneself);
    CHECK(!kin_fiber_current());
    resume(outer, 0);
    CHECK(!kin_fiber_current());
    kin_fiber_destroy(outer);
}

KIN_SUSPENDS
static void *resume_ones_resumer(UNUSED void *value)
{
    CHECK_PTR(kin_fiber_current(), inner);
    CHECK_EQ(kin_fiber_resume(outer, NULL, NULL), KIN_EBUSY);
    kin_fiber_suspend(NULL);
    ev("inner again");
    return NULL;
}

KIN_SUSPENDS
static void *resume_inner(UNUSED void *value)
{
    resume(inner, 0);
    CHECK_PTR(kin_fiber_current(), outer);
    kin_fiber_suspend(NULL);
    ev("outer again");
    return NULL;
}

TEST(fiber_that_waits_for_one_it_resumed_is_busy)
{
    outer = new_fiber(resume_inner);
    inner = new_fiber(resume_ones_resumer);
    resume(outer, 0);
    resume(inner, 0);
    resume(outer, 0);
    CHECK_LOG("inner again outer again");
    kin_fiber_destroy(outer);
    kin_fiber_destroy(inner);
}

static void *resume_a_deeper_one(void *depth)
{
    if (depth) {
        kin_fiber *deeper = new_fiber(resume_a_deeper_one);
        intptr_t below = resume(deeper, NUMBER(depth) - 1);
        CHECK(kin_fiber_is_done(deeper));
        kin_fiber_destroy(deeper);
        return WORD(below + 1);
    }
    return NULL;
}

TEST(fibers_nest_a_thousand_deep)
{
    CHECK_EQ(NUMBER(resume_a_deeper_one(WORD(1000))), 1000);
}

/* --- Transfer ----------------------------------------------------------- */

KIN_SUSPENDS
static void *transfer_to_inner(UNUSED void *value)
{
    void *back = NULL;

    MUST(kin_fiber_transfer(inner, WORD(2), &back));
    CHECK_EQ(NUMBER(back), 4);
    return WORD(5);
}

KIN_SUSPENDS
static void *suspend_with_3(void *value)
{
    CHECK_EQ(NUMBER(value), 2);
    kin_fiber_suspend(WORD(3));
    return WORD(6);
}

TEST(transfer_hands_the_resumer_over)
{
    outer = new_fiber(transfer_to_inner);
    inner = new_fiber(suspend_with_3);
    CHECK_EQ(resume(outer, 1), 3);
    CHECK_EQ(resume(outer, 4), 5);
    CHECK_EQ(resume(inner, 0), 6);
    kin_fiber_destroy(outer);
    kin_fiber_destroy(inner);
}

KIN_SUSPENDS
static void *transfer_to_ended(UNUSED void *value)
{
    CHECK_EQ(kin_fiber_transfer(inner, NULL, NULL), KIN_ESTALE);
    return WORD(7);
}

TEST(transfer_to_an_ended_fiber_goes_on_here)
{
    outer = new_fiber(transfer_to_ended);
    inner = new_fiber(echo);
    resume(inner, 0);
    CHECK_EQ(resume(outer, 0), 7);
    kin_fiber_destroy(outer);
    kin_fiber_destroy(inner);
}

static kin_fiber *ring[3];

KIN_SUSPENDS
static void *pass_on(void *rounds)
{
    intptr_t self = NUMBER(kin_fiber_local(kin_fiber_current()));

    while (NUMBER(rounds) > 0)
        MUST(kin_fiber_transfer(ring[(self + 1) % 3],
                                WORD(NUMBER(rounds) - 1), &rounds));
    return WORD(self);
}

TEST(three_fibers_transfer_in_a_ring)
{
    for (int i = 0; i < 3; i++) {
        ring[i] = new_fiber(pass_on);
        kin_fiber_set_local(ring[i], WORD(i));
    }
    CHECK_EQ(resume(ring[0], 30000), 0);
    CHECK(!kin_fiber_is_done(ring[1]));
    for (int i = 0; i < 3; i++)
        kin_fiber_destroy(ring[i]);
}

/* --- Generators --------------------------------------------------------- */

KIN_SUSPENDS
static void *squares(void *first)
{
    for (intptr_t i = NUMBER(first);; i++)
        if (!kin_fiber_suspend(WORD(i * i)))
            return NULL;
}

TEST(generator_gives_squares_until_told_to_stop)
{
    kin_fiber *fiber = new_fiber(squares);

    for (intptr_t i = 1; i <= 10; i++)
        CHECK_EQ(resume(fiber, 1), i * i);
    CHECK_EQ(resume(fiber, 0), 0);
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
}

struct node {
    struct node *left, *right;
    intptr_t key;
};

KIN_SUSPENDS
static void walk(const struct node *node)
{
    if (node) {
        walk(node->left);
        kin_fiber_suspend(WORD(node->key));
        walk(node->right);
    }
}

KIN_SUSPENDS
static void *walk_tree(void *root)
{
    walk(root);
    return NULL;
}

TEST(tree_is_walked_from_inside_a_recursion)
{
    struct node n[5] = { { NULL, NULL, 1 }, { NULL, NULL, 3 },
                         { &n[0], &n[1], 2 }, { NULL, NULL, 5 },
                         { &n[2], &n[3], 4 } };
    kin_fiber *fiber = new_fiber(walk_tree);

    for (intptr_t key = resume(fiber, (intptr_t)&n[4]); key;
         key = resume(fiber, 0))
        evi(key);
    CHECK_LOG("1 2 3 4 5");
    kin_fiber_destroy(fiber);
}

/* How often, natively; less where everything takes longer. */
static int rounds(int natively)
{
    return (int)(natively / check_slow(1));
}

TEST(ten_thousand_fibers_are_alive_at_once)
{
    static kin_fiber *fibers[10000];
    int count = rounds(10000);

    for (int i = 0; i < count; i++)
        CHECK_EQ(resume(fibers[i] = new_fiber(squares), i), (long)i * i);
    for (int i = 0; i < count; i += 2)
        kin_fiber_destroy(fibers[i]);
    for (int i = 1; i < count; i += 2) {
        CHECK_EQ(resume(fibers[i], 1), (long)(i + 1) * (i + 1));
        kin_fiber_destroy(fibers[i]);
    }
}

/* --- Names, locals, mistakes -------------------------------------------- */

static void *own_name(UNUSED void *value)
{
    return WORD(kin_fiber_name(kin_fiber_current()));
}

TEST(fiber_knows_its_name)
{
    kin_fiber *fiber = NULL, *unnamed = new_fiber(echo);
    void *out = NULL;

    MUST(kin_fiber_new(own_name, &fiber, .name = "lexer"));
    CHECK_STR(kin_fiber_name(fiber), "lexer");
    MUST(kin_fiber_resume(fiber, NULL, &out));
    CHECK_STR(out, "lexer");
    CHECK_PTR(kin_fiber_name(unnamed), NULL);
    kin_fiber_destroy(fiber);
    kin_fiber_destroy(unnamed);
}

static void *own_local(UNUSED void *value)
{
    void *local = kin_fiber_local(kin_fiber_current());
    kin_fiber_set_local(kin_fiber_current(), NULL);
    return local;
}

TEST(fiber_keeps_a_pointer_for_the_user)
{
    kin_fiber *fiber = new_fiber(own_local);

    CHECK_PTR(kin_fiber_local(fiber), NULL);
    kin_fiber_set_local(fiber, WORD(5));
    CHECK_PTR(kin_fiber_local(fiber), WORD(5));
    CHECK_EQ(resume(fiber, 0), 5);
    CHECK_PTR(kin_fiber_local(fiber), NULL);
    kin_fiber_destroy(fiber);
}

static void check_misuse(void (*call)(void *arg))
{
#if defined(KIN_DEBUG) && KIN_DEBUG
    check_dies(call, NULL, "misuse");
#else
    check_says(call, NULL, "misuse");
#endif
}

static void new_without_body(UNUSED void *arg)
{
    kin_fiber *fiber = NULL;
    CHECK_EQ(kin_fiber_new(NULL, &fiber), KIN_EINVAL);
    CHECK(!fiber);
}

static void new_without_a_place(UNUSED void *arg)
{
    CHECK_EQ(kin_fiber_new(echo, NULL), KIN_EINVAL);
}

static void new_on_too_little(UNUSED void *arg)
{
    static char memory[KIN_FIBER_MEMORY_MIN];
    kin_fiber *fiber = NULL;

    CHECK_EQ(kin_fiber_new(echo, &fiber, .memory = memory,
                           .memory_size = sizeof memory - 1), KIN_EINVAL);
    CHECK(!fiber);
}

static void resume_null(UNUSED void *arg)
{
    CHECK_EQ(kin_fiber_resume(NULL, NULL, NULL), KIN_EINVAL);
}

KIN_UNCHECKED
static void suspend_here(UNUSED void *arg)
{
    CHECK_PTR(kin_fiber_suspend(WORD(1)), NULL);
}

KIN_UNCHECKED
static void transfer_from_here(UNUSED void *arg)
{
    kin_fiber *fiber = new_fiber(echo);
    CHECK_EQ(kin_fiber_transfer(fiber, NULL, NULL), KIN_ENOFIBER);
    CHECK(!kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
}

static void *destroy_oneself(UNUSED void *value)
{
    kin_fiber_destroy(kin_fiber_current());
    return WORD(7);
}

static void destroy_running(UNUSED void *arg)
{
    kin_fiber *fiber = new_fiber(destroy_oneself);
    CHECK_EQ(resume(fiber, 0), 7);
    kin_fiber_destroy(fiber);
}

TEST(misuse_is_told_and_has_no_effect)
{
    check_misuse(new_without_body);
    check_misuse(new_without_a_place);
    check_misuse(new_on_too_little);
    check_misuse(resume_null);
    check_misuse(suspend_here);
    check_misuse(transfer_from_here);
    check_misuse(destroy_running);
}

TEST(stack_beyond_64_mib_is_refused)
{
    kin_fiber *fiber = NULL;
    int err = kin_fiber_new(echo, &fiber, .stack_size = (64u << 20) + 1);

    CHECK_EQ(err, KIN_EINVAL);
    CHECK(!fiber);
}

/* --- Stacks ------------------------------------------------------------- */

__attribute__((noinline)) static void touch(size_t size)
{
    volatile char *room = alloca(size);
    for (size_t i = 0; i < size; i += 256)
        room[i] = (char)i;
}

KIN_SUSPENDS
static void *touch_most_of(void *size)
{
    touch((size_t)size / 4 * 3);
    kin_fiber_suspend(NULL);
    touch((size_t)size / 4 * 3);
    return NULL;
}

TEST(stacks_from_4_kib_to_64_mib_are_as_deep_as_asked)
{
    for (size_t size = 4096; size <= 64u << 20; size *= 2) {
        kin_fiber *fiber = NULL;
        MUST(kin_fiber_new(touch_most_of, &fiber, .stack_size = size));
        resume(fiber, (intptr_t)size);
        resume(fiber, 0);
        CHECK(kin_fiber_is_done(fiber));
        kin_fiber_destroy(fiber);
    }
}

static void *address_of_frame(UNUSED void *value)
{
    return __builtin_frame_address(0);
}

TEST(fiber_runs_on_the_callers_memory_which_may_be_used_again)
{
    enum { SIZE = 65536 };
    char *memory = aligned_alloc(64, SIZE);

    for (int i = 0; i < 3; i++) {
        kin_fiber *fiber = NULL;
        void *frame = NULL;

        MUST(kin_fiber_new(address_of_frame, &fiber, .memory = memory,
                           .memory_size = SIZE));
        MUST(kin_fiber_resume(fiber, NULL, &frame));
        CHECK((char *)frame >= memory && (char *)frame < memory + SIZE);
        CHECK(kin_fiber_is_done(fiber));
        kin_fiber_destroy(fiber);
        memset(memory, 0, SIZE);
    }
    free(memory);
}

TEST(smallest_memory_is_enough_at_any_alignment)
{
    enum { SIZE = KIN_FIBER_MEMORY_MIN };
    char *memory = malloc(SIZE + 64);

    for (int i = 0; i < 64; i += 7) {
        kin_fiber *fiber = NULL;
        MUST(kin_fiber_new(squares, &fiber, .memory = memory + i,
                           .memory_size = SIZE));
        CHECK_EQ(resume(fiber, 3), 9);
        CHECK_EQ(resume(fiber, 3), 16);
        kin_fiber_destroy(fiber);
    }
    free(memory);
}

/* --- The thread's own stack --------------------------------------------- */

struct deep {
    const void *address;
    int depth;
};

__attribute__((noinline)) static void go_deep(void *arg)
{
    struct deep *deep = arg;
    volatile char frame[4096];

    frame[0] = frame[4095] = 1;
    deep->address = (const void *)(uintptr_t)frame;
    if (--deep->depth > 0)
        go_deep(deep);
    (void)frame[0];
}

KIN_SUSPENDS
static void *go_deep_on_the_threads_stack(void *arg)
{
    struct deep *deep = arg;

    kin_call_on_thread_stack(go_deep, deep);
    CHECK_PTR(kin_fiber_suspend(WORD(1)), WORD(2));
    deep->depth = 128;
    kin_call_on_thread_stack(go_deep, deep);
    return NULL;
}

TEST(code_512_kib_deep_runs_on_the_threads_own_stack)
{
    struct deep deep = { NULL, 128 };
    kin_fiber *fiber = new_fiber(go_deep_on_the_threads_stack);

    CHECK_EQ(resume(fiber, (intptr_t)&deep), 1);
    CHECK_EQ(deep.depth, 0);
    CHECK_EQ(resume(fiber, 2), 0);
    CHECK_EQ(deep.depth, 0);
    kin_fiber_destroy(fiber);
}

TEST(call_on_the_threads_stack_off_a_fiber_is_a_plain_call)
{
    struct deep deep = { NULL, 128 };

    kin_call_on_thread_stack(go_deep, &deep);
    CHECK_EQ(deep.depth, 0);
}

static void call_again(void *arg)
{
    kin_call_on_thread_stack(go_deep, arg);
}

static void *call_inside_call(void *arg)
{
    kin_call_on_thread_stack(call_again, arg);
    return NULL;
}

TEST(call_on_the_threads_stack_may_be_nested)
{
    struct deep deep = { NULL, 128 };
    kin_fiber *fiber = new_fiber(call_inside_call);

    resume(fiber, (intptr_t)&deep);
    CHECK_EQ(deep.depth, 0);
    kin_fiber_destroy(fiber);
}

/* A fiber that is resumed there is on a stack of its own, and may suspend. */
static void run_a_generator(void *sum)
{
    kin_fiber *fiber = new_fiber(squares);

    for (int i = 0; i < 3; i++)
        *(intptr_t *)sum += resume(fiber, 1);
    kin_fiber_destroy(fiber);
}

static void *generate_on_the_threads_stack(void *sum)
{
    kin_call_on_thread_stack(run_a_generator, sum);
    return NULL;
}

TEST(fibers_may_be_resumed_on_the_threads_stack)
{
    intptr_t sum = 0;
    kin_fiber *fiber = new_fiber(generate_on_the_threads_stack);

    resume(fiber, (intptr_t)&sum);
    CHECK_EQ(sum, 1 + 4 + 9);
    kin_fiber_destroy(fiber);
}

/* --- Threads ------------------------------------------------------------ */

static void *run_generators(UNUSED void *arg)
{
    for (int i = 0; i < rounds(10000); i++) {
        kin_fiber *fiber = new_fiber(squares);
        CHECK_EQ(resume(fiber, i), (long)i * i);
        kin_fiber_destroy(fiber);
    }
    return NULL;
}

TEST(four_threads_have_fibers_of_their_own)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&threads[i], NULL, run_generators, NULL));
    for (int i = 0; i < 4; i++)
        MUST(pthread_join(threads[i], NULL));
}

/* Two threads resume one fiber in turn. */
enum { ROUNDS = 2000 };

struct shared {
    pthread_barrier_t turn;
    kin_fiber *fiber;
    pid_t seen[2];
};

/* Not pthread_self(): compilers believe that it never changes. */
KIN_SUSPENDS
static void *say_who_runs(void *arg)
{
    struct shared *shared = arg;

    for (int i = 0; i < ROUNDS; i++) {
        shared->seen[i % 2] = gettid();
        kin_fiber_suspend(WORD(i));
    }
    return WORD(ROUNDS);
}

static void take_turn(struct shared *shared, int round)
{
    CHECK_EQ(resume(shared->fiber, (intptr_t)shared), round);
    CHECK_EQ(shared->seen[round % 2], gettid());
}

static void *take_odd_turns(void *arg)
{
    struct shared *shared = arg;

    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2)
            take_turn(shared, i);
        pthread_barrier_wait(&shared->turn);
    }
    return NULL;
}

TEST(two_threads_resume_one_fiber_in_turn)
{
    static struct shared shared;
    pthread_t other;

    pthread_barrier_init(&shared.turn, NULL, 2);
    shared.fiber = new_fiber(say_who_runs);
    MUST(pthread_create(&other, NULL, take_odd_turns, &shared));
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2 == 0)
            take_turn(&shared, i);
        pthread_barrier_wait(&shared.turn);
    }
    MUST(pthread_join(other, NULL));
    CHECK_EQ(resume(shared.fiber, 0), ROUNDS);
    CHECK(kin_fiber_is_done(shared.fiber));
    kin_fiber_destroy(shared.fiber);
}

/* Two threads go for one fiber at once: one gets it, the other is told. */
static kin_fiber *wanted;
static _Atomic int won, busy;

static void *grab(void *barrier)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(barrier);
        int err = kin_fiber_resume(wanted, WORD(1), NULL);
        if (err == 0)
            won++;
        else if (err == KIN_EBUSY)
            busy++;
        else
            FAIL("resume said %d", err);
    }
    return NULL;
}

TEST(fiber_that_two_threads_resume_at_once_is_run_by_one_at_a_time)
{
    static pthread_barrier_t barrier;
    pthread_t other;

    wanted = new_fiber(squares);
    pthread_barrier_init(&barrier, NULL, 2);
    MUST(pthread_create(&other, NULL, grab, &barrier));
    grab(&barrier);
    MUST(pthread_join(other, NULL));
    CHECK_EQ(won + busy, 2 * ROUNDS);
    CHECK(won >= ROUNDS);
    CHECK_EQ(resume(wanted, 1), ((long)won + 1) * (won + 1));
    kin_fiber_destroy(wanted);
}

TEST_MAIN
