/* check_refuse.c -- see check_refuse.h.
 *
 * The child leaves how it went in a page that both share: `hit`, whether a call
 * was refused; `broken`, the first check that failed after that; `told`,
 * whether kin has said what there was too little of. */
#include "tests/check_refuse.h"
#include "tests/check.h"

#include "core/memory.h"

#include <errno.h>
#include <execinfo.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of the programs that link them. */
#pragma weak kin__fail_at
#pragma weak kin__fail_hits
#pragma weak kin__switch
void *kin__switch(void **from, void *to, void *value);
extern const char __executable_start[], etext[];

/* AddressSanitizer's, where it is linked; it ends by SIGABRT if it is told so
 * (abort_on_error=1). */
#pragma weak __asan_report_present
#pragma weak __asan_get_report_address
#pragma weak __asan_get_free_stack
int __asan_report_present(void);
void *__asan_get_report_address(void);
size_t __asan_get_free_stack(void *address, void **trace, size_t size,
                             int *thread);

enum {
    EXIT_SKIP = 77, ENDS_EARLY = 78,
    DENSE = 50, LONG_MS = 1000,     /* up to when each call has its run */
    HANG_S = 4,                     /* for a run with all checks whole: of
                                     * its own time, or without any */
    GRACE_MS = 100                  /* for the rest, when one has failed */
};

static struct run {
    volatile bool hit, broken, told, ended;
    char what[256];
} *run;
static bool active;                 /* in the child */
static int said;                    /* what it wrote to stderr */

bool check_refuses(void)
{
    return getenv("KIN_REFUSE") && kin__fail_at;
}

/* --- In the test's process ------------------------------------------------ */

static bool is_refusal(long long code)
{
    return code == -ENOMEM || code == -EAGAIN;
}

/* A test that goes on without what it waits for may wait for ever. */
static void give_up(int signal)
{
    (void)signal;
    _exit(ENDS_EARLY);
}

/* Calls handler after that time. */
static void call_later(void (*handler)(int), long long ms)
{
    struct itimerval later = {
        .it_value = { .tv_sec = (time_t)(check_slow(ms) / 1000),
                      .tv_usec = (suseconds_t)(check_slow(ms) % 1000 * 1000) }
    };

    signal(SIGALRM, handler);
    setitimer(ITIMER_REAL, &later, NULL);
}

/* What kin waits for, when all that it asks for is refused, is memory. */
static void give_it_back(int signal)
{
    (void)signal;
    if (kin__fail_hits() > 0 && !run->broken) {
        run->hit = true;
        kin__fail_at(0, false);
    }
}

bool check_excused(const char *what, long long a, long long b)
{
    if (!active || (kin__fail_hits() == 0 && !run->hit))
        return false;
    run->hit = true;
    if (is_refusal(a) || is_refusal(b))
        run->told = true;
    if (!run->broken) {
        run->broken = true;
        snprintf(run->what, sizeof run->what, "%s", what);
        call_later(give_up, GRACE_MS);
    }
    return true;
}

void check_excused_end(void)
{
    if (check_excused("", 0, 0))
        _exit(ENDS_EARLY);
}

void check_refuse_nothing(void)
{
    if (active)
        kin__fail_at(0, false);
}

/* A program is linked in this order: test, harness, library, asm/ first. */
enum whose { THE_TESTS, KINS, NOBODYS };

static enum whose whose(const char *pc)
{
    if (pc < __executable_start || pc >= etext)
        return NOBODYS;
    return pc < (const char *)(uintptr_t)kin__switch ? THE_TESTS : KINS;
}

/* Where the calls of the handler end: its own, then whoever handed the signal
 * on to it, then the system's. */
static int behind_handler(void **frames, int n)
{
    int i = 0;

    while (i < n && whose(frames[i]) != THE_TESTS)
        i++;
    while (i < n && whose(frames[i]) != NOBODYS)
        i++;
    return i;
}

/* A test may follow a pointer that it has not been given; kin may not: whose is
 * the innermost call? */
static bool crashed_in_the_test(void)
{
    void *frames[48];
    int n = backtrace(frames, 48);

    for (int i = behind_handler(frames, n); i < n; i++)
        if (whose(frames[i]) != NOBODYS)
            return whose(frames[i]) == THE_TESTS;
    return false;
}

/* A test that goes on after a check has failed may use what it has released. */
static bool released_by_the_test(void)
{
    void *frames[32];
    int thread, n;

    if (!run->broken || !__asan_report_present || !__asan_report_present())
        return false;
    n = (int)__asan_get_free_stack(__asan_get_report_address(), frames, 32,
                                   &thread);
    for (int i = 0; i < n; i++)
        if (whose(frames[i]) == THE_TESTS)
            return true;
    return false;
}

/* For `addr2line -e program`. */
static void show_calls(void)
{
    void *frames[48];

    backtrace_symbols_fd(frames, backtrace(frames, 48), STDERR_FILENO);
}

static void on_crash(int number)
{
    if (kin__fail_hits() > 0 && !run->ended
        && (crashed_in_the_test() || released_by_the_test())) {
        run->hit = run->broken = true;
        _exit(ENDS_EARLY);
    }
    show_calls();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_crashes(void)
{
    static char stack[65536];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_handler = on_crash,
                                .sa_flags = SA_ONSTACK };
    void *frame;

    backtrace(&frame, 1);           /* loads what it needs */
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    if (__asan_report_present)
        sigaction(SIGABRT, &action, NULL);
}

static void note_end(void)
{
    run->hit = run->hit || kin__fail_hits() > 0;
    run->ended = true;
}

