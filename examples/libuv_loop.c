/* libuv_loop.c -- a dispatcher on libuv: fibers beside the callbacks of a loop
 * that is somebody else's.
 *
 * A dispatcher is a table of functions, of which one is required.  Here are
 * two: dispatch puts a task into an inbox and wakes the loop by uv_async_t, the
 * one handle of libuv that other threads may touch; set_timer has kin's delays
 * and timeouts kept by a uv_timer_t. */
#include <kin/kin.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* A timer of kin that is armed. */
struct alarm {
    struct alarm *next;
    kin_timer *timer;
    int64_t deadline;
};

struct uv_dispatcher {
    kin_dispatcher dispatcher;          /* first */
    uv_loop_t loop;
    uv_thread_t thread;                 /* the loop's */
    uv_async_t wake;
    uv_timer_t clock;
    uv_mutex_t lock;                    /* guards all below */
    uv_cond_t has_fired;
    kin_task *inbox, **inbox_end;
    struct alarm *alarms;               /* sorted; for many, use a heap */
    kin_timer *firing;
    bool is_closing;
};

static bool on_loop(const struct uv_dispatcher *self)
{
    uv_thread_t here = uv_thread_self();

    return uv_thread_equal(&here, &self->thread);
}

/* --------------------------------------------------------------- tasks */

static int dispatch(kin_dispatcher *dispatcher, kin_task *task)
{
    struct uv_dispatcher *self = (struct uv_dispatcher *)dispatcher;

    task->next = NULL;
    uv_mutex_lock(&self->lock);
    *self->inbox_end = task;
    self->inbox_end = &task->next;
    uv_async_send(&self->wake);
    uv_mutex_unlock(&self->lock);
    return 0;
}

/* Runs what is there now; what it adds is for the next time, after libuv has
 * looked at its descriptors. */
static void run_tasks(struct uv_dispatcher *self)
{
    kin_task *task, *next;

    uv_mutex_lock(&self->lock);
    task = self->inbox;
    self->inbox = NULL;
    self->inbox_end = &self->inbox;
    uv_mutex_unlock(&self->lock);
    for (; task; task = next) {
        next = task->next;              /* task is kin's again when it ran */
        kin_task_run(task);
    }
}

/* -------------------------------------------------------------- timers */

static void unlink_alarm(struct uv_dispatcher *self, struct alarm *alarm)
{
    struct alarm **place = &self->alarms;

    while (*place && *place != alarm)
        place = &(*place)->next;
    if (*place)
        *place = alarm->next;
}

static void insert_alarm(struct uv_dispatcher *self, struct alarm *alarm)
{
    struct alarm **place = &self->alarms;

    while (*place && (*place)->deadline <= alarm->deadline)
        place = &(*place)->next;
    alarm->next = *place;
    *place = alarm;
}

/* Withdraws timer; if the loop's thread is firing it, waits for that: the
 * timer may be gone as soon as this returns.  Called with the lock held. */
static void disarm(struct uv_dispatcher *self, kin_timer *timer)
{
    struct alarm **armed = (struct alarm **)kin_timer_user_data(timer);

    while (self->firing == timer && !on_loop(self))
        uv_cond_wait(&self->has_fired, &self->lock);
    if (*armed) {
        unlink_alarm(self, *armed);
        free(*armed);
        *armed = NULL;
    }
}

static int set_timer(kin_dispatcher *dispatcher, kin_timer *timer,
                     int64_t deadline)
{
    struct uv_dispatcher *self = (struct uv_dispatcher *)dispatcher;
    struct alarm *alarm = NULL;

    if (deadline != KIN_NEVER) {
        alarm = malloc(sizeof *alarm);
        if (!alarm)
            return KIN_ENOMEM;
        *alarm = (struct alarm){ .timer = timer, .deadline = deadline };
    }
    uv_mutex_lock(&self->lock);
    disarm(self, timer);
    if (alarm) {
        *kin_timer_user_data(timer) = alarm;
        insert_alarm(self, alarm);
        uv_async_send(&self->wake);
    }
    uv_mutex_unlock(&self->lock);
    return 0;
}

static void fire_alarms(struct uv_dispatcher *self)
{
    struct alarm *alarm;

    uv_mutex_lock(&self->lock);
    while ((alarm = self->alarms) && alarm->deadline <= kin_now()) {
        kin_timer *timer = self->firing = alarm->timer;

        disarm(self, timer);
        uv_mutex_unlock(&self->lock);
        kin_timer_fire(timer);          /* may arm and dispatch */
        uv_mutex_lock(&self->lock);
        self->firing = NULL;
        uv_cond_broadcast(&self->has_fired);
    }
    uv_mutex_unlock(&self->lock);
}

/* ------------------------------------------------------------ the loop */

static void on_wake(struct uv_dispatcher *self);

static void on_clock(uv_timer_t *clock)
{
    on_wake(clock->data);
}

/* libuv counts in milliseconds from its own idea of now. */
static void set_clock(struct uv_dispatcher *self)
{
    int64_t left;

    uv_mutex_lock(&self->lock);
    left = self->alarms ? self->alarms->deadline - kin_now() : KIN_NEVER;
    uv_mutex_unlock(&self->lock);
    if (left == KIN_NEVER) {
        uv_timer_stop(&self->clock);
        return;
    }
    uv_update_time(&self->loop);
    uv_timer_start(&self->clock, on_clock,
                   left > 0 ? (uint64_t)((left + KIN_MS(1) - 1) / KIN_MS(1))
                            : 0, 0);
}

