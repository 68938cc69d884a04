/* check.c -- the test harness: see check.h.
 *
 * The parent forks for every test and waits with a time limit; the child
 * leaves the reason of its end in a page that both share.  The limit is the
 * parent's, not an alarm in the child, so that a test may use every signal.
 */
#include "tests/check.h"
#include "tests/check_refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIP = 77, WHY_MAX = 4096, LOG_MAX = 65536 };

__attribute__((weak)) unsigned check_timeout_s = 60;

static struct check_test *first, **last = &first;
static char *why;                        /* shared between parent and child */
static _Atomic bool *asks_for_seed;      /* likewise */
static unsigned long long first_seed, last_seed;    /* --seeds */
static bool debugging;                   /* no fork; stop at the failure */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int events;                       /* guarded by lock */
static bool finished;                    /* guarded by lock */
static char log_text[LOG_MAX];           /* guarded by lock */
static size_t log_length;                /* guarded by lock */

void check_register(struct check_test *test)
{
    *last = test;
    last = &test->next;
}

/* --- In the test's process ---------------------------------------------- */

static void fail_va(struct check_place at, const char *format, va_list args)
{
    int n = snprintf(why, WHY_MAX, "%s:%d: ", at.file, at.line);
    if (n >= 0 && n < WHY_MAX)
        vsnprintf(why + n, (size_t)(WHY_MAX - n), format, args);
    fflush(NULL);
    if (debugging) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    _exit(1);
}

void check_fail(struct check_place at, const char *format, ...)
{
    va_list args;
    check_excused_end();
    va_start(args, format);
    fail_va(at, format, args);
    va_end(args);
    abort();
}

void check_skip(const char *reason)
{
    snprintf(why, WHY_MAX, "%s", reason);
    fflush(NULL);
    _exit(EXIT_SKIP);
}

void check_holds(struct check_place at, bool holds, const char *what)
{
    if (!holds && !check_excused(what, 0, 0))
        check_fail(at, "CHECK(%s)", what);
}

void check_eq(struct check_place at, const char *what, long long a,
              long long b)
{
    if (a != b && !check_excused(what, a, b))
        check_fail(at, "%s: %lld is not %lld", what, a, b);
}

void check_ptr(struct check_place at, const char *what, const void *a,
               const void *b)
{
    if (a != b && !check_excused(what, a && b ? 0 : -ENOMEM, 0))
        check_fail(at, "%s: %p is not %p", what, a, b);
}

void check_str(struct check_place at, const char *what, const char *a,
               const char *b)
{
    if (a == b || (a && b && strcmp(a, b) == 0) || check_excused(what, 0, 0))
        return;
    check_fail(at, "%s is \"%s\", not \"%s\"", what, a ? a : "(null)",
               b ? b : "(null)");
}

void check_event(struct check_place at, int n, bool is_last)
{
    pthread_mutex_lock(&lock);
    int now = ++events;
    bool late = finished;
    finished = is_last;
    pthread_mutex_unlock(&lock);
    if (late && !check_excused("late event", 0, 0))
        check_fail(at, "event %d after finish(%d)", n, now - 1);
    if (now != n && !check_excused("event", 0, 0))
        check_fail(at, "event %d comes as number %d", n, now);
}

static bool is_finish_missing(void)
{
    pthread_mutex_lock(&lock);
    bool missing = events > 0 && !finished;
    pthread_mutex_unlock(&lock);
    return missing;
}

void log_clear(void)
{
    pthread_mutex_lock(&lock);
    log_length = 0;
    log_text[0] = 0;
    pthread_mutex_unlock(&lock);
}

void ev(const char *word)
{
    pthread_mutex_lock(&lock);
    size_t room = LOG_MAX - log_length;
    int n = snprintf(log_text + log_length, room, "%s%s",
                     log_length > 0 ? " " : "", word);
    bool fits = n >= 0 && (size_t)n < room;
    if (fits)
        log_length += (size_t)n;
    pthread_mutex_unlock(&lock);
    if (!fits)
        check_fail(CHECK_HERE, "the event log is full");
}

void evi(long long number)
{
    char word[24];
    snprintf(word, sizeof word, "%lld", number);
    ev(word);
}

static const char *copy_of_log(void)
{
    static char copy[LOG_MAX];
    pthread_mutex_lock(&lock);
    memcpy(copy, log_text, log_length + 1);
    pthread_mutex_unlock(&lock);
    return copy;
}

char *log_copy(void)
{
    char *copy = strdup(copy_of_log());
    if (!copy)
        check_fail(CHECK_HERE, "no memory for the log");
    return copy;
}

/* --- What holds in every order ------------------------------------------- */

static unsigned long long seed_now(void)
{
    const char *text = getenv("KIN_SEED");
    return text ? strtoull(text, NULL, 0) : 0;
}

unsigned long long check_seed(void)
{
    *asks_for_seed = true;
    return seed_now();
}

/* The places of word in text, counted in words: how often it is there, and the
 * first and the last place. */
struct places { int count, first, last; };

