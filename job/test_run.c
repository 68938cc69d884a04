/* test_run.c -- kin_run_test: one frame from the body's first event to the end
 * of the background work. */
#include "job/test_scheduler.h"

#include "core/check.h"
#include "core/fork.h"
#include "core/environment.h"
#include "core/error.h"
#include "core/memory.h"
#include "dispatch/scheduler.h"
#include "job/context.h"
#include "job/coroutine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Failures that nobody else saw ---------------------------------------- */

/* The handler in the context of the test. */
static int collect(kin_job *job, kin_error *error, void *arg)
{
    kin_test_scheduler *scheduler = arg;
    struct kin__test_failure *failure = kin__malloc(sizeof *failure);
    bool open;

    (void)job;
    if (!failure)
        return KIN_ENOMEM;              /* told on stderr, then */
    *failure = (struct kin__test_failure){ NULL, kin_error_retain(error) };
    kin__test_lock(scheduler);
    open = scheduler->run != NULL;
    if (open) {
        *scheduler->run->last = failure;
        scheduler->run->last = &failure->next;
    }
    kin__test_unlock(scheduler);
    if (open)
        return 0;
    kin_error_release(error);
    kin__free(failure);
    return kin_fail(KIN_ESTALE, "the kin_run_test it belongs to is over");
}

/* --- The real time -------------------------------------------------------- */

struct text {
    char *buffer;
    size_t size, length;
};

static void add(struct text *text, const char *word)
{
    text->length = kin__append(text->buffer, text->size, text->length, word);
}

static void add_children(struct text *text, const char *before, kin_job *job)
{
    kin_job *children[8];
    size_t count = kin_job_children(job, children, 8), i;

    if (count)
        add(text, before);
    for (i = 0; i < count && i < 8; i++) {
        const char *site = kin__job_site(children[i]);

        add(text, i ? ", \"" : " \"");
        add(text, kin_job_name(children[i]));
        add(text, "\" launched at ");
        add(text, site ? site : "?");
        kin_job_release(children[i]);
    }
    if (count > 8)
        add(text, ", and others");
}

static void describe(struct kin__test_run *run, char *buffer, size_t size)
{
    struct text text = { buffer, size, 0 };
    char start[96];

    snprintf(start, sizeof start, "the test is not over after %" PRId64 " ms: ",
             run->timeout / KIN_MS(1));
    add(&text, start);
    switch (kin_job_state_of(run->job)) {
    case KIN_JOB_COMPLETING:
        add(&text, "its body has ended");
        add_children(&text, ", but not", run->job);
        break;
    case KIN_JOB_COMPLETED:
    case KIN_JOB_CANCELLED:
        add(&text, "it goes on without end");
        add_children(&text, ", in the background:", run->background_job);
        break;
    default:
        add(&text, "its body has not ended");
        add_children(&text, ", nor have its children", run->job);
        break;
    }
}

void kin__test_check_time(struct kin__test_run *run)
{
    char text[600];
    bool held;

    if (run->deadline == KIN_NEVER || kin_now() < run->deadline)
        return;
    run->deadline = KIN_NEVER;
    describe(run, text, sizeof text);
    fprintf(stderr, "kin: kin_run_test at %s: %s\n", run->site, text);
    run->expired = kin_error_new(run->site, KIN_ETIMEDOUT, NULL, "%s", text);
    held = kin__in_place_hold();
    kin_job_cancel(run->job, run->expired);
    kin_job_cancel(run->background_job, run->expired);
    kin__in_place_let_go(held);
}

/* --- The loop ------------------------------------------------------------- */

struct loop {
    struct kin__frame frame;            /* first                             */
    struct kin__test_run *run;
    enum { BODY, REST, BACKGROUND } waits_for;
};

static struct kin_task *loop_poll(struct kin__frame *frame)
{
    (void)frame;
    return kin__in_place_take(frame->thread);
}

static void cancel_background(struct kin__test_run *run)
{
    bool held = kin__in_place_hold();

    kin_job_cancel(run->background_job, NULL);
    kin__in_place_let_go(held);
}

static bool is_over(struct loop *loop)
{
    struct kin__test_run *run = loop->run;

    if (loop->waits_for == BODY && kin_job_is_completed(run->job))
        loop->waits_for = REST;
    if (loop->waits_for == REST
        && (run->expired || !kin__test_is_busy(run->scheduler))) {
        loop->waits_for = BACKGROUND;
        cancel_background(run);
    }
    return loop->waits_for == BACKGROUND
        && kin_job_is_completed(run->background_job);
}

static const struct kin__test_limit everything = { .last = KIN_NEVER };

static bool loop_chance(struct kin__frame *frame)
{
    return kin__test_chance(((struct loop *)frame)->run->scheduler,
                            &everything);
}

static struct kin_task *loop_next(struct kin__frame *frame)
{
    struct loop *loop = (struct loop *)frame;
    kin_test_scheduler *scheduler = loop->run->scheduler;
    struct kin_task *task;