static void on_wake(struct uv_dispatcher *self)
{
    bool is_closing;

    run_tasks(self);
    fire_alarms(self);
    set_clock(self);
    uv_mutex_lock(&self->lock);
    is_closing = self->is_closing;
    uv_mutex_unlock(&self->lock);
    if (is_closing && !uv_is_closing((uv_handle_t *)&self->wake)) {
        uv_close((uv_handle_t *)&self->wake, NULL);
        uv_close((uv_handle_t *)&self->clock, NULL);
    }
}

static void on_async(uv_async_t *wake)
{
    on_wake(wake->data);
}

static int uv_dispatcher_init(struct uv_dispatcher *self)
{
    static const kin_dispatcher_ops ops = {
        .dispatch = dispatch,
        .set_timer = set_timer,
    };

    *self = (struct uv_dispatcher){ .thread = uv_thread_self() };
    self->inbox_end = &self->inbox;
    KIN_TRY(uv_loop_init(&self->loop));
    KIN_TRY(uv_mutex_init(&self->lock));
    KIN_TRY(uv_cond_init(&self->has_fired));
    KIN_TRY(uv_async_init(&self->loop, &self->wake, on_async));
    KIN_TRY(uv_timer_init(&self->loop, &self->clock));
    self->wake.data = self->clock.data = self;
    return kin_dispatcher_init(&self->dispatcher, &ops, "libuv");
}

/* A completion callback: lets the loop end.  Any thread. */
static int end_loop(kin_job *job, kin_error *cause, void *arg)
{
    struct uv_dispatcher *self = arg;

    (void)job;
    (void)cause;
    uv_mutex_lock(&self->lock);
    self->is_closing = true;
    uv_async_send(&self->wake);
    uv_mutex_unlock(&self->lock);
    return 0;
}

static void uv_dispatcher_destroy(struct uv_dispatcher *self)
{
    kin_dispatcher_release(&self->dispatcher);
    uv_loop_close(&self->loop);
    uv_cond_destroy(&self->has_fired);
    uv_mutex_destroy(&self->lock);
}

/* ----------------------------------------------------------- a program */

struct program {
    struct uv_dispatcher uv;
};

static const char *where(const struct program *program)
{
    return on_loop(&program->uv) ? "on the loop" : "elsewhere";
}

/* A callback of libuv as a suspending call: the size of a file. */
struct stat_call {
    uv_fs_t request;
    struct program *program;
    const char *path;
    kin_continuation caller;
};

static void on_stat(uv_fs_t *request)
{
    struct stat_call *call = request->data;

    kin_resume(call->caller, (int)request->result);
}

static int start_stat(kin_continuation caller, void *arg)
{
    struct stat_call *call = arg;

    call->caller = caller;
    call->request.data = call;
    return uv_fs_stat(&call->program->uv.loop, &call->request, call->path,
                      on_stat);
}

/* libuv writes into call until it has called back: so this wait is deaf to
 * cancellation. */
KIN_SUSPENDS
static int size_of(struct program *program, const char *path, uint64_t *size)
{
    struct stat_call call = { .program = program, .path = path };
    int err = kin_suspend(start_stat, &call);

    *size = err < 0 ? 0 : call.request.statbuf.st_size;
    uv_fs_req_cleanup(&call.request);
    return err;
}

KIN_SUSPENDS
static int tick(kin_scope *scope, void *arg)
{
    struct program *program = arg;

    (void)scope;
    for (int i = 1; i <= 3; i++) {
        KIN_TRY(kin_delay(KIN_MS(60)));
        printf("tick %d, %s\n", i, where(program));
    }
    return 0;
}

KIN_SUSPENDS
static int tour(kin_scope *scope, void *arg)
{
    struct program *program = arg;
    uint64_t size;
    int err = 0;

    KIN_TRY(kin_launch(scope, tick, program, .name = "tick"));
    KIN_TRY(kin_delay(KIN_MS(30)));
    printf("begins %s\n", where(program));
    KIN_WITH_CONTEXT(err, .dispatcher = kin_io())
        printf("then %s\n", where(program));
    KIN_TRY(err);
    KIN_TRY(size_of(program, "/proc/self/exe", &size));
    printf("a file of %s, again %s\n", size > 1000 ? "some size" : "no size",
           where(program));
    KIN_WITH_TIMEOUT(err, KIN_MS(60))
        kin_await_cancellation();
    printf("timeout: %s, %s\n", kin_error_name(err), where(program));
    return 0;
}

static int run(struct program *program)
{
    KIN_AUTO(kin_context) loop = NULL;
    KIN_AUTO(kin_scope) scope = NULL;
    KIN_AUTO(kin_job) job = NULL;

    loop = kin_context_of_dispatcher(&program->uv.dispatcher);
    KIN_TRY(kin_scope_new(loop, &scope));
    KIN_TRY(kin_launch(scope, tour, program, .name = "tour", .job = &job));
    KIN_TRY(kin_invoke_on_completion(job, end_loop, &program->uv, 0, NULL));
    KIN_TRY(uv_run(&program->uv.loop, UV_RUN_DEFAULT));
    return kin_scope_cancel(scope, NULL);
}

int main(void)
{
    struct program program;

    if (uv_dispatcher_init(&program.uv) < 0 || run(&program) < 0) {
        fprintf(stderr, "the loop cannot be set up\n");
        return EXIT_FAILURE;
    }
    uv_dispatcher_destroy(&program.uv);
    printf("the loop has ended\n");
    return EXIT_SUCCESS;
}
