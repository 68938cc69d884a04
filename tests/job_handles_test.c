/* Handles in a debug build: what is left over at the end of a kin_run_blocking
 * is told, each by what it is and where it came from, and nothing else is; a
 * handle that is used after its release aborts with the name of what it was. In
 * a release build nothing is told. */
#include "tests/job_helpers.h"

#include "kin/dump.h"

#include <stdio.h>
#include <unistd.h>

/* The families here are made by sites like this, and told by them. */
#define OPTIONS(...) (&(kin_launch_options){ __VA_ARGS__ })

static kin_job *kept_job;
static kin_deferred *kept_deferred;
static kin_context *kept_context;
static kin_scope *kept_scope;

/* fn says text; or, in a release build and for an empty text, nothing. */
static void check_left(void (*fn)(void *), const char *text)
{
    if (MISUSE_ABORTS && *text)
        check_says(fn, NULL, text);
    else
        check_says(fn, NULL, "");
}

static char said[4096];

/* What fn(NULL) writes to stderr, here. */
static const char *what_is_said(void (*fn)(void *))
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t length;

    CHECK(file != NULL);
    dup2(fileno(file), STDERR_FILENO);
    fn(NULL);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    length = fread(said, 1, sizeof said - 1, file);
    said[length] = '\0';
    fclose(file);
    return said;
}

static void run(kin_body *body, void *arg)
{
    const kin_launch_options options = { .arg = arg, .name = "main",
                                         .site = "run.c:1" };

    CHECK_EQ(kin_run_blocking_with(body, &options), 0);
}

