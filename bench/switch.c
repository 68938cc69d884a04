/* switch.c -- what a switch costs: two contexts that resume each other.
 *
 * One operation is one switch, through kin/fiber.h: a resume and a suspend are
 * two.  The floor is what saving and loading the ABI's registers takes. */
#include "bench/bench.h"

enum { SWITCHES = 2000000 };

KIN_SUSPENDS
static void *echo(void *value)
{
    do
        value = kin_fiber_suspend(value);
    while (!value);
    return value;
}

static void resume_often(kin_fiber *fiber)
{
    for (int i = 0; i < SWITCHES / 2; i++)
        if (kin_fiber_resume(fiber, NULL, NULL) != 0)
            abort();
}

int main(void)
{
    kin_fiber *fiber;

    if (kin_fiber_new(echo, &fiber) != 0)
        return 1;
    BENCH("resume or suspend a bare fiber", SWITCHES, resume_often(fiber));
    kin_fiber_destroy(fiber);
    return 0;
}
