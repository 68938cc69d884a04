/* asm_unwind_test.c -- a debugger or profiler that stops anywhere in the
 * switch finds its way to the callers, and never past a context's root.
 *
 * On x86-64 the trap flag stops the program after every instruction; in the
 * signal handler libgcc's unwinder walks the stack, and whenever the program
 * stands inside the switch, the chain of functions must be exactly the one
 * that belongs to the stack in use: the handler on a stack of its own, and
 * once more on the very stack, where a stray stack pointer kills.  Then gdb
 * does the same walk. */
#include "tests/check.h"

#include "asm/switch.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <unistd.h>
#include <unwind.h>

#if defined(__has_include)
#  if __has_include(<valgrind/valgrind.h>)
#    include <valgrind/valgrind.h>
#  endif
#endif
#ifndef RUNNING_ON_VALGRIND
#  define RUNNING_ON_VALGRIND 0
#  define VALGRIND_STACK_REGISTER(start, end) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define SANITIZED 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define SANITIZED 1
#  endif
#endif
#ifndef SANITIZED
#  define SANITIZED 0
#endif

#if defined(__x86_64__)
#  define IS_NATIVE (!SANITIZED && !RUNNING_ON_VALGRIND)
#else
#  define IS_NATIVE 0                   /* perhaps an emulator */
#endif

#if defined(KIN_CONTEXT_BOOST)
#  define SKIP_UNLESS_OURS() SKIP("Boost's switch is not ours to describe")
#else
#  define SKIP_UNLESS_OURS() ((void)0)
#endif

/* A frame of its own: never inlined, never a tail call, never a copy. */
#if defined(__clang__)
#  define FRAME   __attribute__((noinline))
#else
#  define FRAME   __attribute__((noipa))
#endif
#define NO_TAIL() __asm__ volatile("" : : : "memory")

enum { STACK_SIZE = 256 * 1024, FRAMES_MAX = 64 };

/* Where a new context begins: the root of every chain in it. */
extern char kin__switch_start[] __attribute__((visibility("hidden")));

/* Where x86-64's switches leave; jumped to. */
extern char kin__switch_leave[] __attribute__((visibility("hidden")));
extern char kin__switch_leave_then[] __attribute__((visibility("hidden")));

static void *home, *away;
static unsigned char *stack;

static void make_context(void (*entry)(void *))
{
    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    (void)VALGRIND_STACK_REGISTER(stack, (char *)stack + STACK_SIZE);
    away = kin__switch_make(stack + STACK_SIZE, entry);
}

/* --- Walking ------------------------------------------------------------- */

#if defined(__x86_64__)
/* rbx rbp r12-r15, as the unwinder numbers them. */
enum { SAVED = 6 };
static const int saved_dwarf[SAVED] = { 3, 6, 12, 13, 14, 15 };
#else
enum { SAVED = 1 };
static const int saved_dwarf[SAVED] = { 19 };
#endif

struct saved {
    uintptr_t value[SAVED];
};

struct walk {
    uintptr_t function[FRAMES_MAX];     /* innermost first */
    struct saved saved[FRAMES_MAX];     /* callee-saved registers in it */
    int length;
    _Unwind_Reason_Code end;
};

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    if (_Unwind_GetIP(context) == 0)    /* libgcc's word for "no caller" */
        return _URC_NO_REASON;
    if (walk->length == FRAMES_MAX)
        return _URC_NORMAL_STOP;
    for (int i = 0; i < SAVED; i++)
        walk->saved[walk->length].value[i] =
            _Unwind_GetGR(context, saved_dwarf[i]);
    walk->function[walk->length++] = _Unwind_GetRegionStart(context);
    return _URC_NO_REASON;
}

static FRAME struct walk walk_from_here(void)
{
    struct walk walk = { .length = 0 };
    walk.end = _Unwind_Backtrace(step, &walk);
    return walk;
}

static int find(const struct walk *walk, const void *function)
{
    int i = 0;
    while (i < walk->length && walk->function[i] != (uintptr_t)function)
        i++;
    return i;
}

/* Is it `chain`, innermost first, NULL-terminated, from frame i on?  And does
 * the walk come to an end, with the chain's last function if `whole`? */
static bool is_chain(const struct walk *walk, int i, const void *const *chain,
                     bool whole)
{
    for (; *chain; chain++, i++)
        if (i >= walk->length || walk->function[i] != (uintptr_t)*chain)
            return false;
    return walk->end == _URC_END_OF_STACK && (!whole || i == walk->length);
}

#define CHAIN(...) ((const void *const[]){ __VA_ARGS__, NULL })
#define FN(f)      ((const void *)(uintptr_t)(f))

/* --- Inside a context ---------------------------------------------------- */

