/* What a running fiber sees of its context: elements travel with a launch, a
 * block replaces them and puts them back, and the job is always its own.
 * Everything runs on one event loop but for what the global scope launches.
 */
#include "tests/job_helpers.h"

static const kin_key user_key = { "user" };

static int say_user(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    ev(kin_current_element(&user_key));
    return 0;
}

static int launch_two_that_say_user(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_context) other = kin_context_of(&user_key, "U2", NULL);
    CHECK_EQ(kin_launch(scope, say_user, NULL), 0);
    CHECK_EQ(kin_launch(scope, say_user, NULL, .context = other), 0);
    return say_user(scope, arg);
}

/* S009 */
TEST_ON_LOOP(an_element_is_inherited_by_a_launch_unless_it_is_replaced)
{
    KIN_AUTO(kin_context) user = kin_context_of(&user_key, "U1", NULL);
    KIN_AUTO(kin_job) job =
        LAUNCH(scope, launch_two_that_say_user, NULL, .context = user);
    CHECK_EQ(kin_join(job), 0);
    CHECK_LOG_DRAWN("U1 U1 U2", "");
    CHECK_PTR(kin_current_element(&user_key), NULL);
}

/* A plain function that knows nothing of scopes, some calls deep. */
static void say_name(int depth)
{
    if (depth > 0) {
        say_name(depth - 1);
        return;
    }
    const char *name = kin_current_element(&kin_key_name);
    ev(name ? name : "none");
}

static int say_name_from_below(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    say_name(5);
    return 0;
}

/* S010 */
TEST_ON_LOOP(a_plain_function_sees_the_context_that_is_current)
{
    CHECK_EQ(kin_with_context(say_name_from_below, NULL, .name = "in"), 0);
    say_name(5);
    CHECK_LOG("in none");
}

/* S010, with the block in place of the function. */
TEST_ON_LOOP(a_block_replaces_the_context_until_it_is_left)
{
    int err;
    KIN_WITH_CONTEXT(err, .name = "in") {
        say_name(5);
        kin_yield();
        say_name(0);
    }
    CHECK_EQ(err, 0);
    say_name(5);
    CHECK_LOG("in in none");
}

/* What the body of a launch finds out about its own job. */
struct family {
    kin_job *job, *parent;
};

static int look_at_own_job(kin_scope *scope, void *arg)
{
    struct family *family = arg;
    KIN_AUTO(kin_context) context = NULL;
    family->job = kin_current_job();
    family->parent = parent_of(family->job);
    kin_job_release(family->parent);

    CHECK_EQ(kin_current_context(&context), 0);
    CHECK_PTR(kin_context_get(context, &kin_key_job), family->job);
    CHECK_PTR(kin_current_element(&kin_key_job), family->job);
    CHECK_PTR(kin_scope_job(scope), family->job);
    CHECK_PTR(kin_current_scope(), scope);
    return 0;
}

/* S011 */
TEST_ON_LOOP(the_job_in_the_context_is_the_one_that_launch_returned)
{
    struct family family;
    KIN_AUTO(kin_job) job = LAUNCH(scope, look_at_own_job, &family);
    CHECK_EQ(kin_join(job), 0);
    CHECK_PTR(family.job, job);
    CHECK_PTR(family.parent, kin_scope_job(scope));
}

/* S012.  A context cannot be cancelled in kin, only a job or a scope; off a
 * fiber kin_ensure_active has nothing to look at and is misuse. */
TEST(without_a_job_everything_counts_as_active)
{
    KIN_AUTO(kin_context) context = NULL;
    CHECK(kin_scope_is_active(kin_global_scope()));
    CHECK(kin_is_active());
    CHECK_PTR(kin_scope_job(kin_global_scope()), NULL);
    CHECK_EQ(kin_scope_context(kin_global_scope(), &context), 0);
    CHECK_PTR(kin_context_get(context, &kin_key_job), NULL);
}

/* S012, S347 */
MISUSE(kin_scope_cancel, of_the_global_scope, KIN_ENOJOB,
       kin_scope_cancel(kin_global_scope(), NULL))

TEST(off_a_fiber_there_is_no_job_no_scope_and_no_element)
{
    CHECK_PTR(kin_current_job(), NULL);
    CHECK_PTR(kin_current_scope(), NULL);
    CHECK_PTR(kin_current_element(&kin_key_name), NULL);
}

