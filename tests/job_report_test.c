/* job_report_test.c -- what stderr is told: of failures that nobody handles,
 * of handlers and of callbacks that fail.
 *
 * stderr is a socket that keeps writes apart: a report is one write, and there
 * is one for a family that fails.
 *
 * What runs when a continuation is cancelled returns nothing, and so cannot
 * fail.  Callbacks that fail, with a handler or with a call that returns the
 * failure, are in job_completion_test.c. */
#include "core/memory.h"
#include "tests/words.h"

#include <sys/socket.h>
#include <unistd.h>

#define X error_named("X", -EBADMSG)
#define Y error_named("Y", -ENOSPC)

/* --- What was told ------------------------------------------------------ */

static int told_fd, stderr_before;
static char told[8192];

static void listen_to_stderr(void)
{
    int fds[2];

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    stderr_before = dup(STDERR_FILENO);
    dup2(fds[0], STDERR_FILENO);
    close(fds[0]);
    told_fd = fds[1];
}

/* The next write, without what a debug build adds; "" if there was none. */
static const char *next_told(void)
{
    ssize_t n = recv(told_fd, told, sizeof told - 1, MSG_DONTWAIT);
    char *trace;

    told[n > 0 ? n : 0] = '\0';
    trace = strstr(told, "\n  made at:");
    if (trace)
        memcpy(trace, "\n", sizeof "\n");
    return told;
}

static void stop_listening(void)
{
    char rest[sizeof told];

    snprintf(rest, sizeof rest, "%s", next_told());
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    close(told_fd);
    CHECK_STR(rest, "");
}

/* body is run on a loop, as "main", and tells exactly text. */
static void check_told(kin_body *body, const char *text)
{
    char first[sizeof told];
    int err;

    listen_to_stderr();
    err = kin_run_blocking(body, NULL, .name = "main");
    snprintf(first, sizeof first, "%s", next_told());
    stop_listening();
    CHECK_EQ(err, 0);
    CHECK_STR(first, text);
}

/* --- The family of these tests: main, a supervisor, loader -------------- */

static kin_job *launch_loader(kin_scope *scope, kin_body *body, void *arg,
                              kin_handler_fn *handler)
{
    KIN_AUTO(kin_job) supervisor = new_supervisor(kin_scope_job(scope));
    kin_job *job = launch_in(
        scope, supervisor, body,
        (kin_launch_options){ .arg = arg, .site = "load.c:33",
                              .name = "loader", .handler = handler });

    CHECK_EQ(kin_job_complete(supervisor), 1);
    return job;
}

#define LOADER(what) "kin: failure in job \"loader\": " what \
                     "\n  family: main/supervisor/loader"     \
                     "\n  launched at: load.c:33\n"

static int fail_with(UNUSED kin_job *job, UNUSED kin_error *cause, void *error)
{
    ev_error('F', error);
    return kin_error_rethrow(error);
}

/* --- Failures ----------------------------------------------------------- */

BODY(fail_plainly)
{
    return kin_fail_at("parse.c:12", -EIO, "bad header");
}

BODY(loader_fails)
{
    kin_job_release(launch_loader(scope, fail_plainly, NULL, NULL));
    return 0;
}

TEST(report_says_who_why_of_which_family_and_launched_where)
{
    check_told(loader_fails, LOADER("bad header (EIO, -5) at parse.c:12"));
}

BODY(fail_in_the_end)
{
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    return kin_fail_at("save.c:7", -ENOSPC, "disk full");
}

BODY(fail_because)
{
    KIN_AUTO(kin_error) cause = kin_error_new("open.c:5", -EACCES, NULL,
                                              "opening a file");

    return kin_fail_because_at("parse.c:12", cause, -EIO, "no input");
}

/* Two below it fail, and its own body. */
BODY(fail_threefold)
{
    MUST(kin_launch(scope, fail_in_the_end, NULL));
    MUST(kin_launch(scope, fail_because, NULL));
    CHECK_EQ(kin_delay(KIN_NEVER), KIN_ECANCELED);
    return kin_fail_at("load.c:40", -EBADF, "cannot clean up");
}

BODY(loader_fails_threefold)
{
    kin_job_release(launch_loader(scope, fail_threefold, NULL, NULL));
    return 0;
}

TEST(family_that_fails_is_reported_once_with_causes_and_suppressed)
{
    check_told(loader_fails_threefold,
               LOADER("no input (EIO, -5) at parse.c:12"
                      "\n  caused by: opening a file (EACCES, -13) at open.c:5"
                      "\n  suppressed: disk full (ENOSPC, -28) at save.c:7"
                      "\n  suppressed: cannot clean up (EBADF, -9) at load.c:40"));
}

