/* asm_switch_test.c -- the switch keeps what the ABI says a call keeps, and
 * touches nothing else.
 *
 * Every callee-saved register is filled with a pattern of the context's own
 * before each of a million switches in a ring of four contexts, and compared
 * after it (hold_registers, in assembly, so that no compiler is in between).
 * Stacks are painted to see what is written where; suspended contexts travel
 * to other threads. */
#include "tests/check.h"

#include "asm/switch.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_include)
#  if __has_include(<valgrind/valgrind.h>)
#    include <valgrind/valgrind.h>
#  endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#  define VALGRIND_STACK_REGISTER(start, end) 0
#endif

#define NOINLINE __attribute__((noinline))
#define NO_ASAN  __attribute__((no_sanitize_address))

enum { STACK_SIZE = 128 * 1024, ROUNDS = 250000 };

/* The maker's context, for entries to go back to. */
static void *home, *away;

static unsigned char *new_stack(void)
{
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    (void)VALGRIND_STACK_REGISTER(stack, (char *)stack + STACK_SIZE);
    return stack;
}

static void *new_context(void (*entry)(void *))
{
    return kin__switch_make(new_stack() + STACK_SIZE, entry);
}

/* --- Registers ----------------------------------------------------------- */

/* rounds times: fills the callee-saved registers with seed + 1, seed + 2 ...,
 * switches from *self to *next, and compares.  Another seed each time.
 * Returns how often a register differed. */
uint64_t hold_registers(void **self, void **next, uint64_t seed,
                        uint64_t rounds);

#if defined(__x86_64__)
#  define REGISTERS 6
#  define FILL(n, r)  " leaq " #n "(%rax), %" #r "\n"
#  define MATCH(n, r) " leaq " #n "(%rax), %rcx\n cmpq %rcx, %" #r "\n"     \
                      " setne %cl\n movzbl %cl, %ecx\n addq %rcx, 32(%rsp)\n"
#  define EACH(do) do(1, rbx) do(2, rbp) do(3, r12) do(4, r13) do(5, r14)   \
                   do(6, r15)
__asm__(
    ".text\n .globl hold_registers\n .hidden hold_registers\n"
    ".type hold_registers, %function\n"
    "hold_registers:\n"
    " pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n"
    " pushq %r14\n pushq %r15\n subq $40, %rsp\n"
    " movq %rdi, (%rsp)\n movq %rsi, 8(%rsp)\n movq %rdx, 16(%rsp)\n"
    " movq %rcx, 24(%rsp)\n movq $0, 32(%rsp)\n"
    "1: movq 16(%rsp), %rax\n"
    EACH(FILL)
    " movq (%rsp), %rdi\n movq 8(%rsp), %rsi\n movq (%rsi), %rsi\n"
    " xorl %edx, %edx\n"
    " call kin__switch\n"
    " movq 16(%rsp), %rax\n"
    EACH(MATCH)
    " imulq $0x2545f49, 16(%rsp), %rax\n movq %rax, 16(%rsp)\n"
    " decq 24(%rsp)\n jnz 1b\n"
    " movq 32(%rsp), %rax\n addq $40, %rsp\n"
    " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n"
    " ret\n"
    ".size hold_registers, . - hold_registers\n");
#elif defined(__aarch64__)
#  define REGISTERS 19
#  define FILL(n, r)   " add " #r ", x9, #" #n "\n"
#  define FILL_D(n, r) " add x10, x9, #" #n "\n fmov " #r ", x10\n"
#  define MATCH(n, r)  " add x10, x9, #" #n "\n cmp x10, " #r "\n"          \
                       " cinc x11, x11, ne\n"
#  define MATCH_D(n, r) " fmov x12, " #r "\n" MATCH(n, x12)
#  define EACH(do) do(1, x19) do(2, x20) do(3, x21) do(4, x22) do(5, x23)   \
                   do(6, x24) do(7, x25) do(8, x26) do(9, x27) do(10, x28)  \
                   do(11, x29)
#  define EACH_D(do) do(12, d8) do(13, d9) do(14, d10) do(15, d11)          \
                     do(16, d12) do(17, d13) do(18, d14) do(19, d15)