    while (!is_over(loop)) {
        task = kin__test_next(scheduler, &everything);
        if (task)
            return task;
        if (is_over(loop))
            break;
        kin__scheduler_will_block();
        kin__parker_wait(&scheduler->parker, loop->run->deadline);
    }
    return kin__in_place_take(frame->thread);
}

/* A completion callback: the job may have ended on another thread. */
static int wake(kin_job *job, kin_error *cause, void *arg)
{
    kin_test_scheduler *scheduler = arg;

    (void)job, (void)cause;
    kin__parker_wake(&scheduler->parker);
    return 0;
}

/* --- The beginning -------------------------------------------------------- */

static int check_options(kin_body *body, const kin_test_options *options)
{
    static const char *const function = "kin_run_test";
    const kin_dispatcher *given;

    if (!body || !options)
        return kin__misuse(KIN_EINVAL, function, "%s is NULL",
                           body ? "options" : "body");
    if (options->timeout < 0)
        return kin__misuse(KIN_EINVAL, function, "timeout is negative");
    if (kin_current_element(&kin__test_key))
        return kin__misuse(KIN_EBUSY, function, "called inside another one; "
                           "launch the body there, or call it");
    given = kin__context_dispatcher(options->context);
    if (given && !kin__test_scheduler_below(given))
        return kin__misuse(KIN_EINVAL, function, "dispatcher %s of .context is "
                           "no test dispatcher", kin_dispatcher_name(given));
    if (given && options->unconfined)
        return kin__misuse(KIN_EINVAL, function, ".unconfined, and a "
                           "dispatcher in .context");
    return 0;
}

/* Those of .context, or new ones; both are the caller's to release. */
static int find_scheduler(const kin_test_options *options,
                          kin_test_scheduler **scheduler,
                          kin_dispatcher **dispatcher)
{
    kin_dispatcher *given = kin__context_dispatcher(options->context);

    if (given) {
        *dispatcher = kin_dispatcher_retain(given);
        *scheduler =
            kin_test_scheduler_retain(kin__test_scheduler_below(given));
        return 0;
    }
    KIN_TRY(kin_test_scheduler_new(scheduler));
    return options->unconfined ? kin_test_unconfined(*scheduler, dispatcher)
                               : kin_test_dispatcher(*scheduler, dispatcher);
}

/* What the test adds to .context.  NULL without memory. */
static kin_context *make_context(kin_test_scheduler *scheduler,
                                 kin_dispatcher *dispatcher,
                                 const kin_test_options *options)
{
    kin_context *sum = kin_context_retain(options->context
                                          ? options->context
                                          : kin_context_empty());

    sum = kin_context_join(sum, kin_context_of_dispatcher(dispatcher));
    sum = kin_context_join(sum,
                           kin_context_of(&kin__test_key, scheduler, NULL));
    if (sum && !kin__context_handler(sum))
        sum = kin_context_join(sum, kin_context_of_handler(collect, scheduler));
    return sum;
}

/* The background scope: of a supervisor that is nobody's child. */
static int make_background(struct kin__test_run *run, kin_context *context)
{
    KIN_AUTO(kin_context) own = NULL;
    kin_context *sum;

    KIN_TRY(kin_supervisor_new(NULL, &run->background_job));
    sum = kin_context_join(kin_context_retain(context),
                           kin_context_of(&kin__test_background_key,
                                          run->scheduler, NULL));
    own = kin_context_join(sum, kin_context_of_job(run->background_job));
    return own ? kin_scope_new(own, &run->background) : KIN_ENOMEM;
}

/* Of the environment, if a seed is wanted at all. */
static uint64_t choose_seed(uint64_t seed)
{
    const char *text = seed ? kin__environment("KIN_SEED") : NULL;
    unsigned long long replaced;
    char *end;

    if (!text || !*text)
        return seed;
    replaced = strtoull(text, &end, 0);
    if (*end)
        fprintf(stderr, "kin: KIN_SEED=%s is no number\n", text);
    return *end ? seed : replaced;
}

/* --- The end -------------------------------------------------------------- */

static void release_failures(struct kin__test_failure *each)
{
    struct kin__test_failure *next;

    for (; each; each = next) {
        next = each->next;
        kin_error_release(each->error);
        kin__free(each);
    }
}

/* The winner, with the others suppressed: the timeout, the body's, the first
 * collected; a cancellation only if nothing failed. */
static int outcome_of(struct kin__test_run *run)
{
    kin_error *own = kin__job_error(run->job);
    kin_error *won = run->expired ? run->expired : own;
    struct kin__test_failure *each;

    if (run->first && (!won || (won == own && kin_error_is_cancellation(won))))
        won = run->first->error;
    if (!won)
        return 0;
    kin_error_retain(won);
    if (own)
        kin__error_suppress(won, own);
    for (each = run->first; each; each = each->next)
        kin__error_suppress(won, each->error);
    return kin__fail_with(won, kin_error_code(won));
}

