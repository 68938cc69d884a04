/* step.c -- counting instructions by the trap flag. */
#include "bench/step.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>

#if !defined(__x86_64__)
#error "the trap flag is x86-64's"
#endif

static struct step_counts counts;
void (*step_visit)(uintptr_t address);

/* Functions that are counted when control arrives at their first byte. */
struct watched {
    const char *name;
    long *count;
    uintptr_t address;
};

static struct watched watched[] = {
    { "malloc", &counts.allocations, 0 },
    { "calloc", &counts.allocations, 0 },
    { "realloc", &counts.allocations, 0 },
    { "free", &counts.allocations, 0 },
    { "aligned_alloc", &counts.allocations, 0 },
    { "posix_memalign", &counts.allocations, 0 },
    { "pthread_mutex_lock", &counts.mutexes, 0 },
    { "pthread_mutex_trylock", &counts.mutexes, 0 },
    { "pthread_cond_wait", &counts.mutexes, 0 },
    { "pthread_cond_signal", &counts.mutexes, 0 },
    { "pthread_cond_broadcast", &counts.mutexes, 0 },
    { "pthread_rwlock_rdlock", &counts.mutexes, 0 },
    { "pthread_rwlock_wrlock", &counts.mutexes, 0 },
    { "pthread_spin_lock", &counts.mutexes, 0 },
};
enum { WATCHED = sizeof watched / sizeof *watched };

static bool is_legacy_prefix(unsigned char byte)
{
    return byte == 0x66 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e
        || byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64
        || byte == 0x65 || byte == 0xf0;
}

/* What is about to be executed. */
static void look_at(const unsigned char *code)
{
    bool locked = false;

    for (; is_legacy_prefix(*code); code++)
        locked |= *code == 0xf0;
    if ((*code & 0xf0) == 0x40)                         /* REX */
        code++;
    if ((code[0] & 0xfe) == 0x86 && code[1] < 0xc0)     /* xchg, memory */
        locked = true;
    if (code[0] == 0x0f && code[1] == 0x05)
        counts.syscalls++;
    counts.locked += locked;
    counts.instructions++;
}

static bool is_free_of_null(const struct watched *function,
                            const ucontext_t *at)
{
    return at->uc_mcontext.gregs[REG_RDI] == 0
        && strcmp(function->name, "free") == 0;
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    const ucontext_t *at = context;
    uintptr_t ip = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];

    (void)number, (void)info;
    look_at((const unsigned char *)ip);
    for (int i = 0; i < WATCHED; i++)
        if (watched[i].address == ip)
            *watched[i].count += !is_free_of_null(&watched[i], at);
    if (step_visit)
        step_visit(ip);
}

static void prepare(void)
{
    static char stack[65536];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

    for (int i = 0; i < WATCHED; i++) {
        watched[i].address = (uintptr_t)dlsym(RTLD_DEFAULT, watched[i].name);
        if (!watched[i].address) {
            fprintf(stderr, "step: no %s\n", watched[i].name);
            exit(1);
        }
    }
    action.sa_sigaction = on_trap;
    sigaltstack(&alternate, NULL);
    sigaction(SIGTRAP, &action, NULL);
}

void step_begin(void)
{
    static bool prepared;

    if (!prepared)
        prepare();
    prepared = true;
    memset(&counts, 0, sizeof counts);
    __asm__ volatile("pushfq\n\t"
                     "orq $0x100, (%%rsp)\n\t"
                     "popfq" : : : "memory", "cc");
}

struct step_counts step_end(void)
{
    __asm__ volatile("pushfq\n\t"
                     "andq $~0x100, (%%rsp)\n\t"
                     "popfq" : : : "memory", "cc");
    return counts;
}
