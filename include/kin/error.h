/* kin/error.h -- error codes, and errors as objects.
 *
 * Every call of kin returns 0 (or a count) or a negative code, never through
 * errno: errno belongs to a thread, and a fiber may have changed threads.
 * Codes equal -errno where one exists, so `return -errno;` is a kin code.
 *
 * A code says what; a kin_error says why: message, cause, the errors it
 * suppressed, and where it was made.  kin_fail() makes one and returns its
 * code, so a body says
 *
 *     if (fd < 0)
 *         return kin_fail(-errno, "opening %s", path);
 *
 * and its job fails with that error.  The error made or received last is the
 * *current error* of the fiber; returning a code other than the current
 * error's makes a new error that has a code only.
 *
 * Unless its comment says otherwise, a function here
 *   - may be called on any thread and on any fiber, and never suspends;
 *   - borrows its pointers, for the duration of the call only.
 *
 * Layer: core. */
#ifndef KIN_ERROR_H
#define KIN_ERROR_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#if defined(__GNUC__)
#define KIN__PRINTF(text, first) __attribute__((format(printf, text, first)))
#define KIN__MUST_CHECK __attribute__((warn_unused_result))
#else
#define KIN__PRINTF(text, first)
#define KIN__MUST_CHECK
#endif

/* What a code means is stated here, once; a header names a code only where it
 * adds something. */
#define KIN_ECANCELED (-ECANCELED) /* cancelled: mostly the caller's own job  */
#define KIN_ETIMEDOUT (-ETIMEDOUT) /* the time is over                       */
#define KIN_ENOMEM    (-ENOMEM)    /* no memory, no stack                    */
#define KIN_EAGAIN    (-EAGAIN)    /* no thread or descriptor to be had      */
#define KIN_EINVAL    (-EINVAL)    /* an argument makes no sense             */
#define KIN_EPERM     (-EPERM)     /* not allowed on this thread             */
#define KIN_ENOFIBER  (-ESRCH)     /* must be called on a fiber, and is not  */
#define KIN_ENOJOB    (-ENOENT)    /* the context or scope has no job        */
#define KIN_ENOMAIN   (-ENXIO)     /* no thread is attached as Main          */
#define KIN_ECLOSED   (-ESHUTDOWN) /* the dispatcher is closed               */
#define KIN_EBUSY     (-EBUSY)     /* not finished, or in use                */
#define KIN_EALREADY  (-EALREADY)  /* done before: resumed, set, attached    */
#define KIN_ESTALE    (-ESTALE)    /* too late: what was meant is over       */
#define KIN_EDEADLK   (-EDEADLK)   /* would wait for itself                  */
#define KIN_ENOTSUP   (-EOPNOTSUPP) /* this kind of object cannot do it      */
#define KIN_EHANDLER  (-EPROTO)    /* a handler or callback failed           */
#define KIN_EEXCEPTION (-ENOTRECOVERABLE) /* a C++ exception left a body     */

/* An error: immutable but for its suppressed list, reference-counted, compared
 * by identity. */
typedef struct kin_error kin_error;

typedef enum kin_error_kind {
    KIN_ERROR_FAILURE,      /* fails the job, and its parent                 */
    KIN_ERROR_CANCELLATION, /* ends the job as cancelled, quietly            */
    KIN_ERROR_TIMEOUT       /* a cancellation made by a timeout              */
} kin_error_kind;

/* Makes an error with a message, makes it the fiber's current one (on a thread
 * without fibers: the thread's) and returns its code.  The macro also notes the
 * place.  A code of 0 or above is a mistake and becomes KIN_EINVAL.
 * KIN_ECANCELED makes a cancellation; every other code a failure.
 * Never fails: without memory the message is lost, the code is not. */
#define kin_fail(code, ...) kin_fail_at(KIN__HERE, (code), __VA_ARGS__)
int kin_fail_at(const char *where, int code, const char *format, ...)
    KIN__PRINTF(3, 4);

/* As kin_fail, with a cause, which is retained. */
#define kin_fail_because(cause, code, ...) \
    kin_fail_because_at(KIN__HERE, (cause), (code), __VA_ARGS__)
int kin_fail_because_at(const char *where, kin_error *cause, int code,
                        const char *format, ...) KIN__PRINTF(4, 5);

/* Makes an error object without making it current.  Owns: the caller's to
 * release.  Never NULL: without memory, an immortal error with that code. */
kin_error *kin_error_new(const char *where, int code, kin_error *cause,
                         const char *format, ...) KIN__PRINTF(4, 5);

kin_error *kin_error_retain(kin_error *error); /* NULL is fine; returns error */
void kin_error_release(kin_error *error);      /* NULL is fine                */

int kin_error_code(const kin_error *error);    /* 0 for NULL                  */
kin_error_kind kin_error_kind_of(const kin_error *error);
const char *kin_error_message(const kin_error *error); /* never NULL          */
const char *kin_error_where(const kin_error *error);   /* "file:line" or ""   */
kin_error *kin_error_cause(const kin_error *error);    /* borrowed, or NULL   */

/* The errors that lost against this one when a job failed more than once, in
 * the order they came; borrowed.  index out of range: NULL. */
size_t kin_error_suppressed_count(const kin_error *error);
kin_error *kin_error_suppressed(const kin_error *error, size_t index);

/* True for a cancellation or a timeout. */
bool kin_error_is_cancellation(const kin_error *error);

/* Writes "message (code name): because …" with causes and suppressed errors,
 * one to a line, into buffer; always terminates it if size > 0.  Returns the
 * length of the whole text, as snprintf does. */
size_t kin_error_format(const kin_error *error, char *buffer, size_t size);

/* The fiber's current error (on a thread without fibers: the thread's),
 * borrowed until the next call of kin, or NULL. */
kin_error *kin_error_current(void);

/* Forgets the current error: "I have dealt with it". */
void kin_error_clear(void);

/* Makes error current and returns its code: throws again what was caught.
 * NULL returns 0. */
int kin_error_rethrow(kin_error *error);

/* "KIN_ETIMEDOUT", or the system's name of an errno; never NULL. */
const char *kin_error_name(int code);

/* Returns from the calling function when the call failed. */
#define KIN_TRY(call)               \
    do {                            \
        int kin__try_err = (call);  \
        if (kin__try_err < 0)       \
            return kin__try_err;    \
    } while (0)

/* Releases the handle when the variable goes out of scope, on any path:
 *     KIN_AUTO(kin_deferred) user = NULL; */
#define KIN_AUTO(type) __attribute__((cleanup(type##__auto_release))) type *

#define KIN__AUTO_RELEASE(type)                                        \
    __attribute__((unused)) static inline void                         \
    type##__auto_release(type **handle)                                \
    {                                                                  \
        if (*handle)                                                   \
            type##_release(*handle);                                   \
    }

KIN__AUTO_RELEASE(kin_error)

#define KIN__TEXT_(x) #x
#define KIN__TEXT(x) KIN__TEXT_(x)
#define KIN__HERE __FILE__ ":" KIN__TEXT(__LINE__)

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* KIN_ERROR_H */
