/* The system itself refuses: no descriptors left, no threads, no mappings, no
 * address space.  Each limit is set, or filled, in the test's own process; what
 * can still be done is done, the rest says its documented code, and when there
 * is room again everything goes. */
#include "tests/job_helpers.h"
#include "tests/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/words.h"

TEST_TIMEOUT(60);

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define IS_SANITIZED 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define IS_SANITIZED 1
#  endif
#endif
#ifndef IS_SANITIZED
#  define IS_SANITIZED 0
#endif

#define SKIP_IF_EMULATED() \
    (getenv("KIN_TEST_SLOWDOWN") && check_slow(1) > 4 \
         ? SKIP("the emulator has limits of its own") : (void)0)

static struct rlimit former;

static void limit(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit now;

    CHECK_EQ(getrlimit(what, &former), 0);
    now = (struct rlimit){ .rlim_cur = most, .rlim_max = former.rlim_max };
    CHECK_EQ(setrlimit(what, &now), 0);
}

static void unlimit(__rlimit_resource_t what)
{
    CHECK_EQ(setrlimit(what, &former), 0);
}

static atomic_int ended;

BODY(work)
{
    KIN_TRY(kin_yield());
    atomic_fetch_add(&ended, 1);
    return 0;
}

BODY(work_everywhere)
{
    KIN_TRY(kin_launch(scope, work, NULL));
    KIN_TRY(kin_launch(scope, work, NULL, .dispatcher = kin_default()));
    KIN_TRY(kin_launch(scope, work, NULL, .dispatcher = kin_io()));
    return 0;
}

static bool is_documented(int code)
{
    return code == KIN_ENOMEM || code == KIN_EAGAIN;
}

/* --- Descriptors ---------------------------------------------------------- */

TEST(without_descriptors_main_is_refused_and_the_rest_works)
{
    int next = dup(STDERR_FILENO);

    CHECK(next > 0);
    close(next);
    limit(RLIMIT_NOFILE, (rlim_t)next);
    CHECK_EQ(kin_main_attach(), KIN_EAGAIN);
    CHECK_EQ(kin_dump_on_signal(SIGUSR1), KIN_EAGAIN);
    RUN(work_everywhere);
    CHECK_EQ(atomic_load(&ended), 3);
    unlimit(RLIMIT_NOFILE);
    MUST(kin_main_attach());
    MUST(kin_main_detach());
    MUST(kin_dump_on_signal(SIGUSR1));
}

/* --- Threads -------------------------------------------------------------- */

/* Root is not bound by RLIMIT_NPROC. */
static void become_nobody(void)
{
    if (getuid() == 0 && setuid(65534) != 0)
        SKIP("cannot become nobody");
}

static void *nothing(void *arg)
{
    return arg;
}

TEST(without_threads_default_is_refused_and_the_loop_works)
{
    pthread_t thread;
    int err;

    become_nobody();
    limit(RLIMIT_NPROC, 1);
    if (pthread_create(&thread, NULL, nothing, NULL) == 0)
        SKIP("the limit does not bind here");
    err = kin_run_blocking(work_everywhere, NULL);
    CHECK_EQ(err, KIN_EAGAIN);
    RUN(work);
    CHECK(atomic_load(&ended) >= 1);
    unlimit(RLIMIT_NPROC);
    if (pthread_create(&thread, NULL, nothing, NULL) != 0)
        return;                         /* others of nobody's fill it */
    pthread_join(thread, NULL);
    RUN(work_everywhere);
}

/* --- Mappings ------------------------------------------------------------- */

enum { MAPPINGS = 200000, PAGE = 4096 };

/* Every second page of one mapping becomes a mapping of its own, until there
 * are none left. */
