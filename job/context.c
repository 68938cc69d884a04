/* context.c -- immutable sums of elements.
 *
 * A context has a handful of elements, so it is an array that is searched from
 * the front; a sum is a new array.  A list of pairs would make `a + b` cheaper
 * and every look-up dearer, and look-ups are what happens all the time. */
#include "job/context.h"

#include "job/job.h"
#include "job/ledger.h"

#include "core/check.h"
#include "core/memory.h"
#include "dispatch/dispatcher_more.h"
#include "kin/job.h"

#include <string.h>

const kin_key kin_key_job = { "job" };
const kin_key kin_key_dispatcher = { "dispatcher" };
const kin_key kin_key_name = { "name" };
const kin_key kin_key_handler = { "handler" };

static kin_context empty;

/* --- The values of the four ----------------------------------------------- */

static void release_job(void *job)
{
    kin_job_release(job);
}

static void release_dispatcher(void *dispatcher)
{
    kin_dispatcher_release(dispatcher);
}

static bool same_text(const void *a, const void *b)
{
    return strcmp(a, b) == 0;
}

static bool same_handler(const void *a, const void *b)
{
    const kin_handler *one = a, *other = b;

    return one->fn == other->fn && one->arg == other->arg;
}

static const kin_element_ops job_ops = { .release = release_job };

/* A context of one, in static memory. */
__extension__ static kin_context shield = {
    .count = 1, .job = &kin__non_cancellable, .ops = &job_ops,
    .elements = { { &kin_key_job, &kin__non_cancellable, &shield } },
};
static const kin_element_ops dispatcher_ops = {
    .release = release_dispatcher
};
static const kin_element_ops name_ops = { .equals = same_text };
static const kin_element_ops handler_ops = { .equals = same_handler };
static const kin_element_ops no_ops;

/* --- Arrays of elements --------------------------------------------------- */

static kin_context *new_context(size_t room, size_t payload)
{
    kin_context *context = kin__malloc(
        sizeof *context + room * sizeof *context->elements + payload);

    if (context)
        *context = (kin_context){ .refs = 1, .ops = &no_ops };
    if (context)
        kin__ledger_add(KIN__LEDGER_CONTEXT, context);
    return context;
}

static bool is_built_in(const kin_key *key)
{
    return key == &kin_key_job || key == &kin_key_dispatcher
        || key == &kin_key_name || key == &kin_key_handler;
}

static void append(kin_context *context, const kin_key *key, void *value,
                   kin_context *one)
{
    context->elements[context->count++] =
        (struct kin__element){ key, value, one };
    context->thread_elements += one->ops->update != NULL;
    context->copyable |= one->ops->copy != NULL;
    context->foreign |= one->ops->release && !is_built_in(key);
    if (key == &kin_key_job)
        context->job = value;
    else if (key == &kin_key_dispatcher)
        context->dispatcher = value;
    else if (key == &kin_key_name)
        context->name = value;
    else if (key == &kin_key_handler)
        context->handler = value;
}

static const struct kin__element *find(const kin_context *context,
                                       const kin_key *key)
{
    for (size_t i = 0; i < context->count; i++)
        if (context->elements[i].key == key)
            return &context->elements[i];
    return NULL;
}

/* --- Contexts of one ------------------------------------------------------ */

/* The payload follows the only element. */
static void *payload_of(kin_context *one)
{
    return &one->elements[1];
}

static kin_context *new_one(const kin_key *key, void *value,
                            const kin_element_ops *ops)
{
    kin_context *one = new_context(1, 0);

    if (one) {
        one->ops = ops;
        append(one, key, value, one);
    }
    return one;
}

/* The value is a copy of size bytes, kept as payload. */
static kin_context *new_one_copied(const kin_key *key, const void *value,
                                   size_t size, const kin_element_ops *ops)
{
    kin_context *one = new_context(1, size);

    if (one) {
        one->ops = ops;
        append(one, key, memcpy(payload_of(one), value, size), one);
    }
    return one;
}

