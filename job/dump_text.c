/* dump_text.c -- one job as text.
 *
 * What is the fiber's own (what it waits for, where it stopped, where it runs)
 * is copied while the fiber is kept from going on (kin__wait_hold), and told
 * afterwards: nothing that may block is called meanwhile. */
#include "job/dump.h"

#include "core/memory.h"
#include "core/trace.h"
#include "core/wait.h"
#include "job/block.h"
#include "job/context.h"
#include "job/coroutine.h"
#include "kin/dispatcher.h"
#include "kin/time.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 64

void kin__dump_add(struct kin__dump *dump, const char *format, ...)
{
    va_list args;
    int more;

    va_start(args, format);
    more = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (more <= 0 || dump->is_short)
        return;
    if (dump->length + (size_t)more >= dump->room) {
        size_t room = 2 * dump->room + (size_t)more + 4096;
        char *text = kin__realloc(dump->text, room);

        dump->is_short = !text;
        if (!text)
            return;
        dump->text = text;
        dump->room = room;
    }
    va_start(args, format);
    vsnprintf(dump->text + dump->length, dump->room - dump->length, format,
              args);
    va_end(args);
    dump->length += (size_t)more;
}

/* A name is one word of a line, whatever is in it. */
static void add_name(struct kin__dump *dump, const char *before,
                     const char *name)
{
    char text[NAME_SIZE];
    size_t i;

    for (i = 0; i < sizeof text - 1 && name[i]; i++)
        text[i] = (unsigned char)name[i] < ' ' ? '?' : name[i];
    text[i] = '\0';
    kin__dump_add(dump, "%s\"%s\"", before, text);
}

static const char *kind_of(const struct kin_job *job)
{
    static const char *const kinds[] = {
        [KIN__LAUNCHED] = "launch", [KIN__ASYNC] = "async",
        [KIN__BLOCKING] = "blocking", [KIN__SCOPE] = "scope",
        [KIN__SUPERVISOR_SCOPE] = "supervisor_scope",
        [KIN__TIMEOUT] = "timeout", [KIN__BARE] = "job",
        [KIN__SUPERVISOR] = "supervisor", [KIN__DEFERRED] = "deferred",
        [KIN__NON_CANCELLABLE] = "non_cancellable",
    };

    return kinds[job->kind];
}

static const char *state_text(uint32_t word)
{
    static const char *const states[] = {
        [KIN_JOB_NEW] = "new", [KIN_JOB_ACTIVE] = "active",
        [KIN_JOB_COMPLETING] = "completing",
        [KIN_JOB_CANCELLING] = "cancelling", [KIN_JOB_CANCELLED] = "cancelled",
        [KIN_JOB_COMPLETED] = "completed",
    };

    return states[word & KIN__JOB_STATE];
}

/* --- The fiber ------------------------------------------------------------ */

/* What was seen of it. */
struct sight {
    enum kin__wait_state state;
    const char *what;                   /* NULL: it is not parked            */
    const char *target_kind;            /* NULL: no job                      */
    char target[NAME_SIZE], dispatcher[NAME_SIZE];
    int64_t until, since;
    bool own_clock;
    size_t count;
    const void *at[KIN__DUMP_FRAMES];
};

static void copy(char *to, const char *from)
{
    strncpy(to, from ? from : "", NAME_SIZE - 1);
    to[NAME_SIZE - 1] = '\0';
}

/* Of a wait that is held: what it refers to is kept by the fiber. */
static void look_at_wait(struct sight *sight, const struct kin__wait *wait)
{
    const struct kin_job *target = wait->target;

    sight->what = wait->what ? wait->what : "something";
    sight->until = wait->until;
    sight->since = wait->since;
    if (target) {
        sight->target_kind = kind_of(target);
        copy(sight->target, kin__job_given_name(target));
    }
}

/* The context may be borrowed: it is there as long as the job is not final. */
static void copy_dispatcher(struct sight *sight, struct kin__coroutine *co)
{
    uint32_t word = kin__job_lock(&co->job);

    copy(sight->dispatcher, kin_dispatcher_name(
             kin__context_dispatcher(co->scope.context)));
    kin__job_unlock(&co->job, word);
}

static void look_at_fiber(struct sight *sight, struct kin__coroutine *co,
                          bool trace)
{
    struct kin__runnable *r = &co->runnable;
    const struct kin__wait *wait = kin__wait_hold(r, &sight->state);

    sight->what = sight->target_kind = NULL;
    sight->count = 0;
    if (!wait) {
        copy_dispatcher(sight, co);
        return;
    }
    look_at_wait(sight, wait);
    copy(sight->dispatcher, kin_dispatcher_name(co->dispatcher));
    sight->own_clock = co->dispatcher->ops->now != NULL;
    if (trace)
        sight->count = kin__trace(r->fiber, sight->at, KIN__DUMP_FRAMES);
    kin__wait_let_go(r);
}

