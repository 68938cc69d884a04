/* Parents and children: who waits for whom, whom a cancellation or a failure
 * reaches, who reports it, and what becomes of a child that comes too late.
 * Everything runs on one event loop; yields and gates decide who ends when.
 */
#include "tests/job_helpers.h"

/* --- Waiting for children ------------------------------------------------- */

KIN_SUSPENDS
static int say_4_yield_say_5(kin_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    ev("4");
    KIN_TRY(kin_yield());
    ev("5");
    return 0;
}

static int say_2_launch_say_3(kin_scope *scope, void *arg)
{
    (void)arg;
    ev("2");
    CHECK_EQ(kin_launch(scope, say_4_yield_say_5, NULL), 0);
    ev("3");
    return 0;
}

/* S030 */
TEST_ON_LOOP(a_parent_is_final_after_its_children)
{
    ev("1");
    KIN_AUTO(kin_job) p = LAUNCH(scope, say_2_launch_say_3, NULL);
    on_completion(p, log_word, "6");
    CHECK_EQ(kin_join(p), 0);
    ev("7");
    CHECK_LOG("1 2 3 4 5 6 7");
}

KIN_SUSPENDS
static int say_1_after_shielded_yields(kin_scope *scope, void *arg)
{
    int entered;
    (void)scope;
    (void)arg;
    int err = kin_await_cancellation();
    KIN_WITH_CONTEXT(entered, .context = shield())
        yield_times(2);
    CHECK_EQ(entered, 0);
    ev("1");
    return err;
}

static int launch_one_slow_to_end(kin_scope *scope, void *arg)
{
    return kin_launch(scope, say_1_after_shielded_yields, arg);
}

/* S035 */
TEST_ON_LOOP(join_of_a_cancelled_parent_waits_for_the_childs_cleanup)
{
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_one_slow_to_end, NULL);
    yield_times(2);
    kin_job_cancel(p, NULL);
    CHECK_EQ(kin_join(p), 0);
    ev("2");
    CHECK_LOG("1 2");
}

/* S044 */
TEST_ON_LOOP(a_child_that_comes_while_the_parent_completes_is_waited_for)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, yield_once, NULL);
    CHECK_EQ(kin_job_complete(p), 1);
    CHECK_EQ(kin_job_state_of(p), KIN_JOB_COMPLETING);

    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, wait_shielded, gate);
    on_completion(a, log_word, "a");
    on_completion(c, log_word, "c");
    on_completion(p, log_word, "p");
    yield_times(3);
    CHECK_LOG("a");
    CHECK_FLAGS(p, "100");
    open_gate(gate);
    CHECK_EQ(kin_join(p), 0);
    CHECK_LOG("a c p");
    CHECK_FLAGS(p, "010");
}

/* --- Lazy children -------------------------------------------------------- */

/* Launches a lazy child that says "child" and leaves its job in *arg. */
static int launch_lazy_child(kin_scope *scope, void *arg)
{
    kin_job **child = arg;
    return kin_launch(scope, say, "child", .start = KIN_START_LAZY,
                      .job = child);
}

/* S045 */
TEST_ON_LOOP(a_parent_waits_for_a_lazy_child_until_it_is_started)
{
    KIN_AUTO(kin_job) c = NULL;
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_lazy_child, &c);
    yield_times(3);
    CHECK_FLAGS(p, "100");
    CHECK_FLAGS(c, "000");
    CHECK_EQ(kin_job_start(c), 1);
    CHECK_EQ(kin_join(p), 0);
    CHECK_FLAGS(p, "010");
    CHECK_LOG("child");
}

/* S045, the child being cancelled instead. */
TEST_ON_LOOP(a_parent_waits_for_a_lazy_child_until_it_is_cancelled)
{
    KIN_AUTO(kin_job) c = NULL;
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_lazy_child, &c);
    yield_times(3);
    CHECK_FLAGS(p, "100");
    kin_job_cancel(c, NULL);
    CHECK_FLAGS(p, "010");
    CHECK_LOG("");
}

/* S046 */
TEST_ON_LOOP(a_cancelled_parent_ends_its_lazy_child_that_never_started)
{
    KIN_AUTO(kin_job) c = NULL;
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_lazy_child, &c);
    yield_times(1);
    kin_job_cancel(p, NULL);
    CHECK_FLAGS(c, "011");
    CHECK_EQ(kin_join(p), 0);
    CHECK_FLAGS(p, "011");
    CHECK_LOG("");
}