/* --- All of it ------------------------------------------------------------ */

static int set_run(kin_test_scheduler *scheduler, struct kin__test_run *run)
{
    bool taken;

    kin__test_lock(scheduler);
    taken = run && scheduler->run;
    if (!taken)
        scheduler->run = run;
    kin__test_unlock(scheduler);
    return taken ? kin__misuse(KIN_EBUSY, "kin_run_test", "the scheduler is "
                               "used by another one") : 0;
}

/* Launches body and runs events until everything has ended. */
static int run_body(struct kin__test_run *run, kin_body *body,
                    const kin_launch_options *options)
{
    KIN_AUTO(kin_deferred) deferred = NULL;
    kin_registration *ends[2] = { NULL, NULL };
    struct loop loop = {
        .frame = { .poll = loop_poll, .next = loop_next,
                   .chance = loop_chance },
        .run = run,
    };
    bool held = kin__in_place_hold();   /* not before the loop runs */
    int err, ran;

    err = kin_async_with(kin_global_scope(), &deferred, body, options);
    kin__in_place_let_go(held);
    if (!deferred)
        return err;
    run->job = (kin_job *)deferred;
    err = kin_invoke_on_completion(run->background_job, wake, run->scheduler, 0,
                                   &ends[0]);
    if (!err)
        err = kin_invoke_on_completion(run->job, wake, run->scheduler, 0,
                                       &ends[1]);
    if (err)
        kin_job_cancel(run->job, NULL); /* so body does not run */
    ran = kin__frame_run(&loop.frame);
    KIN_CHECK(!ran);                    /* prepared: there is a stack */
    kin_registration_dispose(ends[0]);
    kin_registration_dispose(ends[1]);
    return err ? err : outcome_of(run);
}

static int run_in(struct kin__test_run *run, kin_dispatcher *dispatcher,
                  kin_body *body, const kin_test_options *options)
{
    KIN_AUTO(kin_context) context = make_context(run->scheduler, dispatcher,
                                                 options);
    kin_launch_options launch = {
        .arg = options->arg, .site = options->site, .context = context,
        .name = options->name,
    };
    int err = context ? make_background(run, context) : KIN_ENOMEM;

    if (!err)
        err = kin__frame_prepare();
    if (!err)
        err = run_body(run, body, &launch);
    set_run(run->scheduler, NULL);
    if (err < 0 && run->seed)
        fprintf(stderr, "kin: seed %" PRIu64 "\n", run->seed);
    release_failures(run->first);
    kin_error_release(run->expired);
    kin_scope_release(run->background);
    kin_job_release(run->background_job);
    return err;
}

int kin_run_test_with(kin_body *body, const kin_test_options *options)
{
    KIN_AUTO(kin_test_scheduler) scheduler = NULL;
    KIN_AUTO(kin_dispatcher) dispatcher = NULL;
    struct kin__test_run run = { .first = NULL };
    int err;

    if (kin__is_forked)
        return kin__fork_refuse("kin_run_test");
    KIN_TRY(check_options(body, options));
    KIN_TRY(find_scheduler(options, &scheduler, &dispatcher));
    run.scheduler = scheduler;
    run.site = options->site ? options->site : "?";
    run.timeout = options->timeout ? options->timeout : KIN_S(60);
    run.deadline = kin_after(run.timeout);
    run.seed = choose_seed(options->seed);
    run.last = &run.first;
    KIN_TRY(kin__test_enter(scheduler, "kin_run_test"));
    err = set_run(scheduler, &run);
    if (!err) {
        kin__test_set_seed(scheduler, run.seed);
        err = run_in(&run, dispatcher, body, options);
        kin__test_set_seed(scheduler, 0);
    }
    kin__test_leave(scheduler);
    return err;
}

/* --- Seen from inside ----------------------------------------------------- */

kin_test_scheduler *kin_test_scheduler_of(kin_scope *scope)
{
    if (!scope) {
        kin__misuse(KIN_EINVAL, "kin_test_scheduler_of", "scope is NULL");
        return NULL;
    }
    return kin_context_get(kin__scope_context(scope), &kin__test_key);
}

kin_scope *kin_test_background(kin_scope *scope)
{
    kin_test_scheduler *scheduler;
    kin_scope *background = NULL;

    if (!scope) {
        kin__misuse(KIN_EINVAL, "kin_test_background", "scope is NULL");
        return NULL;
    }
    scheduler = kin_context_get(kin__scope_context(scope), &kin__test_key);
    if (scheduler) {
        kin__test_lock(scheduler);
        background = scheduler->run ? scheduler->run->background : NULL;
        kin__test_unlock(scheduler);
    }
    if (!background)
        kin__misuse(KIN_EINVAL, "kin_test_background",
                    "scope belongs to no kin_run_test");
    return background;
}
