/* With KIN_WIPE_STACKS no fiber finds on its stack what another one has left
 * there: the first writes a pattern all over its stack, the second looks for
 * it, from its own frame down to the end.  Without, it is found: the search
 * works. */
#include "core/sanitize.h"
#include "core/thread.h"
#include "kin/kin.h"
#include "tests/words.h"

#include <stdlib.h>

#define SECRET 0x5ec2e75ec2e75ec2ull
enum { WORDS = 3000 };              /* 24 KiB of a stack of 64               */

__attribute__((noinline, no_sanitize("address"))) static void leave_secret(void)
{
    volatile unsigned long long secret[WORDS];

    for (int i = 0; i < WORDS; i++)
        secret[i] = SECRET;
    (void)secret[0];
}

/* Of nobody's words between the end of the stack and our frame. */
__attribute__((noinline, no_sanitize("address", "thread")))
static long count_secrets(const struct kin__stack *stack)
{
    const unsigned long long *word = stack->base;
    const void *frame = __builtin_frame_address(0);
    long found = 0;

    for (; (const void *)word < frame; word++)
        found += *word == SECRET;
    return found;
}

KIN_SUSPENDS
static int confide(UNUSED kin_scope *scope, void *delays)
{
    leave_secret();
    if (delays)
        KIN_TRY(kin_delay(1));
    leave_secret();
    return 0;
}

struct spy {
    long found;
    bool delays;
};

KIN_SUSPENDS
static int spy(UNUSED kin_scope *scope, void *arg)
{
    struct spy *self = arg;

    self->found += count_secrets(&kin__thread()->fiber->stack);
    if (self->delays)
        KIN_TRY(kin_delay(1));
    self->found += count_secrets(&kin__thread()->fiber->stack);
    return 0;
}

KIN_SUSPENDS
static void run_one(kin_scope *scope, kin_body *body, void *arg,
                    kin_dispatcher *where)
{
    KIN_AUTO(kin_job) job = NULL;

    MUST(kin_launch(scope, body, arg, .dispatcher = where, .job = &job));
    MUST(kin_join(job));
}

struct search {
    kin_dispatcher *where;
    long found;
};

/* Who confides ends before the spies begin, in every combination of those that
 * keep their stack over a wait and those that borrow their host's.  There are
 * a few hosts, so there are a few of each. */
KIN_SUSPENDS
static int confide_and_spy(kin_scope *scope, void *arg)
{
    struct search *search = arg;

    for (int i = 0; i < 4; i++) {
        struct spy self = { 0, i % 2 };

        for (int k = 0; k < 4; k++)
            run_one(scope, confide, i / 2 ? search : NULL, search->where);
        for (int k = 0; k < 4; k++)
            run_one(scope, spy, &self, search->where);
        search->found += self.found;
    }
    return 0;
}

static long secrets_found(kin_dispatcher *where)
{
    struct search search = { where, 0 };

    MUST(kin_run_blocking(confide_and_spy, &search));
    return search.found;
}

TEST(secrets_are_found_if_stacks_are_not_wiped)
{
    if (KIN__ASAN)
        SKIP("what is dead is not looked at there");
    unsetenv("KIN_WIPE_STACKS");
    secrets_found(NULL);        /* a function's first runs begin on zeroes */
    CHECK(secrets_found(NULL) > WORDS / 2);
}

TEST(no_secret_is_found_on_a_wiped_stack)
{
    setenv("KIN_WIPE_STACKS", "1", 1);
    CHECK_EQ(secrets_found(NULL), 0);
    CHECK_EQ(secrets_found(kin_default()), 0);
    CHECK_EQ(secrets_found(kin_io()), 0);
    CHECK_EQ(secrets_found(kin_unconfined()), 0);
}

KIN_SUSPENDS
static void *generate(void *spies)
{
    long found = 0;

    if (spies)
        found = count_secrets(&kin__thread()->fiber->stack);
    leave_secret();
    kin_fiber_suspend((void *)found);
    return NULL;
}

static long resume_a_new_fiber(void *spies)
{
    kin_fiber *fiber = NULL;
    void *found = NULL;

    MUST(kin_fiber_new(generate, &fiber));
    MUST(kin_fiber_resume(fiber, spies, &found));
    kin_fiber_destroy(fiber);
    return (long)found;
}

TEST(no_secret_of_a_dropped_fiber_is_found_by_the_next)
{
    setenv("KIN_WIPE_STACKS", "1", 1);
    CHECK_EQ(resume_a_new_fiber(NULL), 0);
    CHECK_EQ(resume_a_new_fiber(&(int){ 0 }), 0);
}

TEST(secrets_of_a_dropped_fiber_are_found_if_stacks_are_not_wiped)
{
    if (KIN__ASAN)
        SKIP("what is dead is not looked at there");
    unsetenv("KIN_WIPE_STACKS");
    CHECK_EQ(resume_a_new_fiber(NULL), 0);
    CHECK(resume_a_new_fiber(&(int){ 0 }) > WORDS / 2);
}

TEST_MAIN