/* S047 */
TEST_ON_LOOP(attaching_a_child_starts_a_lazy_parent)
{
    KIN_AUTO(kin_job) parent =
        LAUNCH(scope, say, "1", .start = KIN_START_LAZY);
    CHECK_FLAGS(parent, "000");
    KIN_AUTO(kin_job) child = LAUNCH_IN(parent, scope, say, "2");
    CHECK_FLAGS(parent, "100");
    CHECK_EQ(kin_join(child), 0);
    CHECK_EQ(kin_join(parent), 0);
    CHECK_LOG_DRAWN("1 2", "");
}

/* --- Failure goes up ------------------------------------------------------ */

static int say_2_and_throw(kin_scope *scope, void *error)
{
    ev("2");
    return throw_error(scope, error);
}

static int launch_one_that_waits_and_one_that_throws(kin_scope *scope,
                                                     void *error)
{
    CHECK_EQ(kin_launch(scope, say_when_cancelled, "3"), 0);
    CHECK_EQ(kin_launch(scope, say_2_and_throw, error), 0);
    ev("1");
    return 0;
}

/* S031 */
TEST_ON_LOOP(siblings_end_before_a_failure_is_reported)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) root = new_job(NULL);
    KIN_AUTO(kin_job) p = LAUNCH_IN(
        root, scope, launch_one_that_waits_and_one_that_throws, e, HANDLER(H));
    CHECK_EQ(kin_join(p), 0);
    ev("4");
    CHECK_LOG_DRAWN("1 2 3 H 4", "1<2<3<H<4 2<H 3?");
    CHECK_PTR(H.error, e);
}

/* What a body leaves for its test. */
struct seen {
    kin_job *child;
    kin_error *error;
};

KIN_SUSPENDS
static int join_child_that_throws_cancellation(kin_scope *scope, void *arg)
{
    struct seen *seen = arg;
    seen->child = LAUNCH(scope, throw_error, seen->error);
    CHECK_EQ(kin_join(seen->child), 0);
    ev("1");
    return 0;
}

/* S032 */
TEST_ON_LOOP(a_cancellation_thrown_by_a_child_is_no_failure)
{
    KIN_AUTO(kin_error) x = new_cancellation("x", NULL);
    struct seen seen = { NULL, x };
    KIN_AUTO(kin_job) p =
        LAUNCH(scope, join_child_that_throws_cancellation, &seen);
    CHECK_EQ(kin_join(p), 0);
    CHECK_LOG("1");
    CHECK_FLAGS(seen.child, "011");
    CHECK_FLAGS(p, "010");
    kin_job_release(seen.child);
}

/* Launches an undispatched child that is slow to end, and throws. */
static int launch_slow_child_and_throw(kin_scope *scope, void *error)
{
    CHECK_EQ(kin_launch(scope, say_1_after_shielded_yields, NULL,
                        .start = KIN_START_UNDISPATCHED), 0);
    return throw_error(scope, error);
}

/* S041 */
TEST_ON_LOOP(a_failure_cancels_the_parent_before_the_failed_job_is_final)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) q = new_job(NULL);
    KIN_AUTO(kin_job) p =
        LAUNCH_IN(q, scope, launch_slow_child_and_throw, e, HANDLER(H));
    yield_times(1);
    CHECK_LOG("");
    CHECK_FLAGS(q, "001");
    CHECK_FLAGS(p, "001");

    CHECK_EQ(kin_join(p), 0);
    CHECK_LOG("1 H");
    CHECK_PTR(H.error, e);
    CHECK_FLAGS(p, "011");
    CHECK_EQ(kin_join(q), 0);
    CHECK_FLAGS(q, "011");
}

KIN_SUSPENDS
static int catch_failure_of_a_scope(kin_scope *scope, void *error)
{
    (void)scope;
    CHECK_FAILED_WITH(kin_coroutine_scope(throw_error, error), error);
    ev("1");
    KIN_TRY(kin_ensure_active());
    ev("2");
    return 0;
}

/* S048 */
TEST_ON_LOOP(the_failure_of_a_scope_does_not_fail_the_job_around_it)
{
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) p = LAUNCH(scope, catch_failure_of_a_scope, e);
    CHECK_EQ(kin_join(p), 0);
    CHECK_LOG("1 2");
    CHECK_FLAGS(p, "010");
}

/* --- Cancellation goes down ----------------------------------------------- */

