/* The live family tree as text: what is in it, for each kind of wait, state and
 * kind; and that it can be asked for at any time: while threads launch and
 * cancel, off a fiber, in a callback, on a signal, of a deep family. */
#include "tests/job_helpers.h"

#include "core/memory.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)                \
    || defined(KIN_CONTEXT_BOOST)
enum { IS_TRACED = 0 };
#else
enum { IS_TRACED = 1 };
#endif

/* --- Helpers -------------------------------------------------------------- */

/* The text of a dump; the caller's to free. */
static char *dump_text(void)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(kin_dump(fd), 0);
    off_t size = lseek(fd, 0, SEEK_END);
    CHECK(size > 0);
    char *text = malloc((size_t)size + 1);
    CHECK(text != NULL);
    CHECK_EQ(pread(fd, text, (size_t)size, 0), size);
    text[size] = '\0';
    close(fd);
    return text;
}

/* The line, without its end, of the first job whose line has `word` in it. */
static char *line_of(const char *text, const char *word)
{
    const char *at = strstr(text, word), *end;
    if (!at)
        FAIL("no \"%s\" in\n%s", word, text);
    end = strchr(at, '\n');
    while (at > text && at[-1] != '\n')
        at--;
    return strndup(at, (size_t)(end - at));
}

/* The line of the job of that name has each of the words in it. */
#define CHECK_LINE(text, name, ...)                                          \
    check_line((text), "\"" name "\"", (const char *[]){ __VA_ARGS__, NULL })
static void check_line(const char *text, const char *name, const char **words)
{
    char *line = line_of(text, name);
    for (; *words; words++)
        if (!strstr(line, *words))
            FAIL("no \"%s\" in \"%s\" of\n%s", *words, line, text);
    free(line);
}

/* How far its line is indented. */
static size_t indent_of(const char *text, const char *word)
{
    char *line = line_of(text, word);
    size_t blanks = strspn(line, " ");
    free(line);
    return blanks;
}

KIN_SUSPENDS
static int wait_for_delay(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_delay(KIN_S(100));
}

KIN_SUSPENDS
static int wait_for_join(kin_scope *scope, void *job)
{
    (void)scope;
    return kin_join(job);
}

KIN_SUSPENDS
static int wait_for_await(kin_scope *scope, void *deferred)
{
    (void)scope;
    return kin_await(deferred, NULL);
}

KIN_SUSPENDS
static int wait_for_await_all(kin_scope *scope, void *deferred)
{
    kin_deferred *const both[] = { deferred, deferred };
    (void)scope;
    return kin_await_all(both, 2, NULL);
}

static int keep(kin_continuation continuation, void *where)
{
    *(kin_continuation *)where = continuation;
    return 0;
}

KIN_SUSPENDS
static int wait_for_resume(kin_scope *scope, void *where)
{
    (void)scope;
    return kin_suspend(keep, where);
}

KIN_SUSPENDS
static int wait_cancellable(kin_scope *scope, void *where)
{
    (void)scope;
    return kin_suspend_cancellable(keep, where);
}

KIN_SUSPENDS
static int wait_for_child(kin_scope *scope, void *arg)
{
    int err;
    (void)scope, (void)arg;
    KIN_SUPERVISOR_SCOPE(err, inner)
        err = kin_launch(inner, wait_for_delay, NULL, .name = "grandchild");
    return err;
}

KIN_SUSPENDS
static int be_in_timeout(kin_scope *scope, void *arg)
{
    (void)scope;
    return kin_with_timeout(KIN_S(200), wait_for_delay, arg);
}

/* --- What is shown -------------------------------------------------------- */

