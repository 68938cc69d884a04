/* scope.c -- scopes as objects, and what the running fiber finds in its own. */
#include "core/check.h"
#include "core/error.h"
#include "core/memory.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/job.h"
#include "job/ledger.h"

static struct kin_scope *new_scope(struct kin_job *job, kin_context *context)
{
    struct kin_scope *scope = kin__malloc(sizeof *scope);

    if (!scope)
        return NULL;
    scope->job = job;
    scope->context = context;
    scope->outer = NULL;
    /* relaxed: not published yet */
    atomic_store_explicit(&scope->owns_context, true, memory_order_relaxed);
    atomic_store_explicit(&scope->refs, 1, memory_order_relaxed);
    kin__ledger_add(KIN__LEDGER_SCOPE, scope);
    return scope;
}

/* The scope of a context that may have a job; without, it gets one if
 * needs_job. */
static int scope_of(kin_context *context, bool needs_job, kin_scope **out)
{
    kin_job *job = kin_job_retain(kin_context_get(context, &kin_key_job));
    kin_context *rest;
    int err = KIN_ENOMEM;

    if (!job && needs_job)
        KIN_TRY(kin_job_new(NULL, &job));
    rest = kin_context_minus(context, &kin_key_job);
    if (rest)
        *out = new_scope(job, rest);
    if (rest && *out)
        return 0;
    kin_context_release(rest);
    kin_job_release(job);
    return err;
}

int kin_scope_new(kin_context *context, kin_scope **scope)
{
    if (!scope)
        return kin__misuse(KIN_EINVAL, "kin_scope_new",
                           "where the handle goes is NULL");
    KIN_TRY(scope_of(context ? context : kin_context_empty(), true, scope));
    kin__ledger_where(*scope, __builtin_return_address(0));
    return 0;
}

int kin_main_scope(kin_scope **scope)
{
    KIN_AUTO(kin_context) context = NULL;
    KIN_AUTO(kin_job) supervisor = NULL;

    if (!scope)
        return kin__misuse(KIN_EINVAL, "kin_main_scope",
                           "where the handle goes is NULL");
    KIN_TRY(kin_supervisor_new(NULL, &supervisor));
    context = kin_context_join(kin_context_of_job(supervisor),
                               kin_context_of_dispatcher(kin_main()));
    return context ? kin_scope_new(context, scope) : KIN_ENOMEM;
}

kin_scope *kin_global_scope(void)
{
    static struct kin_scope global = { .refs = 1 };

    return &global;
}

static bool is_global(const struct kin_scope *scope)
{
    return !scope->context;
}

kin_context *kin__scope_context(const struct kin_scope *scope)
{
    return is_global(scope) ? kin_context_empty() : scope->context;
}

int kin_scope_plus(kin_scope *scope, kin_context *context, kin_scope **sum)
{
    KIN_AUTO(kin_context) own = NULL;
    KIN_AUTO(kin_context) all = NULL;

    if (!scope || !context || !sum)
        return kin__misuse(KIN_EINVAL, "kin_scope_plus", "%s is NULL",
                           !scope ? "scope" : !context ? "context" : "sum");
    KIN_TRY(kin_scope_context(scope, &own));
    all = kin_context_plus(own, context);
    return all ? scope_of(all, false, sum) : KIN_ENOMEM;
}

/* An object of its own; else it lives with its job. */
static bool is_object(struct kin_scope *scope)
{
    /* relaxed: 0 or not is constant */
    return atomic_load_explicit(&scope->refs, memory_order_relaxed) != 0;
}

bool kin__scope_lends(const struct kin_scope *scope)
{
    return scope->job && !is_object((struct kin_scope *)scope);
}

void kin__scope_own(struct kin_scope *scope)
{
    if (kin__scope_owns(scope))
        return;
    kin_context_retain(scope->context);
    /* relaxed: a walk over the family looks on */
    atomic_store_explicit(&scope->owns_context, true, memory_order_relaxed);
}

void kin__scope_keep(struct kin_scope *scope, bool named)
{
    if (kin__scope_owns(scope))
        return;
    if (scope->kept || named || scope->context->handler)
        kin__scope_own(scope);
    else
        scope->context = kin_context_empty();
}