static struct walk inside;

FRAME void kin_test_innermost(void)
{
    inside = walk_from_here();
    NO_TAIL();
}

FRAME void kin_test_deep(int depth)
{
    if (depth > 0)
        kin_test_deep(depth - 1);
    else
        kin_test_innermost();
    NO_TAIL();
}

FRAME void kin_test_entry(void *value)
{
    (void)value;
    kin_test_deep(2);
    kin__switch(&away, home, NULL);
    NO_TAIL();
}

TEST(a_backtrace_inside_a_context_ends_at_its_root)
{
    SKIP_UNLESS_OURS();
    make_context(kin_test_entry);
    kin__switch(&home, away, NULL);
    CHECK(is_chain(&inside, find(&inside, FN(kin_test_innermost)),
                   CHAIN(FN(kin_test_innermost), FN(kin_test_deep),
                         FN(kin_test_deep), FN(kin_test_deep),
                         FN(kin_test_entry), kin__switch_start), true));
}

static FRAME void look_from_then(void *arg)
{
    (void)arg;
    kin_test_innermost();
    NO_TAIL();
}

FRAME void kin_test_wait(void)
{
    kin__switch(&away, home, NULL);
    NO_TAIL();
}

FRAME void kin_test_waiter_here(void *value)
{
    (void)value;
    for (;;)
        kin__switch_here(&away, home, NULL);
}

FRAME void kin_test_waiter(void *value)
{
    (void)value;
    for (;;)
        kin_test_wait();
}

/* What calls `then`, and what a context waits in that called kin__switch. */
#if defined(__x86_64__)
#define THEN_CALLER   kin__switch_leave_then
#define SWITCH_CALLED FN(kin__switch),
#else
#define THEN_CALLER   FN(kin__switch_then)
#define SWITCH_CALLED
#endif

TEST(a_backtrace_inside_then_goes_through_the_frames_of_the_target)
{
    SKIP_UNLESS_OURS();
    make_context(kin_test_waiter);
    kin__switch_then(&home, away, look_from_then, NULL);    /* a new one */
    CHECK(is_chain(&inside, find(&inside, FN(look_from_then)),
                   CHAIN(FN(look_from_then), THEN_CALLER,
                         kin__switch_start), true));
    kin__switch_then(&home, away, look_from_then, NULL);    /* suspended */
    CHECK(is_chain(&inside, find(&inside, FN(look_from_then)),
                   CHAIN(FN(look_from_then), THEN_CALLER, SWITCH_CALLED
                         FN(kin_test_wait), FN(kin_test_waiter),
                         kin__switch_start), true));
}

TEST(a_backtrace_outside_is_not_changed_by_switching)
{
    struct walk before = walk_from_here();
    make_context(kin_test_waiter);
    kin__switch(&home, away, NULL);
    kin__switch_then(&home, away, look_from_then, NULL);
    struct walk after = walk_from_here();
    CHECK_EQ(before.end, _URC_END_OF_STACK);
    CHECK_EQ(after.end, _URC_END_OF_STACK);
    CHECK_EQ(before.length, after.length);
}

/* --- Step by step -------------------------------------------------------- */

#if defined(__x86_64__) && !defined(KIN_CONTEXT_BOOST)

enum { TRAP_FLAG = 0x100 };

/* As a signal's context numbers them. */
static const int saved_greg[SAVED] = { REG_RBX, REG_RBP, REG_R12, REG_R13,
                                       REG_R14, REG_R15 };

static struct {
    bool on;
    int in_switch, in_then, in_start;   /* instructions seen in each */
    int in_leave, in_leave_then;
    int on_context;                     /* of these, on the context's stack */
    int wrong;
    struct walk first_wrong;
    uintptr_t wrong_pc;
    const void *hop;                    /* who left the first stack */
    struct saved caller[2];             /* by stack: what the caller of the */
    bool is_known[2];                   /* switch had in its registers */
} steps;

FRAME void kin_test_hop(void)
{
    steps.hop = FN(kin_test_hop);
    kin__switch(&home, away, NULL);
    NO_TAIL();
}

/* Inlined: the compiler decides what is in registers, so they say nothing. */
FRAME void kin_test_hop_here(void)
{
    steps.hop = FN(kin_test_hop_here);
    steps.is_known[0] = false;
    kin__switch_here(&home, away, NULL);
    NO_TAIL();
}

static FRAME void do_nothing(void *arg)
{
    (void)arg;
    NO_TAIL();
}

FRAME void kin_test_hop_then_here(void)
{
    steps.hop = FN(kin_test_hop_then_here);
    steps.is_known[0] = false;
    kin__switch_then_here(&home, away, do_nothing, NULL);
    NO_TAIL();
}

