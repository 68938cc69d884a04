/* Who looks on keeps nobody from ending: what a visitor of the walk over all
 * jobs does to the very job, or family, that the walk holds just then.
 */
#include "tests/job_helpers.h"

#include "job/walk.h"

static struct {
    kin_job *job;                   /* whose visit it is about               */
    void (*act)(void);
    int visits;
    int undelivered;
} walk;

static void count_undelivered(void *value)
{
    (void)value;
    walk.undelivered++;
}

static kin_deferred *new_told(kin_job *parent)
{
    kin_deferred *deferred = NULL;
    CHECK_EQ(kin_deferred_new(parent, count_undelivered, &deferred), 0);
    return deferred;
}

static int visit(const struct kin__walk_level *at, void *arg)
{
    (void)arg;
    if (at->job == walk.job) {
        walk.visits++;
        walk.act();
    }
    return 0;
}

/* Walks over all jobs, and calls act when it has come to `job`. */
static void walk_and(void (*act)(void), kin_job *job)
{
    walk.job = job;
    walk.act = act;
    CHECK_EQ(kin__walk_jobs(visit, NULL), 0);
    CHECK_EQ(walk.visits, 1);
}

/* --- A root that is completed by hand ------------------------------------- */

static kin_deferred *root;

static void complete_and_cancel(void)
{
    int value = 0, *got = NULL;
    CHECK_EQ(kin_deferred_complete(root, &value), 1);
    CHECK_FLAGS(kin_deferred_job(root), "010");
    kin_job_cancel(kin_deferred_job(root), NULL);
    CHECK_FLAGS(kin_deferred_job(root), "010");
    CHECK_EQ(kin_deferred_get(root, &got), 0);
    CHECK_PTR(got, &value);
}

TEST(a_value_given_to_a_deferred_that_is_visited_is_there_at_once)
{
    root = new_told(NULL);
    walk_and(complete_and_cancel, kin_deferred_job(root));
    CHECK_FLAGS(kin_deferred_job(root), "010");
    kin_deferred_release(root);
    CHECK_EQ(walk.undelivered, 0);
}

static void release_root(void)
{
    kin_deferred_release(root);
}

TEST(a_deferred_may_be_released_while_it_is_visited)
{
    root = new_told(NULL);
    walk_and(release_root, kin_deferred_job(root));
    CHECK_EQ(walk.undelivered, 0);
}

static void complete_and_release(void)
{
    CHECK_EQ(kin_deferred_complete(root, &root), 1);
    kin_deferred_release(root);
}

TEST(a_value_that_nobody_has_is_handed_back_at_the_end_of_the_visit)
{
    root = new_told(NULL);
    walk_and(complete_and_release, kin_deferred_job(root));
    CHECK_EQ(walk.undelivered, 1);
}

/* --- One whose child is visited ------------------------------------------- */

static struct {
    kin_job *parent;
    kin_deferred *child;
} family;

static void begin_family(void)
{
    family.parent = new_job(NULL);
    family.child = new_told(family.parent);
}

static void end_family(void)
{
    kin_deferred_release(family.child);
    kin_job_release(family.parent);
}

/* The walk holds the parent, which has no child any more. */
static void complete_both(void)
{
    CHECK_EQ(kin_deferred_complete(family.child, NULL), 1);
    CHECK_EQ(kin_job_complete(family.parent), 1);
}

static void complete_both_and_cancel(void)
{
    complete_both();
    kin_job_cancel(family.parent, NULL);
    CHECK(!kin_job_is_cancelled(family.parent));
    CHECK_EQ(kin_job_complete(family.parent), 0);
}

TEST(who_is_completed_while_a_child_is_visited_is_not_cancelled_any_more)
{
    begin_family();
    walk_and(complete_both_and_cancel, kin_deferred_job(family.child));
    CHECK_FLAGS(family.parent, "010");
    end_family();
}

static void complete_both_and_attach(void)
{
    KIN_AUTO(kin_job) late = NULL;
    complete_both();
    late = new_job(family.parent);
    CHECK_FLAGS(late, "011");
}

TEST(who_is_completed_while_a_child_is_visited_gets_no_more_children)
{
    begin_family();
    walk_and(complete_both_and_attach, kin_deferred_job(family.child));
    CHECK_FLAGS(family.parent, "010");
    end_family();
}

static void fail_the_parent(void)
{
    KIN_AUTO(kin_error) error = kin_error_new("", KIN_EINVAL, NULL, "broken");
    CHECK_EQ(kin_deferred_complete(family.child, NULL), 1);
    CHECK_EQ(kin_job_fail(family.parent, error), 1);
    kin_job_cancel(family.parent, NULL);
}

TEST(who_fails_while_a_child_is_visited_has_failed)
{
    KIN_AUTO(kin_error) cause = NULL;
    begin_family();
    walk_and(fail_the_parent, kin_deferred_job(family.child));
    CHECK_FLAGS(family.parent, "011");
    cause = cancellation_of(family.parent);
    CHECK_STR(kin_error_message(kin_error_cause(cause)), "broken");
    end_family();
}

static void complete_the_parent(void)
{
    CHECK_EQ(kin_job_complete(family.parent), 1);
    CHECK_EQ(kin_job_complete(family.parent), 0);
    kin_job_cancel(family.parent, NULL);
}

TEST(who_is_completed_with_a_child_is_cancelled_with_it)
{
    begin_family();
    walk_and(complete_the_parent, kin_deferred_job(family.child));
    CHECK_FLAGS(family.parent, "011");
    CHECK_FLAGS(kin_deferred_job(family.child), "011");
    end_family();
}

TEST_MAIN
