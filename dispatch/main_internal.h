/* dispatch/main_internal.h -- what main.c lends those who tie Main to a loop of
 * the system's. */
#ifndef KIN_DISPATCH_MAIN_INTERNAL_H
#define KIN_DISPATCH_MAIN_INTERNAL_H

/* On Main's thread: untie() is called by kin_main_detach, when it cannot fail
 * any more and the descriptor is still open. */
void kin__main_on_detach(void (*untie)(void));

#endif /* KIN_DISPATCH_MAIN_INTERNAL_H */
