/* core/fork.h -- the child of a fork in a program that runs kin.
 *
 * It has one thread, and whatever the others held is held for ever.  So if kin
 * ran something (it has threads of its own, or the fork came from inside a
 * frame), the child may exec or _exit, and no more: each call that would run
 * something says so and is refused, and a fiber that goes on to its next switch
 * ends the child with that report.  Found off the hot paths, by way of what
 * they look at anyway: `no_suspend`, a frame's functions, a dispatcher's. */
#ifndef KIN_CORE_FORK_H
#define KIN_CORE_FORK_H

#include <stdbool.h>

/* In a child: set, and constant, from before its first instruction. */
extern bool kin__is_forked;

/* To be called in such a child, by its only thread: what the layer above has
 * to change. */
extern void (*kin__fork_child)(void);

/* Before anything runs, and before a thread is made.  Twice is fine. */
void kin__fork_watch(void);

/* KIN_EPERM, reported: function must not be called in such a child. */
int kin__fork_refuse(const char *function);

#endif /* KIN_CORE_FORK_H */
