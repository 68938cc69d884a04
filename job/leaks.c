/* leaks.c -- debug builds: what is left of a kin_run_blocking at its end.
 *
 * Told is what its fibers made and what nobody but a handle keeps:
 *   a job that has ended, and that the machine has let go of;
 *   a job made by hand that is not final: with how many below it, and how many
 *   of those are parked, each on a stack;
 *   a scope object; a context with more references than jobs, scopes and other
 *   contexts have to it.
 * Not told: what was made outside, what kin_keep() was said of, and what was
 * launched into the global scope or into one made by hand as long as it has not
 * ended; nor what such a job makes: it outlives on purpose.
 *
 * What another thread is just about to let go of is gone at a second look. */
#include "job/ledger.h"

#if KIN_DEBUG

#include "core/memory.h"
#include "core/trace.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "job/dump.h"
#include "job/ledger_internal.h"
#include "job/walk.h"

#include <stdio.h>
#include <time.h>

#define LINES 20                        /* that are told                     */

struct leak {
    const void *object, *where;
    const char *site;
    uint8_t kind, job_kind;
    bool is_final;
    char name[24];
    unsigned below, parked;
};

struct leaks {
    uint32_t run;
    size_t count;
    struct leak found[LINES];
};

/* --- Finding -------------------------------------------------------------- */

static struct kin_scope *scope_of(const struct kin__entry *entry)
{
    struct kin_job *job = (struct kin_job *)entry->object;

    if (entry->kind == KIN__LEDGER_SCOPE)
        return (struct kin_scope *)entry->object;
    return kin__job_has_body(job) ? kin__job_scope(job) : NULL;
}

/* Else it lives with its job. */
static bool is_object(const struct kin_scope *scope)
{
    /* relaxed: 0 or not is constant */
    return atomic_load_explicit(&((struct kin_scope *)scope)->refs,
                                memory_order_relaxed) != 0;
}

static bool is_held(const struct kin__entry *entry)
{
    kin_context *context = (kin_context *)entry->object;

    /* relaxed: looked at twice */
    return atomic_load_explicit(&context->refs, memory_order_relaxed)
           <= entry->held;
}

static void forget_holds(struct kin__entry *entry, void *unused)
{
    (void)unused;
    entry->held = 0;
}

static void hold(enum kin__ledger_kind kind, const void *object)
{
    struct kin__entry *entry = kin__ledger_find(kind, object);

    if (entry)
        entry->held++;
}

/* Accounts for the references that entry has to others. */
static void count_holds(struct kin__entry *entry, void *unused)
{
    const kin_context *context = entry->object;
    const struct kin_scope *scope;

    (void)unused;
    if (entry->kind != KIN__LEDGER_CONTEXT) {
        scope = scope_of(entry);
        if (scope && entry->kind == KIN__LEDGER_SCOPE && is_object(scope))
            hold(KIN__LEDGER_JOB, scope->job);
        if (scope && kin__scope_owns(scope)
            && (entry->kind == KIN__LEDGER_JOB || is_object(scope)))
            hold(KIN__LEDGER_CONTEXT, scope->context);
        return;
    }
    /* relaxed: looked at twice */
    hold(KIN__LEDGER_CONTEXT, atomic_load_explicit(
             &((kin_context *)context)->moved, memory_order_relaxed));
    for (size_t i = 0; i < context->count; i++)
        if (context->elements[i].one != context)
            hold(KIN__LEDGER_CONTEXT, context->elements[i].one);
    if (context->count == 1 && context->job)
        hold(KIN__LEDGER_JOB, context->job);
}

static bool is_leaked_job(const struct kin__entry *entry)
{
    const struct kin_job *job = entry->object;
    kin_job_state state = kin__job_state(job);
    bool is_final = state == KIN_JOB_CANCELLED || state == KIN_JOB_COMPLETED;

    if (job->kind > KIN__BLOCKING && kin__job_has_body(job))
        return false;                   /* a block's */
    if (kin__job_has_body(job))
        return is_final && entry->is_settled;
    return !entry->held;                /* else by a scope, which is told */
}

