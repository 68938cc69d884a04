/* error.c -- errors as objects: made, counted, asked, and current.
 *
 * An error is one block: record, frames, message, place.  Making one must
 * not fail, since it tells of a failure; so there is a table of errors in
 * static memory, one for every errno, that have a code only and are handed out
 * when there is no memory.  They are read-only: a stray write is a crash.
 *
 * What holds what is in error_ring.c; names and text are in error_text.c; the
 * frames are from error_trace.c. */
#include "core/error.h"

#include "core/check.h"
#include "core/error_internal.h"
#include "core/memory.h"
#include "core/run.h"
#include "core/thread.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHORT_TEXT 256              /* formatted once, if no longer          */
#define FOREIGN_CODES 32            /* codes that are no errno, remembered   */

/* --- Without memory ------------------------------------------------------- */

#define SPARE(name) [name] = { .code = -name },
static const kin_error spare[] = { KIN__ERRNOS(SPARE) };
static const kin_error spare_cancellation = {
    .code = KIN_ECANCELED, .kind = KIN_ERROR_CANCELLATION
};
static const kin_error spare_timeout = {
    .code = KIN_ETIMEDOUT, .kind = KIN_ERROR_TIMEOUT
};

#define SPARES (int)(sizeof spare / sizeof *spare)

static pthread_mutex_t foreign_lock = PTHREAD_MUTEX_INITIALIZER;
static kin_error foreign[FOREIGN_CODES];    /* .code: guarded by the lock
                                               until it is set, then constant */

/* The error for a code that is no errno; after too many of them, the one that
 * says that there was no memory. */
static const kin_error *spare_for_foreign(int code)
{
    const kin_error *found = &spare[-KIN_ENOMEM];

    pthread_mutex_lock(&foreign_lock);
    for (int i = 0; i < FOREIGN_CODES; i++) {
        if (foreign[i].code == 0)
            foreign[i].code = code;
        if (foreign[i].code == code) {
            found = &foreign[i];
            break;
        }
    }
    pthread_mutex_unlock(&foreign_lock);
    return found;
}

static kin_error *immortal(kin_error_kind kind, int code)
{
    const kin_error *error;

    if (kind == KIN_ERROR_CANCELLATION)
        error = &spare_cancellation;
    else if (kind == KIN_ERROR_TIMEOUT)
        error = &spare_timeout;
    else if (code < 0 && code > -SPARES && spare[-code].code)
        error = &spare[-code];
    else
        error = spare_for_foreign(code);
    return (kin_error *)error;
}

/* --- Making --------------------------------------------------------------- */

static kin_error *new_error(kin_error_kind kind, int code, size_t length,
                            const char *where)
{
    size_t where_size = where && *where ? strlen(where) + 1 : 0;
    void *frames[KIN__FRAMES];
    bool is_traced = where_size && kind == KIN_ERROR_FAILURE;
    uint8_t count = is_traced ? kin__error_trace(frames) : 0;
    size_t frames_size = count * sizeof *frames;
    kin_error *error = kin__malloc(sizeof *error + frames_size + length + 1
                                   + where_size);
    char *text;

    if (!error)
        return NULL;
    *error = (kin_error){ .refs = 1, .code = code, .kind = kind,
                          .frames = count };
    memcpy(error + 1, frames, frames_size);
    text = (char *)(error + 1) + frames_size;
    text[0] = '\0';
    error->message = text;
    if (where_size)
        error->where = memcpy(text + length + 1, where, where_size);
    return error;
}

/* A format that cannot be followed is the message itself. */
__attribute__((format(printf, 4, 0)))
static kin_error *new_formatted(kin_error_kind kind, int code,
                                const char *where, const char *format,
                                va_list args)
{
    char text[SHORT_TEXT];
    kin_error *error;
    size_t length;
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(text, sizeof text, format, args);
    length = n < 0 ? strlen(format) : (size_t)n;
    error = new_error(kind, code, length, where);
    if (error && n >= 0 && length >= sizeof text)
        vsnprintf((char *)error->message, length + 1, format, again);
    else if (error)
        memcpy((char *)error->message, n < 0 ? format : text, length + 1);
    va_end(again);
    return error;
}

__attribute__((format(printf, 6, 0)))
static kin_error *make(kin_error_kind kind, int code, const void *owner,
                       kin_error *cause, const char *where, const char *format,
                       va_list args)
{
    kin_error *error = format
        ? new_formatted(kind, code, where, format, args)
        : new_error(kind, code, 0, where);

    if (!error)
        return immortal(kind, code);
    error->owner = owner;
    error->links.error = kin_error_retain(cause);
    return error;
}

static kin_error_kind kind_of_code(int code)
{
    return code == KIN_ECANCELED ? KIN_ERROR_CANCELLATION : KIN_ERROR_FAILURE;
}

static int negative(int code)
{
    return code < 0 ? code : KIN_EINVAL;
}

kin_error *kin__error_make(kin_error_kind kind, int code, const void *owner,
                           kin_error *cause, const char *where,
                           const char *format, ...)
{
    kin_error *error;
    va_list args;

    va_start(args, format);
    error = make(kind, negative(code), owner, cause, where, format, args);
    va_end(args);
    return error;
}