/* The user's: the table of functions is copied. */
kin_context *kin__context_of_taken(const kin_key *key, void *value,
                                   const kin_element_ops *ops)
{
    kin_context *one = new_context(1, sizeof *ops);

    if (!one)
        return NULL;
    one->ops = memcpy(payload_of(one), ops ? ops : &no_ops, sizeof *ops);
    append(one, key, value, one);
    return one;
}

static kin_context *new_one_foreign(const kin_key *key, void *value,
                                    const kin_element_ops *ops)
{
    kin_context *one = kin__context_of_taken(key, value, ops);

    if (one && ops && ops->retain)
        ops->retain(value);
    return one;
}

/* A built-in key is as the function made for it. */
kin_context *kin_context_of(const kin_key *key, void *value,
                            const kin_element_ops *ops)
{
    const kin_handler *handler = value;

    if (!key) {
        kin__misuse(KIN_EINVAL, "kin_context_of", "key is NULL");
        return NULL;
    }
    if (!value)
        return kin_context_empty();
    if (key == &kin_key_job)
        return kin_context_of_job(value);
    if (key == &kin_key_dispatcher)
        return kin_context_of_dispatcher(value);
    if (key == &kin_key_name)
        return kin_context_of_name(value);
    if (key == &kin_key_handler)
        return kin_context_of_handler(handler->fn, handler->arg);
    return new_one_foreign(key, value, ops);
}

kin_context *kin_context_of_job(kin_job *job)
{
    kin_context *one = job ? new_one(&kin_key_job, job, &job_ops) : &empty;

    if (one && job)
        kin_job_retain(job);
    return one;
}

kin_context *kin_context_of_dispatcher(kin_dispatcher *dispatcher)
{
    kin_context *one = dispatcher
        ? new_one(&kin_key_dispatcher, dispatcher, &dispatcher_ops)
        : &empty;

    if (one && dispatcher)
        kin_dispatcher_retain(dispatcher);
    return one;
}

kin_context *kin_context_of_name(const char *name)
{
    if (!name || !*name)
        return &empty;
    return new_one_copied(&kin_key_name, name, strlen(name) + 1, &name_ops);
}

kin_context *kin_context_of_handler(kin_handler_fn *fn, void *arg)
{
    const kin_handler handler = { fn, arg };

    if (!fn)
        return &empty;
    return new_one_copied(&kin_key_handler, &handler, sizeof handler,
                          &handler_ops);
}

kin_context *kin_context_empty(void)
{
    return &empty;
}

kin_context *kin_shield(void)
{
    return &shield;
}

static bool is_immortal(const kin_context *context)
{
    return context == &empty || context == &shield;
}

/* --- Sums ----------------------------------------------------------------- */

static void append_shared(kin_context *sum, const struct kin__element *element)
{
    append(sum, element->key, element->value,
           kin_context_retain(element->one));
}

/* Appends what of context is not in without (NULL: nothing is), the dispatcher
 * aside. */
static void append_rest(kin_context *sum, const kin_context *context,
                        const kin_context *without)
{
    const struct kin__element *element = context->elements;
    size_t i;

    for (i = 0; i < context->count; i++, element++)
        if (element->key != &kin_key_dispatcher &&
            !(without && find(without, element->key)))
            append_shared(sum, element);
}

static size_t count_of_both(const kin_context *a, const kin_context *b)
{
    size_t count = b->count;

    for (size_t i = 0; i < a->count; i++)
        if (!find(b, a->elements[i].key))
            count++;
    return count;
}

kin_context *kin_context_plus(kin_context *a, kin_context *b)
{
    const struct kin__element *dispatcher;
    kin_context *sum;
    size_t count;

    if (!a || !b)
        return NULL;
    if (b->count == 0)
        return kin_context_retain(a);
    count = count_of_both(a, b);
    if (count == b->count)          /* nothing of a is left                  */
        return kin_context_retain(b);
    sum = new_context(count, 0);
    if (!sum)
        return NULL;
    append_rest(sum, a, b);
    append_rest(sum, b, NULL);
    dispatcher = find(b->dispatcher ? b : a, &kin_key_dispatcher);
    if (dispatcher)
        append_shared(sum, dispatcher);
    KIN_ASSERT(sum->count == count);
    return sum;
}