#define RUN(function)                                                        \
    static kin_body function##__body;                                        \
    static void function(void *arg)                                          \
    {                                                                        \
        run(function##__body, arg);                                          \
    }                                                                        \
    KIN_SUSPENDS                                                             \
    static int function##__body(kin_scope *scope, void *arg)

/* --- Left over ------------------------------------------------------------ */

RUN(keep_a_job)
{
    (void)arg;
    return kin_launch_with(scope, do_nothing,
                           OPTIONS(.job = &kept_job, .name = "kept",
                                   .site = "a.c:8"));
}

TEST(the_handle_of_a_job_that_has_ended_is_left_over)
{
    check_left(keep_a_job, "kin: left over by kin_run_blocking (run.c:1):\n"
                           "  job ");
    check_left(keep_a_job, " \"kept\", launched at a.c:8: not released\n"
                           "kin: 1 left over; see kin_keep()");
}

RUN(keep_a_deferred)
{
    (void)arg;
    return kin_async_with(scope, &kept_deferred, do_nothing,
                          OPTIONS(.site = "a.c:9",
                                  .dispatcher = kin_default()));
}

TEST(so_is_a_deferred_that_ran_on_another_thread)
{
    check_left(keep_a_deferred, ", launched at a.c:9: not released\n");
}

RUN(keep_a_job_made_by_hand)
{
    (void)scope, (void)arg;
    CHECK_EQ(kin_job_new(NULL, &kept_job), 0);
    CHECK_EQ(kin_job_complete(kept_job), 1);
    return 0;
}

TEST(a_job_made_by_hand_is_told_by_who_made_it)
{
    check_left(keep_a_job_made_by_hand, ", made at ");
    check_left(keep_a_job_made_by_hand, ": not released\n");
}

KIN_SUSPENDS
static int wait_for_ever(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_await_cancellation();
}

/* Three below it: two parked, and one that has not begun. */
RUN(leave_a_family)
{
    kin_scope *own = NULL;
    (void)scope, (void)arg;
    CHECK_EQ(kin_job_new(NULL, &kept_job), 0);
    KIN_AUTO(kin_context) context = kin_context_of_job(kept_job);
    CHECK_EQ(kin_scope_new(context, &own), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(kin_launch_with(own, wait_for_ever, OPTIONS(
                     .dispatcher = kin_current_element(&kin_key_dispatcher))),
                 0);
    CHECK_EQ(kin_launch_with(own, wait_for_ever,
                             OPTIONS(.start = KIN_START_LAZY)), 0);
    kin_scope_release(own);
    return kin_yield();
}

TEST(a_family_that_goes_on_is_counted)
{
    check_left(leave_a_family,
               ": has not ended; 3 below it, 2 of them parked\n");
    check_left(leave_a_family, "kin: 1 left over");
}

RUN(keep_a_context)
{
    (void)scope, (void)arg;
    kept_context = kin_context_of_name("kept");
    return 0;
}

TEST(a_context_is_left_over)
{
    check_left(keep_a_context, "  context ");
    check_left(keep_a_context, "kin: 1 left over");
}

RUN(keep_a_scope)
{
    KIN_AUTO(kin_context) context = kin_context_of_name("kept");
    (void)scope, (void)arg;
    return kin_scope_new(context, &kept_scope);
}

/* And not its job and its context, which it holds. */
TEST(a_scope_is_left_over_once)
{
    check_left(keep_a_scope, "  scope ");
    check_left(keep_a_scope, "kin: 1 left over");
}

RUN(keep_many)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(kin_launch_with(scope, do_nothing, OPTIONS(.job = &kept_job)),
                 0);
    return 0;
}

TEST(many_are_not_all_told)
{
    check_left(keep_many, "kin: 20 or more left over");
}

/* --- Not told ------------------------------------------------------------- */

static kin_job *of_before;

RUN(do_much_and_leave_nothing)
{
    KIN_AUTO(kin_deferred) value = NULL;
    KIN_AUTO(kin_job) job = NULL;
    KIN_AUTO(kin_context) name = kin_context_of_name("x");
    KIN_AUTO(kin_scope) own = NULL;
    int err;

    CHECK_EQ(kin_scope_new(name, &own), 0);
    CHECK_EQ(kin_async(scope, &value, do_nothing, arg,
                       .dispatcher = kin_default(), .context = name), 0);
    CHECK_EQ(kin_launch(own, do_nothing, arg, .job = &job), 0);
    KIN_COROUTINE_SCOPE(err, inner)
        for (int i = 0; i < 100; i++)
            CHECK_EQ(kin_launch(inner, do_nothing, arg, .context = name,
                                .dispatcher = kin_io()), 0);
    CHECK_EQ(err, 0);
    CHECK_EQ(kin_join(job), 0);
    CHECK_EQ(kin_scope_cancel(own, NULL), 0);
    kin_job_release(kin_job_retain(of_before));
    return kin_await(value, NULL);
}

static void do_it_with_things_of_before(void *arg)
{
    of_before = new_job(NULL);
    KIN_AUTO(kin_context) context = kin_context_of_name("before");
    CHECK_EQ(kin_context_count(context), 1);
    for (int i = 0; i < 20; i++)
        do_much_and_leave_nothing(arg);
    CHECK_EQ(kin_job_complete(of_before), 1);
    kin_job_release(of_before);
}

TEST(what_was_released_and_what_was_there_before_is_not_told)
{
    CHECK_STR(what_is_said(do_it_with_things_of_before), "");
}

RUN(keep_on_purpose)
{
    (void)arg;
    CHECK_EQ(kin_launch_with(scope, do_nothing, OPTIONS(.job = &kept_job)), 0);
    kept_context = kin_context_of_name("cache");
    CHECK_EQ(kin_scope_new(NULL, &kept_scope), 0);
    kin_keep(kept_job);
    kin_keep(kept_context);
    kin_keep(kept_scope);
    kin_keep(NULL);
    return 0;
}

TEST(what_is_kept_on_purpose_is_not_told)
{
    CHECK_STR(what_is_said(keep_on_purpose), "");
    kin_job_release(kept_job);
    kin_context_release(kept_context);
    kin_scope_release(kept_scope);
}

/* And what it makes and keeps while it goes on is its own. */
KIN_SUSPENDS
static int live_on(kin_scope *scope, void *arg)
{
    KIN_AUTO(kin_context) mine = kin_context_of_name("mine");
    (void)scope, (void)arg;
    CHECK_EQ(kin_context_count(mine), 1);
    return kin_await_cancellation();
}

RUN(launch_into_the_global_scope)
{
    (void)scope, (void)arg;
    return kin_launch_with(kin_global_scope(), live_on, OPTIONS(
        .dispatcher = kin_current_element(&kin_key_dispatcher),
        .start = KIN_START_UNDISPATCHED));
}

TEST(what_lives_on_in_the_global_scope_is_not_told)
{
    check_left(launch_into_the_global_scope, "");
    if (MISUSE_ABORTS)
        CHECK_STR(what_is_said(launch_into_the_global_scope), "");
}

/* The outer one's end is the end. */
RUN(nest)
{
    (void)scope;
    keep_a_job(arg);
    kin_job_release(kept_job);
    return 0;
}

TEST(a_nested_one_tells_nothing)
{
    CHECK_STR(what_is_said(nest), "");
}

/* --- Used too late -------------------------------------------------------- */

static void use_of_a_job(void *arg)
{
    (void)arg;
    keep_a_job(arg);
    kin_keep(kept_job);
    kin_job_release(kept_job);
    CHECK(kin_job_is_completed(kept_job));
}

static void second_release(void *arg)
{
    (void)arg;
    kept_context = kin_context_of_name("twice");
    kin_context_release(kept_context);
    kin_context_release(kept_context);
}

RUN(release_too_often)
{
    (void)arg;
    CHECK_EQ(kin_launch_with(scope, wait_for_ever,
                             OPTIONS(.job = &kept_job, .name = "busy",
                                     .site = "b.c:2")), 0);
    CHECK_EQ(kin_yield(), 0);
    kin_job_release(kept_job);
    kin_job_release(kept_job);
    return 0;
}

RUN(await_what_is_gone)
{
    (void)arg;
    CHECK_EQ(kin_async_with(scope, &kept_deferred, do_nothing,
                            OPTIONS(.name = "gone", .site = "b.c:3")), 0);
    CHECK_EQ(kin_await(kept_deferred, NULL), 0);
    kin_deferred_release(kept_deferred);
    return kin_await(kept_deferred, NULL);
}

RUN(launch_into_what_is_gone)
{
    (void)scope, (void)arg;
    CHECK_EQ(kin_scope_new(NULL, &kept_scope), 0);
    kin_scope_release(kept_scope);
    return kin_launch_with(kept_scope, do_nothing, OPTIONS(.name = "late"));
}

/* Only a debug build may do it: in others it is what it is. */
#define TOO_LATE(sentence, fn, text)                                         \
    TEST(sentence)                                                           \
    {                                                                        \
        if (!MISUSE_ABORTS)                                                  \
            SKIP("found in debug builds");                                   \
        CHECK(WIFSIGNALED(check_dies(fn, NULL, text)));                      \
    }

TOO_LATE(a_job_that_is_asked_after_its_release_is_named, use_of_a_job,
         "has been released: job \"kept\", launched at a.c:8")
TOO_LATE(the_call_is_named, use_of_a_job, "misuse: kin_job_is_completed: ")
TOO_LATE(a_context_that_is_released_twice_is_named, second_release,
         "has been released: context \"twice\"")
TOO_LATE(a_job_that_is_released_while_it_runs_once_too_often_is_named,
         release_too_often, "job \"busy\", launched at b.c:2, is released more "
         "often than it was handed out")
TOO_LATE(a_deferred_that_is_awaited_after_its_release_is_named,
         await_what_is_gone, "misuse: kin_await: the handle ")
TOO_LATE(a_launch_into_a_scope_that_was_released_is_found,
         launch_into_what_is_gone, "misuse: kin_launch: the handle ")

TEST_MAIN
