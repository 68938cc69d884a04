/* core/error.h -- what the layers above do with errors beyond kin/error.h.
 *
 * Like there: any thread, any fiber; pointers are borrowed; nothing fails. */
#ifndef KIN_CORE_ERROR_H
#define KIN_CORE_ERROR_H

#include "kin/error.h"

/* An error of any kind.  cause is retained; owner is a tag, a job or a scope,
 * that is only ever compared.  where and format may be NULL.
 * Owns: the caller's to release.  Never NULL: without memory, an immortal
 * error of that kind and code. */
kin_error *kin__error_make(kin_error_kind kind, int code, const void *owner,
                           kin_error *cause, const char *where,
                           const char *format, ...) KIN__PRINTF(6, 7);

/* As so many kin_error_retain() or kin_error_release(), of one that is not
 * NULL, at the price of one. */
void kin__error_retain_many(kin_error *error, unsigned count);
void kin__error_release_many(kin_error *error, unsigned count);

const void *kin__error_owner(const kin_error *error);   /* NULL for NULL     */

/* Notes that other lost against winner: appends it to the suppressed list,
 * retained, once.  Nothing is noted of an error against itself, of a
 * cancellation, on an immortal error, or without memory.  The list may be read
 * meanwhile.  Locks; not to be called with a spinlock held. */
void kin__error_suppress(kin_error *winner, kin_error *other);

/* The same for many, in time that grows with their number. */
void kin__error_suppress_all(kin_error *winner, kin_error *const *others,
                             size_t count);

/* Makes error (NULL: none) current.  Owns: takes the caller's reference. */
void kin__error_set_current(kin_error *error);

/* What a body that returned `code` < 0 failed with: the current error if that
 * is its code, which then is current no more; else a new one with a code only.
 * Owns: the caller's to release.  Never NULL. */
kin_error *kin__error_take(int code);

/* As kin_error_format: writes the calls in which error was made, or the first
 * of its causes of which they are known; one to a line, maybe none. */
size_t kin__error_format_trace(const kin_error *error, char *buffer,
                               size_t size);

#endif /* KIN_CORE_ERROR_H */
