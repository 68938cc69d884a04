/* launch.c -- what a fiber costs that does nothing: launched, run, ended.
 *
 * One operation is one launch with its end, joined one at a time or by the
 * scope.  The floor is a call: such a body never gets a stack of its own. */
#include "bench/bench.h"

enum { FIBERS = 300000, IN_SCOPE = 1000 };

static int nothing(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return 0;
}

KIN_SUSPENDS
static int one_at_a_time(kin_scope *scope, void *arg)
{
    (void)arg;
    for (int i = 0; i < FIBERS; i++) {
        KIN_AUTO(kin_job) job = NULL;

        KIN_TRY(kin_launch(scope, nothing, NULL, .job = &job));
        KIN_TRY(kin_join(job));
    }
    return 0;
}

static int launch_many(kin_scope *scope, void *arg)
{
    (void)arg;
    for (int i = 0; i < IN_SCOPE; i++)
        KIN_TRY(kin_launch(scope, nothing, NULL));
    return 0;
}

KIN_SUSPENDS
static int in_scopes(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    for (int i = 0; i < FIBERS / IN_SCOPE; i++)
        KIN_TRY(kin_coroutine_scope(launch_many, NULL));
    return 0;
}

static void run(kin_body *body)
{
    if (kin_run_blocking(body, NULL) != 0)
        abort();
}

int main(void)
{
    BENCH("launch and join, one at a time", FIBERS, run(one_at_a_time));
    BENCH("launch in scopes of 1000", FIBERS, run(in_scopes));
    return 0;
}
