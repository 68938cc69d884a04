/* job_walk_stress.c -- a walk over all jobs, as a dump makes one, while they
 * are completed, cancelled and released: it decides nothing, and loses nothing.
 */
#define RACE_LESS 10
#include "tests/race.h"

#include "job/walk.h"

TEST_TIMEOUT(120);

struct round {
    kin_job *parent;
    kin_deferred *child;
    kin_job *leaf;
    int completed;
    atomic_int given_back;
};

static void give_back(void *value)
{
    struct round *now = value;

    atomic_fetch_add(&now->given_back, 1);
}

static int pass_by(UNUSED const struct kin__walk_level *at, UNUSED void *arg)
{
    return 0;
}

static void walk_over_all(UNUSED struct round *now)
{
    MUST(kin__walk_jobs(pass_by, NULL));
}

static void complete_child(struct round *now)
{
    CHECK_EQ(kin_deferred_complete(now->child, now), 1);
    kin_deferred_release(now->child);
}

/* --- Completed, and cancelled after that ---------------------------------- */

static void begin_family(struct round *now)
{
    now->parent = new_job(NULL);
    MUST(kin_deferred_new(now->parent, give_back, &now->child));
}

/* It has no child any more when it is completed. */
static void complete_both(struct round *now)
{
    complete_child(now);
    CHECK_EQ(kin_job_complete(now->parent), 1);
    kin_job_cancel(now->parent, NULL);
}

KIN_SUSPENDS
static void check_completed(struct round *now)
{
    MUST(kin_join(now->parent));
    CHECK_FLAGS(now->parent, "010");
    CHECK_EQ(now->given_back, 1);
    kin_job_release(now->parent);
    saw(0);
}

TEST(who_is_completed_while_somebody_looks_on_is_not_cancelled_any_more)
{
    RACE(begin_family, complete_both, walk_over_all, check_completed,
         "completed");
}

/* --- Roots that are completed, or only released --------------------------- */

static void begin_root(struct round *now)
{
    MUST(kin_deferred_new(NULL, give_back, &now->child));
    now->completed = draw(2) != 0;
}

static void complete_or_release(struct round *now)
{
    if (now->completed) {
        CHECK_EQ(kin_deferred_complete(now->child, now), 1);
        CHECK_FLAGS(kin_deferred_job(now->child), "010");
    }
    kin_deferred_release(now->child);
}

KIN_SUSPENDS
static void check_given_back(struct round *now)
{
    while (now->completed && !atomic_load(&now->given_back))
        MUST(kin_yield());              /* the walk has it still */
    CHECK_EQ(now->given_back, now->completed);
    saw(now->completed);
}

TEST(a_deferred_that_goes_while_somebody_looks_on_is_freed_once)
{
    RACE(begin_root, complete_or_release, walk_over_all, check_given_back,
         "released", "completed");
}

/* --- A family with leaves, cancelled -------------------------------------- */

static void begin_leaves(struct round *now)
{
    begin_family(now);
    now->leaf = LAUNCH_IN(now->parent, kin_global_scope(), wait_forever, NULL,
                          .dispatcher = some_dispatcher());
    LAUNCH_UNDER(now->parent, kin_global_scope(), wait_forever, NULL,
                 .dispatcher = some_dispatcher());
    LAUNCH_UNDER(kin_deferred_job(now->child), kin_global_scope(),
                 wait_forever, NULL, .dispatcher = some_dispatcher());
}

/* The child is completing, as long as it has one of its own. */
static void cancel_all(struct round *now)
{
    complete_child(now);
    if (draw(2))
        kin_job_cancel_children(now->parent, NULL);
    kin_job_release(now->leaf);
    kin_job_cancel(now->parent, NULL);
}

KIN_SUSPENDS
static void check_cancelled(struct round *now)
{
    MUST(kin_join(now->parent));
    CHECK_FLAGS(now->parent, "011");
    CHECK_EQ(now->given_back, 1);       /* before its parent could end */
    kin_job_release(now->parent);
    saw(0);
}

TEST(a_family_that_is_cancelled_while_somebody_looks_on_hands_its_value_back)
{
    RACE(begin_leaves, cancel_all, walk_over_all, check_cancelled,
         "cancelled");
}

TEST_MAIN