FRAME void kin_test_hop_then(void)
{
    steps.hop = FN(kin_test_hop_then);
    kin__switch_then(&home, away, do_nothing, NULL);
    NO_TAIL();
}

/* The frame of whoever called the switch that frame i is in. */
static int caller_of(const struct walk *walk, int i)
{
    int below = i + 1;

    if (below < walk->length &&
        (walk->function[below] == (uintptr_t)kin__switch ||
         walk->function[below] == (uintptr_t)kin__switch_then))
        below++;
    return below;
}

/* What must come from frame i on. */
static bool is_right(const struct walk *walk, int i, bool in_start,
                     bool on_context)
{
    if (in_start)
        return on_context && i == walk->length;
    if (!on_context)
        return is_chain(walk, i, CHAIN(steps.hop), false);
    return is_chain(walk, i, CHAIN(kin__switch_start), true) ||
           is_chain(walk, i, CHAIN(FN(kin_test_wait), FN(kin_test_waiter),
                                   kin__switch_start), true) ||
           is_chain(walk, i, CHAIN(FN(kin_test_waiter_here),
                                   kin__switch_start), true);
}

/* The function of the switch that pc is in, counted; 0: in none. */
static uintptr_t function_at(uintptr_t pc)
{
    struct {
        const void *start;
        int *count;
    } functions[] = {
        { kin__switch_leave, &steps.in_leave },
        { kin__switch_leave_then, &steps.in_leave_then },
        { FN(kin__switch), &steps.in_switch },
        { FN(kin__switch_then), &steps.in_then },
        { kin__switch_start, &steps.in_start },
        { FN(kin__switch_make), NULL },
    };

    for (int i = 0; functions[i].count; i++)
        if (pc >= (uintptr_t)functions[i].start &&
            pc < (uintptr_t)functions[i + 1].start) {
            ++*functions[i].count;
            return (uintptr_t)functions[i].start;
        }
    return 0;
}

static FRAME void look(const greg_t *regs)
{
    uintptr_t pc = (uintptr_t)regs[REG_RIP], sp = (uintptr_t)regs[REG_RSP];
    uintptr_t function = function_at(pc);
    bool in_start = function == (uintptr_t)kin__switch_start;

    if (!function)
        return;
    bool on_context = sp > (uintptr_t)stack &&
                      sp <= (uintptr_t)stack + STACK_SIZE;
    steps.on_context += on_context;
    if (pc == (uintptr_t)kin__switch || pc == (uintptr_t)kin__switch_then) {
        for (int i = 0; i < SAVED; i++)
            steps.caller[on_context].value[i] = (uintptr_t)regs[saved_greg[i]];
        steps.is_known[on_context] = true;
    }
    struct walk walk = walk_from_here();
    int caller = caller_of(&walk, find(&walk, (void *)function));
    bool right = is_right(&walk, caller, in_start, on_context);
    if (right && steps.is_known[on_context])
        right = memcmp(&walk.saved[caller], &steps.caller[on_context],
                       sizeof(struct saved)) == 0;
    if (!right && steps.wrong++ == 0) {
        steps.first_wrong = walk;
        steps.wrong_pc = pc;
    }
}

/* int3 turns stepping on, and the next one turns it off. */
static void trapped(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signal;
    if (info->si_code == TRAP_TRACE) {
        look(regs);
        return;
    }
    steps.on = !steps.on;
    if (steps.on)
        regs[REG_EFL] |= TRAP_FLAG;
    else
        regs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static void step_through(int flags)
{
    static unsigned char signal_stack[256 * 1024];
    stack_t alternate = { .ss_sp = signal_stack,
                          .ss_size = sizeof signal_stack };
    struct sigaction action = { .sa_sigaction = trapped };

    if (SANITIZED)
        SKIP("a sanitizer's runtime cannot be stepped through");
    if (RUNNING_ON_VALGRIND)
        SKIP("Valgrind has no trap flag");
    walk_from_here();                   /* loads what the unwinder needs */
    action.sa_flags = SA_SIGINFO | flags;
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);

    make_context(kin_test_waiter);
    __asm__ volatile("int3");
    kin_test_hop();                     /* to a new context and back */
    kin_test_hop();                     /* to a suspended one and back */
    kin_test_hop_here();
    kin_test_hop_then();
    kin_test_hop_then_here();
    __asm__ volatile("int3");

    /* To one that has suspended inline. */
    make_context(kin_test_waiter_here);
    steps.is_known[1] = false;
    __asm__ volatile("int3");
    kin_test_hop();
    kin_test_hop_here();
    kin_test_hop_then_here();
    __asm__ volatile("int3");

    /* To a new one with another x87 control word, and back to ours. */
    uint16_t ours = 0x37f, other = 0x77f;
    __asm__ volatile("fldcw %0" : : "m"(other));
    make_context(kin_test_waiter);
    __asm__ volatile("fldcw %0" : : "m"(ours));
    steps.is_known[1] = false;
    __asm__ volatile("int3");
    kin_test_hop_then();
    __asm__ volatile("int3");
    CHECK(!steps.on);
}

