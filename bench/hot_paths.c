/* hot_paths.c -- what `make bench-check` counts: kin's hot paths, on one
 * thread, one after the other.
 *
 *   hot_paths count      steps through each path and prints a line
 *                          PATH instructions N locked N atomic N syscalls N
 *                          allocations N mutexes N
 *                        all for one operation: locked counts instructions
 *                        with a lock prefix, or that lock without; the last
 *                        three, what is called.
 *   hot_paths callgrind  for callgrind: dumps its counts after TIMES of an
 *                        operation, and after twice as many, as "PATH TIMES".
 *
 *   hot_paths profile PATH
 *                        steps through one and prints "OFFSET COUNT" for each
 *                        instruction of the program, for TIMES operations;
 *                        offset 0 is all those of libraries
 *
 * The difference of two counts is the operations' alone.  x86-64 only. */
#include "bench/harness.h"

#include "asm/switch.h"
#include "bench/step.h"
#include "core/fiber_switch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { WARM = 100, TIMES = 1000, STEPPED = 16, STACK = 65536 };

struct path {
    const char *name;
    int operations;             /* of one turn of the loop                   */
    void (*loop)(long turns);   /* on a fiber of an event loop               */
};

/* --- The two switches ----------------------------------------------------- */

static void *here, *there;

static void echo(void *unused)
{
    (void)unused;
    for (;;)
        kin__switch(&there, here, NULL);
}

static void loop_switch(long turns)
{
    if (!there)
        there = kin__switch_make((char *)bench_alloc(STACK) + STACK, echo);
    for (long i = 0; i < turns; i++)
        kin__switch(&here, there, NULL);
}

static struct kin__thread *thread;
static struct kin_fiber *self, *other;

static void park_again(void *unused)
{
    (void)unused;
    for (;;)
        kin__fiber_switch(thread, other, self, NULL);
}

static void loop_park(long turns)
{
    thread = kin__thread();
    self = thread->fiber;
    if (!other)
        other = kin__fiber_get(thread, 0, park_again);
    MUST(other ? 0 : KIN_ENOMEM);
    for (long i = 0; i < turns; i++)
        kin__fiber_switch(thread, self, other, NULL);
}

/* --- Yield ---------------------------------------------------------------- */

static bool stop;

KIN_SUSPENDS
static int yield_again(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    while (!stop)
        KIN_TRY(kin_yield());
    return 0;
}

KIN_SUSPENDS
static void loop_yield(long turns)
{
    for (long i = 0; i < turns; i++)
        MUST(kin_yield());
}

/* --- Launch and complete -------------------------------------------------- */

static int nothing(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return 0;
}

KIN_SUSPENDS
static void loop_launch(long turns)
{
    kin_scope *scope = kin_current_scope();

    for (long i = 0; i < turns; i++)
        MUST(kin_launch(scope, nothing, NULL));
    MUST(kin_yield());                  /* they run */
}

KIN_SUSPENDS
static void loop_join(long turns)
{
    kin_scope *scope = kin_current_scope();

    for (long i = 0; i < turns; i++) {
        kin_job *job;

        MUST(kin_launch(scope, nothing, NULL, .job = &job));
        MUST(kin_join(job));
        kin_job_release(job);
    }
}

KIN_SUSPENDS
static void loop_await(long turns)
{
    kin_scope *scope = kin_current_scope();

    for (long i = 0; i < turns; i++) {
        kin_deferred *deferred;

        MUST(kin_async(scope, &deferred, nothing, NULL));
        MUST(kin_await(deferred, NULL));
        kin_deferred_release(deferred);
    }
}

/* --- Park and resume ------------------------------------------------------ */

struct side {
    kin_continuation continuation;
    struct side *other;
};

static struct side ping, pong;

static int hand_over(kin_continuation continuation, void *arg)
{
    struct side *side = arg;

    side->continuation = continuation;
    if (side->other->continuation.fiber)
        kin_resume(side->other->continuation, 0);
    return 0;
}

KIN_SUSPENDS
static int answer(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    while (!stop)
        MUST(kin_suspend_cancellable(hand_over, &pong));
    return 0;
}

KIN_SUSPENDS
static void loop_resume(long turns)
{
    for (long i = 0; i < turns; i++)
        MUST(kin_suspend_cancellable(hand_over, &ping));
}

/* --- Blocks --------------------------------------------------------------- */