__asm__(
    ".text\n .globl hold_registers\n .hidden hold_registers\n"
    ".type hold_registers, %function\n"
    "hold_registers:\n hint #34\n sub sp, sp, #208\n"
    " stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n"
    " stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n"
    " stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n"
    " stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n"
    " stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
    " stp x0, x1, [sp, #160]\n stp x2, x3, [sp, #176]\n"
    " str xzr, [sp, #192]\n"
    "1: ldr x9, [sp, #176]\n"
    EACH(FILL) EACH_D(FILL_D)
    " ldp x0, x1, [sp, #160]\n ldr x1, [x1]\n mov x2, #0\n"
    " bl kin__switch\n"
    " ldr x9, [sp, #176]\n ldr x11, [sp, #192]\n"
    EACH(MATCH) EACH_D(MATCH_D)
    " str x11, [sp, #192]\n"
    " mov x10, #0x5f49\n mul x9, x9, x10\n ldr x10, [sp, #184]\n"
    " sub x10, x10, #1\n stp x9, x10, [sp, #176]\n cbnz x10, 1b\n"
    " ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n"
    " ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"
    " ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n"
    " ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n"
    " ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
    " ldr x0, [sp, #192]\n add sp, sp, #208\n ret\n"
    ".size hold_registers, . - hold_registers\n");
#else
#  define REGISTERS 0
#endif

/* Four contexts in a ring; the last one is the test itself. */
static struct ring {
    void *context[4];
    uint64_t wrong[4];
    uint64_t rounds;
} ring;

static uint64_t hold_in_ring(size_t i)
{
    return hold_registers(&ring.context[i], &ring.context[(i + 1) % 4],
                          0x9e3779b97f4a7c15u * (i + 1), ring.rounds);
}

static void ring_member(void *value)
{
    size_t i = (size_t)(uintptr_t)value;
    for (;;)
        ring.wrong[i] += hold_in_ring(i);
}

/* The first member gets its number from the ring's maker, one at a time. */
static size_t starting;

static void ring_start(void *value)
{
    size_t i = starting;
    (void)value;
    kin__switch(&ring.context[i], home, NULL);
    ring_member((void *)(uintptr_t)i);
}

static void make_ring(uint64_t rounds)
{
    ring.rounds = rounds;
    for (starting = 0; starting < 3; starting++)
        kin__switch(&home, new_context(ring_start), NULL);
}

TEST(callee_saved_registers_survive_a_million_switches_in_a_ring)
{
    if (REGISTERS == 0)
        SKIP("no assembly for this CPU");
    make_ring(ROUNDS);
    CHECK_EQ(hold_in_ring(3), 0);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(ring.wrong[i], 0);
}

/* --- Floating-point control --------------------------------------------- */

#if defined(__x86_64__)
struct fp { uint32_t mxcsr; uint16_t x87cw; };

static struct fp fp_get(void)
{
    struct fp fp;
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(fp.mxcsr), "=m"(fp.x87cw));
    return fp;
}

static void fp_set(struct fp fp)
{
    __asm__ volatile("ldmxcsr %0\n fldcw %1" : : "m"(fp.mxcsr), "m"(fp.x87cw));
}

/* Rounding (4 ways each) and flush-to-zero, all combinations of the two. */
static struct fp fp_pattern(unsigned i)
{
    return (struct fp){ 0x1f80u | (i & 3) << 13 | (i & 4) << 13,
                        (uint16_t)(0x37f | (i >> 3 & 3) << 10) };
}

static bool fp_is(struct fp fp)
{
    struct fp now = fp_get();
    return now.mxcsr == fp.mxcsr && now.x87cw == fp.x87cw;
}
#elif defined(__aarch64__)
struct fp { uint64_t fpcr; };

static struct fp fp_get(void)
{
    struct fp fp;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fp.fpcr));
    return fp;
}

static void fp_set(struct fp fp)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(fp.fpcr));
}

static struct fp fp_pattern(unsigned i)
{
    return (struct fp){ (uint64_t)(i & 7) << 22 };
}

static bool fp_is(struct fp fp)
{
    return fp_get().fpcr == fp.fpcr;
}
#else
struct fp { int round; };
static struct fp fp_get(void) { return (struct fp){ fegetround() }; }
static void fp_set(struct fp fp) { fesetround(fp.round); }
static bool fp_is(struct fp fp) { return fegetround() == fp.round; }
static struct fp fp_pattern(unsigned i)
{
    return (struct fp){ i & 1 ? FE_DOWNWARD : FE_UPWARD };
}
#endif

