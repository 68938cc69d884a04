/* error_text.c -- the names of codes, and an error as text.
 *
 * Causes cannot lead back to where they came from, suppressed errors can: what
 * stands above already is not told again, and there is a limit to the depth
 * and to the lines. */
#include "core/error_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 16
#define LINES_MAX 200

#define NAME(name) [name] = #name,
static const char *const system_names[] = { KIN__ERRNOS(NAME) };

#define KIN_NAME(name) [-(name)] = #name,
static const char *const kin_names[] = {
    KIN_NAME(KIN_ECANCELED) KIN_NAME(KIN_ETIMEDOUT) KIN_NAME(KIN_ENOMEM)
    KIN_NAME(KIN_EAGAIN)    KIN_NAME(KIN_EINVAL)    KIN_NAME(KIN_EPERM)
    KIN_NAME(KIN_ENOFIBER)  KIN_NAME(KIN_ENOJOB)    KIN_NAME(KIN_ENOMAIN)
    KIN_NAME(KIN_ECLOSED)   KIN_NAME(KIN_EBUSY)     KIN_NAME(KIN_EALREADY)
    KIN_NAME(KIN_ESTALE)    KIN_NAME(KIN_EDEADLK)   KIN_NAME(KIN_ENOTSUP)
    KIN_NAME(KIN_EHANDLER)  KIN_NAME(KIN_EEXCEPTION)
};

#define LENGTH(table) (sizeof(table) / sizeof *(table))

static const char *system_name(unsigned number)
{
    return number < LENGTH(system_names) ? system_names[number] : NULL;
}

static const char *kin_name(int code)
{
    unsigned number = 0u - (unsigned)code;

    return code < 0 && number < LENGTH(kin_names) ? kin_names[number] : NULL;
}

const char *kin_error_name(int code)
{
    unsigned number = code < 0 ? 0u - (unsigned)code : (unsigned)code;
    const char *name = kin_name(code);

    if (!name)
        name = system_name(number);
    if (!name)
        name = code ? "unknown error" : "no error";
    return name;
}

/* --- Text ----------------------------------------------------------------- */

struct text {
    char *buffer;
    size_t size, length;
    unsigned lines;
};

/* The errors from the first line down to this one. */
struct above {
    const kin_error *error;
    const struct above *outer;
    int depth;
};

__attribute__((format(printf, 2, 3)))
static void put(struct text *text, const char *format, ...)
{
    size_t room = text->length < text->size ? text->size - text->length : 0;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(room ? text->buffer + text->length : NULL, room, format,
                  args);
    va_end(args);
    if (n > 0)
        text->length += (size_t)n;
}

/* "(KIN_EBUSY, -16)"; where kin's word is not the system's, both: the code of
 * a file that is not there is also that of a job that is not there. */
static void put_code(struct text *text, int code)
{
    const char *ours = kin_name(code);
    const char *name = system_name(0u - (unsigned)code);

    if (ours && name && strcmp(ours + strlen("KIN_"), name) != 0)
        put(text, "(%s/%s, %d)", ours, name, code);
    else
        put(text, "(%s, %d)", kin_error_name(code), code);
}

static bool is_above(const kin_error *error, const struct above *above)
{
    while (above && above->error != error)
        above = above->outer;
    return above != NULL;
}

static void put_line(struct text *text, const kin_error *error, bool told)
{
    const char *message = kin_error_message(error);
    const char *where = kin_error_where(error);

    put(text, "%s%s", message, *message ? " " : "");
    put_code(text, kin_error_code(error));
    if (told)
        put(text, ", as above");
    else if (*where)
        put(text, " at %s", where);
}

static void put_below(struct text *text, const struct above *above);

static void put_error(struct text *text, const char *label,
                      const kin_error *error, const struct above *outer)
{
    struct above here = { error, outer, outer->depth + 1 };
    bool told = is_above(error, outer);

    if (text->lines >= LINES_MAX)
        return;
    put(text, "\n%*s", 2 * here.depth, "");
    if (++text->lines == LINES_MAX || here.depth > DEPTH_MAX) {
        put(text, "...");
        return;
    }
    put(text, "%s: ", label);
    put_line(text, error, told);
    if (!told)
        put_below(text, &here);
}

static void put_below(struct text *text, const struct above *above)
{
    const struct kin__error_link *link = &above->error->links;

    if (link->error)
        put_error(text, "caused by", link->error, above);
    while ((link = kin__error_link_next(link)) && text->lines < LINES_MAX)
        put_error(text, "suppressed", link->error, above);
}

size_t kin_error_format(const kin_error *error, char *buffer, size_t size)
{
    struct text text = { .buffer = buffer, .size = buffer ? size : 0 };
    struct above top = { .error = error };

    if (text.size)
        buffer[0] = '\0';
    if (!error) {
        put(&text, "no error");
        return text.length;
    }
    put_line(&text, error, false);
    put_below(&text, &top);
    return text.length;
}
