/* w01_switch.c -- W1: what leaving one stack for another costs.
 *
 * One operation is one switch; two contexts resume each other.  The floor is a
 * switch of the stack pointer and the instruction pointer and nothing else,
 * which is right only where the compiler knows that every register is lost.
 *
 *   switch  kin__switch: a function, the ABI's whole state.  This is what
 *           compares with fcontext.
 *   park    kin__fiber_switch: how kin leaves a fiber that parks or yields,
 *           inlined, so that only what is live is saved
 *   fiber   kin/fiber.h: a resume and a suspend are two
 *   floor   see above */
#include "bench/harness.h"

#include "asm/switch.h"
#include "bench/float_flags.h"
#include "core/fiber_switch.h"

enum { TRIPS = 50000, STACK = 65536 };

static uint64_t turns;

/* --- switch --------------------------------------------------------------- */

static void *here, *there;

static void echo(void *unused)
{
    (void)unused;
    for (;;) {
        turns++;
        kin__switch(&there, here, NULL);
    }
}

static uint64_t switches(struct bench *bench)
{
    float_flags_differ(0);              /* what is made, inherits them */
    if (!there)
        there = kin__switch_make((char *)bench_alloc(STACK) + STACK, echo);
    turns = 0;
    float_flags_differ(bench->n);
    bench_begin(bench);
    for (int i = 0; i < TRIPS; i++)
        kin__switch(&here, there, NULL);
    bench_end(bench, 2.0 * TRIPS);
    return turns;
}

/* --- park ----------------------------------------------------------------- */

static struct kin_fiber *native, *other;

static struct kin__thread *thread;

static void park_again(void *unused)
{
    (void)unused;
    for (;;) {
        turns++;
        kin__fiber_switch(thread, other, native, NULL);
    }
}

static uint64_t parks(struct bench *bench)
{
    float_flags_differ(0);              /* what is made, inherits them */
    thread = kin__thread();
    native = thread->fiber;
    if (!other)
        other = kin__fiber_get(thread, 0, park_again);
    MUST(other ? 0 : KIN_ENOMEM);
    turns = 0;
    float_flags_differ(bench->n);
    bench_begin(bench);
    for (int i = 0; i < TRIPS; i++)
        kin__fiber_switch(thread, native, other, NULL);
    bench_end(bench, 2.0 * TRIPS);
    return turns;
}

/* --- fiber ---------------------------------------------------------------- */

KIN_SUSPENDS
static void *suspend_again(void *value)
{
    do {
        turns++;
        value = kin_fiber_suspend(value);
    } while (!value);
    return value;
}

static uint64_t resumes(struct bench *bench)
{
    kin_fiber *fiber;

    float_flags_differ(0);              /* what is made, inherits them */
    MUST(kin_fiber_new(suspend_again, &fiber));
    turns = 0;
    float_flags_differ(bench->n);
    bench_begin(bench);
    for (int i = 0; i < TRIPS; i++)
        MUST(kin_fiber_resume(fiber, NULL, NULL));
    bench_end(bench, 2.0 * TRIPS);
    kin_fiber_destroy(fiber);
    return turns;
}

/* --- floor ---------------------------------------------------------------- */

#if defined(__x86_64__)
struct bare {
    void *sp, *bp, *ip;
};

static struct bare bare_here, bare_there;

static inline __attribute__((always_inline)) void bare_switch(
    struct bare *from, struct bare *to)
{
    __asm__ volatile(
        "leaq   1f(%%rip), %%rax\n\t"
        "movq   %%rsp, 0(%0)\n\t"
        "movq   %%rbp, 8(%0)\n\t"
        "movq   %%rax, 16(%0)\n\t"
        "movq   0(%1), %%rsp\n\t"
        "movq   8(%1), %%rbp\n\t"
        "notrack jmp *16(%1)\n"
        "1:"
        : "+D"(from), "+S"(to) :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
          "r14", "r15", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
          "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
          "xmm12", "xmm13", "xmm14", "xmm15");
}

static void bare_echo(void)
{
    for (;;) {
        turns++;
        bare_switch(&bare_there, &bare_here);
    }
}

static uint64_t bare_switches(struct bench *bench)
{
    float_flags_differ(0);              /* what is made, inherits them */
    if (!bare_there.sp) {
        bare_there.sp = (char *)bench_alloc(STACK) + STACK - 8;
        bare_there.ip = (void *)(uintptr_t)bare_echo;
    }
    turns = 0;
    float_flags_differ(bench->n);
    bench_begin(bench);
    for (int i = 0; i < TRIPS; i++)
        bare_switch(&bare_here, &bare_there);
    bench_end(bench, 2.0 * TRIPS);
    return turns;
}
#endif

static void round_(struct bench *bench)
{
    bench_units(bench, "switch", "ns", switches);
    bench_units(bench, "park", "ns", parks);
    bench_units(bench, "fiber", "ns", resumes);
#if defined(__x86_64__)
    bench_units(bench, "floor", "ns", bare_switches);
#endif
}

const struct bench_workload bench_workloads[] = {
    { .name = "W1", .round = round_ }, { .name = NULL }
};
