/* core/check.h -- what must hold, and what callers do wrong.
 *
 *   KIN_CHECK(x)       always on: cheap facts whose failure corrupts memory
 *   KIN_ASSERT(x)      debug builds only: pre- and post-conditions
 *   KIN_SLOW(x)        hard builds only: a whole structure is as it must be
 *   kin__misuse(...)   the caller's mistake: reported; aborts in debug builds,
 *                      is an error code in release builds
 */
#ifndef KIN_CORE_CHECK_H
#define KIN_CORE_CHECK_H

#include "kin/analyze.h"
#include "kin/error.h"

#include <stdbool.h>
#include <stddef.h>

#ifndef KIN_DEBUG
#define KIN_DEBUG 0
#endif

/* Hard mode: 0; 1: without the LIFO slot; 2: with it.  See core/hard.h. */
#ifdef KIN_HARD
#define KIN__HARD KIN_HARD
#else
#define KIN__HARD 0
#endif

#define KIN__LIKELY(x)   __builtin_expect(!!(x), 1)
#define KIN__UNLIKELY(x) __builtin_expect(!!(x), 0)

#define KIN_CHECK(x) \
    (KIN__LIKELY(x) ? (void)0 : kin__check_failed(#x, KIN__HERE))

#if KIN_DEBUG
#define KIN_ASSERT(x) KIN_CHECK(x)
#else
#define KIN_ASSERT(x) ((void)0)
#endif

#define KIN_SLOW(x) (KIN__HARD ? KIN_CHECK(x) : (void)0)

/* For structures that grow: x, which looks at n things, each (n + 1)th time or
 * so.  So a step costs the same whatever n is. */
#define KIN_SLOW_OF(n, x) KIN_SLOW(!kin__slow_turn(n) || (x))

#define KIN_UNREACHABLE(why) kin__check_failed("unreachable: " why, KIN__HERE)

/* What clang is told of our spinlocks (make analyze): these take and give back
 * `lock`, and nothing may suspend between the two.  A function that does so for
 * its caller says so behind its parameters; one that needs it held requires
 * it.  (A second lock inside the first is a section of its own for whoever
 * analyses function by function: it must be taken in a function of its own.) */
#define KIN_LOCKS(lock) \
    KIN__ANALYZED(acquire_capability(lock, kin__no_suspension))
#define KIN_UNLOCKS(lock) \
    KIN__ANALYZED(release_capability(lock, kin__no_suspension))
#define KIN_TRY_LOCKS(lock) \
    KIN__ANALYZED(try_acquire_capability(true, lock, kin__no_suspension))
#define KIN_REQUIRES(lock) \
    KIN__ANALYZED(requires_capability(lock, kin__no_suspension))

_Noreturn void kin__check_failed(const char *what, const char *where);
bool kin__slow_turn(size_t n);

/* "kin: misuse: kin_join: job is NULL; pass ..." on stderr.  Returns code,
 * having made an error with that text current; aborts in debug builds. */
int kin__misuse(int code, const char *function, const char *format, ...)
    KIN__PRINTF(3, 4);

/* Appends text at length, as far as it fits, and terminates; returns the new
 * length.  Async-signal-safe. */
size_t kin__append(char *buffer, size_t size, size_t length, const char *text);

#endif /* KIN_CORE_CHECK_H */
