/* core/valgrind.h -- what Valgrind must be told of stacks.
 *
 * With its header at hand the requests are in every build, and cost a few
 * instructions when the program does not run under Valgrind; without it they
 * are nothing. */
#ifndef KIN_CORE_VALGRIND_H
#define KIN_CORE_VALGRIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <valgrind/memcheck.h>
#pragma GCC diagnostic pop
#define KIN__VALGRIND 1
#endif
#endif

#ifdef KIN__VALGRIND

static inline bool kin__on_valgrind(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

/* The stack occupies [base, top); returns its number. */
static inline uint32_t kin__valgrind_stack(const void *base, const void *top)
{
    return (uint32_t)VALGRIND_STACK_REGISTER(base, top);
}

static inline void kin__valgrind_stack_gone(uint32_t number)
{
    VALGRIND_STACK_DEREGISTER(number);
}

/* What was a stack is plain memory again. */
static inline void kin__valgrind_memory(void *base, size_t size)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(base, size);
}

#else

static inline bool kin__on_valgrind(void)
{
    return false;
}

static inline uint32_t kin__valgrind_stack(const void *base, const void *top)
{
    (void)base;
    (void)top;
    return 0;
}

static inline void kin__valgrind_stack_gone(uint32_t number)
{
    (void)number;
}

static inline void kin__valgrind_memory(void *base, size_t size)
{
    (void)base;
    (void)size;
}

#endif
#endif /* KIN_CORE_VALGRIND_H */
