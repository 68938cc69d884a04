/* Scopes as objects: how long they can launch, what one failed child does to
 * them, and what a scope that outlived its job is still good for.
 * Everything runs on one event loop, the scopes made here as well.
 */
#include "tests/job_helpers.h"

/* A scope on the loop that runs this, with that job or one of its own. */
static kin_scope *new_scope(kin_job *job)
{
    kin_scope *scope = NULL;
    KIN_AUTO(kin_context) context = kin_context_join(
        kin_context_of_dispatcher(kin_current_element(&kin_key_dispatcher)),
        kin_context_of_job(job));
    CHECK_EQ(kin_scope_new(context, &scope), 0);
    return scope;
}

/* --- Failure -------------------------------------------------------------- */

/* S343 */
TEST_ON_LOOP(one_failed_child_cancels_a_scope_for_ever)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_scope) made = new_scope(NULL);
    KIN_AUTO(kin_job) a = LAUNCH(made, throw_error, e, HANDLER(H));
    KIN_AUTO(kin_job) b = LAUNCH(made, say, "1");
    CHECK_EQ(kin_join_all((kin_job *[]){ a, b }, 2), 0);
    KIN_AUTO(kin_job) later = LAUNCH(made, say, "2");
    CHECK_EQ(kin_join(later), 0);
    CHECK_LOG_DRAWN("H", "1?");
    CHECK_PTR(H.error, e);
    CHECK_FLAGS(a, "011");
    if (!is_logged("1"))                /* with a seed it may run first */
        CHECK_FLAGS(b, "011");
    CHECK_FLAGS(later, "011");
    CHECK(!kin_scope_is_active(made));
}

/* S344 */
TEST_ON_LOOP(a_scope_with_a_supervisor_survives_a_failed_child)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) supervisor = new_supervisor(NULL);
    KIN_AUTO(kin_scope) made = new_scope(supervisor);
    KIN_AUTO(kin_job) a = LAUNCH(made, throw_error, e, HANDLER(H));
    KIN_AUTO(kin_job) b = LAUNCH(made, say, "1");
    CHECK_EQ(kin_join_all((kin_job *[]){ a, b }, 2), 0);
    CHECK_LOG_DRAWN("H 1", "");
    CHECK_PTR(H.error, e);
    CHECK_FLAGS(a, "011");
    CHECK(kin_scope_is_active(made));
}

/* --- Cancellation --------------------------------------------------------- */

/* S345 */
TEST_ON_LOOP(nothing_runs_in_a_cancelled_scope)
{
    KIN_AUTO(kin_scope) made = new_scope(NULL);
    CHECK_EQ(kin_scope_cancel(made, NULL), 0);
    CHECK(!kin_scope_is_active(made));
    KIN_AUTO(kin_job) j = LAUNCH(made, say, "1");
    CHECK_EQ(kin_join(j), 0);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("");
}

/* S346 */
TEST_ON_LOOP(a_scope_whose_children_are_cancelled_launches_new_ones)
{
    KIN_AUTO(kin_scope) made = new_scope(NULL);
    KIN_AUTO(kin_job) old = LAUNCH(made, say_when_cancelled, "0");
    yield_times(1);
    kin_job_cancel_children(kin_scope_job(made), NULL);
    KIN_AUTO(kin_job) j = LAUNCH(made, say, "1");
    CHECK_EQ(kin_join_all((kin_job *[]){ old, j }, 2), 0);
    CHECK_LOG_DRAWN("0 1", "");
    CHECK_FLAGS(old, "011");
    CHECK(kin_scope_is_active(made));
}

/* S347 is in job_context_fiber_test.c, with S012. */
TEST(the_global_scope_is_always_active)
{
    CHECK(kin_scope_is_active(kin_global_scope()));
    kin_scope_release(kin_scope_retain(kin_global_scope()));
    kin_scope_release(kin_global_scope());
    CHECK(kin_scope_is_active(kin_global_scope()));
}

/* Releasing a scope is no cancellation (its header says so). */
TEST_ON_LOOP(a_released_scope_leaves_its_children_alone)
{
    kin_scope *made = new_scope(NULL);
    KIN_AUTO(kin_job) j = LAUNCH(made, yield_once, NULL);
    kin_scope_release(made);
    CHECK_EQ(kin_join(j), 0);
    CHECK_FLAGS(j, "010");
}

