/* overflow.c -- tells a stack overflow, then lets the process die of it.
 *
 * Two pieces of evidence: the address that was accessed, and the interrupted
 * stack pointer.
 *
 *   access in the guard of the running stack                    usual recursion
 *   stack pointer below the running stack, wherever the access  a frame or an
 *     was                                  alloca that jumped over the guard
 *
 * The handler only reads memory that cannot go away (the descriptors of slabs,
 * the record of a stack in use), formats by hand into a buffer on the
 * alternate stack, and writes once.
 *
 * It never restores anything: if the former handler returns, or jumps out, so
 * does ours. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/overflow.h"

#include "core/memory.h"
#include "core/stack_internal.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Besides the signal frame: our own frames, and what a handler before ours
 * may need (a backtrace). */
#define HANDLER_LEAST ((size_t)8 << 10)
#define HANDLER_BYTES ((size_t)32 << 10)

/* A stack pointer further below a stack is not its overflow. */
#define JUMP_MAX ((uintptr_t)256 << 20)

void (*kin__overflow_describe)(const struct kin__stack *stack, char *buffer,
                               size_t size);
const struct kin__stack *(*kin__overflow_running)(void);

static const int signals[2] = { SIGSEGV, SIGBUS };

/* Written before our handler is installed. */
static struct sigaction formers[2];

/* relaxed: SA_RESETHAND of a former handler, once called. */
static atomic_bool is_spent[2];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_refused;                 /* lock */
static bool is_started;                 /* lock: there are stacks */
static bool is_installed;               /* lock */

/* --- Text, in a signal handler ---------------------------------------- */

struct text {
    size_t length;
    char buffer[1536];
};

static void add(struct text *text, const char *string)
{
    while (*string && text->length < sizeof text->buffer)
        text->buffer[text->length++] = *string++;
}

