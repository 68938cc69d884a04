/* core/exceptions.h -- C++ in the same program: what it keeps of exceptions is
 * a fiber's, not a thread's, and what leaves a body becomes a failure.
 *
 * In a program without the C++ runtime its functions are missing (they are
 * weak references), and all of this is a test of an address.  Whoever loads the
 * runtime later, by dlopen, has neither.
 *
 * The runtime keeps two words for each thread: which exceptions are being
 * handled, and how many are on their way.  Whatever leaves a stack takes them
 * along and leaves the thread with none. */
#ifndef KIN_CORE_EXCEPTIONS_H
#define KIN_CORE_EXCEPTIONS_H

#include "core/check.h"

#include <stdbool.h>
#include <stdint.h>

struct kin__exceptions_globals {
    void *handled;
    uintptr_t on_their_way;         /* an unsigned, and what pads it */
};

/* Of the C++ ABI. */
struct kin__exceptions_globals *__cxa_get_globals(void) __attribute__((weak));

/* A stack's own, while they are off the thread. */
struct kin__exceptions {
    struct kin__exceptions_globals saved;
    bool off;
};

static inline bool kin__exceptions_exist(void)
{
    return KIN__UNLIKELY(__cxa_get_globals != NULL);
}

void kin__exceptions_save(struct kin__exceptions *own);
void kin__exceptions_restore(struct kin__exceptions *own);

/* Before its stack is left, and after it is continued, on whatever thread.
 * Again changes nothing: before a fiber has been given its own back, something
 * may be run in place on its stack, for one that has just parked. */
static inline void kin__exceptions_off(struct kin__exceptions *own)
{
    if (kin__exceptions_exist())
        kin__exceptions_save(own);
}

static inline void kin__exceptions_on(struct kin__exceptions *own)
{
    if (kin__exceptions_exist())
        kin__exceptions_restore(own);
}

typedef int kin__guarded_fn(void *a, void *b, uintptr_t c);

/* fn(a, b, c); an exception that leaves it becomes KIN_EEXCEPTION, with its
 * type in the message of the current error; what: "the body", for that. */
int kin__call_guarded(kin__guarded_fn *fn, void *a, void *b, uintptr_t c,
                      const char *what);

/* The same for a body, or what else takes two pointers; without C++ it is
 * nothing but the call. */
#define KIN__CALL_GUARDED(what, fn, a, b)                                    \
    (kin__exceptions_exist()                                                 \
         ? kin__call_guarded((kin__guarded_fn *)(void (*)(void))(fn), (a),   \
                             (b), 0, (what))                                 \
         : (fn)((a), (b)))

#endif /* KIN_CORE_EXCEPTIONS_H */