/* R26.3: the cause of a scope's cancellation is the one it was given. */
TEST_ON_LOOP(a_scope_is_cancelled_with_the_cause_it_is_given)
{
    KIN_AUTO(kin_error) stop = new_cancellation("stop", NULL);
    KIN_AUTO(kin_scope) made = new_scope(NULL);
    CHECK_EQ(kin_scope_cancel(made, stop), 0);
    KIN_AUTO(kin_error) cause = cancellation_of(kin_scope_job(made));
    CHECK_PTR(cause, stop);
}

/* --- Life ----------------------------------------------------------------- */

static int keep_scope(kin_scope *scope, void *arg)
{
    *(kin_scope **)arg = kin_scope_retain(scope);
    return 0;
}

/* S348 */
TEST_ON_LOOP(a_launch_in_a_scope_that_is_over_is_born_cancelled)
{
    KIN_AUTO(kin_scope) leaked = NULL;
    CHECK_EQ(kin_coroutine_scope(keep_scope, &leaked), 0);
    CHECK_FLAGS(kin_scope_job(leaked), "010");
    CHECK(!kin_scope_is_active(leaked));
    KIN_AUTO(kin_job) j = LAUNCH(leaked, say, "1");
    CHECK(kin_job_is_cancelled(j));
    CHECK_EQ(kin_join(j), 0);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("");
}

/* S348, the scope being that of a block. */
TEST_ON_LOOP(a_launch_in_the_scope_of_a_left_block_is_born_cancelled)
{
    KIN_AUTO(kin_scope) leaked = NULL;
    int err;
    KIN_COROUTINE_SCOPE(err, inner)
        leaked = kin_scope_retain(inner);
    CHECK_EQ(err, 0);
    KIN_AUTO(kin_job) j = LAUNCH(leaked, say, "1");
    CHECK_EQ(kin_join(j), 0);
    CHECK_FLAGS(j, "011");
    CHECK_LOG("");
}

/* --- Sums ----------------------------------------------------------------- */

/* R26.4 */
TEST_ON_LOOP(a_job_added_to_a_scope_is_no_child_of_the_old_one)
{
    KIN_AUTO(kin_job) supervisor = new_supervisor(NULL);
    KIN_AUTO(kin_context) element = kin_context_of_job(supervisor);
    KIN_AUTO(kin_scope) made = new_scope(NULL);
    KIN_AUTO(kin_scope) sum = NULL;
    CHECK_EQ(kin_scope_plus(made, element, &sum), 0);
    CHECK_PTR(kin_scope_job(sum), supervisor);
    CHECK_EQ(kin_scope_cancel(made, NULL), 0);
    CHECK(kin_scope_is_active(sum));

    KIN_AUTO(kin_job) j = LAUNCH(sum, say, "1");
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("1");
}

static int say_own_name(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    ev(kin_current_element(&kin_key_name));
    return 0;
}

TEST_ON_LOOP(a_sum_has_the_job_of_the_scope_and_the_elements_of_both)
{
    KIN_AUTO(kin_context) name = kin_context_of_name("sum");
    KIN_AUTO(kin_scope) sum = NULL;
    CHECK_EQ(kin_scope_plus(scope, name, &sum), 0);
    CHECK_PTR(kin_scope_job(sum), kin_scope_job(scope));
    KIN_AUTO(kin_job) j = LAUNCH(sum, say_own_name, NULL);
    KIN_AUTO(kin_job) parent = parent_of(j);
    CHECK_PTR(parent, kin_scope_job(scope));
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG("sum");
}

/* R26.2; on a thread that is not Main nothing is launched in it. */
TEST(the_main_scope_is_a_supervisor_on_main)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_context) context = NULL;
    KIN_AUTO(kin_error) e = new_failure("E");
    CHECK_EQ(kin_main_scope(&scope), 0);
    CHECK_EQ(kin_scope_context(scope, &context), 0);
    CHECK_PTR(kin_context_get(context, &kin_key_dispatcher), kin_main());

    KIN_AUTO(kin_job) child = new_job(kin_scope_job(scope));
    CHECK_EQ(kin_job_fail(child, e), 1);
    CHECK(kin_scope_is_active(scope));
    CHECK_EQ(kin_scope_cancel(scope, NULL), 0);
    CHECK(!kin_scope_is_active(scope));
}

TEST_MAIN
