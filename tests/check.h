/* check.h -- the test harness: one process per test, a time limit each.
 *
 *     #include "tests/check.h"
 *
 *     TEST(join_of_cancelled_child_returns_canceled)
 *     {
 *         expect(1);
 *         CHECK_EQ(kin_join(child), KIN_ECANCELED);
 *         finish(2);
 *     }
 *
 *     TEST_MAIN
 *
 * Prints "ok name", "FAIL name (why)" or "skip name: why" for each test and
 * ends with 0, 1, or 77 if every test was skipped.
 *
 *     ./program                 all tests
 *     ./program 'join_*' ...    the tests whose name matches
 *     ./program -d name         one test in this process, for the debugger:
 *                               a failed check stops in abort()
 *     ./program --list          their names
 *     ./program --seeds=1-200 'join_*' ...
 *                               each test that asks for check_seed() with each
 *                               of these seeds, in a process each; the others
 *                               do not run
 *
 * KIN_TEST_SLOWDOWN=10 multiplies the time limits, of which none is more than
 * KIN_TEST_LIMIT=5 seconds; KIN_SEED=n runs each test with that seed, which is
 * printed beside a failure.  A failed check ends the test's process at once,
 * from any thread and any fiber.  Everything here may be used from any thread.
 */
#ifndef KIN_TESTS_CHECK_H
#define KIN_TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Defines a test and registers it; its name is a sentence. */
#define TEST(name)                                                           \
    static void name(void);                                                  \
    static struct check_test check_test_##name = { #name, name, NULL };      \
    __attribute__((constructor)) static void check_register_##name(void)     \
    {                                                                        \
        check_register(&check_test_##name);                                  \
    }                                                                        \
    static void name(void)

/* Stands at the end of the file, without a semicolon. */
#define TEST_MAIN                                                            \
    int main(int argc, char **argv)                                          \
    {                                                                        \
        return check_main(argc, argv);                                       \
    }

/* Once per file, at its top: seconds that one test may take (default 60). */
#define TEST_TIMEOUT(seconds) unsigned check_timeout_s = (seconds)

/* --- Checks: a failure ends the test ---------------------------------- */

#define CHECK(cond) check_holds(CHECK_HERE, (cond), #cond)
#define CHECK_EQ(a, b)                                                       \
    check_eq(CHECK_HERE, #a " == " #b, (long long)(a), (long long)(b))
#define CHECK_PTR(a, b) check_ptr(CHECK_HERE, #a " == " #b, (a), (b))
#define CHECK_STR(a, b) check_str(CHECK_HERE, #a, (a), (b))
#define FAIL(...)       check_fail(CHECK_HERE, __VA_ARGS__)
#define SKIP(why)       check_skip(why)

/* Runs fn(arg) in a process of its own, which must end by a signal or with
 * an exit code other than 0, after writing text to stderr ("" for anything).
 * The value is what waitpid() reported. */
#define check_dies(fn, arg, text)                                            \
    check_child(CHECK_HERE, true, (fn), (arg), (text))

/* As check_dies, but fn must return after writing text to stderr. */
#define check_says(fn, arg, text)                                            \
    check_child(CHECK_HERE, false, (fn), (arg), (text))

/* --- Orders ------------------------------------------------------------ */

/* This is the nth event of the test, counted from 1.  A test that counts
 * must end its count with finish(n); nothing may come after that. */
#define expect(n)   check_event(CHECK_HERE, (n), false)
#define reached(n)  check_event(CHECK_HERE, (n), false)
#define finish(n)   check_event(CHECK_HERE, (n), true)
#define unreached() check_fail(CHECK_HERE, "reached the unreachable")

/* A log of words with a blank between them, compared as a whole. */
void log_clear(void);
void ev(const char *word);
void evi(long long number);
bool is_logged(const char *word);
char *log_copy(void);           /* to be freed */
#define CHECK_LOG(words) check_log(CHECK_HERE, (words), NULL)

/* As CHECK_LOG; but with a seed (see below), under which the order is another
 * one, only what must hold in every order: each word is there as often, and the
 * rules hold:
 *     "a<b<c d<c"   all a come before all b, and so on
 *     "x? y?"       x and y may be there once, or not
 */
#define CHECK_LOG_DRAWN(words, rules)                                        \
    check_log(CHECK_HERE, (words), (rules))

/* --- Seeds ------------------------------------------------------------- */

/* The seed that draws the order of this run, or 0: asked by what can run a test
 * in more than one order. */
unsigned long long check_seed(void);

/* --- Time -------------------------------------------------------------- */

/* What takes this long on the machine takes that long here. */
long long check_slow(long long duration);

/* --- Beneath the macros ------------------------------------------------ */

struct check_test {
    const char *name;
    void (*fn)(void);
    struct check_test *next;
};

struct check_place {
    const char *file;
    int line;
};
#define CHECK_HERE ((struct check_place){ __FILE__, __LINE__ })

extern unsigned check_timeout_s;

void check_register(struct check_test *test);
int check_main(int argc, char **argv);
__attribute__((noreturn, format(printf, 2, 3)))
void check_fail(struct check_place at, const char *format, ...);
__attribute__((noreturn)) void check_skip(const char *why);
void check_holds(struct check_place at, bool holds, const char *what);
void check_eq(struct check_place at, const char *what, long long a,
              long long b);
void check_ptr(struct check_place at, const char *what, const void *a,
               const void *b);
void check_str(struct check_place at, const char *what, const char *a,
               const char *b);
void check_log(struct check_place at, const char *words, const char *rules);
void check_event(struct check_place at, int n, bool last);
int check_child(struct check_place at, bool dies, void (*fn)(void *),
                void *arg, const char *text);

#endif