/* Makes one of a code that is the user's, and makes it current. */
__attribute__((format(printf, 4, 0)))
static int fail(const char *where, kin_error *cause, int code,
                const char *format, va_list args)
{
    code = negative(code);
    kin__error_set_current(make(kind_of_code(code), code, NULL, cause, where,
                                format, args));
    return code;
}

int kin_fail_at(const char *where, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    code = fail(where, NULL, code, format, args);
    va_end(args);
    return code;
}

int kin_fail_because_at(const char *where, kin_error *cause, int code,
                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    code = fail(where, cause, code, format, args);
    va_end(args);
    return code;
}

kin_error *kin_error_new(const char *where, int code, kin_error *cause,
                         const char *format, ...)
{
    kin_error *error;
    va_list args;

    code = negative(code);
    va_start(args, format);
    error = make(kind_of_code(code), code, NULL, cause, where, format, args);
    va_end(args);
    return error;
}

/* --- Counting ------------------------------------------------------------- */

void kin__error_retain_many(kin_error *error, unsigned count)
{
    /* relaxed: whoever retains holds a reference, or what holds one */
    if (kin__error_refs(error))
        atomic_fetch_add_explicit(&error->refs, count, memory_order_relaxed);
}

kin_error *kin_error_retain(kin_error *error)
{
    if (error)
        kin__error_retain_many(error, 1);
    return error;
}

/* Gives references up; puts what became garbage in front of dead. */
static kin_error *drop(kin_error *error, unsigned count, kin_error *dead)
{
    uint64_t refs = kin__error_refs(error);

    if (refs == 0)
        return dead;
    do {
        if (KIN__UNLIKELY(refs & KIN__ERROR_RING))
            return kin__error_ring_drop(error, count, dead);
        /* acq_rel: what others did with it; pairs with release here, and with
         * acquire in mark_ring(), error_ring.c */
    } while (!atomic_compare_exchange_weak_explicit(
                 &error->refs, &refs, refs - count, memory_order_acq_rel,
                 memory_order_relaxed));
    if (refs != count)
        return dead;
    error->next = dead;
    return error;
}

/* Without recursion: chains of causes may be long. */
static __attribute__((noinline)) void free_all(kin_error *dead)
{
    struct kin__error_link *link, *next;
    kin_error *error;

    while ((error = dead)) {
        dead = error->next;
        for (link = &error->links; link; link = next) {
            next = kin__error_link_next(link);
            if (link->error)
                dead = drop(link->error, 1, dead);
            if (link != &error->links)
                kin__free(link);
        }
        kin__free(error);
    }
}

void kin__error_release_many(kin_error *error, unsigned count)
{
    kin_error *dead = drop(error, count, NULL);

    if (KIN__UNLIKELY(dead != NULL))
        free_all(dead);
}

void kin_error_release(kin_error *error)
{
    if (error)
        kin__error_release_many(error, 1);
}

/* --- Asking --------------------------------------------------------------- */

int kin_error_code(const kin_error *error)
{
    return error ? error->code : 0;
}

kin_error_kind kin_error_kind_of(const kin_error *error)
{
    return error ? error->kind : KIN_ERROR_FAILURE;
}

const char *kin_error_message(const kin_error *error)
{
    return error && error->message ? error->message : "";
}

const char *kin_error_where(const kin_error *error)
{
    return error && error->where ? error->where : "";
}

kin_error *kin_error_cause(const kin_error *error)
{
    return error ? error->links.error : NULL;
}

const void *kin__error_owner(const kin_error *error)
{
    return error ? error->owner : NULL;
}

size_t kin_error_suppressed_count(const kin_error *error)
{
    const struct kin__error_link *link = error ? &error->links : NULL;
    size_t count = 0;

    while (link && (link = kin__error_link_next(link)))
        count++;
    return count;
}

kin_error *kin_error_suppressed(const kin_error *error, size_t index)
{
    const struct kin__error_link *link = error ? &error->links : NULL;

    while (link && (link = kin__error_link_next(link)))
        if (index-- == 0)
            return link->error;
    return NULL;
}

bool kin_error_is_cancellation(const kin_error *error)
{
    return kin_error_kind_of(error) != KIN_ERROR_FAILURE;
}

/* --- Current -------------------------------------------------------------- */

static kin_error **current_slot(void)
{
    struct kin__thread *thread = kin__thread();

    return thread->current ? &thread->current->error : &thread->error;
}

kin_error *kin_error_current(void)
{
    return *current_slot();
}

void kin__error_set_current(kin_error *error)
{
    kin_error **slot = current_slot();
    kin_error *former = *slot;

    *slot = error;
    if (KIN__UNLIKELY(former != NULL))
        kin_error_release(former);
}

void kin_error_clear(void)
{
    kin__error_set_current(NULL);
}

int kin_error_rethrow(kin_error *error)
{
    if (!error)
        return 0;
    kin__error_set_current(kin_error_retain(error));
    return kin_error_code(*current_slot());
}

kin_error *kin__error_take(int code)
{
    kin_error **slot = current_slot();
    kin_error *error = *slot;

    KIN_ASSERT(code < 0);
    if (error && error->code == code) {
        *slot = NULL;
        return error;
    }
    error = new_error(kind_of_code(code), code, 0, NULL);
    return error ? error : immortal(kind_of_code(code), code);
}
