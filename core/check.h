/* core/check.h -- what must hold, and what callers do wrong.
 *
 *   KIN_CHECK(x)       always on: cheap facts whose failure corrupts memory
 *   KIN_ASSERT(x)      debug builds only: pre- and post-conditions
 *   kin__misuse(...)   the caller's mistake: reported; aborts in debug builds,
 *                      is an error code in release builds
 */
#ifndef KIN_CORE_CHECK_H
#define KIN_CORE_CHECK_H

#include "kin/error.h"

#ifndef KIN_DEBUG
#define KIN_DEBUG 0
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

#define KIN_UNREACHABLE(why) kin__check_failed("unreachable: " why, KIN__HERE)

_Noreturn void kin__check_failed(const char *what, const char *where);

/* "kin: misuse: kin_join: job is NULL; pass ..." on stderr.  Returns code,
 * having made an error with that text current; aborts in debug builds. */
int kin__misuse(int code, const char *function, const char *format, ...)
    KIN__PRINTF(3, 4);

/* Appends text at length, as far as it fits, and terminates; returns the new
 * length.  Async-signal-safe. */
size_t kin__append(char *buffer, size_t size, size_t length, const char *text);

#endif /* KIN_CORE_CHECK_H */