KIN_SUSPENDS
static void loop_with_context(long turns)
{
    kin_dispatcher *same = kin_current_element(&kin_key_dispatcher);

    for (long i = 0; i < turns; i++)
        MUST(kin_with_context(nothing, NULL, .dispatcher = same));
}

KIN_SUSPENDS
static void loop_timeout(long turns)
{
    for (long i = 0; i < turns; i++)
        MUST(kin_with_timeout(KIN_S(10), nothing, NULL));
}

static const struct path paths[] = {
    { "switch", 2, loop_switch },       /* there and back                    */
    { "park", 2, loop_park },
    { "yield", 2, loop_yield },         /* and the other fiber's             */
    { "launch", 1, loop_launch },
    { "join", 1, loop_join },           /* launched, and waited for          */
    { "await", 1, loop_await },
    { "resume", 2, loop_resume },       /* and the other fiber's             */
    { "with_context", 1, loop_with_context },
    { "timeout", 1, loop_timeout },
};
enum { PATHS = sizeof paths / sizeof *paths };

/* --- Both ways to count --------------------------------------------------- */

static void dump(const char *path, long times)
{
    char text[64];

    snprintf(text, sizeof text, "%s %ld", path, times);
    CALLGRIND_DUMP_STATS_AT(text);
}

static void count_on_callgrind(const struct path *path)
{
    path->loop(WARM);
    dump("warm", 0);
    path->loop(TIMES);
    dump(path->name, (long)TIMES * path->operations);
    path->loop(2 * TIMES);
    dump(path->name, 2L * TIMES * path->operations);
}

static struct step_counts step(const struct path *path, long turns)
{
    step_begin();
    path->loop(turns);
    return step_end();
}

static void count_by_steps(const struct path *path)
{
    struct step_counts once, more;
    double operations = (double)STEPPED * path->operations;

    path->loop(WARM);
    once = step(path, STEPPED);
    more = step(path, 2 * STEPPED);
#define PER_OPERATION(what) ((double)(more.what - once.what) / operations)
    printf("%s instructions %.1f locked %.2f syscalls %.2f "
           "allocations %.2f mutexes %.2f\n", path->name,
           PER_OPERATION(instructions), PER_OPERATION(locked),
           PER_OPERATION(syscalls), PER_OPERATION(allocations),
           PER_OPERATION(mutexes));
}

/* --- Which instructions --------------------------------------------------- */

extern const char __executable_start[], etext[];
static unsigned *visits;                /* by offset; 0: elsewhere */

static void visit(uintptr_t address)
{
    uintptr_t start = (uintptr_t)__executable_start;

    visits[address - start < (uintptr_t)(etext - __executable_start)
           ? address - start : 0]++;
}

static void profile(const struct path *path)
{
    size_t size = (size_t)(etext - __executable_start);

    visits = bench_alloc(size * sizeof *visits);
    path->loop(WARM);
    step_visit = visit;
    step(path, TIMES / path->operations);
    step_visit = NULL;
    for (size_t i = 0; i < size; i++)
        if (visits[i])
            printf("%#zx %u\n", i, visits[i]);
}

static void (*count)(const struct path *path);

KIN_SUSPENDS
static int alone(kin_scope *scope, void *path)
{
    (void)scope;
    count(path);
    stop = true;
    return 0;
}

/* Some paths need a second fiber. */
KIN_SUSPENDS
static int in_company(kin_scope *scope, void *arg)
{
    const struct path *path = arg;

    stop = false;
    if (path->loop == loop_yield)
        KIN_TRY(kin_launch(scope, yield_again, NULL));
    if (path->loop == loop_resume)
        KIN_TRY(kin_launch(scope, answer, NULL));
    alone(scope, arg);
    if (path->loop == loop_resume)
        KIN_TRY(kin_resume(pong.continuation, 0));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "count") == 0)
        count = count_by_steps;
    else if (argc == 2 && strcmp(argv[1], "callgrind") == 0)
        count = count_on_callgrind;
    else if (argc == 3 && strcmp(argv[1], "profile") == 0)
        count = profile;
    else
        return fputs("usage: hot_paths count|callgrind|profile PATH\n",
                     stderr), 2;
    ping.other = &pong;
    pong.other = &ping;
    for (int i = 0; i < PATHS; i++)
        if (argc == 2 || strcmp(argv[2], paths[i].name) == 0)
            MUST(kin_run_blocking(in_company, (void *)&paths[i]));
    return 0;
}
