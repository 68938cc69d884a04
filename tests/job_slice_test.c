/* Thread-context elements: what a fiber wears is on its thread during every
 * slice of it, and nowhere else.  Shown with a thread-local pointer, `worn`, and
 * with elements that log. */
#include "tests/words.h"

static _Thread_local const char *worn = "m";
KIN_THREAD_LOCAL_OPS(worn_ops, worn)

static const kin_key worn_key = { "worn" };

static kin_context *wearing(const char *value)
{
    kin_context *context = kin_context_of(&worn_key, (void *)(intptr_t)value,
                                          &worn_ops);
    CHECK(context != NULL);
    return context;
}

/* Not inlined: the thread may be another one at each call. */
static __attribute__((noinline)) void ev_worn(void)
{
    ev(worn);
}

/* Runs body on an event loop or, with a seed, on a virtual clock, in a scope
 * whose fiber wears "v". */
static void run_wearing(kin_body *body)
{
    KIN_AUTO(kin_context) context = wearing("v");
    unsigned long long seed = check_seed();

    MUST(seed ? kin_run_test(body, NULL, .context = context, .seed = seed)
              : kin_run_blocking(body, NULL, .context = context));
    ev_worn();
}

static void run_wearing_on_clock(kin_body *body)
{
    KIN_AUTO(kin_context) context = wearing("v");

    MUST(kin_run_test(body, NULL, .context = context, .seed = check_seed()));
    ev_worn();
}

/* S243 */
BODY(wear_on_io_too)
{
    int err;

    ev_worn();
    KIN_WITH_CONTEXT(err, .dispatcher = kin_io())
        ev_worn();
    MUST(err);
    ev_worn();
    return 0;
}

BODY(launch_wearing_on_default)
{
    KIN_AUTO(kin_context) context = wearing("v");
    KIN_AUTO(kin_job) job = LAUNCH(scope, wear_on_io_too, NULL,
                                   .context = context,
                                   .dispatcher = kin_default());
    MUST(kin_join(job));
    ev_worn();
    return 0;
}

TEST(element_is_on_every_thread_the_fiber_goes_to)
{
    RUN(launch_wearing_on_default);
    CHECK_LOG("v v v m");
}

/* S244 */
BODY(write_and_yield)
{
    worn = "x";
    MUST(kin_yield());
    ev_worn();
    return 0;
}

TEST(what_a_slice_writes_is_lost_at_its_end)
{
    run_wearing(write_and_yield);
    CHECK_LOG("v m");
}

/* S245 */
BODY(wear_another_in_a_block)
{
    KIN_AUTO(kin_context) inner = wearing("in");
    int err;

    KIN_WITH_CONTEXT(err, .context = inner) {
        ev_worn();
        MUST(kin_delay(KIN_MS(1)));
        ev_worn();
    }
    MUST(err);
    ev_worn();
    return 0;
}

TEST(block_with_an_element_gives_the_outer_one_back)
{
    run_wearing_on_clock(wear_another_in_a_block);
    CHECK_LOG("in in v m");
}

/* S246 */
static int log_update(void *value, void **old)
{
    char text[8] = { 'u', *(const char *)value };

    *old = value;
    ev(text);
    return 0;
}

static void log_restore(void *value, void *old)
{
    char text[8] = { 'r', *(const char *)value };

    CHECK_PTR(value, old);
    ev(text);
}

static const kin_element_ops logging = {
    .update = log_update, .restore = log_restore,
};

static const kin_key x_key = { "x" }, y_key = { "y" };

static kin_context *x_and_y(void)
{
    return kin_context_join(kin_context_of(&x_key, "X", &logging),
                            kin_context_of(&y_key, "Y", &logging));
}

BODY(two_slices)
{
    ev("1");
    MUST(kin_yield());
    ev("2");
    return 0;
}

TEST(elements_go_on_in_order_and_off_in_reverse_around_each_slice)
{
    KIN_AUTO(kin_context) both = x_and_y();

    MUST(kin_run_blocking(two_slices, NULL, .context = both));
    CHECK_LOG("uX uY 1 rY rX uX uY 2 rY rX");
}

BODY(hop_wearing_both)
{
    KIN_AUTO(kin_context) both = x_and_y();
    int err;

    KIN_WITH_CONTEXT(err, .context = both, .dispatcher = kin_default())
        ev("in");
    MUST(err);
    return 0;
}

TEST(block_on_another_dispatcher_wears_nothing_on_the_way)
{
    RUN(hop_wearing_both);
    CHECK_LOG("uX uY in rY rX");
}

/* S247 */
BODY(say_worn_twice)
{
    ev_worn();
    MUST(kin_yield());
    ev_worn();
    return 0;
}

BODY(undispatched_wearing)
{
    KIN_AUTO(kin_context) context = wearing("v");

    MUST(kin_launch(scope, say_worn_twice, NULL, .context = context,
                    .start = KIN_START_UNDISPATCHED));
    ev_worn();
    return 0;
}

TEST(undispatched_start_wears_it_in_place_and_takes_it_off)
{
    RUN(undispatched_wearing);
    CHECK_LOG("v m v");
}

/* S248 */
BODY(say_worn)
{
    ev_worn();
    return 0;
}

BODY(launch_inside_a_wearing_block)
{
    KIN_AUTO(kin_context) context = wearing("v");
    int err;

    KIN_WITH_CONTEXT(err, .context = context)
        kin_launch(kin_current_scope(), say_worn, NULL);
    ev_worn();
    return err;
}