static void run_child(struct check_test *test, unsigned long n, bool all)
{
    check_become_child();
    dup2(said, STDERR_FILENO);
    active = true;
    watch_crashes();
    kin__fail_at(n, all);
    if (all)
        call_later(give_it_back, LONG_MS);
    check_run_here(test);
    note_end();
    kin__fail_at(0, false);
    if (run->broken)                /* what it did not get it does not free */
        _exit(0);
    exit(0);                        /* with a look for leaks */
}

/* --- In the parent -------------------------------------------------------- */

static long long milliseconds_of(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        return 0;
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static long long milliseconds(void)
{
    return milliseconds_of(CLOCK_MONOTONIC);
}

/* How long a child has run, and has not. */
struct progress {
    clockid_t clock;
    long long begin, used, since;
};

/* A machine that is busy with something else makes a child wait, too: its own
 * clock goes on then, if slowly. */
static bool hangs(struct progress *child)
{
    long long now = milliseconds(), used = milliseconds_of(child->clock);
    long long limit = check_slow(HANG_S) * 1000;

    if (used != child->used) {
        child->used = used;
        child->since = now;
    }
    return used > limit || now - child->since > limit
        || now - child->begin > 10 * limit;
}

static int wait_for(pid_t pid)
{
    struct progress child = { .begin = milliseconds() };
    int status = 0;

    child.since = child.begin;
    if (clock_getcpuclockid(pid, &child.clock) != 0)
        abort();
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (hangs(&child)) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        usleep(500);
    }
    return status;
}

static int run_one(struct check_test *test, unsigned long n, bool all)
{
    pid_t pid;

    memset(run, 0, sizeof *run);
    if (ftruncate(said, 0) || lseek(said, 0, SEEK_SET))
        abort();
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0)
        run_child(test, n, all);
    return wait_for(pid);
}

static bool said_why(void)
{
    static char text[65536];
    ssize_t length = pread(said, text, sizeof text - 1, 0);

    text[length > 0 ? length : 0] = 0;
    return strstr(text, "ENOMEM") || strstr(text, "EAGAIN");
}

static bool complain(const struct check_test *test, unsigned long n, bool all,
                     const char *why, int status)
{
    static char text[4096];
    ssize_t length = pread(said, text, sizeof text - 1, 0);

    text[length > 0 ? length : 0] = 0;
    printf("FAIL %s (call %lu%s refused: %s; status %#x; %s)\n%s\n",
           test->name, n, all ? " and all after it" : "", why,
           (unsigned)status, run->what, text);
    return false;
}

/* One that a test sends itself, when it believes that it is handled. */
static bool is_the_tests(int signal)
{
    return signal == SIGQUIT || signal == SIGUSR1 || signal == SIGUSR2;
}

/* What is wrong with a run that ended with status; NULL: nothing. */
static const char *verdict(int status)
{
    bool early = WIFEXITED(status) && WEXITSTATUS(status) == ENDS_EARLY;

    if (status < 0)
        return "it hangs";
    if (run->broken && WIFSIGNALED(status) && is_the_tests(WTERMSIG(status)))
        return NULL;
    if (WIFSIGNALED(status))
        return "it crashes";
    if (status != 0 && !early)
        return "it fails";
    return NULL;
}

static unsigned long first_call(void)
{
    const char *text = getenv("KIN_REFUSE");
    long n = text ? strtol(text, NULL, 10) : 1;

    return n > 0 ? (unsigned long)n : 1;
}

/* Every call of most tests; of a long one, some. */
static unsigned long next_call(unsigned long n, long long begin)
{
    return n + 1
         + (milliseconds() - begin > check_slow(LONG_MS) ? n / 4 : n / DENSE);
}

/* Adds up what came of the runs of a test. */
struct sum {
    unsigned long runs, broken, untold, early;
};

static bool sweep(struct check_test *test, bool all, struct sum *sum)
{
    long long begin = milliseconds();

    for (unsigned long n = first_call();; n = next_call(n, begin)) {
        int status = run_one(test, n, all);
        const char *why = verdict(status);

        if (why)
            return complain(test, n, all, why, status);
        if (!run->hit)
            return true;
        sum->runs++;
        sum->broken += run->broken;
        sum->untold += run->broken && !run->told && !said_why();
        sum->early += !run->ended;
        if (getenv("KIN_REFUSE_SHOW"))
            printf("  %s %lu%s: %s%s %s\n", test->name, n, all ? "..." : "",
                   run->broken ? "broken" : "whole",
                   run->ended ? "" : ", early", run->what);
    }
}

static void prepare(void)
{
    run = mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    said = memfd_create("said", MFD_CLOEXEC);
    if (run == MAP_FAILED || said < 0)
        abort();
}

int check_refuse_all(struct check_test *test)
{
    struct sum sum = { 0, 0, 0, 0 };
    int status;

    if (fnmatch("*_without_memory_*", test->name, 0) == 0) {
        printf("ok %s (refuses calls itself)\n", test->name);
        return 0;
    }
    if (!run)
        prepare();
    status = run_one(test, 0, false);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
        printf("skip %s: skipped\n", test->name);
        return EXIT_SKIP;
    }
    if (status)
        return !complain(test, 0, false, "it fails", status);
    if (!sweep(test, false, &sum) || !sweep(test, true, &sum))
        return 1;
    printf("ok %s (%lu runs, %lu broken, %lu untold, %lu early)\n", test->name,
           sum.runs, sum.broken, sum.untold, sum.early);
    return 0;
}