static int look_at_context_of_root(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_context) context = NULL;
    (void)scope;
    (void)arg;
    CHECK_EQ(kin_current_context(&context), 0);
    CHECK_PTR(kin_context_get(context, &kin_key_dispatcher), kin_default());
    CHECK_STR(kin_context_get(context, &kin_key_name), "n");
    CHECK_PTR(kin_context_get(context, &kin_key_job), kin_current_job());
    CHECK_PTR(parent_of(kin_current_job()), NULL);
    ev("looked");
    return 0;
}

/* S013 */
TEST_ON_LOOP(the_global_scope_launches_roots_on_default)
{
    KIN_AUTO(kin_job) job = LAUNCH(kin_global_scope(), look_at_context_of_root,
                                   NULL, .name = "n");
    CHECK_EQ(kin_join(job), 0);
    CHECK_STR(kin_job_name(job), "n");
    CHECK_LOG("looked");
}

/* S014 */
TEST(a_scope_gets_a_job_if_its_context_has_none)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_scope) other = NULL;
    CHECK_EQ(kin_scope_new(kin_context_empty(), &scope), 0);
    CHECK_EQ(kin_scope_new(NULL, &other), 0);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    CHECK_FLAGS(kin_scope_job(other), "100");
    CHECK(kin_scope_job(scope) != kin_scope_job(other));
}

/* S014 */
TEST(a_scope_keeps_the_job_of_its_context)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_job) job = new_job(NULL);
    KIN_AUTO(kin_context) context =
        kin_context_join(kin_context_of_job(job),
                         kin_context_of_dispatcher(kin_io()));
    KIN_AUTO(kin_context) got = NULL;

    CHECK_EQ(kin_scope_new(context, &scope), 0);
    CHECK_PTR(kin_scope_job(scope), job);
    CHECK_EQ(kin_scope_context(scope, &got), 0);
    CHECK(kin_context_equals(got, context));
}

static int keep_retained(kin_scope *scope, void *context)
{
    (void)scope;
    return kin_current_context(context);
}

TEST_ON_LOOP(a_context_outlives_the_fiber_it_was_taken_from)
{
    KIN_AUTO(kin_context) context = NULL;
    KIN_AUTO(kin_job) job =
        LAUNCH(scope, keep_retained, &context, .name = "kept");
    CHECK_EQ(kin_join(job), 0);
    CHECK_STR(kin_context_get(context, &kin_key_name), "kept");
    CHECK_PTR(kin_context_get(context, &kin_key_job), job);
}

/* --- What is released last ------------------------------------------------ */

static _Atomic int released;

static void note_release(void *value)
{
    (void)value;
    released = 1;
}

static int check_released(kin_job *job, kin_error *cause, void *arg)
{
    (void)job;
    (void)cause;
    (void)arg;
    CHECK_EQ(released, 1);
    return 0;
}

KIN_SUSPENDS
static int wait_for_gate(kin_scope *scope, void *gate)
{
    (void)scope;
    return kin_join(gate);
}

KIN_SUSPENDS
static int join_a_child_of_default(kin_scope *scope, void *gate)
{
    KIN_AUTO(kin_job) child = LAUNCH(scope, wait_for_gate, gate,
                                     .dispatcher = kin_default());

    return kin_join(child);
}

static int launch_with_an_element(kin_scope *scope, void *gate)
{
    static const kin_element_ops ops = { .release = note_release };
    KIN_AUTO(kin_context) element = kin_context_of(&user_key, gate, &ops);

    return kin_launch(scope, join_a_child_of_default, gate, .name = "named",
                      .context = element);
}

/* The child's end resumes the fiber that joins it, in place, which ends, too.
 * The child is named after its parent, and keeps what it has borrowed. */
TEST_IN_ORDER(an_element_is_released_before_the_family_has_ended)
{
    KIN_AUTO(kin_job) gate = new_job(NULL);
    KIN_AUTO(kin_job) family = LAUNCH(scope, launch_with_an_element, gate,
                                      .dispatcher = kin_unconfined());

    released = 0;
    CHECK_EQ(kin_invoke_on_completion(family, check_released, NULL, 0, NULL),
             0);
    CHECK_EQ(kin_job_complete(gate), 1);
    CHECK_EQ(kin_join(family), 0);
}

TEST_MAIN