/* One that lives with its job, whose context it may have borrowed. */
static void keep(kin_scope *scope)
{
    uint32_t word;

    kin_job_retain(scope->job);
    word = kin__job_lock(scope->job);
    scope->kept = true;
    kin__job_unlock(scope->job, word);
}

kin_scope *kin_scope_retain(kin_scope *scope)
{
    kin__ledger_check(KIN__LEDGER_SCOPE, scope, "kin_scope_retain");
    if (!scope || is_global(scope))
        return scope;
    if (is_object(scope))
        /* relaxed: whoever retains holds a reference */
        atomic_fetch_add_explicit(&scope->refs, 1, memory_order_relaxed);
    else
        keep(scope);
    return scope;
}

void kin_scope_release(kin_scope *scope)
{
    kin__ledger_check(KIN__LEDGER_SCOPE, scope, "kin_scope_release");
    if (!scope || is_global(scope))
        return;
    if (!is_object(scope)) {
        kin_job_release(scope->job);
        return;
    }
    /* acq_rel: the last one sees what the others did; pairs with itself */
    if (atomic_fetch_sub_explicit(&scope->refs, 1, memory_order_acq_rel) != 1)
        return;
    kin__ledger_gone(KIN__LEDGER_SCOPE, scope, "", NULL);
    kin_context_release(scope->context);
    kin_job_release(scope->job);
    kin__free(scope);
}

kin_job *kin_scope_job(kin_scope *scope)
{
    if (!scope)
        kin__misuse(KIN_EINVAL, "kin_scope_job", "scope is NULL");
    return scope ? scope->job : NULL;
}

int kin_scope_context(kin_scope *scope, kin_context **context)
{
    kin_context *own;

    if (!scope || !context)
        return kin__misuse(KIN_EINVAL, "kin_scope_context", "%s is NULL",
                           scope ? "context" : "scope");
    own = kin_context_retain(kin__scope_context(scope));
    *context = scope->job
        ? kin_context_join(own, kin_context_of_job(scope->job)) : own;
    return *context ? 0 : KIN_ENOMEM;
}

int kin_scope_cancel(kin_scope *scope, kin_error *cause)
{
    if (!scope)
        return kin__misuse(KIN_EINVAL, "kin_scope_cancel", "scope is NULL");
    if (!scope->job)
        return kin__misuse(KIN_ENOJOB, "kin_scope_cancel", "the scope has no "
                           "job to cancel; the global scope never has");
    kin_job_cancel(scope->job, cause);
    return 0;
}

bool kin_scope_is_active(kin_scope *scope)
{
    if (!scope)
        kin__misuse(KIN_EINVAL, "kin_scope_is_active", "scope is NULL");
    return scope && (!scope->job || kin_job_is_active(scope->job));
}

int kin_scope_fail(kin_scope *scope, int code)
{
    kin_error *error;

    if (!scope || code >= 0)
        return kin__misuse(KIN_EINVAL, "kin_scope_fail", "%s",
                           scope ? "code is not negative" : "scope is NULL");
    if (!scope->job)
        return kin__misuse(KIN_ENOJOB, "kin_scope_fail",
                           "the scope has no job");
    if (!kin__coroutine_current())
        return kin__misuse(KIN_ENOFIBER, "kin_scope_fail",
                           "must be called on a fiber");
    error = kin__error_of_result(code);
    kin__job_cancel(scope->job, error);
    return kin__fail_with(error, code);
}

/* --- The running fiber's -------------------------------------------------- */

kin_scope *kin_current_scope(void)
{
    struct kin__coroutine *co = kin__coroutine_current();

    return co ? co->current : NULL;
}

int kin_current_context(kin_context **context)
{
    kin_scope *scope = kin_current_scope();

    if (!context)
        return kin__misuse(KIN_EINVAL, "kin_current_context",
                           "context is NULL");
    if (!scope)
        return kin__misuse(KIN_ENOFIBER, "kin_current_context",
                           "must be called on a fiber");
    return kin_scope_context(scope, context);
}

void *kin_current_element(const kin_key *key)
{
    kin_scope *scope = kin_current_scope();

    if (!scope || !key)
        return NULL;
    if (key == &kin_key_job)
        return scope->job;
    return kin_context_get(kin__scope_context(scope), key);
}
