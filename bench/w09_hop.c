/* w09_hop.c -- W9: with_context, there and back.
 *
 * One operation is one kin_with_context: the fiber goes on elsewhere, on its
 * own stack, and comes back.
 *
 *   W9same   to the dispatcher that it is on: nothing moves; a scope begins and
 *            ends
 *   W9view   from Default to a view of it: through the view's queue
 *   W9io     from Default to IO: the same threads, the permit changes hands
 *   W9block  from an event loop to Default: two threads; the floor is waking a
 *            thread, or its spinning
 *   W9main   from Main, pumped when its descriptor says so, to IO */
#include "bench/harness.h"

#include <poll.h>

enum { TRIPS = 1000 };

static struct bench *bench;
static kin_dispatcher *there;
static uint64_t sum;

static int add(kin_scope *scope, void *arg)
{
    (void)scope;
    sum += (uintptr_t)arg;
    return 0;
}

KIN_SUSPENDS
static uint64_t unit(struct bench *b)
{
    sum = 0;
    bench_begin(b);
    for (intptr_t i = 0; i < TRIPS; i++)
        MUST(kin_with_context(add, (void *)i, .dispatcher = there));
    bench_end(b, TRIPS);
    return sum;
}

static int hop(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    bench_units(bench, "trip", "ns", unit);
    return 0;
}

static int hop_to_here(kin_scope *scope, void *arg)
{
    there = kin_current_element(&kin_key_dispatcher);
    return hop(scope, arg);
}

static void begin(struct bench *b, kin_dispatcher *to)
{
    bench = b;
    there = to;
}

static void round_same(struct bench *b)
{
    begin(b, NULL);
    bench_run(b, hop_to_here);
}

static void round_view(struct bench *b)
{
    KIN_AUTO(kin_dispatcher) view = NULL;

    MUST(kin_limited_parallelism(kin_default(), 1, "view", &view));
    begin(b, view);
    MUST(kin_run_blocking(hop, NULL, .dispatcher = kin_default()));
}

static void round_io(struct bench *b)
{
    begin(b, kin_io());
    MUST(kin_run_blocking(hop, NULL, .dispatcher = kin_default()));
}

static void round_block(struct bench *b)
{
    begin(b, kin_default());
    MUST(kin_run_blocking(hop, NULL));
}

/* --- Main ----------------------------------------------------------------- */

static int poll_timeout(int64_t deadline)
{
    int64_t left = deadline - kin_now();

    if (deadline == KIN_NEVER)
        return -1;
    return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

/* A host's loop, which waits for nothing but kin. */
static void pump_until_completed(kin_job *job)
{
    struct pollfd fd = { .fd = kin_main_fd(), .events = POLLIN };

    while (!kin_job_is_completed(job)) {
        int timeout = poll_timeout(kin_main_deadline());

        if (timeout != 0)
            poll(&fd, 1, timeout);
        MUST(kin_main_pump(KIN_MS(2)));
    }
}

static void round_main(struct bench *b)
{
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_job) job = NULL;

    begin(b, kin_io());
    MUST(kin_main_attach());
    MUST(kin_main_scope(&scope));
    MUST(kin_launch(scope, hop, NULL, .job = &job));
    pump_until_completed(job);
    MUST(kin_main_detach());
}

const struct bench_workload bench_workloads[] = {
    { .name = "W9same", .round = round_same },
    { .name = "W9view", .round = round_view },
    { .name = "W9io", .round = round_io },
    { .name = "W9block", .round = round_block },
    { .name = "W9main", .round = round_main },
    { .name = NULL }
};