static void check_steps(void)
{
    if (steps.wrong > 0) {
        for (int i = 0; i < steps.first_wrong.length; i++)
            fprintf(stderr, "  frame %d: %#lx\n", i,
                    (unsigned long)steps.first_wrong.function[i]);
        FAIL("%d of %d: first at kin__switch%+ld", steps.wrong,
             steps.in_switch + steps.in_then + steps.in_start +
                 steps.in_leave + steps.in_leave_then,
             (long)(steps.wrong_pc - (uintptr_t)kin__switch));
    }
    /* Calls: out and back twice, and back from whatever else called; at least
     * the five pushes and five pops each time.  Leaving: each way, each time */
    CHECK(steps.in_switch > 6 * 10);
    CHECK(steps.in_then > 2 * 10);
    CHECK(steps.in_leave > 10 * 12);
    CHECK(steps.in_leave_then > 4 * 12);
    CHECK(steps.in_start >= 2 * 2);
    CHECK(steps.on_context > steps.in_switch / 2);
}

TEST(every_instruction_unwinds_from_a_signal_stack)
{
    step_through(SA_ONSTACK);
    check_steps();
}

TEST(every_instruction_unwinds_from_the_stack_in_use)
{
    step_through(0);
    check_steps();
}

#endif

/* --- gdb ----------------------------------------------------------------- */

/* Runs gdb with these commands on a test of this program, in one process. */
static char *gdb(const char *commands, const char *test)
{
    static char output[1 << 20];
    char self[512], line[1024], script[] = "/tmp/kin_gdb_XXXXXX";

    SKIP_UNLESS_OURS();
    if (!IS_NATIVE)
        SKIP("gdb is tried on the plain program");
    if (system("command -v gdb > /dev/null 2>&1") != 0)
        SKIP("no gdb here");
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    self[n] = 0;

    int fd = mkstemp(script);
    CHECK(fd >= 0);
    CHECK(write(fd, commands, strlen(commands)) == (ssize_t)strlen(commands));
    close(fd);
    snprintf(line, sizeof line,
             "DEBUGINFOD_URLS= gdb -nx -batch -x %s --args '%s' -d %s "
             "< /dev/null 2>&1", script, self, test);
    FILE *pipe = popen(line, "r");
    CHECK(pipe != NULL);
    size_t length = fread(output, 1, sizeof output - 1, pipe);
    output[length] = 0;
    pclose(pipe);
    unlink(script);
    if (strstr(output, "ptrace:") || strstr(output, "Could not trace"))
        SKIP("gdb may not trace a program here");
    return output;
}

/* Without its prefix: some gdbs take kin__x for Ada's kin.x. */
#define ROOT "switch_start ("

static int count(const char *text, const char *word)
{
    int n = 0;
    while ((text = strstr(text, word)) != NULL)
        n++, text += strlen(word);
    return n;
}

static void check_clean(const char *output)
{
    if (strstr(output, "Backtrace stopped") || strstr(output, " ?? "))
        FAIL("gdb lost its way: %.1500s", output);
}

TEST(the_backtrace_of_gdb_inside_a_context_ends_at_its_root)
{
    char *output = gdb("break kin_test_innermost\n" "run\n" "bt\n",
                       "a_backtrace_inside_a_context_ends_at_its_root");
    check_clean(output);
    CHECK(strstr(output, "#0 ") != NULL);
    CHECK(strstr(output, "kin_test_innermost") != NULL);
    char *root = strstr(output, ROOT);
    CHECK(root != NULL);
    CHECK(strstr(root, "\n#") == NULL);         /* nothing above it */
}

TEST(gdb_unwinds_at_every_instruction_of_a_switch)
{
    char *output = gdb("break kin_test_entry\n" "run\n" "delete\n"
                       "break *kin__switch\n" "continue\n" "delete\n"
                       "set $i = 0\n"
                       "while $i < 50\n" "  bt\n" "  stepi\n"
                       "  set $i = $i + 1\n" "end\n",
                       "a_backtrace_inside_a_context_ends_at_its_root");
    check_clean(output);
    CHECK_EQ(count(output, "\n#0 "), 50);
    CHECK(count(output, ROOT) >= 10);           /* before rsp moves */
    CHECK(count(output, "main (") >= 10);       /* and after */
}

TEST_MAIN