TEST_IN_ORDER(each_kind_of_wait_is_named)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    kin_continuation one, two;
    KIN_AUTO(kin_job) slow = launch_in(
        scope, NULL, wait_for_delay,
        (kin_launch_options){ .name = "slow", .site = "here.c:1" });
    KIN_AUTO(kin_deferred) value = async_in(
        scope, wait_for_delay, &(kin_launch_options){ .name = "value" });

    CHECK_EQ(kin_launch(scope, wait_for_join, slow, .name = "joins"), 0);
    CHECK_EQ(kin_launch(scope, wait_for_await, value, .name = "awaits"), 0);
    CHECK_EQ(kin_launch(scope, wait_for_await, gate, .name = "gated"), 0);
    CHECK_EQ(kin_launch(scope, wait_for_await_all, gate, .name = "all"), 0);
    CHECK_EQ(kin_launch(scope, wait_for_resume, &one, .name = "deaf"), 0);
    CHECK_EQ(kin_launch(scope, wait_cancellable, &two, .name = "hears"), 0);
    CHECK_EQ(kin_launch(scope, say_when_cancelled, NULL, .name = "ever"), 0);
    CHECK_EQ(kin_launch(scope, wait_for_child, NULL, .name = "parent"), 0);
    CHECK_EQ(kin_launch(scope, be_in_timeout, NULL, .name = "timed"), 0);
    yield_times(5);

    char *text = dump_text();
    CHECK_LINE(text, "slow", "active launch", "at here.c:1, fiber 0x",
               ": delay, for ", " ms, 99", " ms left");
    CHECK_LINE(text, "joins", ": join \"slow\"");
    CHECK_LINE(text, "value", "active async", ": delay, ");
    CHECK_LINE(text, "awaits", ": await \"value\"");
    CHECK_LINE(text, "gated", ": await deferred");
    CHECK_LINE(text, "all", ": await_all");
    CHECK_LINE(text, "deaf", ": suspend");
    CHECK_LINE(text, "hears", ": suspend_cancellable");
    CHECK_LINE(text, "ever", ": await_cancellation, for ");
    CHECK_LINE(text, "parent", "1 child: children of supervisor_scope, for ");
    CHECK(strstr(text, "completing supervisor_scope, in fiber 0x"));
    CHECK(strstr(text, "active timeout, in fiber 0x"));
    CHECK_EQ(indent_of(text, "\"grandchild\""),
             indent_of(text, "\"parent\"") + 4);
    CHECK(strstr(text, ": running\n"));     /* the one that asks */
    free(text);
    CHECK_EQ(kin_resume(one, 0), 0);
    open_gate(gate);
    yield_times(3);
    kin_job_cancel_children(kin_current_job(), NULL);
    yield_times(3);
}

/* For how many milliseconds its fiber has waited, as the dump says. */
static int64_t waited_ms(const char *name)
{
    char *text = dump_text(), *line = line_of(text, name);
    const char *at = strstr(line, ", for ");
    long whole = 0, part = 0;
    CHECK(at != NULL);
    if (sscanf(at, ", for %ld.%ld s", &whole, &part) == 2)
        whole = 1000 * whole + 100 * part;
    else
        CHECK_EQ(sscanf(at, ", for %ld ms", &whole), 1);
    free(line);
    free(text);
    return whole;
}

/* Real time is the subject.  The clock of the stamp ticks every 10 ms at worst,
 * and seconds are told by tenths. */
TEST_IN_ORDER(how_long_a_fiber_has_waited_is_told)
{
    enum { STEPS = 3, STEP_MS = 550, TICK_MS = 50, TENTH_MS = 100 };
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    int64_t before = kin_now(), after;

    CHECK_EQ(kin_launch(scope, wait_for_await, gate, .name = "gated"), 0);
    yield_times(2);
    after = kin_now();
    for (int i = 0; i < STEPS; i++) {
        int64_t first = (kin_now() - after) / KIN_MS(1);
        int64_t said = waited_ms("gated");
        CHECK(said >= first - TENTH_MS);
        CHECK(said <= (kin_now() - before) / KIN_MS(1) + TICK_MS);
        CHECK_EQ(kin_delay(KIN_MS(STEP_MS)), 0);
    }
    open_gate(gate);
    yield_times(2);                         /* "gated" borrows it till then */
}

/* A wait begins anew whenever the fiber parks. */
TEST_IN_ORDER(a_fiber_that_waits_again_has_waited_for_no_time)
{
    kin_continuation one;

    CHECK_EQ(kin_launch(scope, wait_for_delay, NULL, .name = "long"), 0);
    yield_times(2);
    CHECK_EQ(kin_delay(KIN_MS(200)), 0);
    CHECK_EQ(kin_launch(scope, wait_for_resume, &one, .name = "short"), 0);
    yield_times(2);
    CHECK(waited_ms("long") >= 200 - 20);
    CHECK(waited_ms("short") < waited_ms("long"));
    CHECK_EQ(kin_resume(one, 0), 0);
    kin_job_cancel_children(kin_current_job(), NULL);
}

TEST_IN_ORDER(states_and_kinds_are_named)
{
    KIN_AUTO(kin_job) lazy = launch_in(
        scope, NULL, do_nothing,
        (kin_launch_options){ .start = KIN_START_LAZY, .name = "lazy" });
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) dying = launch_in(
        scope, NULL, wait_shielded,
        (kin_launch_options){ .arg = gate, .name = "dying" });
    KIN_AUTO(kin_job) bare = new_job(kin_current_job());
    KIN_AUTO(kin_job) supervisor = new_supervisor(kin_current_job());

    yield_times(2);
    kin_job_cancel(dying, NULL);
    KIN_AUTO(kin_job) late = launch_in(
        scope, NULL, do_nothing, (kin_launch_options){ .name = "late" });
    CHECK(kin_job_is_active(late));
    char *text = dump_text();
    CHECK_LINE(text, "lazy", "new launch", ": not started");
    CHECK_LINE(text, "dying", "cancelling launch", ": await deferred");
    CHECK_LINE(text, "late", "active launch", ": queued");
    CHECK(strstr(text, "active job\n"));
    CHECK(strstr(text, "active supervisor\n"));
    CHECK(strstr(text, "active deferred\n"));
    CHECK(strstr(text, "active blocking on \""));
    free(text);
    open_gate(gate);
    CHECK_EQ(kin_join(dying), 0);
    kin_job_complete(bare);
    kin_job_complete(supervisor);
    kin_job_cancel(lazy, NULL);
}