/* S033 */
TEST_ON_LOOP(cancelling_a_child_concerns_nobody_else)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, say_when_cancelled, "a");
    KIN_AUTO(kin_job) b = LAUNCH_IN(p, scope, say_when_cancelled, "b");
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(a), 0);
    CHECK_LOG("a");
    CHECK_FLAGS(a, "011");
    CHECK_FLAGS(b, "100");
    CHECK_FLAGS(p, "100");
    CHECK_EQ(kin_cancel_and_join(p), 0);
    CHECK_LOG_DRAWN("a b", "");
}

/* S034 */
TEST(children_and_handlers_are_told_in_the_order_they_came)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = new_job(p);
    on_cancelling(p, log_word, "p");
    KIN_AUTO(kin_job) b = new_job(p);
    on_cancelling(b, log_word, "b");
    on_cancelling(a, log_word, "a");
    kin_job_cancel(p, NULL);
    CHECK_LOG("a p b");
}

/* S034, with children that have a body: they are told, and end later. */
TEST_ON_LOOP(running_children_are_told_before_cancel_returns)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, say_when_cancelled, "A");
    on_cancelling(p, log_word, "p");
    KIN_AUTO(kin_job) b = LAUNCH_IN(p, scope, say_when_cancelled, "B");
    on_cancelling(b, log_word, "b");
    on_cancelling(a, log_word, "a");
    yield_times(1);
    kin_job_cancel(p, NULL);
    CHECK_LOG("a p b");
    CHECK_EQ(kin_join(p), 0);
    CHECK_LOG_DRAWN("a p b A B", "a<p<b b<A b<B");
}

/* --- Supervisors ---------------------------------------------------------- */

KIN_SUSPENDS
static int yield_and_say(kin_scope *scope, void *word)
{
    KIN_TRY(kin_yield());
    return say(scope, word);
}

/* S036, with a yield in place of the delay. */
TEST_ON_LOOP(a_supervisor_and_its_children_survive_a_failed_child)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) p = new_supervisor(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, throw_error, e, HANDLER(H));
    KIN_AUTO(kin_job) b = LAUNCH_IN(p, scope, yield_and_say, "b");
    CHECK_EQ(kin_join(b), 0);
    CHECK_LOG("H b");
    CHECK_PTR(H.error, e);
    CHECK_FLAGS(a, "011");
    CHECK_FLAGS(p, "100");
}

/* S037 */
TEST_ON_LOOP(a_cancelled_supervisor_cancels_its_children)
{
    KIN_AUTO(kin_job) p = new_supervisor(NULL);
    KIN_AUTO(kin_job) a = LAUNCH_IN(p, scope, say_when_cancelled, "a");
    KIN_AUTO(kin_job) b = LAUNCH_IN(p, scope, say_when_cancelled, "b");
    yield_times(1);
    CHECK_EQ(kin_cancel_and_join(p), 0);
    CHECK_LOG_DRAWN("a b", "");
    CHECK_FLAGS(a, "011");
    CHECK_FLAGS(b, "011");
}

KIN_SUSPENDS
static int launch_one_that_throws_and_wait(kin_scope *scope, void *error)
{
    CHECK_EQ(kin_launch(scope, throw_error, error), 0);
    return say_when_cancelled(scope, "c");
}

/* S038 */
TEST_ON_LOOP(the_child_of_a_supervisor_reports_its_own_childs_failure)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) p = new_supervisor(NULL);
    KIN_AUTO(kin_job) c = LAUNCH_IN(
        p, scope, launch_one_that_throws_and_wait, e, HANDLER(H));
    CHECK_EQ(kin_join(c), 0);
    CHECK_LOG("c H");
    CHECK_EQ(H.count, 1);
    CHECK_PTR(H.error, e);
    CHECK_FLAGS(c, "011");
    CHECK_FLAGS(p, "100");
}

static int launch_one_that_throws_and_one_that_waits(kin_scope *scope,
                                                     void *error)
{
    CHECK_EQ(kin_launch(scope, throw_error, error), 0);
    CHECK_EQ(kin_launch(scope, say_when_cancelled, "b"), 0);
    return 0;
}

/* S039; b is cancelled before it started, so it says nothing. */
TEST_ON_LOOP(a_supervisor_given_to_a_launch_protects_only_the_launch)
{
    REPORT(H);
    KIN_AUTO(kin_error) e = new_failure("E");
    KIN_AUTO(kin_job) supervisor = new_supervisor(NULL);
    KIN_AUTO(kin_job) j = LAUNCH_IN(
        supervisor, scope, launch_one_that_throws_and_one_that_waits, e,
        HANDLER(H));
    on_completion(j, log_word, "j");
    CHECK_EQ(kin_join(j), 0);
    CHECK_LOG_DRAWN("H j", "b? b<H<j");
    CHECK_PTR(H.error, e);
    CHECK_FLAGS(j, "011");
    CHECK_FLAGS(supervisor, "100");
    CHECK_FLAGS(kin_scope_job(scope), "100");
}