static void add_number(struct text *text, uintptr_t number, unsigned base)
{
    char digits[24];
    char *at = digits + sizeof digits - 1;

    *at = '\0';
    do {
        *--at = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    add(text, base == 16 ? "0x" : "");
    add(text, at);
}

static void add_size(struct text *text, size_t bytes)
{
    bool is_round = bytes >= 1024 && bytes % 1024 == 0;

    add_number(text, is_round ? bytes / 1024 : bytes, 10);
    add(text, is_round ? " KiB" : " bytes");
}

static void add_thread(struct text *text)
{
    char name[16] = "";

    prctl(PR_GET_NAME, name);
    name[sizeof name - 1] = '\0';
    add(text, "thread ");
    add_number(text, (uintptr_t)syscall(SYS_gettid), 10);
    add(text, " (");
    add(text, name);
    add(text, ")");
}

static void add_fiber(struct text *text, const struct kin__stack *stack)
{
    char name[768] = "";

    if (kin__overflow_describe)
        kin__overflow_describe(stack, name, sizeof name);
    add(text, name[0] ? name : "a fiber");
}

static void tell(const struct kin__stack *stack, uintptr_t address,
                 uintptr_t sp)
{
    size_t size = KIN__STACK_MIN_SIZE << stack->size_class;
    size_t wider = size < KIN_STACK_SIZE_MAX ? 2 * size : size;
    size_t high_water = kin__stack_high_water(stack);
    struct text text;

    text.length = 0;
    add(&text, "kin: stack overflow: ");
    add_fiber(&text, stack);
    add(&text, "\nkin:   on ");
    add_thread(&text);
    add(&text, ", stack of ");
    add_size(&text, size);
    add(&text, " from ");
    add_number(&text, (uintptr_t)stack->base, 16);
    add(&text, ", stack pointer ");
    add_number(&text, sp, 16);
    add(&text, ", access to ");
    add_number(&text, address, 16);
    add(&text, "\nkin:   most used on this stack before: ");
    add(&text, high_water <= 4096 ? "at most " : "");
    add_size(&text, high_water <= 4096 ? 4096 : high_water);
    add(&text, "; give its launch a bigger one: .stack_size = ");
    add_number(&text, wider, 10);
    add(&text, "\n");
    if (write(STDERR_FILENO, text.buffer, text.length) < 0)
        return;                         /* nobody to tell that to */
}

/* --- Evidence --------------------------------------------------------- */

/* The interrupted stack pointer; 0: not known on this CPU. */
#if defined(__x86_64__)
static uintptr_t interrupted_sp(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}
#elif defined(__aarch64__)
static uintptr_t interrupted_sp(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.sp;
}
#else
static uintptr_t interrupted_sp(const ucontext_t *context)
{
    (void)context;
    return 0;
}
#endif

static bool is_on_alternate_stack(const ucontext_t *context, uintptr_t sp)
{
    const stack_t *stack = &context->uc_stack;

    return !(stack->ss_flags & SS_DISABLE) &&
           sp - (uintptr_t)stack->ss_sp < stack->ss_size;
}

static bool is_in_guard(const struct kin__stack *stack, uintptr_t address)
{
    return address < (uintptr_t)stack->base;
}

/* The stack that ran over, if it was one; the thread ran on `running`. */
static const struct kin__stack *
overflowed_running(const struct kin__stack *running, uintptr_t address,
                   uintptr_t sp)
{
    uintptr_t base = (uintptr_t)running->base;

    if (!running->slab)
        return NULL;
    if (kin__stack_at((const void *)address) == running &&
        is_in_guard(running, address))
        return running;
    return sp != 0 && sp < base && base - sp < JUMP_MAX ? running : NULL;
}

/* Likewise, when it is not known on which stack the thread ran. */
static const struct kin__stack *overflowed_any(uintptr_t address, uintptr_t sp)
{
    const struct kin__stack *hit = kin__stack_at((const void *)address);
    const struct kin__stack *under = kin__stack_at((const void *)sp);

    if (hit && is_in_guard(hit, address) && (!under || under == hit))
        return hit;
    if (under && is_in_guard(under, sp))
        return under;
    return NULL;
}

static const struct kin__stack *overflowed(const siginfo_t *info,
                                           const ucontext_t *context)
{
    uintptr_t address = (uintptr_t)info->si_addr;
    uintptr_t sp = interrupted_sp(context);
    const struct kin__stack *running;

    if (info->si_code <= 0 || is_on_alternate_stack(context, sp))
        return NULL;                    /* sent by someone; a handler's fault */
    running = kin__overflow_running ? kin__overflow_running() : NULL;
    if (running)
        return overflowed_running(running, address, sp);
    return overflowed_any(address, sp);
}

/* --- The handler ------------------------------------------------------ */

/* What the former disposition does: on return, the access is tried again, and
 * now the kernel deals with it. */
static void hand_on_to_system(int number, const siginfo_t *info, bool ignored)
{
    struct sigaction action;

    if (ignored && info->si_code <= 0)
        return;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
    if (info->si_code <= 0)
        raise(number);                  /* pending until we return */
}

static void hand_on(int number, siginfo_t *info, void *context)
{
    unsigned i = number == SIGBUS;
    const struct sigaction *former = &formers[i];
    bool has_info = former->sa_flags & SA_SIGINFO;
    bool is_default = !has_info && former->sa_handler == SIG_DFL;
    bool is_ignored = !has_info && former->sa_handler == SIG_IGN;
    sigset_t before, mask = former->sa_mask;

    if (former->sa_flags & (int)SA_RESETHAND)
        is_default |= atomic_exchange_explicit(&is_spent[i], true,
                                               memory_order_relaxed);
    if (is_default || is_ignored) {
        hand_on_to_system(number, info, is_ignored);
        return;
    }
    sigaddset(&mask, number);
    if (former->sa_flags & SA_NODEFER)
        sigdelset(&mask, number);
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    if (former->sa_flags & SA_NODEFER) {
        sigemptyset(&mask);
        sigaddset(&mask, number);
        pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    }
    if (has_info)
        former->sa_sigaction(number, info, context);
    else
        former->sa_handler(number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int err = errno;
    const struct kin__stack *stack = overflowed(info, context);

    if (stack)
        tell(stack, (uintptr_t)info->si_addr, interrupted_sp(context));
    errno = err;
    hand_on(number, info, context);
}

/* --- Installing ------------------------------------------------------- */

/* Under the lock. */
static void install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < 2; i++) {
        sigaction(signals[i], NULL, &formers[i]);
        atomic_store_explicit(&is_spent[i], false, memory_order_relaxed);
        sigaction(signals[i], &action, NULL);
    }
    is_installed = true;
}