BODY(two_loaders_fail)
{
    KIN_AUTO(kin_job) first = launch_loader(scope, fail_plainly, NULL, NULL);
    KIN_AUTO(kin_job) second = launch_loader(scope, fail_because, NULL, NULL);

    MUST(kin_join(first));
    MUST(kin_join(second));
    CHECK(strstr(next_told(), "bad header"));
    return 0;
}

TEST(two_families_that_fail_are_reported_as_they_end)
{
    check_told(two_loaders_fail,
               LOADER("no input (EIO, -5) at parse.c:12"
                      "\n  caused by: opening a file (EACCES, -13)"
                      " at open.c:5"));
}

BODY(fail_namelessly)
{
    kin_launch_options options = { .site = "here.c:1" };
    kin_dispatcher *loop = kin_current_element(&kin_key_dispatcher);
    kin_job *job = NULL;

    options.dispatcher = loop;
    options.job = &job;
    MUST(kin_launch_with(kin_global_scope(), fail_plainly, &options));
    MUST(kin_join(job));
    kin_job_release(job);
    return 0;
}

TEST(who_has_no_name_is_called_after_the_place_of_its_launch)
{
    check_told(fail_namelessly,
               "kin: failure in job \"here.c:1\": bad header (EIO, -5)"
               " at parse.c:12"
               "\n  family: here.c:1\n  launched at: here.c:1\n");
}

/* What is cancelled, awaited, or failed by hand is told to nobody. */
BODY(fail_quietly)
{
    KIN_AUTO(kin_job) j = new_job(NULL);
    KIN_AUTO(kin_job) cancelled = launch_loader(scope, wait_forever, NULL,
                                                NULL);
    KIN_AUTO(kin_deferred) d = NULL;

    MUST(kin_async(kin_global_scope(), &d, throw_error, E,
                   .dispatcher = kin_current_element(&kin_key_dispatcher)));
    CHECK_FAILED_WITH(kin_await(d, NULL), E);
    CHECK_EQ(kin_job_fail(j, E), 1);
    MUST(kin_yield());
    kin_job_cancel(cancelled, CE);
    MUST(kin_join(cancelled));
    CHECK_FAILED_WITH(kin_coroutine_scope(throw_error, E), E);
    return 0;
}

TEST(nothing_is_told_of_what_somebody_gets)
{
    check_told(fail_quietly, "");
}

BODY(make_an_error)
{
    return kin_fail(-EIO, "bad header");
}

static char traced[sizeof told];

BODY(fail_with_a_trace)
{
    KIN_AUTO(kin_job) j = launch_loader(scope, make_an_error, NULL, NULL);

    MUST(kin_join(j));
    CHECK(recv(told_fd, traced, sizeof traced - 1, MSG_DONTWAIT) > 0);
    return 0;
}

TEST(report_of_a_debug_build_says_which_calls_made_the_error)
{
    const char *trace;

    check_told(fail_with_a_trace, "");
    trace = strstr(traced, "\n  made at:\n    ");
    CHECK_EQ(trace != NULL, MISUSE_ABORTS);
    if (trace)
        CHECK(strstr(trace, "job_report_test"));
}

/* --- Handlers that fail: S094 ------------------------------------------- */

static int break_down(UNUSED kin_job *job, kin_error *error, UNUSED void *arg)
{
    ev_error('H', error);
    return kin_error_rethrow(X);
}

BODY(loader_fails_with_broken_handler)
{
    kin_job_release(launch_loader(scope, fail_plainly, NULL, break_down));
    return 0;
}

TEST(handler_that_fails_is_reported_with_what_it_was_told)
{
    check_told(loader_fails_with_broken_handler,
               LOADER("the failure handler failed (KIN_EHANDLER/EPROTO, -71)"
                      "\n  caused by: X (EBADMSG, -74)"
                      "\n  suppressed: bad header (EIO, -5) at parse.c:12"));
    CHECK_LOG("H(bad header)");
}

static int hand_back(UNUSED kin_job *job, kin_error *error, UNUSED void *arg)
{
    return kin_error_rethrow(error);
}

BODY(loader_fails_and_gets_it_back)
{
    kin_job_release(launch_loader(scope, fail_plainly, NULL, hand_back));
    return 0;
}

TEST(handler_that_hands_the_failure_back_leaves_it_to_the_report)
{
    check_told(loader_fails_and_gets_it_back,
               LOADER("bad header (EIO, -5) at parse.c:12"));
}

/* --- Callbacks that fail: S054, S055 ------------------------------------ */

BODY(loader_with_broken_callbacks)
{
    KIN_AUTO(kin_job) j = launch_loader(scope, say, "body", NULL);

    on_completion(j, fail_with, X);
    on_completion(j, fail_with, Y);
    MUST(kin_join(j));
    CHECK_FLAGS(j, "010");
    ev("joined");
    return 0;
}