TEST(child_launched_in_a_wearing_block_wears_it_too)
{
    RUN(launch_inside_a_wearing_block);
    CHECK_LOG("v m");
}

/* R18.4: in every combination, nobody else sees it: resumed in place, or run by
 * a nested loop, inside a slice of a fiber that wears it. */
BODY(resume_in_place_while_wearing)
{
    KIN_AUTO(kin_scope) bare = NULL;

    MUST(kin_scope_new(NULL, &bare));
    MUST(kin_launch(bare, say_worn, NULL, .dispatcher = kin_unconfined()));
    ev_worn();
    MUST(kin_run_blocking(say_worn, NULL));
    ev_worn();
    MUST(kin_scope_cancel(bare, NULL));
    return 0;
}

TEST(slices_run_in_place_or_by_a_nested_loop_do_not_see_it)
{
    run_wearing(resume_in_place_while_wearing);
    CHECK_LOG("m v m v m");
}

/* R18.5 */
static void *copy_worn(void *value)
{
    (void)value;
    return (void *)(intptr_t)(worn[0] == 'w' ? "copied" : "odd");
}

static void *merge_worn(void *value, void *brought)
{
    CHECK_STR(value, "v");
    CHECK_STR(brought, "b");
    return (void *)(intptr_t)"merged";
}

BODY(launch_copies)
{
    static const kin_element_ops ops = {
        .update = worn_ops_update, .restore = worn_ops_restore,
    };
    KIN_AUTO(kin_context) brought = kin_context_of(&worn_key, "b", &ops);

    worn = "written";
    MUST(kin_launch(scope, say_worn, NULL));
    MUST(kin_launch(scope, say_worn, NULL, .context = brought));
    return 0;
}

TEST(copyable_element_is_copied_from_the_thread_and_merged)
{
    static const kin_element_ops ops = {
        .update = worn_ops_update, .restore = worn_ops_restore,
        .copy = copy_worn, .merge = merge_worn,
    };
    KIN_AUTO(kin_context) context = kin_context_of(&worn_key, "v", &ops);

    MUST(kin_run_blocking(launch_copies, NULL, .context = context));
    CHECK_LOG("copied merged");
}

/* S250 */
static int refuse_update(void *value, void **old)
{
    (void)value, (void)old;
    return kin_fail(-ENOSPC, "no room on this thread");
}

static const kin_element_ops refusing = { .update = refuse_update };

static int log_internal(kin_job *job, kin_error *error, void *arg)
{
    (void)job, (void)arg;
    CHECK_EQ(kin_error_code(error), KIN_EHANDLER);
    CHECK_EQ(kin_error_code(kin_error_cause(error)), -ENOSPC);
    ev("H");
    return 0;
}

BODY(launch_refused_and_another)
{
    KIN_AUTO(kin_context) context = kin_context_of(&x_key, "X", &refusing);
    KIN_AUTO(kin_job) root = new_supervisor(kin_scope_job(scope));
    KIN_AUTO(kin_context) under = kin_context_of_job(root);
    KIN_AUTO(kin_context) both = kin_context_plus(context, under);
    KIN_AUTO(kin_job) job = LAUNCH(scope, say_worn_twice, NULL,
                                   .context = both, .handler = log_internal);
    MUST(kin_join(job));
    CHECK_FLAGS(job, "011");
    kin_launch(scope, say_worn, NULL);
    MUST(kin_job_complete(root) == 1 ? 0 : -1);
    return 0;
}

TEST(element_that_cannot_be_installed_fails_the_job_and_the_loop_goes_on)
{
    RUN(launch_refused_and_another);
    CHECK_LOG("H m");
}

static int update_noisily(void *value, void **old)
{
    *old = value;
    return 0;
}

static void restore_noisily(void *value, void *old)
{
    CHECK_PTR(value, old);
    kin_fail(-EAGAIN, "noise");
}

static const kin_element_ops noisy = {
    .update = update_noisily, .restore = restore_noisily,
};

BODY(throw_wearing)
{
    THROW(E);
}

TEST(what_an_element_does_leaves_the_error_of_the_body_alone)
{
    KIN_AUTO(kin_context) context = kin_context_of(&x_key, "X", &noisy);

    CHECK_EQ(kin_run_blocking(throw_wearing, NULL, .context = context),
             kin_error_code(E));
    CHECK_PTR(kin_error_current(), E);
}

/* An element that launches in place while it is taken off: the launched slice
 * waits, and the thread is as it was. */
static kin_scope *launch_into;

static void restore_and_launch(void *value, void *old)
{
    worn = old;
    (void)value;
    if (launch_into)
        kin_launch(launch_into, say_worn, NULL,
                   .dispatcher = kin_unconfined());
    launch_into = NULL;
}

static const kin_element_ops launching = {
    .update = worn_ops_update, .restore = restore_and_launch,
};

BODY(launch_while_taken_off)
{
    KIN_AUTO(kin_context) context = kin_context_of(&worn_key, "v",
                                                   &launching);
    int err;

    launch_into = scope;
    KIN_WITH_CONTEXT(err, .context = context)
        ev_worn();
    MUST(err);
    MUST(kin_yield());
    ev_worn();
    return 0;
}

TEST(element_may_launch_in_place_and_the_thread_is_as_it_was)
{
    RUN(launch_while_taken_off);
    CHECK_LOG("v m m");
}

TEST_MAIN
