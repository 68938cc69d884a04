/* job/context.h -- a context from inside, for what looks at it all the time.
 *
 * A context of one element owns what the element needs (a reference to the
 * value, the text of a name).  A sum refers to the contexts of one that it
 * consists of, so the value of an element is retained once, and released once,
 * however many sums it is in. */
#ifndef KIN_JOB_CONTEXT_H
#define KIN_JOB_CONTEXT_H

#include "kin/context.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kin__element {
    const kin_key *key;
    void *value;
    kin_context *one;               /* the context of just this element;
                                       retained, but by itself               */
};

/* Constant, but for refs; the empty one is in static memory. */
struct kin_context {
    _Atomic size_t refs;
    size_t count;
    uint32_t thread_elements;       /* how many have an update               */
    bool copyable;                  /* one has a copy                        */
    bool foreign;                   /* one has a release of the user's       */
    kin_job *job;                   /* these four: values of the elements of */
    kin_dispatcher *dispatcher;     /* that name, or NULL                    */
    const char *name;
    const kin_handler *handler;
    _Atomic(kin_context *) moved;   /* this one with another dispatcher, or
                                       NULL: kin__context_on()               */
    const kin_element_ops *ops;     /* of the value, in a context of one     */
    struct kin__element elements[]; /* in order; the dispatcher is the last  */
};

/* Borrowed, or NULL; NULL is fine as a context. */
static inline kin_job *kin__context_job(const kin_context *context)
{
    return context ? context->job : NULL;
}

static inline kin_dispatcher *
kin__context_dispatcher(const kin_context *context)
{
    return context ? context->dispatcher : NULL;
}

static inline const char *kin__context_name(const kin_context *context)
{
    return context ? context->name : NULL;
}

static inline const kin_handler *
kin__context_handler(const kin_context *context)
{
    return context ? context->handler : NULL;
}

/* context + brought (may be NULL), as a child gets it: copyable elements of
 * context are copied, or merged with what is brought.  A new reference; NULL
 * without memory. */
kin_context *kin__context_inherit(kin_context *context,
                                  kin_context *brought);

/* context with that dispatcher instead of its own.  *owned: a reference is the
 * caller's; else it lives as long as context does, which keeps one that has
 * Default or IO.  NULL without memory. */
kin_context *kin__context_on(kin_context *context, kin_dispatcher *dispatcher,
                             bool *owned);

/* As kin_context_of, with a value whose reference is taken. */
kin_context *kin__context_of_taken(const kin_key *key, void *value,
                                   const kin_element_ops *ops);

#endif /* KIN_JOB_CONTEXT_H */