/* The clock that stamped it may be behind by a tick. */
static void add_duration(struct kin__dump *dump, int64_t waited)
{
    if (waited < KIN_S(1))
        kin__dump_add(dump, ", for %" PRId64 " ms",
                      waited > 0 ? waited / KIN_MS(1) : 0);
    else
        kin__dump_add(dump, ", for %" PRId64 ".%" PRId64 " s",
                      waited / KIN_S(1), waited % KIN_S(1) / KIN_MS(100));
}

static void add_wait(struct kin__dump *dump, const struct sight *sight)
{
    int64_t now = kin_now(), left = sight->until - now;

    kin__dump_add(dump, "%s", sight->what);
    if (sight->target_kind && (!sight->target[0]
                               || strncmp(sight->what, "children", 8) == 0))
        kin__dump_add(dump, " %s", sight->target_kind);
    else if (sight->target_kind)
        add_name(dump, " ", sight->target);
    add_duration(dump, now - sight->since);
    if (!sight->until || sight->until == KIN_NEVER)
        return;
    if (sight->own_clock)
        kin__dump_add(dump, ", until %" PRId64 " ms of the dispatcher's clock",
                      sight->until / KIN_MS(1));
    else
        kin__dump_add(dump, ", %" PRId64 " ms left",
                      left > 0 ? left / KIN_MS(1) : 0);
}

static const char *phase_text(const struct sight *sight,
                              const struct kin__coroutine *co)
{
    static const char *const phases[] = {
        [KIN__PHASE_QUEUED] = "queued", [KIN__PHASE_BEGUN] = "running",
        [KIN__PHASE_HOPS] = "hop", [KIN__PHASE_RECEIVED] = "ended",
    };

    if (sight->state == KIN__WAIT_RESUMED
        || sight->state == KIN__WAIT_CANCELLED)
        return "woken";
    /* relaxed: it is only told */
    return phases[atomic_load_explicit(&co->job.phase, memory_order_relaxed)];
}

static void add_doing(struct kin__dump *dump, const struct sight *sight,
                      const struct kin__coroutine *co, uint32_t word)
{
    kin__dump_add(dump, ": ");
    if ((word & KIN__JOB_STATE) == KIN_JOB_NEW)
        kin__dump_add(dump, "not started");
    else if (word & KIN__JOB_BODY_DONE)
        kin__dump_add(dump, "body ended");
    else if (sight->what)
        add_wait(dump, sight);
    else
        kin__dump_add(dump, "%s", phase_text(sight, co));
}

/* --- Its backtrace -------------------------------------------------------- */

static void add_symbol(struct kin__dump *dump, uintptr_t address)
{
    char text[KIN__TRACE_NAME];

    kin__trace_name(address, text, sizeof text);
    kin__dump_add(dump, "%s\n", text);
}

#define INDENTED 40

static void indent(struct kin__dump *dump, size_t level)
{
    kin__dump_add(dump, "%*s", (int)(2 * (level < INDENTED ? level : INDENTED)),
                  "");
}

/* --- The line ------------------------------------------------------------- */

static void add_children(struct kin__dump *dump, uint32_t count)
{
    if (count)
        kin__dump_add(dump, ", %" PRIu32 " %s", count,
                      count == 1 ? "child" : "children");
}

static void add_coroutine(struct kin__dump *dump, struct kin__coroutine *co,
                          uint32_t word, uint32_t children,
                          size_t level)
{
    bool trace = dump->traced < KIN__DUMP_TRACES;
    struct sight sight;

    look_at_fiber(&sight, co, trace);
    if (kin__job_given_name(&co->job))
        add_name(dump, " ", kin__job_given_name(&co->job));
    add_name(dump, " on ", sight.dispatcher);
    if (co->site && co->site[0])
        kin__dump_add(dump, " at %s", co->site);
    kin__dump_add(dump, ", fiber %p", (void *)co);
    add_children(dump, children);
    add_doing(dump, &sight, co, word);
    kin__dump_add(dump, "\n");
    dump->traced += sight.count != 0;
    for (size_t i = 0; i < sight.count; i++) {
        indent(dump, level + 2);
        add_symbol(dump, (uintptr_t)sight.at[i]);
    }
}

/* `pending` would not do: it also counts who holds the job. */
static uint32_t count_children(const struct kin_job *job)
{
    const struct kin__node *node = job->list.next;
    uint32_t count = 0;

    for (; node != &job->list; node = node->next)
        count += node->kind == KIN__NODE_CHILD;
    return count;
}

void kin__dump_job(struct kin__dump *dump, struct kin_job *job, size_t level)
{
    uint32_t word = kin__job_lock(job), children = count_children(job);

    kin__job_unlock(job, word);
    dump->jobs++;
    indent(dump, level);
    if (level >= INDENTED)
        kin__dump_add(dump, "(%zu) ", level);
    kin__dump_add(dump, "%s %s", state_text(word), kind_of(job));
    if (job->kind <= KIN__BLOCKING) {
        add_coroutine(dump, kin__coroutine_of_job(job), word, children,
                      level);
        return;
    }
    if (kin__job_has_body(job))
        kin__dump_add(dump, ", in fiber %p",
                      (void *)kin__block_runner(job));
    add_children(dump, children);
    kin__dump_add(dump, "\n");
}
