/* No stack can be executed, whatever it is guarded with: neither those of
 * fibers nor the one on which signals are handled; and nothing else in the
 * process is writable and executable at once. */
#include "core/overflow.h"
#include "core/stack.h"
#include "kin/fiber.h"
#include "tests/check.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What /proc/self/maps says of the mapping that holds address: "rw-p". */
static void rights_of(const void *address, char rights[5])
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];

    strcpy(rights, "none");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        unsigned long long start, end;
        char here[5] = "";

        CHECK_EQ(sscanf(line, "%llx-%llx %4s", &start, &end, here), 3);
        if (here[1] == 'w' && here[2] == 'x')
            FAIL("writable and executable: %s", line);
        if ((uintptr_t)address >= start && (uintptr_t)address < end)
            strcpy(rights, here);
    }
    fclose(maps);
}

/* maps is read on the thread's stack: the fiber's is small under a sanitizer. */
struct question {
    const void *address;
    char rights[5];
};

static void answer(void *arg)
{
    struct question *question = arg;

    rights_of(question->address, question->rights);
}

static void *ask_of_own_stack(void *arg)
{
    struct question *question = arg;

    question->address = __builtin_frame_address(0);
    kin_call_on_thread_stack(answer, question);
    return NULL;
}

static void check_stack_guarded_by(enum kin__guard guard, size_t size)
{
    struct question question = { 0 };
    kin_fiber *fiber = NULL;

    kin__stack_force_guard(guard);
    CHECK_EQ(kin_fiber_new(ask_of_own_stack, &fiber, .stack_size = size), 0);
    CHECK_EQ(kin_fiber_resume(fiber, &question, NULL), 0);
    CHECK_STR(question.rights, "rw-p");
    kin_fiber_destroy(fiber);
}

TEST(stack_of_a_fiber_is_not_executable)
{
    check_stack_guarded_by(KIN__GUARD_UNSET, 0);
    check_stack_guarded_by(KIN__GUARD_UNSET, 1 << 20);
}

TEST(stack_guarded_by_mprotect_is_not_executable)
{
    check_stack_guarded_by(KIN__GUARD_MPROTECT, 0);
}

TEST(stack_for_signals_is_not_executable)
{
    char rights[5];
    stack_t stack;

    CHECK_EQ(kin__overflow_thread_enter(), 0);
    CHECK_EQ(sigaltstack(NULL, &stack), 0);
    CHECK(!(stack.ss_flags & SS_DISABLE));
    rights_of(stack.ss_sp, rights);
    CHECK_STR(rights, "rw-p");
    kin__overflow_thread_leave();
}

TEST_MAIN