static struct places places_of(const char *text, const char *word,
                               size_t length)
{
    struct places places = { 0, -1, -1 };
    for (int place = 0; *text; place++) {
        size_t n = strcspn(text, " ");
        if (n == length && memcmp(text, word, n) == 0) {
            places.first = places.count++ ? places.first : place;
            places.last = place;
        }
        text += n + (text[n] == ' ');
    }
    return places;
}

bool is_logged(const char *word)
{
    return places_of(copy_of_log(), word, strlen(word)).count > 0;
}

/* Is `word?` among the rules? */
static bool is_optional(const char *rules, const char *word, size_t length)
{
    char rule[64];
    snprintf(rule, sizeof rule, "%.*s?", (int)length, word);
    return places_of(rules, rule, length + 1).count > 0;
}

/* Each word of `words` is in text as often. */
static bool has_words(const char *text, const char *words, const char *rules)
{
    for (const char *word = words; *word;) {
        size_t n = strcspn(word, " ");
        int there = places_of(text, word, n).count;
        int wanted = places_of(words, word, n).count;
        if (is_optional(rules, word, n) ? there > 1 : there != wanted)
            return false;
        word += n + (word[n] == ' ');
    }
    return true;
}

/* Each word of text is one of `words`, or may be there. */
static bool has_no_others(const char *text, const char *words,
                          const char *rules)
{
    for (const char *word = text; *word;) {
        size_t n = strcspn(word, " ");
        if (!places_of(words, word, n).count && !is_optional(rules, word, n))
            return false;
        word += n + (word[n] == ' ');
    }
    return true;
}

/* "a<b<c": one rule of an order; n is its length. */
static bool obeys(const char *text, const char *rule, size_t n)
{
    for (const char *end = rule + n; rule < end;) {
        size_t left = strcspn(rule, "< "), right;
        if (rule + left >= end)
            break;
        right = strcspn(rule + left + 1, "< ");
        struct places before = places_of(text, rule, left);
        struct places after = places_of(text, rule + left + 1, right);
        if (before.count && after.count && before.last > after.first)
            return false;
        rule += left + 1;
    }
    return true;
}

static void check_drawn(struct check_place at, const char *text,
                        const char *words, const char *rules)
{
    bool right = has_words(text, words, rules)
              && has_no_others(text, words, rules);
    for (const char *rule = rules; right && *rule;) {
        size_t n = strcspn(rule, " ");
        right = obeys(text, rule, n);
        rule += n + (rule[n] == ' ');
    }
    if (!right)
        check_fail(at, "the log is \"%s\", which is no order of \"%s\" with "
                   "\"%s\"", text, words, rules);
}

void check_log(struct check_place at, const char *words, const char *rules)
{
    if (rules && seed_now())
        check_drawn(at, copy_of_log(), words, rules);
    else
        check_str(at, "the log", copy_of_log(), words);
}

/* --- A process inside a test --------------------------------------------- */

/* Ends this process with its parent, whatever its parent dies of. */
void check_become_child(void)
{
    struct rlimit no_core = { 0, 0 };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
}

static size_t read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    for (;;) {
        char drop[256];
        bool full = length + 1 >= size;
        ssize_t n = full ? read(fd, drop, sizeof drop)
                         : read(fd, text + length, size - 1 - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (!full)
            length += (size_t)n;
    }
    text[length] = 0;
    return length;
}

int check_child(struct check_place at, bool dies, void (*fn)(void *),
                void *arg, const char *text)
{
    char said[WHY_MAX / 2];
    int fds[2], status = 0;

    fflush(NULL);
    if (pipe(fds) != 0)
        check_fail(at, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        check_fail(at, "fork: %s", strerror(errno));
    if (pid == 0) {
        check_become_child();
        check_refuse_nothing();
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        fn(arg);
        fflush(NULL);
        _exit(0);
    }
    close(fds[1]);
    read_all(fds[0], said, sizeof said);
    close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (dies != (status != 0) && !check_excused("child", 0, 0))
        check_fail(at, "%s (status %#x); it said: %s",
                   dies ? "did not die" : "died", (unsigned)status, said);
    if (!strstr(said, text) && !check_excused("what a child says", 0, 0))
        check_fail(at, "did not say \"%s\" but: %s", text, said);
    return status;
}

/* --- In the parent -------------------------------------------------------- */

static long number_in(const char *variable, long otherwise)
{
    const char *text = getenv(variable);
    long n = text ? strtol(text, NULL, 10) : otherwise;
    return n > 0 ? n : otherwise;
}

static long slowdown(void)
{
    return number_in("KIN_TEST_SLOWDOWN", 1);
}

long long check_slow(long long duration)
{
    return duration * slowdown();
}

/* The library's double for the page size, where the program has it. */
__attribute__((weak)) void kin__page_size_set(size_t size);

static void set_page_size(void)
{
    const char *text = getenv("KIN_TEST_PAGE");

    if (text && *text && kin__page_size_set)
        kin__page_size_set(strtoul(text, NULL, 0));
}

void check_run_here(struct check_test *test)
{
    set_page_size();
    events = 0;
    finished = false;
    log_clear();
    test->fn();
    if (is_finish_missing() && !check_excused("finish", 0, 0))
        check_fail((struct check_place){ test->name, 0 },
                   "ended without finish(), after event %d", events);
}

/* Seconds that a test may take. */
static long time_limit(void)
{
    long limit = number_in("KIN_TEST_LIMIT", 1000000);

    return (limit < check_timeout_s ? limit : check_timeout_s) * slowdown();
}

/* Waits until the child ends, at most for the time limit, and ends it then.
 * Returns its status, or -1 if it took too long. */
static int wait_for(pid_t pid, const sigset_t *sigchld)
{
    struct timespec now, limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += time_limit();

    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= limit.tv_sec) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        struct timespec second = { 1, 0 };
        sigtimedwait(sigchld, NULL, &second);
    }
    return status;
}