static char *fill_mappings(size_t size)
{
    char *pages = mmap(NULL, size, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(pages != MAP_FAILED);
    for (size_t i = 0; i < size; i += 2 * PAGE)
        if (mprotect(pages + i, PAGE, PROT_READ) != 0)
            return pages;
    munmap(pages, size);
    SKIP("there are too many mappings to be had");
}

TEST(without_mappings_there_is_an_error_and_then_all_is_well)
{
    size_t size = (size_t)MAPPINGS * PAGE;
    char *pages;
    int err;

    if (IS_SANITIZED || sysconf(_SC_PAGESIZE) != PAGE)
        SKIP("needs pages of 4 KiB, and all mappings for itself");
    SKIP_IF_EMULATED();
    pages = fill_mappings(size);
    err = kin_run_blocking(work_everywhere, NULL);
    munmap(pages, size);
    CHECK(err == 0 || is_documented(err));
    RUN(work_everywhere);
}

/* --- Address space -------------------------------------------------------- */

static int refused;

static int count_refused(UNUSED kin_job *job, kin_error *error,
                         UNUSED void *arg)
{
    CHECK(is_documented(kin_error_code(error)));
    refused++;
    return 0;
}

/* Parked fibers until there is no memory for more: that is refused, those that
 * run are unharmed, and end. */
BODY(fill)
{
    KIN_AUTO(kin_job) family = NULL;
    KIN_AUTO(kin_context) under = NULL;
    int launched = 0, err = 0;

    MUST(kin_supervisor_new(kin_scope_job(scope), &family));
    under = kin_context_of_job(family);
    CHECK(under != NULL);
    limit(RLIMIT_AS, (rlim_t)process_size().mapped + (64u << 20));
    for (; launched < 100000 && !err && !refused; launched++) {
        err = kin_launch(scope, wait_forever, NULL, .context = under,
                         .handler = count_refused);
        if (launched % 16 == 0 && !err)
            err = kin_yield();
    }
    CHECK(launched > 100);
    CHECK(refused > 0 || is_documented(err));
    unlimit(RLIMIT_AS);
    kin_job_cancel(family, NULL);
    return kin_join(family);
}

TEST(without_address_space_what_runs_goes_on)
{
    if (IS_SANITIZED)
        SKIP("a sanitizer has the address space");
    SKIP_IF_EMULATED();
    CHECK_EQ(kin_run_blocking(fill, NULL), 0);
    RUN(work_everywhere);
}

/* --- Whatever a program calls --------------------------------------------- */

BODY(delay_1_ms)
{
    return kin_delay(KIN_MS(1));
}

BODY(time_out)
{
    int err = kin_with_timeout(KIN_MS(1), wait_forever, NULL);

    return err == KIN_ETIMEDOUT ? 0 : err;
}

BODY(hop_to_io)
{
    int err;

    KIN_WITH_CONTEXT(err, .dispatcher = kin_io())
        block_ms(1);
    return err;
}

BODY(fill_io)
{
    for (int i = 0; i < 70; i++)
        KIN_TRY(kin_launch(scope, hop_to_io, NULL, .dispatcher = kin_io()));
    return 0;
}

BODY(launch_on_a_view)
{
    KIN_AUTO(kin_dispatcher) view = NULL;

    KIN_TRY(kin_limited_parallelism(kin_default(), 1, "view", &view));
    return kin_launch(scope, work, NULL, .dispatcher = view);
}

static void note_call(void *called)
{
    *(bool *)called = true;
}

BODY(call_on_the_threads_stack)
{
    bool called = false;

    kin_call_on_thread_stack(note_call, &called);
    CHECK(called);
    return 0;
}

BODY(ask_for_a_dump)
{
    int fd = memfd_create("dump", 0), err;

    if (fd < 0)
        return KIN_EAGAIN;
    err = kin_dump(fd);
    close(fd);
    return err;
}

static kin_body *const bodies[] = {
    work, delay_1_ms, time_out, work_everywhere, hop_to_io, fill_io,
    launch_on_a_view, call_on_the_threads_stack, ask_for_a_dump,
};

KIN_SUSPENDS
static void *suspend_once(void *value)
{
    return kin_fiber_suspend(value);
}

static int use_a_bare_fiber(void)
{
    kin_fiber *fiber = NULL;
    int err = kin_fiber_new(suspend_once, &fiber);

    if (err)
        return err;
    err = kin_fiber_resume(fiber, NULL, NULL);
    if (!err)
        err = kin_fiber_resume(fiber, NULL, NULL);
    kin_fiber_destroy(fiber);
    return err;
}

static int use_a_pool(void)
{
    KIN_AUTO(kin_dispatcher) pool = NULL;
    int err;

    KIN_TRY(kin_fixed_pool(2, "pool", &pool));
    err = kin_run_blocking(work_everywhere, NULL, .dispatcher = pool);
    MUST(kin_dispatcher_close(pool));
    return err;
}

static int be_main(void)
{
    KIN_AUTO(kin_job) job = NULL;
    int err = kin_main_attach(), pumped;

    if (err)
        return err;
    err = kin_launch(kin_global_scope(), work, NULL, .job = &job,
                     .dispatcher = kin_main());
    do
        pumped = kin_main_pump(0);
    while (!err && pumped >= 0 && !kin_job_is_completed(job));
    MUST(kin_main_detach());
    return err ? err : pumped < 0 ? pumped : 0;
}

static int run_a_test(void)
{
    return kin_run_test(delay_1_ms, NULL);
}

static int (*const calls[])(void) = {
    use_a_bare_fiber, use_a_pool, be_main, run_a_test,
};

static void call_everything(bool is_limited)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        int err = kin_run_blocking(bodies[i], NULL);
        CHECK(err == 0 || (is_limited && is_documented(err)));
    }
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int err = calls[i]();
        CHECK(err == 0 || (is_limited && is_documented(err)));
    }
    kin_trim();
}

/* Before kin has anything, and when it has. */
static void limit_twice(__rlimit_resource_t what, rlim_t first, rlim_t then)
{
    limit(what, first);
    call_everything(true);
    unlimit(what);
    call_everything(false);
    limit(what, then);
    call_everything(true);
    unlimit(what);
    call_everything(false);
}

TEST(without_descriptors_each_call_says_so_or_works)
{
    rlim_t next = (rlim_t)dup(STDERR_FILENO);

    close((int)next);
    limit_twice(RLIMIT_NOFILE, next, next);
}

TEST(without_any_address_space_each_call_says_so_or_works)
{
    if (IS_SANITIZED)
        SKIP("a sanitizer has the address space");
    SKIP_IF_EMULATED();
    limit_twice(RLIMIT_AS, (rlim_t)process_size().mapped,
                (rlim_t)process_size().mapped);
}

TEST(with_room_for_one_stack_each_call_says_so_or_works)
{
    if (IS_SANITIZED)
        SKIP("a sanitizer has the address space");
    SKIP_IF_EMULATED();
    limit_twice(RLIMIT_DATA, 1 << 20, 4 << 20);
}

TEST_MAIN
