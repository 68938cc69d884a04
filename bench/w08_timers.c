/* w08_timers.c -- W8timer: timers alone, without a fiber.
 *
 * One operation is all n: armed for 1 to 1 000 ms, fired; what is told is CPU
 * seconds.  The floor is an ordered structure of n deadlines.  Only dispatchers
 * arm timers without a fiber, by set_timer of kin/dispatcher.h; here an event
 * loop's does it, on behalf of one fiber that waits for the last. */
#include "bench/harness.h"

#include "core/timer.h"

struct alarm {
    struct kin_timer timer;
    long ms;
};

static long left;
static uint64_t fired;
static kin_continuation waiter;

static void fire(struct kin_timer *timer)
{
    fired += (uint64_t)((struct alarm *)timer)->ms;
    if (--left == 0)
        kin_resume(waiter, 0);
}

static int arm_all(kin_continuation continuation, void *arg)
{
    struct bench *bench = arg;
    kin_dispatcher *loop = kin_current_element(&kin_key_dispatcher);
    struct alarm *alarm = bench_alloc((size_t)bench->n * sizeof *alarm);
    int64_t now = kin_now();
    uint32_t state = 1;

    waiter = continuation;
    left = bench->n;
    for (long i = 0; i < bench->n; i++) {
        alarm[i].timer.fire = fire;
        alarm[i].ms = bench_sleep_ms(&state);
        KIN_TRY(loop->ops->set_timer(loop, &alarm[i].timer,
                                     now + KIN_MS(alarm[i].ms)));
    }
    return 0;
}

KIN_SUSPENDS
static int wait_for_all(kin_scope *scope, void *arg)
{
    (void)scope;
    return kin_suspend(arm_all, arg);
}

static void round_(struct bench *bench)
{
    double begin = bench_cpu_seconds();

    if (bench->n < 1)
        bench_cannot("wait for less than one timer");
    bench_run(bench, wait_for_all);
    bench_metric("cpu", "s", bench_cpu_seconds() - begin, fired);
}

const struct bench_workload bench_workloads[] = {
    { .name = "W8timer", .round = round_, .fresh = true }, { .name = NULL }
};