static void add_if_left(struct kin__entry *entry, void *arg)
{
    struct leaks *leaks = arg;
    const struct kin_job *job = entry->object;
    struct leak *leak;

    if (entry->run != leaks->run || entry->is_kept
        || leaks->count == LINES)
        return;
    if (entry->kind == KIN__LEDGER_JOB && !is_leaked_job(entry))
        return;
    if (entry->kind == KIN__LEDGER_SCOPE && !is_object(scope_of(entry)))
        return;
    if (entry->kind == KIN__LEDGER_CONTEXT && is_held(entry))
        return;
    leak = &leaks->found[leaks->count++];
    *leak = (struct leak){ .object = entry->object, .where = entry->where,
                           .kind = entry->kind };
    if (entry->kind != KIN__LEDGER_JOB)
        return;
    leak->job_kind = job->kind;
    leak->is_final = kin__job_state(job) >= KIN_JOB_CANCELLED;
    if (kin__job_has_body(job))
        leak->site = kin__job_site(job);
    if (kin__job_given_name(job))
        snprintf(leak->name, sizeof leak->name, "%s",
                 kin__job_given_name(job));
}

static void find_leaks(struct leaks *leaks)
{
    leaks->count = 0;
    kin__ledger_each(forget_holds, NULL);
    kin__ledger_each(count_holds, NULL);
    kin__ledger_each(add_if_left, leaks);
}

/* --- Telling -------------------------------------------------------------- */

/* What is below the jobs that are told. */
static int count_below(const struct kin__walk_level *at, void *arg)
{
    struct leaks *leaks = arg;
    const struct kin__walk_level *above;
    enum kin__wait_state state = KIN__WAIT_IDLE;

    if (at->job->kind <= KIN__BLOCKING
        && kin__wait_hold(&kin__coroutine_of_job(at->job)->runnable, &state)) {
        kin__wait_let_go(&kin__coroutine_of_job(at->job)->runnable);
        state = KIN__WAIT_PARKED;
    }
    for (above = at->outer; above; above = above->outer)
        for (size_t i = 0; i < leaks->count; i++)
            if (leaks->found[i].object == above->job) {
                leaks->found[i].below++;
                leaks->found[i].parked += state == KIN__WAIT_PARKED;
            }
    return 0;
}

static void add_where(struct kin__dump *text, const struct leak *leak)
{
    char where[KIN__TRACE_NAME];

    if (leak->site && leak->site[0]) {
        kin__dump_add(text, ", launched at %s", leak->site);
    } else if (leak->where) {
        kin__trace_name((uintptr_t)leak->where, where, sizeof where);
        kin__dump_add(text, ", made at %s", where);
    }
}

static void add_leak(struct kin__dump *text, const struct leak *leak)
{
    static const char *const kinds[] = { "job", "context", "scope" };
    const char *kind = leak->kind == KIN__LEDGER_JOB
                       && (leak->job_kind == KIN__DEFERRED
                           || leak->job_kind == KIN__ASYNC)
                       ? "deferred" : kinds[leak->kind];

    kin__dump_add(text, "  %s %p", kind, leak->object);
    if (leak->name[0])
        kin__dump_add(text, " \"%s\"", leak->name);
    add_where(text, leak);
    if (leak->kind == KIN__LEDGER_JOB && !leak->is_final)
        kin__dump_add(text, ": has not ended; %u below it, %u of them parked\n",
                      leak->below, leak->parked);
    else
        kin__dump_add(text, ": not released\n");
}

void kin__ledger_report(struct kin_job *root)
{
    const struct timespec a_little = { 0, 1000000 };
    struct kin__dump text = { .text = NULL };
    struct leaks leaks = { .run = kin__ledger_run(root) };

    if (!leaks.run)
        return;
    find_leaks(&leaks);
    if (!leaks.count)
        return;
    nanosleep(&a_little, NULL);
    find_leaks(&leaks);
    (void)kin__walk_jobs(count_below, &leaks);
    if (!leaks.count)
        return;
    kin__dump_add(&text, "kin: left over by kin_run_blocking (%s):\n",
                  kin__job_site(root) ? kin__job_site(root) : "?");
    for (size_t i = 0; i < leaks.count; i++)
        add_leak(&text, &leaks.found[i]);
    kin__dump_add(&text, "kin: %zu%s left over; see kin_keep() for what is "
                  "kept on purpose\n", leaks.count,
                  leaks.count == LINES ? " or more" : "");
    if (text.text)
        fputs(text.text, stderr);       /* in one write */
    kin__free(text.text);
}

#endif