/* --- Who is the parent ---------------------------------------------------- */

/* Launches one that waits in a scope made of the current context + other. */
static kin_job *launch_in_new_scope(kin_context *other)
{
    KIN_AUTO(kin_context) current = NULL;
    KIN_AUTO(kin_scope) made = NULL;
    CHECK_EQ(kin_current_context(&current), 0);
    KIN_AUTO(kin_context) context = kin_context_plus(current, other);
    CHECK_EQ(kin_scope_new(context, &made), 0);
    return LAUNCH(made, say_when_cancelled, NULL);
}

struct cousins {
    kin_job *child, *stranger, *on_io, *other;
};

KIN_SUSPENDS
static int launch_cousins(kin_scope *scope, void *arg)
{
    struct cousins *cousins = arg;
    KIN_AUTO(kin_context) in_other = kin_context_of_job(cousins->other);
    KIN_AUTO(kin_context) io = kin_context_of_dispatcher(kin_io());
    KIN_AUTO(kin_scope) io_scope = NULL;

    cousins->child = launch_in_new_scope(kin_context_empty());
    cousins->stranger = launch_in_new_scope(in_other);
    CHECK_EQ(kin_scope_new(io, &io_scope), 0);
    cousins->on_io = LAUNCH(io_scope, say_when_cancelled, NULL);
    return say_when_cancelled(scope, NULL);
}

/* S040 */
TEST_ON_LOOP(the_parent_is_the_job_in_the_context_of_the_launch)
{
    KIN_AUTO(kin_job) other = new_job(NULL);
    struct cousins cousins = { .other = other };
    KIN_AUTO(kin_job) p = LAUNCH(scope, launch_cousins, &cousins);
    yield_times(2);
    kin_job_cancel(p, NULL);
    CHECK(kin_job_is_cancelled(cousins.child));
    CHECK_FLAGS(cousins.stranger, "100");
    CHECK_FLAGS(cousins.on_io, "100");

    CHECK_EQ(kin_cancel_and_join(cousins.stranger), 0);
    CHECK_EQ(kin_cancel_and_join(cousins.on_io), 0);
    CHECK_EQ(kin_join(p), 0);
    kin_job_release(cousins.child);
    kin_job_release(cousins.stranger);
    kin_job_release(cousins.on_io);
}

/* --- Too late ------------------------------------------------------------- */

/* S042 */
TEST_ON_LOOP(a_child_of_a_cancelling_parent_never_runs_but_is_waited_for)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) p = new_job(NULL);
    KIN_AUTO(kin_job) slow = LAUNCH_IN(p, scope, wait_shielded, gate);
    on_completion(slow, log_word, "slow");
    on_completion(p, log_word, "p");
    yield_times(1);
    kin_job_cancel(p, NULL);

    open_gate(gate);
    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, say, "1");
    on_completion(c, log_word, "c");
    CHECK_FLAGS(c, "001");
    CHECK_LOG("");
    yield_times(1);
    CHECK_FLAGS(c, "011");
    CHECK_LOG_DRAWN("slow c p", "slow<p c<p");
}

/* S043 */
TEST_ON_LOOP(a_child_of_a_completed_parent_never_runs)
{
    KIN_AUTO(kin_job) p = new_job(NULL);
    CHECK_EQ(kin_job_complete(p), 1);
    KIN_AUTO(kin_job) c = LAUNCH_IN(p, scope, say, "1");
    CHECK(kin_job_is_cancelled(c));
    CHECK_EQ(kin_join(c), 0);
    CHECK_FLAGS(c, "011");
    CHECK_LOG("");
    CHECK_FLAGS(p, "010");
    CHECK_EQ(kin_job_children(p, NULL, 0), 0);
}

/* Ten thousand generations: nothing in the tree may recurse. */
TEST(a_deep_family_is_cancelled_without_recursion)
{
    enum { GENERATIONS = 10000 };
    KIN_AUTO(kin_job) root = new_job(NULL);
    kin_job *last = kin_job_retain(root);
    for (int i = 0; i < GENERATIONS; i++) {
        kin_job *next = new_job(last);
        kin_job_release(last);
        last = next;
    }
    CHECK_FLAGS(last, "100");
    kin_job_cancel(root, NULL);
    CHECK_FLAGS(last, "011");
    CHECK_FLAGS(root, "011");
    kin_job_release(last);
}

TEST_MAIN