/* Goes back to its maker first; when all are made, on to the next in line. */
static void fp_member(void *value)
{
    size_t i = starting;
    (void)value;
    for (unsigned n = 0;; n++) {
        struct fp mine = fp_pattern(n * 7 + (unsigned)i);
        fp_set(mine);
        bool is_last = i == 3 || starting > 0;
        kin__switch(&ring.context[i], is_last ? home : ring.context[i + 1],
                    NULL);
        ring.wrong[i] += !fp_is(mine);
    }
}

TEST(floating_point_control_belongs_to_the_context)
{
    struct fp initial = fp_get();
    for (starting = 1; starting < 4; starting++)
        kin__switch(&home, new_context(fp_member), NULL);
    starting = 0;
    for (unsigned n = 0; n < 10000; n++) {
        struct fp mine = fp_pattern(n * 3);
        fp_set(mine);
        kin__switch(&home, ring.context[1], NULL);
        CHECK(fp_is(mine));
    }
    fp_set(initial);
    for (size_t i = 1; i < 4; i++)
        CHECK_EQ(ring.wrong[i], 0);
}

static struct fp fp_seen;

static void see_fp(void *value)
{
    (void)value;
    fp_seen = fp_get();
    kin__switch(&away, home, NULL);
}

TEST(a_new_context_inherits_the_floating_point_control_of_its_maker)
{
    struct fp initial = fp_get();
    for (unsigned i = 0; i < 32; i++) {
        fp_set(fp_pattern(i));
        void *context = new_context(see_fp);
        fp_set(initial);
        kin__switch(&home, context, NULL);
        struct fp expected = fp_pattern(i);
        CHECK(memcmp(&fp_seen, &expected, sizeof fp_seen) == 0);
        CHECK(fp_is(initial));
    }
}

static struct fp fp_in_then;

static void see_fp_in_then(void *arg)
{
    (void)arg;
    fp_in_then = fp_get();
}

static void keep_fp(void *value)
{
    (void)value;
    fp_set(fp_pattern(1));
    kin__switch(&away, home, NULL);
    fp_seen = fp_get();
    kin__switch(&away, home, NULL);
}

TEST(then_runs_with_the_floating_point_control_of_the_target)
{
#if defined(KIN_CONTEXT_BOOST)
    SKIP("there it is that of the source");
#endif
    struct fp initial = fp_get(), expected = fp_pattern(1);
    kin__switch(&home, new_context(keep_fp), NULL);
    fp_set(fp_pattern(2));
    kin__switch_then(&home, away, see_fp_in_then, NULL);
    CHECK(fp_is(fp_pattern(2)));
    fp_set(initial);
    CHECK(memcmp(&fp_in_then, &expected, sizeof expected) == 0);
    CHECK(memcmp(&fp_seen, &expected, sizeof expected) == 0);
}

/* --- Entry --------------------------------------------------------------- */

static uintptr_t frame_at_entry;

/* Uses aligned vector accesses, which trap on a misaligned stack. */
static NOINLINE void use_aligned_locals(void *value)
{
    _Alignas(16) unsigned char local[64];
    memset(local, (int)(uintptr_t)value, sizeof local);
    __asm__ volatile("" : : "r"(local) : "memory");
#if defined(__x86_64__)
    __asm__ volatile("movaps %%xmm0, %0" : "=m"(local[16]));
#endif
    CHECK_EQ((uintptr_t)local % 16, 0);
}

static void see_alignment(void *value)
{
    frame_at_entry = (uintptr_t)__builtin_frame_address(0);
    use_aligned_locals(value);
    for (;;)
        value = kin__switch(&away, home, value);
}

TEST(the_stack_is_aligned_at_entry_for_every_top)
{
    unsigned char *stack = new_stack();
    for (size_t skew = 0; skew <= 64; skew++) {
        unsigned char *top = stack + STACK_SIZE - skew;
        void *context = kin__switch_make(top, see_alignment);
        CHECK((unsigned char *)context < top);
        kin__switch(&home, context, NULL);
        CHECK_EQ(frame_at_entry % 16, 0);
        CHECK(frame_at_entry < (uintptr_t)top);
        CHECK(frame_at_entry >= (uintptr_t)top - 2 * KIN__SWITCH_FRAME_MAX);
    }
}

static bool is_painted(const unsigned char *from, const unsigned char *to)
{
    for (; from < to; from++)
        if (*from != 0xa5)
            return false;
    return true;
}

