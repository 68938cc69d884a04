/* slice.c -- thread-context elements; see slice.h. */
#include "job/slice.h"

#include "core/error.h"
#include "core/memory.h"
#include "job/context.h"

/* One of them, as it is installed just now. */
struct kin__worn {
    const struct kin__element *element;
    void *old;
    bool on;
};

int kin__slice_prepare(struct kin_scope *scope)
{
    const kin_context *context = scope->context;
    struct kin__worn *next;

    scope->worn = NULL;
    if (!context->thread_elements)
        return 0;
    next = kin__calloc(context->thread_elements, sizeof *next);
    if (!next)
        return KIN_ENOMEM;
    scope->worn = next;
    for (size_t i = 0; i < context->count; i++)
        if (context->elements[i].one->ops->update)
            next++->element = &context->elements[i];
    return 0;
}

void kin__slice_free(struct kin_scope *scope)
{
    kin__free(scope->worn);
}

/* The functions of the user's may not suspend, and what they resume in place
 * waits: nothing else dresses or undresses this fiber meanwhile. */
struct quiet {
    bool held;
    kin_error *error;               /* the current one: not theirs to touch  */
};

static struct quiet be_quiet(void)
{
    struct quiet quiet = { .error = kin_error_current() };

    if (quiet.error) {
        kin_error_retain(quiet.error);
        kin_error_clear();
    }
    kin__no_suspend_begin();
    quiet.held = kin__in_place_hold();
    return quiet;
}

static void quiet_over(struct quiet quiet)
{
    kin__in_place_let_go(quiet.held);
    kin__no_suspend_end();
    kin__error_set_current(quiet.error);
}

static void take_off(struct kin_scope *scope)
{
    struct quiet quiet = be_quiet();

    for (uint32_t i = scope->context->thread_elements; i-- > 0;) {
        struct kin__worn *worn = &scope->worn[i];
        const kin_element_ops *ops = worn->element->one->ops;

        bool was_on = worn->on;

        worn->on = false;
        if (was_on && ops->restore)
            ops->restore(worn->element->value, worn->old);
    }
    quiet_over(quiet);
}

/* An element that cannot be installed fails the job; its fiber goes on, to find
 * that out. */
static void failed(struct kin_scope *scope, kin_error *cause)
{
    kin_error *error = kin_error_new("", KIN_EHANDLER, cause,
                                     "an element of the context could not be "
                                     "installed on the thread");

    kin__job_cancel(scope->job, error);
    kin_error_release(error);
    kin_error_release(cause);
}

static void put_on(struct kin_scope *scope)
{
    struct quiet quiet = be_quiet();
    kin_error *first = NULL;

    for (uint32_t i = 0; i < scope->context->thread_elements; i++) {
        struct kin__worn *worn = &scope->worn[i];
        const struct kin__element *element = worn->element;
        int code;

        if (worn->on)
            continue;
        code = element->one->ops->update(element->value, &worn->old);
        worn->on = code >= 0;
        if (code < 0 && !first)
            first = kin__error_take(code);
    }
    quiet_over(quiet);
    if (first)                          /* all that can be worn is worn */
        failed(scope, first);
}

void kin__slice_leave(struct kin__runnable *runnable)
{
    take_off(((struct kin__coroutine *)runnable)->current);
}

void kin__slice_enter(struct kin__runnable *runnable)
{
    put_on(((struct kin__coroutine *)runnable)->current);
}

void kin__slice_off_all(struct kin__coroutine *co)
{
    take_off(co->current);
    co->runnable.dressed &= (uint8_t)~KIN__WEARS_ELEMENTS;
}

void kin__slice_on_all(struct kin__coroutine *co)
{
    co->runnable.dressed |= KIN__WEARS_ELEMENTS;
    put_on(co->current);
}

/* --- Inheriting ----------------------------------------------------------- */

/* sum, taken, with element's value replaced by one that is the sum's own. */
static kin_context *replace(kin_context *sum,
                            const struct kin__element *element, void *value)
{
    kin_context *one = value
        ? kin__context_of_taken(element->key, value, element->one->ops) : NULL;

    if (value && !one && element->one->ops->release)
        element->one->ops->release(value);
    return kin_context_join(sum, one);
}

kin_context *kin__context_inherit(kin_context *context,
                                  kin_context *brought)
{
    kin_context *sum = brought
        ? kin_context_plus(context, brought)
        : kin_context_retain(context);

    for (size_t i = 0; context->copyable && i < context->count; i++) {
        const struct kin__element *element = &context->elements[i];
        const kin_element_ops *ops = element->one->ops;
        void *other = brought ? kin_context_get(brought, element->key) : NULL;

        if (other && ops->merge)
            sum = replace(sum, element, ops->merge(element->value, other));
        else if (!other && ops->copy)
            sum = replace(sum, element, ops->copy(element->value));
    }
    return sum;
}
