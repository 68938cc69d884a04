/* asm/switch_boost.c -- the switch on Boost.Context's fcontext, for other
 * CPUs and to compare with (make CONTEXT=boost).
 *
 * A suspended context is an fcontext.  Boost tells its address not to the
 * side that leaves but to the side that arrives, so every arrival first
 * stores it where the leaving side wants it (struct parcel); nothing else runs
 * in between.
 *
 * Boost's own ontop_fcontext is not used for kin__switch_then: it takes the
 * target's frame down before it calls, so that a callee that never returns
 * loses the target.  Instead `then` is the entry of a short-lived context
 * made below the target's frame, on the target's stack.  An fcontext is the
 * stack pointer on every CPU that Boost supports, with nothing live below.
 */
#if defined(KIN_CONTEXT_BOOST)
#include "asm/switch.h"

#include <stddef.h>

struct transfer {                   /* Boost's, from detail/fcontext.hpp */
    void *fctx;                     /* the context that was left */
    void *data;
};

struct transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *top, size_t size, void (*fn)(struct transfer));

struct parcel {                     /* on the stack that is left */
    void **from;                    /* NULL: nobody will continue it */
    void *value;
};

struct order {                      /* on the stack that is left */
    void **from;
    void *to;
    void (*then)(void *arg);
    void *arg;
};

static void *receive(struct transfer got)
{
    struct parcel parcel = *(struct parcel *)got.data;
    if (parcel.from)
        *parcel.from = got.fctx;
    return parcel.value;
}

void *kin__switch(void **from, void *to, void *value)
{
    struct parcel parcel = { from, value };
    return receive(jump_fcontext(to, &parcel));
}

static void run_then(struct transfer got)
{
    struct order order = *(struct order *)got.data;
    struct parcel parcel = { NULL, order.arg };
    *order.from = got.fctx;
    order.then(order.arg);
    jump_fcontext(order.to, &parcel);
    __builtin_unreachable();
}

void *kin__switch_then(void **from, void *to, void (*then)(void *arg),
                       void *arg)
{
    struct order order = { from, to, then, arg };
    void *below = make_fcontext(to, KIN__SWITCH_FRAME_MAX, run_then);
    return receive(jump_fcontext(below, &order));
}

/* Goes back to its maker at once, holding the entry in its own frame. */
static void start(struct transfer maker)
{
    void (*entry)(void *) = *(void (**)(void *))maker.data;
    entry(receive(jump_fcontext(maker.fctx, NULL)));
    __builtin_trap();
}

void *kin__switch_make(void *top, void (*entry)(void *value))
{
    void *fresh = make_fcontext(top, KIN__SWITCH_FRAME_MAX, start);
    return jump_fcontext(fresh, &entry).fctx;
}

#else
typedef int kin__not_an_empty_file;
#endif