TEST(making_a_context_writes_only_its_frame)
{
    unsigned char *stack = new_stack();
    for (size_t skew = 16; skew <= 32; skew++) {
        unsigned char *top = stack + STACK_SIZE - skew;
        memset(stack, 0xa5, STACK_SIZE);
        unsigned char *context = kin__switch_make(top, see_alignment);
        CHECK(context >= top - KIN__SWITCH_FRAME_MAX);
        CHECK(is_painted(stack, top - KIN__SWITCH_FRAME_MAX));
        CHECK(is_painted(top, stack + STACK_SIZE));
    }
}

/* --- Values -------------------------------------------------------------- */

static void count_up(void *value)
{
    for (;;)
        value = kin__switch(&away, home, (char *)value + 1);
}

TEST(a_value_passes_both_ways)
{
    char base[1];
    void *value = base;
    away = new_context(count_up);
    for (intptr_t i = 1; i <= 1000; i++) {
        value = kin__switch(&home, away, value);
        CHECK_EQ((intptr_t)value - (intptr_t)base, i);
    }
}

static void ignore(void *arg)
{
    (void)arg;
}

TEST(the_target_of_switch_then_receives_the_argument)
{
    char base[1];
    void *value = base;
    away = new_context(count_up);
    for (intptr_t i = 1; i <= 1000; i++) {
        value = kin__switch_then(&home, away, ignore, value);
        CHECK_EQ((intptr_t)value - (intptr_t)base, i);
    }
}

/* --- Then ---------------------------------------------------------------- */

static struct {
    void *left;                 /* *from, as `then` saw it */
    uintptr_t frame;            /* where `then` ran */
    int calls;
} seen;

static NOINLINE void look_around(void *arg)
{
    seen.left = *(void **)arg;
    seen.frame = (uintptr_t)__builtin_frame_address(0);
    seen.calls++;
    use_aligned_locals(arg);
}

TEST(then_runs_on_the_stack_of_the_target_below_its_frame)
{
    unsigned char *stack = new_stack();
    void *target = kin__switch_make(stack + STACK_SIZE, see_alignment);
    for (int i = 1; i <= 3; i++) {      /* a new target, then a suspended one */
        home = NULL;
        kin__switch_then(&home, target, look_around, &home);
        CHECK_EQ(seen.calls, i);
        CHECK(seen.left != NULL);
        CHECK(seen.frame < (uintptr_t)target);
        CHECK(seen.frame >= (uintptr_t)stack);
        CHECK_EQ(seen.frame % 16, 0);
        target = away;
    }
}

/* A suspended context, on its way to another thread. */
static _Atomic(void *) parcel;
static void *thread_home;
static pthread_t continued_on;

static void publish(void *arg)
{
    /* release: publishes the context; pairs with acquire in continue_it() */
    atomic_store_explicit(&parcel, *(void **)arg, memory_order_release);
    for (int i = 0; i < 100; i++)       /* still here when it runs there */
        sched_yield();
}

static void *continue_it(void *unused)
{
    void *context;
    (void)unused;
    /* acquire: pairs with release in publish() */
    while (!(context = atomic_exchange_explicit(&parcel, NULL,
                                                memory_order_acquire)))
        sched_yield();
    return kin__switch(&thread_home, context, "from the thread");
}

static void wander(void *value)
{
    void *mine;
    (void)value;
    const char *said = kin__switch_then(&mine, home, publish, &mine);
    CHECK_STR(said, "from the thread");
    continued_on = pthread_self();
    kin__switch(&away, thread_home, "from the context");
}

#if defined(__SANITIZE_THREAD__)
#  define SKIP_UNDER_TSAN() SKIP("TSan is not told of these contexts")
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer)
#    define SKIP_UNDER_TSAN() SKIP("TSan is not told of these contexts")
#  endif
#endif
#ifndef SKIP_UNDER_TSAN
#  define SKIP_UNDER_TSAN() ((void)0)
#endif

TEST(then_hands_the_suspended_context_to_another_thread)
{
    SKIP_UNDER_TSAN();
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        void *said;
        CHECK_EQ(pthread_create(&thread, NULL, continue_it, NULL), 0);
        kin__switch(&home, new_context(wander), NULL);
        CHECK_EQ(pthread_join(thread, &said), 0);
        CHECK_STR(said, "from the context");
        CHECK(pthread_equal(continued_on, thread));
    }
}

static void *abandoned;

static void never_return(void *arg)
{
    (void)arg;
    kin__switch(&abandoned, home, "from then");
    unreached();
}