static int occupy(kin_scope *scope, void *is_free)
{
    (void)scope;
    while (!atomic_load((_Atomic bool *)is_free))
        sched_yield();
    return 0;
}

KIN_SUSPENDS
static int go_there(kin_scope *scope, void *view)
{
    int err;
    (void)scope;
    KIN_WITH_CONTEXT(err, .dispatcher = view)
        err = 0;
    return err;
}

TEST_ON_LOOP(a_fiber_between_two_dispatchers_hops)
{
    _Atomic bool is_free = false;
    KIN_AUTO(kin_dispatcher) view = NULL;

    CHECK_EQ(kin_limited_parallelism(kin_default(), 1, "narrow", &view), 0);
    KIN_AUTO(kin_job) first = LAUNCH(scope, occupy, &is_free,
                                     .dispatcher = view);
    KIN_AUTO(kin_job) second = LAUNCH(scope, go_there, view, .name = "second");
    yield_times(2);
    char *text = dump_text();
    CHECK_LINE(text, "second", ": hop");
    CHECK(strstr(text, " on \"narrow\" at "));
    free(text);
    atomic_store(&is_free, true);
    CHECK_EQ(kin_join(first), 0);
    CHECK_EQ(kin_join(second), 0);
}

TEST_ON_LOOP(a_body_that_ended_waits_for_its_children)
{
    KIN_AUTO(kin_job) outer = NULL;

    CHECK_EQ(kin_launch(scope, do_nothing, NULL, .name = "outer",
                        .job = &outer, .start = KIN_START_LAZY), 0);
    KIN_AUTO(kin_job) inner = LAUNCH_IN(outer, scope, wait_for_delay, NULL);
    yield_times(3);
    char *text = dump_text();
    CHECK_LINE(text, "outer", "completing launch", "1 child: body ended");
    free(text);
    kin_job_cancel(inner, NULL);
}

TEST_ON_LOOP(a_parked_fiber_has_a_backtrace)
{
    KIN_AUTO(kin_job) job = launch_in(
        scope, NULL, wait_for_delay, (kin_launch_options){ .name = "parked" });
    yield_times(2);
    char *text = dump_text(), *line = strstr(text, "\"parked\"");
    CHECK(line != NULL);
    line = strchr(line, '\n') + 1;
    CHECK_EQ(strncmp(line, "      (job_dump_test+0x", 23) == 0, IS_TRACED);
    free(text);
    kin_job_cancel(job, NULL);          /* goes on from where it was */
}

TEST(roots_are_listed_while_they_live)
{
    KIN_AUTO(kin_job) job = new_job(NULL);
    kin_job *dropped = new_job(NULL);
    char *text = dump_text();
    CHECK(strstr(text, "\nkin: 2 jobs\n"));
    free(text);
    kin_job_release(dropped);           /* never completed */
    text = dump_text();
    CHECK_STR(text, "kin: live jobs\nactive job\nkin: 1 jobs\n");
    free(text);
    kin_job_complete(job);
    text = dump_text();
    CHECK_STR(text, "kin: live jobs\nkin: 0 jobs\n");
    free(text);
}

static int dump_inside(kin_job *job, kin_error *cause, void *arg)
{
    (void)job, (void)cause;
    *(char **)arg = dump_text();
    return 0;
}

TEST(a_callback_may_ask)
{
    KIN_AUTO(kin_job) job = new_job(NULL);
    char *text = NULL;
    on_cancelling(job, dump_inside, &text);
    kin_job_cancel(job, NULL);
    CHECK(strstr(text, "\ncancelling job\n"));
    free(text);
}

/* --- Size ----------------------------------------------------------------- */

TEST(a_deep_family_needs_no_stack)
{
    enum { DEPTH = 10000 };
    kin_job **jobs = calloc(DEPTH, sizeof *jobs);
    for (int i = 0; i < DEPTH; i++)
        jobs[i] = new_job(i ? jobs[i - 1] : NULL);
    char *text = dump_text();
    CHECK(strstr(text, " (9999) active job\nkin: 10000 jobs\n"));
    free(text);
    kin_job_cancel(jobs[0], NULL);
    for (int i = 0; i < DEPTH; i++)
        kin_job_release(jobs[i]);
    free(jobs);
}

/* --- While the program runs ----------------------------------------------- */

