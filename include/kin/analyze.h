/* kin/analyze.h -- who may suspend, checked by the compiler.
 *
 * Suspension is a property of a function: each one here that suspends says so
 * with KIN_SUSPENDS.  Say it of yours that call one, and clang proves that
 * nobody forgot:
 *
 *     KIN_SUSPENDS
 *     static int say_later(kin_scope *scope, void *arg)
 *     {
 *         KIN_TRY(kin_delay(KIN_MS(5)));
 *         ...
 *
 *     clang -fsyntax-only -Wthread-safety -DKIN_ANALYZE -I... file.c
 *
 * reports each call of such a function in one that does not say so: a callback
 * that must not suspend, main(), a function that you believed harmless.  The
 * right to suspend begins where kin calls a body through its pointer, which
 * needs no right; so a body is marked like any other function.
 *
 * Locks of yours can be told to it as well, with clang's own attributes; what
 * KIN_SUSPENDS adds is that no function so marked may be called in a section
 * that acquires kin__no_suspension (KIN_NO_SUSPENSION_BEGINS, …_ENDS).
 *
 * Without KIN_ANALYZE, and for other compilers, all of it is empty.
 *
 * Layer: core. */
#ifndef KIN_ANALYZE_H
#define KIN_ANALYZE_H

#if defined(__clang__) && defined(KIN_ANALYZE)

#define KIN__ANALYZED(attribute) __attribute__((attribute))

/* Stand for a right and for a section; never defined, never read. */
struct KIN__ANALYZED(capability("right")) kin__right {
    char unused;
};
extern struct kin__right kin__may_suspend, kin__no_suspension;

#define KIN_SUSPENDS                                                    \
    KIN__ANALYZED(requires_capability(kin__may_suspend))                \
    KIN__ANALYZED(locks_excluded(kin__no_suspension))

#else
#define KIN__ANALYZED(attribute)
#define KIN_SUSPENDS
#endif

/* Of a function of yours that begins or ends a section in which nothing may
 * suspend: one that takes, or gives back, a lock. */
#define KIN_NO_SUSPENSION_BEGINS                                        \
    KIN__ANALYZED(acquire_capability(kin__no_suspension))
#define KIN_NO_SUSPENSION_ENDS                                          \
    KIN__ANALYZED(release_capability(kin__no_suspension))

/* Of a function in which calls are not checked: one that suspends where it has
 * no right to, to see what happens. */
#define KIN_UNCHECKED KIN__ANALYZED(no_thread_safety_analysis)

#endif /* KIN_ANALYZE_H */
