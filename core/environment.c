/* environment.c -- see environment.h.
 *
 * secure_getenv() does the same, but Android's C library lacks it. */
#include "core/environment.h"

#include <stdlib.h>
#include <sys/auxv.h>

const char *kin__environment(const char *name)
{
    return getauxval(AT_SECURE) ? NULL : getenv(name);
}