static _Atomic bool is_over;
static _Atomic int handed_out, handed_back;

static void hand_back(void *value)
{
    (void)value;
    atomic_fetch_add(&handed_back, 1);
}

KIN_SUSPENDS
static int give(kin_scope *scope, void *arg)
{
    if (!arg)
        KIN_TRY(kin_delay(KIN_US(20)));
    atomic_fetch_add(&handed_out, 1);
    return kin_return(scope, &handed_out);
}

KIN_SUSPENDS
static int be_busy(kin_scope *scope, void *arg)
{
    int err;
    (void)scope;
    KIN_COROUTINE_SCOPE(err, inner) {
        KIN_AUTO(kin_deferred) value = NULL;
        err = kin_launch(inner, yield_once, NULL);
        err = err ? err : kin_async(inner, &value, give, arg,
                                    .on_undelivered = hand_back);
        err = err ? err : kin_delay(KIN_US(50));
    }
    return err;
}

KIN_SUSPENDS
static int launch_and_cancel(kin_scope *scope, void *seed)
{
    unsigned random = *(unsigned *)seed;
    for (int i = 0; i < 400; i++) {
        KIN_AUTO(kin_job) job = NULL;
        random = random * 1664525 + 1013904223;
        CHECK_EQ(kin_launch(random >> 30 & 1 ? kin_global_scope() : scope,
                            be_busy, random >> 28 & 1 ? NULL : seed,
                            .dispatcher = kin_default(), .job = &job), 0);
        if (random >> 29 & 1)
            kin_job_cancel(job, NULL);
        if (random >> 27 & 1)
            CHECK_EQ(kin_yield(), 0);
        CHECK_EQ(kin_join(job), 0);
    }
    return 0;
}

static void *run_busy(void *seed)
{
    CHECK_EQ(kin_run_blocking(launch_and_cancel, seed, .name = "busy"), 0);
    return NULL;
}

static void *dump_again(void *count)
{
    while (!atomic_load(&is_over)) {
        free(dump_text());
        ++*(int *)count;
    }
    return NULL;
}

TEST(a_dump_disturbs_nothing)
{
    pthread_t busy[2], dumpers[2];
    unsigned seeds[2] = { 1, 4711 };
    int counts[2] = { 0 };

    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&dumpers[i], NULL, dump_again, &counts[i]), 0);
        CHECK_EQ(pthread_create(&busy[i], NULL, run_busy, &seeds[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(busy[i], NULL);
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(dumpers[i], NULL);
    CHECK(counts[0] + counts[1] > 0);
    CHECK_EQ(atomic_load(&handed_out), atomic_load(&handed_back));
    char *text = dump_text();
    CHECK_STR(text, "kin: live jobs\nkin: 0 jobs\n");
    free(text);
}

/* --- Errors, and the signal ----------------------------------------------- */

MISUSE(kin_dump, negative, KIN_EINVAL, kin_dump(-1))
MISUSE(kin_dump_on_signal, cannot_be_caught, KIN_EINVAL,
       kin_dump_on_signal(SIGKILL))
MISUSE(kin_dump_on_signal, no_signal, KIN_EINVAL, kin_dump_on_signal(-3))

TEST(without_memory_it_says_so)
{
    KIN_AUTO(kin_job) job = new_job(NULL);
    KIN_AUTO(kin_job) child = new_job(job);
    int fd = memfd_create("dump", MFD_CLOEXEC), err = KIN_ENOMEM;

    CHECK(kin_job_is_active(child));
    for (unsigned long n = 1; err; n++) {
        CHECK_EQ(err, KIN_ENOMEM);
        CHECK(n < 100);
        kin__fail_at(n, true);
        err = kin_dump(fd);
        kin__fail_at(0, false);
    }
    close(fd);
    kin_job_cancel(job, NULL);
}

TEST(a_closed_descriptor_is_an_error)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    close(fd);
    CHECK_EQ(kin_dump(fd), -EBADF);
}

TEST(a_signal_makes_a_dump_on_stderr)
{
    kin_job *job = new_job(NULL);
    char said[256] = "";
    size_t length = 0;
    int ends[2], saved = dup(STDERR_FILENO);

    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(kin_dump_on_signal(SIGQUIT), 0);
    CHECK_EQ(kin_dump_on_signal(SIGUSR1), 0);
    dup2(ends[1], STDERR_FILENO);
    raise(SIGQUIT);
    while (!strstr(said, " jobs\n") && !strstr(said, "no memory")) {
        ssize_t got = read(ends[0], said + length, sizeof said - 1 - length);
        CHECK(got > 0);
        length += (size_t)got;
    }
    dup2(saved, STDERR_FILENO);
    kin_job_release(job);
    CHECK_STR(said, "kin: live jobs\nactive job\nkin: 1 jobs\n");
}

TEST_MAIN
