/* check_refuse.h -- each test with each call refused that the system may
 * refuse: what check.c and check_refuse.c know of each other.
 *
 *     KIN_REFUSE=1 ./program ...         KIN_REFUSE_SHOW=1: says each run
 *
 * runs each test with the n-th call refused, for n = 1, 2, ..., and then with
 * all calls from the n-th on, until one run reaches no such call; each in a
 * process of its own.  (A test that takes long has a part of them; and
 * KIN_REFUSE=100 begins with the hundredth.)
 *
 * A test is not written for that, so a check of it that fails after a call was
 * refused is excused: the test goes on, unchecked and for a moment only, and
 * cleans up; it may follow a pointer that it has not been given.  But
 *   - nothing crashes inside kin,
 *   - nothing hangs unless a check has failed before: kin has said that
 *     something went wrong, and the test has noticed (what waits for memory
 *     goes on when there is some again: after a second, in that case),
 *   - where no check fails, nothing is left behind (under LeakSanitizer).
 * It says how many runs were broken by a check; how many of these are untold:
 * the test has seen neither KIN_ENOMEM nor KIN_EAGAIN nor NULL, but an error
 * that is not the one it made; and how many did not come to the test's end.
 * That the documented code comes back is shown by job_memory_test.c. */
#ifndef KIN_TESTS_CHECK_REFUSE_H
#define KIN_TESTS_CHECK_REFUSE_H

#include <stdbool.h>
#include <stddef.h>

struct check_test;

/* What KIN_REFUSE asks for; false: nothing. */
bool check_refuses(void);

/* Runs it again and again; prints and returns as check.c does for one run. */
int check_refuse_all(struct check_test *test);

/* In the test's process: true if a check that fails now is excused.  Values it
 * compared, if it did. */
bool check_excused(const char *what, long long a, long long b);

/* Likewise for one that must not return: ends the process if it is excused. */
void check_excused_end(void);

/* In a process that a test starts: nothing is refused there. */
void check_refuse_nothing(void);

/* Of check.c. */
void check_run_here(struct check_test *test);
void check_become_child(void);

#endif
