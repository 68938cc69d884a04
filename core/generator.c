/* generator.c -- kin/fiber.h: fibers that are resumed and suspend by hand.
 *
 *            resume                    body returns
 *   IDLE <------------> RUNNING ------------------> DONE
 *     |     suspend        |
 *     |                    +--> destroy: misuse
 *     +--> destroy: GONE
 *
 * IDLE is before the first resume, or suspended.  RUNNING covers one that has
 * resumed another and waits for it.  IDLE and DONE are stored by the stack that
 * goes on afterwards, so whoever sees them may touch the stack. */
#include "core/check.h"
#include "core/fiber_switch.h"
#include "core/fiber.h"
#include "core/fork.h"
#include "core/thread.h"

#include <stdint.h>

enum { IDLE, RUNNING, DONE, GONE };

static bool claim(struct kin_fiber *fiber, unsigned char from, unsigned char to)
{
    /* acq_rel: pairs with release in hand_over(): its stack is ours now */
    return atomic_compare_exchange_strong_explicit(
        &fiber->state, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

/* Runs on the stack that goes on, when `from` is saved: passes the value, and
 * tells that from may be touched. */
static void hand_over(void *arg)
{
    struct kin_fiber *from = arg;

    kin__thread()->fiber->value = from->value;
    /* release: publishes the saved stack; pairs with acq_rel in claim() and
     * acquire in kin_fiber_is_done() */
    atomic_store_explicit(&from->state, from->left_as, memory_order_release);
}

/* Leaves self, in that state, for `to`; returns when self is continued. */
static void *leave_for(struct kin_fiber *self, unsigned char state,
                       struct kin_fiber *to, void *value)
{
    self->value = value;
    self->left_as = state;
    kin__exceptions_off(&self->exceptions);
    kin__fiber_switch_then(kin__thread(), self, to, hand_over, self);
    kin__exceptions_on(&self->exceptions);
    return self->value;
}

static void run_body(void *unused)
{
    struct kin_fiber *self = kin__thread()->fiber;
    void *result = self->body(self->value);

    (void)unused;
    kin__fiber_dying(self);
    leave_for(self, DONE, self->resumer, result);
    KIN_UNREACHABLE("an ended fiber was continued");
}

static int new_check(kin_fiber_body *body, const kin_fiber_options *options)
{
    if (!body || !options || !options->fiber)
        return kin__misuse(KIN_EINVAL, "kin_fiber_new", "%s is NULL",
                           !body ? "body" : "where the handle goes");
    if (options->memory && options->memory_size < KIN_FIBER_MEMORY_MIN)
        return kin__misuse(KIN_EINVAL, "kin_fiber_new",
                           "memory_size is %zu, must be at least %d",
                           options->memory_size, KIN_FIBER_MEMORY_MIN);
    return 0;
}

int kin_fiber_new_with(kin_fiber_body *body, const kin_fiber_options *options)
{
    struct kin_fiber *fiber;
    int err = kin__is_forked ? kin__fork_refuse("kin_fiber_new")
                             : new_check(body, options);

    if (err)
        return err;
    if (options->memory)
        fiber = kin__fiber_on_memory(options->memory, options->memory_size,
                                     run_body);
    else
        fiber = kin__fiber_get(kin__thread(), options->stack_size, run_body);
    if (!fiber)
        return options->stack_size > KIN_STACK_SIZE_MAX ? KIN_EINVAL
                                                        : KIN_ENOMEM;
    fiber->body = body;
    fiber->name = options->name;
    *options->fiber = fiber;
    return 0;
}

/* Why fiber cannot be continued. */
static int not_idle(const struct kin_fiber *fiber)
{
    return kin_fiber_is_done(fiber) ? KIN_ESTALE : KIN_EBUSY;
}

int kin_fiber_resume(kin_fiber *fiber, void *value, void **out)
{
    struct kin__thread *thread = kin__thread();
    struct kin_fiber *self = thread->fiber;

    if (!fiber)
        return kin__misuse(KIN_EINVAL, "kin_fiber_resume", "fiber is NULL");
    if (!claim(fiber, IDLE, RUNNING))
        return not_idle(fiber);
    fiber->resumer = self;
    fiber->value = value;
    kin__exceptions_off(&self->exceptions);
    kin__fiber_switch(thread, self, fiber, NULL);
    kin__exceptions_on(&self->exceptions);
    if (out)
        *out = self->value;
    return 0;
}

void *kin_fiber_suspend(void *value)
{
    struct kin_fiber *self = kin_fiber_current();

    if (!self) {
        kin__misuse(KIN_ENOFIBER, "kin_fiber_suspend",
                    "not on a fiber made by kin_fiber_new");
        return NULL;
    }
    return leave_for(self, IDLE, self->resumer, value);
}

int kin_fiber_transfer(kin_fiber *to, void *value, void **out)
{
    struct kin_fiber *self = kin_fiber_current();

    if (!to)
        return kin__misuse(KIN_EINVAL, "kin_fiber_transfer", "to is NULL");
    if (!self)
        return kin__misuse(KIN_ENOFIBER, "kin_fiber_transfer",
                           "not on a fiber made by kin_fiber_new");
    if (!claim(to, IDLE, RUNNING))
        return not_idle(to);
    to->resumer = self->resumer;
    value = leave_for(self, IDLE, to, value);
    if (out)
        *out = value;
    return 0;
}

bool kin_fiber_is_done(const kin_fiber *fiber)
{
    /* acquire: pairs with release in hand_over() */
    return !fiber || atomic_load_explicit(&fiber->state,
                                          memory_order_acquire) == DONE;
}

void kin_fiber_destroy(kin_fiber *fiber)
{
    if (!fiber)
        return;
    if (!claim(fiber, IDLE, GONE) && !claim(fiber, DONE, GONE)) {
        kin__misuse(KIN_EBUSY, "kin_fiber_destroy", "fiber \"%s\" is running",
                    fiber->name ? fiber->name : "?");
        return;
    }
    kin__fiber_put(kin__thread(), fiber);
}

kin_fiber *kin_fiber_current(void)
{
    struct kin_fiber *self = kin__thread()->fiber;

    return self->body ? self : NULL;
}

const char *kin_fiber_name(const kin_fiber *fiber)
{
    return fiber ? fiber->name : NULL;
}

void kin_fiber_set_local(kin_fiber *fiber, void *local)
{
    if (fiber)
        fiber->local = local;
}

void *kin_fiber_local(const kin_fiber *fiber)
{
    return fiber ? fiber->local : NULL;
}
