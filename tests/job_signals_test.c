/* A storm of signals while fibers switch, on the event loop and on workers:
 * handlers on the alternate stack and on the fiber's own, and a profiler that
 * unwinds in the handler.  No signal breaks anything, and no walk loses its
 * root: it ends where a fiber's stack or the thread begins, not before.
 *
 * (That a walk is right at every single instruction of the switch is shown by
 * asm_unwind_test.c, which steps through them.) */
#include "tests/job_helpers.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

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

/* An emulator's signal frames are its own, and a sanitizer delivers late. */
#define WALKS (!IS_SANITIZED && !defined_boost && is_native)
#if defined(KIN_CONTEXT_BOOST)
enum { defined_boost = 1 };
#else
enum { defined_boost = 0 };
extern const char kin__switch_start[];
#endif
#if defined(__x86_64__)
enum { is_native = 1 };
#else
enum { is_native = 0 };
#endif

enum { FRAMES = 200, PLAYERS = 8, STORM_MS = 500 };

extern const char _start[];

static atomic_bool storm_is_over;
static atomic_long signals, walks, walks_of_fibers, lost;
static uintptr_t libc_begin, libc_end;

/* --- The profiler --------------------------------------------------------- */

struct walk {
    int depth;
    uintptr_t last, function;
};

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    uintptr_t pc = _Unwind_GetIP(context);

    if (pc) {
        walk->last = pc;
        walk->function =
            (uintptr_t)_Unwind_FindEnclosingFunction((void *)(pc - 1));
    }
    return ++walk->depth < FRAMES ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static bool is_root(const struct walk *walk)
{
#if !defined(KIN_CONTEXT_BOOST)
    if (walk->function == (uintptr_t)kin__switch_start) {
        atomic_fetch_add(&walks_of_fibers, 1);
        return true;
    }
#endif
    return walk->function == (uintptr_t)_start
        || (walk->last >= libc_begin && walk->last < libc_end);
}

static void profile(int number)
{
    struct walk walk = { 0, 0, 0 };
    int saved = errno;

    (void)number;
    atomic_fetch_add(&walks, 1);
    _Unwind_Backtrace(look, &walk);
    if (walk.depth >= FRAMES || !is_root(&walk)) {
        atomic_fetch_add(&lost, 1);
        if (atomic_load(&lost) == 1)
            fprintf(stderr, "lost at %#lx, in the function at %#lx\n",
                    (unsigned long)walk.last, (unsigned long)walk.function);
    }
    errno = saved;
}

static void count(int number)
{
    volatile char some[512];

    (void)number;
    memset((char *)some, number, sizeof some);
    atomic_fetch_add(&signals, 1);
}

/* The text of libc: where a thread begins. */
static void find_libc(void)
{
    char line[512], rights[5];
    unsigned long begin, end;
    FILE *maps = fopen("/proc/self/maps", "r");

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "/libc.so")
            && sscanf(line, "%lx-%lx %4s", &begin, &end, rights) == 3
            && rights[2] == 'x') {
            libc_begin = begin;
            libc_end = end;
        }
    fclose(maps);
    CHECK(libc_end != 0);
}

/* --- The storm ------------------------------------------------------------ */

/* One at every thread of this process but the caller. */
static void strike_all(int number)
{
    DIR *threads = opendir("/proc/self/task");
    pid_t self = gettid();

    CHECK(threads != NULL);
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        pid_t tid = atoi(entry->d_name);

        if (tid > 0 && tid != self)
            syscall(SYS_tgkill, getpid(), tid, number);
    }
    closedir(threads);
}

static int64_t storm_end;
static atomic_long *struck;         /* what the storm is for                 */
static long enough;

/* Until it has blown for a while, and struck often enough: on a busy machine
 * the second comes later. */
static void *storm(void *number)
{
    while (kin_now() < storm_end || atomic_load(struck) <= enough) {
        strike_all((int)(intptr_t)number);
        strike_all(SIGALRM);
    }
    atomic_store(&storm_is_over, true);
    return NULL;
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

    CHECK_EQ(sigaction(number, &action, NULL), 0);
}

/* Switches in every way: yields, delays, hops, scopes, joins. */
KIN_SUSPENDS
static int play(kin_scope *scope, void *arg)
{
    volatile double sum = 0;

    (void)scope;
    for (int i = 0; !atomic_load(&storm_is_over); i++) {
        sum += 0.5;
        MUST(kin_yield());
        if (i % 64 == 0)
            MUST(kin_delay(KIN_US(10)));
        if (i % 16 == 0)
            MUST(kin_with_context(do_nothing, arg,
                                  .dispatcher = i % 32 ? kin_io()
                                                       : kin_default()));
        CHECK(sum == 0.5 * (i + 1));
    }
    return 0;
}

KIN_SUSPENDS
static void *generate(void *value)
{
    while (value)
        value = kin_fiber_suspend(value);
    return NULL;
}

KIN_SUSPENDS
static int resume(kin_scope *scope, void *arg)
{
    kin_fiber *fiber = NULL;
    void *out;

    (void)scope, (void)arg;
    MUST(kin_fiber_new(generate, &fiber));
    while (!atomic_load(&storm_is_over)) {
        for (int i = 0; i < 100; i++)
            MUST(kin_fiber_resume(fiber, &out, &out));
        MUST(kin_yield());
    }
    MUST(kin_fiber_resume(fiber, NULL, NULL));
    kin_fiber_destroy(fiber);
    return 0;
}

BODY(play_all)
{
    for (int i = 0; i < PLAYERS; i++) {
        MUST(kin_launch(scope, play, NULL));
        MUST(kin_launch(scope, play, NULL, .dispatcher = kin_default()));
    }
    MUST(kin_launch(scope, resume, NULL));
    MUST(kin_launch(scope, resume, NULL, .dispatcher = kin_default()));
    return 0;
}

static void ride_out(int number, atomic_long *counter, long least)
{
    pthread_t thread;

    struck = counter;
    enough = least;
    storm_end = kin_now() + KIN_MS(STORM_MS);
    CHECK_EQ(pthread_create(&thread, NULL, storm, (void *)(intptr_t)number), 0);
    RUN(play_all);
    pthread_join(thread, NULL);
    fprintf(stderr, "%ld signals, %ld walks, %ld lost\n",
            atomic_load(&signals), atomic_load(&walks), atomic_load(&lost));
}

static void count_storm(int flags)
{
    handle(SIGALRM, count, flags);
    handle(SIGPROF, count, flags);
    ride_out(SIGPROF, &signals, 20);
}

TEST(a_storm_of_signals_on_the_fibers_stacks_breaks_nothing)
{
    count_storm(SA_RESTART);
}

TEST(a_storm_of_signals_on_the_alternate_stack_breaks_nothing)
{
    count_storm(SA_RESTART | SA_ONSTACK);
}

static void profile_storm(int flags)
{
    if (!WALKS)
        SKIP("walks are tried natively, on our own switch");
    find_libc();
    profile(0);                         /* loads what it needs */
    handle(SIGALRM, count, flags);
    handle(SIGPROF, profile, flags);
    ride_out(SIGPROF, &walks_of_fibers, 50);
    CHECK_EQ(atomic_load(&lost), 0);
}

TEST(a_profiler_on_the_fibers_stacks_never_loses_the_root)
{
    profile_storm(SA_RESTART);
}

TEST(a_profiler_on_the_alternate_stack_never_loses_the_root)
{
    profile_storm(SA_RESTART | SA_ONSTACK);
}

TEST_MAIN