static int report(const struct check_test *test, int status)
{
    const char *seed = getenv("KIN_SEED");
    char reason[64];

    if (status == 0) {
        if (!last_seed)
            printf("ok %s\n", test->name);
        return 0;
    }
    if (status > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
        if (!last_seed || *asks_for_seed)
            printf("skip %s: %s\n", test->name, why);
        return EXIT_SKIP;
    }
    if (status < 0)
        snprintf(reason, sizeof reason, "no end after %ld s", time_limit());
    else if (WIFSIGNALED(status))
        snprintf(reason, sizeof reason, "SIG%s",
                 sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(reason, sizeof reason, "exit %d", WEXITSTATUS(status));
    printf("FAIL %s (%s%s%s%s%s)\n", test->name, reason, *why ? "; " : "",
           why, seed ? "; KIN_SEED=" : "", seed ? seed : "");
    return 1;
}

/* What hundreds of runs report would be too much; one of them can be had again,
 * with its seed. */
static void be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        abort();
    close(fd);
}

static int run_forked(struct check_test *test)
{
    sigset_t sigchld, before;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &sigchld, &before);

    why[0] = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        printf("FAIL %s (fork: %s)\n", test->name, strerror(errno));
        return 1;
    }
    if (pid == 0) {
        check_become_child();
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (last_seed)
            be_quiet();
        check_run_here(test);
        exit(0);
    }
    int result = report(test, wait_for(pid, &sigchld));
    sigprocmask(SIG_SETMASK, &before, NULL);
    fflush(NULL);
    return result;
}

/* Runs it with one seed after the other, until one fails.  A test that does not
 * ask for a seed is none of those. */
static int run_seeds(struct check_test *test)
{
    int result;

    for (unsigned long long seed = first_seed; seed <= last_seed; seed++) {
        char text[24];
        snprintf(text, sizeof text, "%llu", seed);
        setenv("KIN_SEED", text, 1);
        *asks_for_seed = false;
        result = run_forked(test);
        if (result || !*asks_for_seed)
            return result ? result : EXIT_SKIP;
    }
    printf("ok %s (seeds %llu to %llu)\n", test->name, first_seed, last_seed);
    return 0;
}

static bool is_wanted(const struct check_test *test, int n, char **patterns)
{
    for (int i = 0; i < n; i++)
        if (fnmatch(patterns[i], test->name, 0) == 0)
            return true;
    return n == 0;
}

/* "--seeds=1-200" */
static bool is_seeds(const char *option)
{
    char rest;
    if (strncmp(option, "--seeds", 7) != 0)
        return false;
    if (sscanf(option, "--seeds=%llu-%llu%c", &first_seed, &last_seed, &rest)
            != 2 || first_seed == 0 || last_seed < first_seed) {
        fprintf(stderr, "%s: not as in --seeds=1-200\n", option);
        exit(2);
    }
    return true;
}

int check_main(int argc, char **argv)
{
    int ran = 0, failed = 0, skipped = 0, arg = 1;
    bool list = arg < argc && strcmp(argv[arg], "--list") == 0;
    debugging = arg < argc && strcmp(argv[arg], "-d") == 0;
    bool seeds = arg < argc && is_seeds(argv[arg]);
    arg += list || debugging || seeds;

    why = mmap(NULL, WHY_MAX + sizeof *asks_for_seed, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (why == MAP_FAILED)
        abort();
    asks_for_seed = (_Atomic bool *)(why + WHY_MAX);
    for (struct check_test *test = first; test; test = test->next) {
        if (!is_wanted(test, argc - arg, argv + arg))
            continue;
        ran++;
        if (list) {
            printf("%s\n", test->name);
        } else if (debugging) {
            check_run_here(test);
        } else {
            int result = seeds ? run_seeds(test)
                       : check_refuses() ? check_refuse_all(test)
                                         : run_forked(test);
            failed += result == 1;
            skipped += result == EXIT_SKIP;
        }
    }
    if (ran == 0)
        fprintf(stderr, "%s: no such test\n", argv[0]);
    if (failed > 0 || ran == 0)
        return 1;
    return ran == skipped ? EXIT_SKIP : 0;
}
