/* Environment variables are for programs that run with the rights of whoever
 * started them: not for setuid ones.  The kernel's word for it, AT_SECURE, is
 * replaced here; tests/kin_setuid_test.sh does it with a setuid program. */
#include "core/environment.h"
#include "core/stack.h"
#include "tests/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static bool is_secure;

/* Takes the place of libc's, for the library too. */
unsigned long getauxval(unsigned long type)
{
    unsigned long word[2] = { 0, 0 };
    int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);

    while (read(fd, word, sizeof word) == sizeof word && word[0] != type)
        continue;
    close(fd);
    if (type == AT_SECURE)
        return is_secure;
    return word[0] == type ? word[1] : 0;
}

TEST(a_variable_has_its_value)
{
    setenv("KIN_WORD", "x", 1);
    CHECK_STR(kin__environment("KIN_WORD"), "x");
    unsetenv("KIN_WORD");
    CHECK_STR(kin__environment("KIN_WORD"), NULL);
}

TEST(a_setuid_program_has_no_variables)
{
    setenv("KIN_WORD", "x", 1);
    is_secure = true;
    CHECK_STR(kin__environment("KIN_WORD"), NULL);
}

/* Stacks are wiped: what a stack holds is gone when it is got again. */
static bool wipes(void)
{
    static struct kin__stack_cache cache;
    struct kin__stack *stack = NULL;
    char *at;

    setenv("KIN_WIPE_STACKS", "1", 1);
    CHECK_EQ(kin__stack_get(&cache, 0, &stack), 0);
    at = (char *)stack->top - 512;
    memset(at, 1, 64);
    kin__stack_put(&cache, stack);
    CHECK_EQ(kin__stack_get(&cache, 0, &stack), 0);
    return at[0] == 0;
}

TEST(stacks_are_wiped_on_request)
{
    CHECK(wipes());
}

TEST(stacks_are_not_wiped_on_request_in_a_setuid_program)
{
    is_secure = true;
    CHECK(!wipes());
}

TEST_MAIN