TEST(callbacks_that_fail_are_reported_once)
{
    check_told(loader_with_broken_callbacks,
               LOADER("a completion callback failed (KIN_EHANDLER/EPROTO, -71)"
                      "\n  caused by: X (EBADMSG, -74)"
                      "\n  suppressed: Y (ENOSPC, -28)"));
    CHECK_LOG("body F(X) F(Y) joined");
}

BODY(loader_with_everything_broken)
{
    KIN_AUTO(kin_job) j = launch_loader(scope, do_nothing, NULL, break_down);

    on_completion(j, fail_with, Y);
    MUST(kin_join(j));
    return 0;
}

TEST(handler_that_fails_over_a_callback_is_reported_with_it)
{
    check_told(loader_with_everything_broken,
               LOADER("the failure handler failed (KIN_EHANDLER/EPROTO, -71)"
                      "\n  caused by: X (EBADMSG, -74)"
                      "\n  suppressed: a completion callback failed"
                      " (KIN_EHANDLER/EPROTO, -71)"
                      "\n    caused by: Y (ENOSPC, -28)"));
    CHECK_LOG("F(Y) H(a completion callback failed)");
}

#define BARE "kin: failure in job \"job\": a completion callback failed"   \
             " (KIN_EHANDLER/EPROTO, -71)\n  caused by: X (EBADMSG, -74)"

BODY(cancel_with_broken_callback)
{
    KIN_AUTO(kin_job) j = new_job(NULL);

    on_completion(j, log_word, "1");
    on_completion(j, fail_with, X);
    on_completion(j, log_word, "3");
    kin_job_cancel(j, CE);
    CHECK_FLAGS(j, "011");
    ev("cancelled");
    return 0;
}

TEST(callback_that_fails_in_a_cancel_is_reported)
{
    check_told(cancel_with_broken_callback, BARE "\n  family: job\n");
    CHECK_LOG("1 F(X) 3 cancelled");
}

/* Nobody is there any more to whom it could be returned. */
BODY(complete_before_the_child)
{
    KIN_AUTO(kin_job) j = new_job(kin_scope_job(scope));

    kin_job_release(LAUNCH_IN(j, scope, say, "child"));
    on_completion(j, fail_with, X);
    CHECK_EQ(kin_job_complete(j), 1);
    ev("completed");
    MUST(kin_join(j));
    return 0;
}

TEST(callback_that_fails_after_complete_has_returned_is_reported)
{
    check_told(complete_before_the_child, BARE "\n  family: main/job\n");
    CHECK_LOG("completed child F(X)");
}

BODY(register_too_late)
{
    KIN_AUTO(kin_job) j = new_job(NULL);

    CHECK_EQ(kin_job_complete(j), 1);
    CHECK_EQ(kin_invoke_on_completion(j, fail_with, X, 0, NULL), 0);
    ev("registered");
    return 0;
}

TEST(callback_that_fails_while_it_is_registered_is_reported)
{
    check_told(register_too_late, BARE "\n  family: job\n");
    CHECK_LOG("F(X) registered");
}

static int use_up_memory(UNUSED kin_job *job, UNUSED kin_error *cause,
                         UNUSED void *arg)
{
    kin__fail_at(1, true);
    return -EIO;
}

BODY(break_without_memory)
{
    KIN_AUTO(kin_job) j = new_job(NULL);

    on_completion(j, use_up_memory, NULL);
    on_completion(j, log_word, "2");
    kin_job_cancel(j, CE);
    kin__fail_at(0, false);
    CHECK_FLAGS(j, "011");
    return 0;
}

TEST(callback_that_fails_without_memory_is_reported_by_its_code)
{
    check_told(break_without_memory,
               "kin: failure in job \"job\": (KIN_EHANDLER/EPROTO, -71)"
               "\n  family: job\n");
    CHECK_LOG("2");
}

/* --- What was current --------------------------------------------------- */

BODY(break_callbacks_over_an_error)
{
    KIN_AUTO(kin_job) bare = new_job(NULL);
    KIN_AUTO(kin_job) loader = launch_loader(scope, do_nothing, NULL,
                                             break_down);

    on_completion(bare, fail_with, X);
    MUST(kin_join(loader));
    CHECK_EQ(kin_error_rethrow(E), -EIO);
    kin_job_cancel(bare, NULL);
    CHECK_PTR(kin_error_current(), E);
    on_completion(loader, fail_with, Y);
    CHECK_PTR(kin_error_current(), E);
    kin_error_clear();
    for (int i = 0; i < 2; i++)
        CHECK(strstr(next_told(), "failed"));
    return 0;
}

TEST(callbacks_and_handlers_leave_the_current_error_alone)
{
    check_told(break_callbacks_over_an_error, "");
}

TEST_MAIN
