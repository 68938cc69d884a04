/* exceptions.c -- see exceptions.h.  Nothing here is inlined: the runtime's two
 * words are asked for anew on each thread. */
#include "core/exceptions.h"

#include "asm/catch.h"
#include "core/memory.h"
#include "kin/error.h"

#include <stddef.h>
#include <unwind.h>

/* Of the C++ ABI, beside __cxa_get_globals. */
struct type_info {
    const void *table;
    const char *name;               /* mangled */
};
void *__cxa_begin_catch(void *exception) __attribute__((weak));
void __cxa_end_catch(void) __attribute__((weak));
struct type_info *__cxa_current_exception_type(void) __attribute__((weak));
char *__cxa_demangle(const char *mangled, char *buffer, size_t *size,
                     int *status) __attribute__((weak));

__attribute__((noinline)) void
kin__exceptions_save(struct kin__exceptions *own)
{
    struct kin__exceptions_globals *globals = __cxa_get_globals();

    if (own->off)
        return;
    own->off = true;
    own->saved = *globals;
    *globals = (struct kin__exceptions_globals){ NULL, 0 };
}

__attribute__((noinline)) void
kin__exceptions_restore(struct kin__exceptions *own)
{
    if (!own->off)
        return;
    own->off = false;
    *__cxa_get_globals() = own->saved;
}

/* --- What left a body ----------------------------------------------------- */

/* Both runtimes call their class "....C++" and a byte that says whose it is a
 * dependent one of. */
static bool is_of_cplusplus(const struct _Unwind_Exception *exception)
{
    return (exception->exception_class >> 8 & 0xffffff)
        == ((uint64_t)'C' << 16 | '+' << 8 | '+');
}

/* The mangled name of what is being handled. */
static const char *type_name(void)
{
    struct type_info *type = __cxa_current_exception_type
                                 ? __cxa_current_exception_type() : NULL;

    return type && type->name ? type->name : "?";
}

static int fail_with_type(const char *what)
{
    const char *name = type_name();
    char *readable = NULL;
    int status = 0, code;

    if (__cxa_demangle)
        readable = __cxa_demangle(name, NULL, NULL, &status);
    code = kin_fail(KIN_EEXCEPTION, "an exception left %s: %s", what,
                    readable ? readable : name);
    kin__free_foreign(readable);
    return code;
}

static int caught(struct _Unwind_Exception *exception, const char *what)
{
    int code;

    if (!is_of_cplusplus(exception) || !__cxa_begin_catch
        || !__cxa_end_catch) {
        _Unwind_DeleteException(exception);
        return kin_fail(KIN_EEXCEPTION, "a foreign exception left %s", what);
    }
    __cxa_begin_catch(exception);
    code = fail_with_type(what);
    __cxa_end_catch();              /* destroys it */
    return code;
}

int kin__call_guarded(kin__guarded_fn *fn, void *a, void *b, uintptr_t c,
                      const char *what)
{
    void *exception = NULL;
    int code = kin__call_catching(fn, a, b, c, &exception);

    return KIN__UNLIKELY(exception != NULL) ? caught(exception, what) : code;
}