kin_context *kin_context_join(kin_context *a, kin_context *b)
{
    kin_context *sum = kin_context_plus(a, b);

    kin_context_release(a);
    kin_context_release(b);
    return sum;
}

kin_context *kin_context_minus(kin_context *context, const kin_key *key)
{
    const struct kin__element *gone = context ? find(context, key) : NULL;
    kin_context *rest;
    size_t i;

    if (!gone)
        return kin_context_retain(context);
    if (context->count == 1)
        return &empty;
    if (context->count == 2)
        return kin_context_retain(
            context->elements[gone == context->elements].one);
    rest = new_context(context->count - 1, 0);
    for (i = 0; rest && i < context->count; i++)
        if (&context->elements[i] != gone)
            append_shared(rest, &context->elements[i]);
    return rest;
}

/* Keeps sum as what context is on another dispatcher, if there is none yet:
 * the reference is the context's then. */
static bool keep_moved(kin_context *context, kin_context *sum)
{
    kin_context *none = NULL;

    /* release: pairs with acquire in kin__context_on() */
    return atomic_compare_exchange_strong_explicit(
        &context->moved, &none, sum, memory_order_release,
        memory_order_relaxed);
}

kin_context *kin__context_on(kin_context *context, kin_dispatcher *dispatcher,
                             bool *owned)
{
    /* acquire: pairs with release in keep_moved() */
    kin_context *moved = atomic_load_explicit(&context->moved,
                                              memory_order_acquire);

    *owned = false;
    if (context->dispatcher == dispatcher)
        return context;
    if (moved && moved->dispatcher == dispatcher)
        return moved;
    moved = kin_context_join(kin_context_retain(context),
                             kin_context_of_dispatcher(dispatcher));
    *owned = !moved || is_immortal(context)
          || !kin__dispatcher_is_immortal(dispatcher)
          || !keep_moved(context, moved);
    return moved;
}

/* --- Asking --------------------------------------------------------------- */

void *kin_context_get(const kin_context *context, const kin_key *key)
{
    const struct kin__element *element = context ? find(context, key) : NULL;

    return element ? element->value : NULL;
}

int kin_context_fold(const kin_context *context,
                     int (*visit)(const kin_key *key, void *value, void *arg),
                     void *arg)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < kin_context_count(context); i++)
        result = visit(context->elements[i].key, context->elements[i].value,
                       arg);
    return result;
}

size_t kin_context_count(const kin_context *context)
{
    return context ? context->count : 0;
}

static bool is_equal(const struct kin__element *a,
                     const struct kin__element *b)
{
    bool (*equals)(const void *, const void *) = a->one->ops->equals;

    return a->value == b->value || (equals && equals(a->value, b->value));
}

bool kin_context_equals(const kin_context *a, const kin_context *b)
{
    const struct kin__element *other;
    size_t i;

    if (a == b)
        return true;
    if (!a || !b || a->count != b->count)
        return false;
    for (i = 0; i < a->count; i++) {
        other = find(b, a->elements[i].key);
        if (!other || !is_equal(&a->elements[i], other))
            return false;
    }
    return true;
}

/* --- Counting ------------------------------------------------------------- */

kin_context *kin_context_retain(kin_context *context)
{
    kin__ledger_check(KIN__LEDGER_CONTEXT, context, "kin_context_retain");
    /* relaxed: whoever retains holds a reference */
    if (context && !is_immortal(context))
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

static void destroy(kin_context *context)
{
    struct kin__element *element = context->elements;
    size_t i;

    kin__ledger_gone(KIN__LEDGER_CONTEXT, context, context->name, NULL);
    /* relaxed: the last reference has synchronised */
    kin_context_release(atomic_load_explicit(&context->moved,
                                             memory_order_relaxed));
    if (element->one == context) {
        if (context->ops->release)
            context->ops->release(element->value);
    } else {
        for (i = 0; i < context->count; i++)
            kin_context_release(element[i].one);
    }
    kin__free(context);
}

void kin_context_release(kin_context *context)
{
    kin__ledger_check(KIN__LEDGER_CONTEXT, context, "kin_context_release");
    if (!context || is_immortal(context))
        return;
    /* acq_rel: what others did with it; pairs with release here */
    if (atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1)
        destroy(context);
}