/* Under the lock. */
static void uninstall(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sigaction now;

        sigaction(signals[i], NULL, &now);
        if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
            sigaction(signals[i], &formers[i], NULL);
    }
    is_installed = false;
}

void kin__overflow_install(void)
{
    pthread_mutex_lock(&lock);
    is_started = true;
    if (!is_refused && !is_installed)
        install();
    pthread_mutex_unlock(&lock);
}

void kin_stack_report_overflow(bool on)
{
    pthread_mutex_lock(&lock);
    is_refused = !on;
    if (is_refused && is_installed)
        uninstall();
    if (!is_refused && is_started && !is_installed)
        install();
    pthread_mutex_unlock(&lock);
}

/* --- Alternate stacks ------------------------------------------------- */

/* Lies at the upper end of its mapping: guard, stack, this. */
struct alternate {
    struct alternate *next;
    char *map;
    size_t map_bytes;
    stack_t stack;
    stack_t former;
    bool is_used;
};

static pthread_mutex_t alternates_lock = PTHREAD_MUTEX_INITIALIZER;
static struct alternate *alternates;            /* alternates_lock */

static struct alternate *new_alternate(void)
{
    size_t page = kin__page_size();
    size_t size = kin__page_round(sizeof(struct alternate) + HANDLER_BYTES +
                                  kin__signal_frame_size());
    struct alternate *alternate;
    void *map;

    if (kin__map(page + size, &map) != 0)
        return NULL;
    (void)kin__protect(map, page, PROT_NONE);   /* better open than none */
    alternate = (struct alternate *)(void *)((char *)map + page + size -
                                             sizeof *alternate);
    alternate->map = map;
    alternate->map_bytes = page + size;
    alternate->stack.ss_sp = (char *)map + page;
    alternate->stack.ss_size = size - sizeof *alternate;
    return alternate;
}

/* Under the lock.  One that could not be unmapped, or a new one. */
static struct alternate *get_alternate(void)
{
    struct alternate *alternate = alternates;

    while (alternate && alternate->is_used)
        alternate = alternate->next;
    if (alternate)
        return alternate;
    alternate = new_alternate();
    if (alternate) {
        alternate->next = alternates;
        alternates = alternate;
    }
    return alternate;
}

int kin__overflow_thread_enter(void)
{
    struct alternate *alternate;
    stack_t former;

    if (sigaltstack(NULL, &former) != 0 ||
        (!(former.ss_flags & SS_DISABLE) &&
         former.ss_size >= kin__signal_frame_size() + HANDLER_LEAST))
        return 0;
    pthread_mutex_lock(&alternates_lock);
    alternate = get_alternate();
    if (alternate) {
        alternate->former = former;
        alternate->is_used = sigaltstack(&alternate->stack, NULL) == 0;
    }
    pthread_mutex_unlock(&alternates_lock);
    return alternate ? 0 : KIN_ENOMEM;
}

void kin__overflow_thread_leave(void)
{
    struct alternate **link = &alternates;
    struct alternate *alternate;
    stack_t now;

    if (sigaltstack(NULL, &now) != 0 || now.ss_flags & SS_DISABLE)
        return;
    pthread_mutex_lock(&alternates_lock);
    while (*link && (*link)->stack.ss_sp != now.ss_sp)
        link = &(*link)->next;
    alternate = *link;
    if (alternate && sigaltstack(&alternate->former, NULL) == 0) {
        struct alternate *next = alternate->next;

        alternate->is_used = false;
        if (kin__unmap(alternate->map, alternate->map_bytes) == 0)
            *link = next;
    }
    pthread_mutex_unlock(&alternates_lock);
}
