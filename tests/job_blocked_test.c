/* A fiber that blocks a worker of Default is named on stderr, with its family
 * and the place of its launch, and the others go on meanwhile. */
#include "core/parker.h"
#include "tests/dispatch_helpers.h"
#include "tests/job_helpers.h"

static struct counter gate = COUNTER_INIT, others = COUNTER_INIT;
static struct counter begun = COUNTER_INIT;

static int block(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    counter_add(&begun, 1);
    counter_await(&gate, 1);
    return 0;
}

static int go_on(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    counter_add(&others, 1);
    return 0;
}

/* Blocks every worker of Default, and sees that somebody runs all the same.
 * Who is refused a stack never begins. */
KIN_SUSPENDS
static int block_them_all(kin_scope *scope)
{
    int core = kin__cpu_count() < 2 ? 2 : kin__cpu_count();

    for (int i = 0; i < core; i++)
        KIN_TRY(kin_launch_with(scope, block, &(kin_launch_options){
            .dispatcher = kin_default(), .name = "sleeper",
            .site = "nap.c:8" }));
    if (!counter_await_for(&begun, core, KIN_S(10)))
        return KIN_ETIMEDOUT;
    KIN_TRY(kin_launch(scope, go_on, NULL, .dispatcher = kin_default()));
    return counter_await_for(&others, 1, KIN_S(10)) ? 0 : KIN_ETIMEDOUT;
}

KIN_SUSPENDS
static int block_and_let_go(kin_scope *scope, void *arg)
{
    int err = block_them_all(scope);

    (void)arg;
    counter_add(&gate, 1);
    return err;
}

static void block_default(void *arg)
{
    kin_blocked_limit(KIN_MS(30));
    CHECK_EQ(kin_run_blocking(block_and_let_go, arg, .name = "main"), 0);
}

TEST(who_blocks_a_worker_is_named)
{
    check_says(block_default, NULL, "kin: blocked: fiber \"sleeper\", launched "
                                    "at nap.c:8, has blocked a worker");
}

TEST(its_family_is_told)
{
    check_says(block_default, NULL, "family: main/sleeper\n");
}

TEST(the_others_go_on)
{
    block_default(NULL);
}

TEST_MAIN