TEST(a_then_that_never_returns_leaves_the_target_suspended_as_it_was)
{
    unsigned char copy[4096];
    unsigned char *stack = new_stack();
    char base[1];
    void *target = kin__switch_make(stack + STACK_SIZE - 4096, count_up);

    for (int i = 1; i <= 3; i++) {      /* new at first, then suspended */
        memcpy(copy, target, sizeof copy);
        CHECK_STR(kin__switch_then(&home, target, never_return, NULL),
                  "from then");
        CHECK(memcmp(copy, target, sizeof copy) == 0);
        CHECK((uintptr_t)abandoned < (uintptr_t)target);
        CHECK_PTR(kin__switch(&home, target, base), base + 1);
        target = away;
    }
}

static NOINLINE void pass_on(void *arg)
{
    void *mine;
    kin__switch(&mine, *(void **)arg, &mine);       /* and is continued */
}

static void serve(void *value)
{
    for (;;)                            /* value: who is inside its then */
        value = kin__switch(&away, *(void **)value, NULL);
}

TEST(then_may_suspend_and_return_later)
{
    void *server = new_context(serve), *order = server;
    void *target = new_context(see_alignment);
    void *value = kin__switch_then(&home, target, pass_on, &order);
    CHECK_PTR(value, &order);
}

/* --- Red zone ------------------------------------------------------------ */

#if defined(__x86_64__)
/* Keeps a pattern in its red zone while other contexts run. */
static NOINLINE NO_ASAN int keep_red_zone(void **from, void *to)
{
    int wrong;
    __asm__ volatile(
        "movl $16, %%ecx\n"
        "1: movq %%rcx, -136(%%rsp, %%rcx, 8)\n"        /* -128 ... -8 */
        "   decl %%ecx\n jnz 1b\n"
        "leaq -128(%%rsp), %%rsp\n"
        "movq %%rsp, %%rbx\n andq $-16, %%rsp\n"
        "xorl %%edx, %%edx\n"
        "call kin__switch\n"
        "movq %%rbx, %%rsp\n"
        "leaq 128(%%rsp), %%rsp\n"
        "xorl %%eax, %%eax\n movl $16, %%ecx\n"
        "2: cmpq %%rcx, -136(%%rsp, %%rcx, 8)\n je 3f\n incl %%eax\n"
        "3: decl %%ecx\n jnz 2b\n"
        : "=a"(wrong), "+D"(from), "+S"(to)
        :
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return wrong;
}

static int red_zone_wrong = -1;

/* The stack below keep_red_zone's own use must not hold anything of ours. */
static void red_zone_entry(void *value)
{
    (void)value;
    __asm__ volatile("" : : "r"(__builtin_alloca(512)) : "memory");
    red_zone_wrong = keep_red_zone(&away, home);
    kin__switch(&away, home, NULL);
}

static NOINLINE void dirty_the_stack(void *arg)
{
    volatile unsigned char dirt[4096];
    for (size_t i = 0; i < sizeof dirt; i++)
        dirt[i] = 0xdd;
    (void)arg;
}

TEST(a_red_zone_survives_what_then_does_below_it)
{
    kin__switch(&home, new_context(red_zone_entry), NULL);
    kin__switch_then(&home, away, dirty_the_stack, NULL);
    CHECK_EQ(red_zone_wrong, 0);
}
#endif

/* --- Landing pads --------------------------------------------------------- */

#if defined(__aarch64__) && defined(__ARM_FEATURE_BTI_DEFAULT)
/* Calls a function that has no landing pad. */
void call_without_landing(void);
__asm__(".text\n .type call_without_landing, %function\n"
        ".globl call_without_landing\n .hidden call_without_landing\n"
        "call_without_landing:\n hint #34\n"
        " stp x29, x30, [sp, #-16]!\n adr x9, 1f\n blr x9\n"
        " ldp x29, x30, [sp], #16\n ret\n"
        "1: ret\n"
        ".size call_without_landing, . - call_without_landing\n");

TEST(branch_targets_are_enforced_while_these_tests_run)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        call_without_landing();
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        SKIP("this CPU or kernel does not enforce BTI");
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGILL);
}

TEST(entry_and_then_are_valid_branch_targets)
{
    static void *(*volatile indirectly)(void **, void *, void (*)(void *),
                                        void *) = kin__switch_then;
    void *(*volatile make)(void *, void (*)(void *)) = kin__switch_make;
    char base[1];
    unsigned char *stack = new_stack();
    away = make(stack + STACK_SIZE, count_up);
    CHECK_PTR(indirectly(&home, away, ignore, base), base + 1);
}
#endif

TEST_MAIN
