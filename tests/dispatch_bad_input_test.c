/* What callers do wrong with dispatchers, Main, tasks, fibers, stacks and
 * times: NULL, nothing, less than nothing, far too much, the wrong thread,
 * twice, too late.  A call that is misused reports it with its name on stderr,
 * answers with the documented code, and has no effect; in a debug build it
 * aborts.  What the headers allow must do nothing, or what they say.
 *
 * Each line MISUSE(function, what, code, call) is a test.
 */
#include "tests/job_helpers.h"

#include "tests/dispatch_helpers.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static kin_dispatcher *const UNTOUCHED = (kin_dispatcher *)1;

static int take_nothing(kin_dispatcher *self, kin_task *task)
{
    (void)self, (void)task;
    return KIN_EBUSY;
}

static const kin_dispatcher_ops refusing_ops = { .dispatch = take_nothing };
static const kin_dispatcher_ops empty_ops = { .dispatch = NULL };

static kin_dispatcher *foreign(void)
{
    static kin_dispatcher self;

    if (!self.ops)
        CHECK_EQ(kin_dispatcher_init(&self, &refusing_ops, "foreign"), 0);
    return &self;
}

/* Calls fn on a thread of its own, which is waited for. */
static void on_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* --- A dispatcher of one's own ------------------------------------------ */

static kin_dispatcher own;

MISUSE(kin_dispatcher_init, of_null, KIN_EINVAL,
       kin_dispatcher_init(NULL, &refusing_ops, "x"))
MISUSE(kin_dispatcher_init, without_a_table, KIN_EINVAL,
       kin_dispatcher_init(&own, NULL, "x"))
MISUSE(kin_dispatcher_init, without_dispatch, KIN_EINVAL,
       kin_dispatcher_init(&own, &empty_ops, "x"))

TEST(a_dispatcher_without_a_name_is_a_question_mark)
{
    CHECK_EQ(kin_dispatcher_init(&own, &refusing_ops, NULL), 0);
    CHECK_STR(kin_dispatcher_name(&own), "?");
    CHECK_STR(kin_dispatcher_name(NULL), "?");
    kin_dispatcher_release(&own);           /* nothing to destroy */
}

static int destroyed;

static void count_destroy(kin_dispatcher *self)
{
    (void)self;
    destroyed++;
}

TEST(the_last_release_destroys_and_no_other)
{
    static const kin_dispatcher_ops ops = { .dispatch = take_nothing,
                                            .destroy = count_destroy };

    CHECK_EQ(kin_dispatcher_init(&own, &ops, "x"), 0);
    CHECK_PTR(kin_dispatcher_retain(&own), &own);
    kin_dispatcher_release(&own);
    CHECK_EQ(destroyed, 0);
    kin_dispatcher_release(&own);
    CHECK_EQ(destroyed, 1);
}

TEST(there_is_nothing_to_retain_or_release_in_null)
{
    CHECK_PTR(kin_dispatcher_retain(NULL), NULL);
    kin_dispatcher_release(NULL);
}

TEST(the_dispatchers_that_are_always_there_survive_any_number_of_releases)
{
    kin_dispatcher *const always[] = { kin_default(), kin_io(),
                                       kin_unconfined(), kin_main(),
                                       kin_main_immediate() };

    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        for (int n = 0; n < 100; n++)
            kin_dispatcher_release(always[i]);
    CHECK_STR(kin_dispatcher_name(kin_default()), "Default");
    CHECK_STR(kin_dispatcher_name(kin_io()), "IO");
    CHECK_STR(kin_dispatcher_name(kin_unconfined()), "Unconfined");
    CHECK_STR(kin_dispatcher_name(kin_main()), "Main");
    CHECK_STR(kin_dispatcher_name(kin_main_immediate()), "Main.immediate");
}

MISUSE(kin_timer_fire, of_null, 0, (kin_timer_fire(NULL), 0))
MISUSE(kin_task_run, of_null, 0, (kin_task_run(NULL), 0))
MISUSE(kin_task_run, of_an_empty_task, 0, (kin_task_run(&(kin_task){ 0 }), 0))

TEST(no_timer_has_no_user_data)
{
    CHECK_PTR(kin_timer_user_data(NULL), NULL);
}

/* --- Views -------------------------------------------------------------- */

static kin_dispatcher *out;

static int view_of(kin_dispatcher *base, int n)
{
    out = UNTOUCHED;
    int err = kin_limited_parallelism(base, n, "view", &out);
    if (err)
        CHECK_PTR(out, UNTOUCHED);
    return err;
}

MISUSE(kin_limited_parallelism, of_null, KIN_EINVAL, view_of(NULL, 1))
static kin_dispatcher never_initialised;

MISUSE(kin_limited_parallelism, of_one_never_initialised, KIN_EINVAL,
       view_of(&never_initialised, 1))
MISUSE(kin_limited_parallelism, into_null, KIN_EINVAL,
       kin_limited_parallelism(kin_default(), 1, "view", NULL))
MISUSE(kin_limited_parallelism, for_none, KIN_EINVAL, view_of(kin_default(), 0))
MISUSE(kin_limited_parallelism, for_less_than_none, KIN_EINVAL,
       view_of(kin_io(), -1))
MISUSE(kin_limited_parallelism, for_far_less_than_none, KIN_EINVAL,
       view_of(foreign(), INT_MIN))

TEST(there_is_no_view_of_unconfined_for_any_number)
{
    CHECK_EQ(view_of(kin_unconfined(), 1), KIN_ENOTSUP);
    CHECK_EQ(view_of(kin_unconfined(), INT_MAX), KIN_ENOTSUP);
}

TEST(a_view_for_more_than_the_base_does_is_the_base)
{
    CHECK_EQ(view_of(kin_default(), INT_MAX), 0);
    CHECK_PTR(out, kin_default());
    CHECK_EQ(view_of(kin_main(), INT_MAX), 0);
    CHECK_PTR(out, kin_main());
}

/* How much a foreign one does at once is not known. */
TEST(a_view_may_be_for_any_number)
{
    CHECK_EQ(view_of(foreign(), INT_MAX), 0);
    CHECK(out != foreign());
    kin_dispatcher_release(out);
    CHECK_EQ(view_of(kin_io(), INT_MAX), 0);
    kin_dispatcher_release(out);
}

TEST(a_view_may_have_no_name_or_a_long_one)
{
    char name[5000];
    kin_dispatcher *view;

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK_EQ(kin_limited_parallelism(kin_io(), 1, name, &view), 0);
    CHECK_STR(kin_dispatcher_name(view), name);
    kin_dispatcher_release(view);
    CHECK_EQ(kin_limited_parallelism(kin_io(), 1, NULL, &view), 0);
    CHECK(*kin_dispatcher_name(view));
    kin_dispatcher_release(view);
}

static void never_run(void *arg)
{
    (void)arg;
    unreached();
}

/* Again and again: each time the view is as it was. */
TEST(a_base_that_refuses_has_its_view_refuse_with_the_same_code)
{
    CHECK_EQ(view_of(foreign(), 2), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(try_post(out, never_run, NULL, 0), KIN_EBUSY);
    kin_dispatcher_release(out);
}

/* --- Pools -------------------------------------------------------------- */

static int pool_of(int n, const char *name)
{
    out = UNTOUCHED;
    int err = kin_fixed_pool(n, name, &out);
    if (err)
        CHECK_PTR(out, UNTOUCHED);
    return err;
}

MISUSE(kin_fixed_pool, of_none, KIN_EINVAL, pool_of(0, "pool"))
MISUSE(kin_fixed_pool, of_less_than_none, KIN_EINVAL, pool_of(-1, "pool"))
MISUSE(kin_fixed_pool, of_far_less_than_none, KIN_EINVAL,
       pool_of(INT_MIN, "pool"))
MISUSE(kin_fixed_pool, without_a_name, KIN_EINVAL, pool_of(1, NULL))
MISUSE(kin_fixed_pool, into_null, KIN_EINVAL, kin_fixed_pool(1, "pool", NULL))
MISUSE(kin_single_thread, without_a_name, KIN_EINVAL,
       kin_single_thread(NULL, &out))
MISUSE(kin_single_thread, into_null, KIN_EINVAL,
       kin_single_thread("thread", NULL))

TEST(a_pool_of_more_threads_than_there_can_be_is_refused)
{
    CHECK_EQ(pool_of(INT_MAX, "pool"), KIN_EAGAIN);
}

static void close_and_release(kin_dispatcher *pool)
{
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

TEST(a_pool_may_have_an_empty_name_or_a_long_one)
{
    CHECK_EQ(pool_of(1, ""), 0);
    close_and_release(out);
    CHECK_EQ(pool_of(2, "a name that is longer than a thread's may be"), 0);
    CHECK_STR(kin_dispatcher_name(out),
              "a name that is longer than a thread's may be");
    close_and_release(out);
}

MISUSE(kin_dispatcher_close, of_null, KIN_EINVAL, kin_dispatcher_close(NULL))

TEST(what_is_not_a_pool_cannot_be_closed)
{
    CHECK_EQ(kin_dispatcher_close(kin_default()), KIN_ENOTSUP);
    CHECK_EQ(kin_dispatcher_close(kin_io()), KIN_ENOTSUP);
    CHECK_EQ(kin_dispatcher_close(kin_unconfined()), KIN_ENOTSUP);
    CHECK_EQ(kin_dispatcher_close(kin_main()), KIN_ENOTSUP);
    CHECK_EQ(kin_dispatcher_close(foreign()), KIN_ENOTSUP);
    CHECK_EQ(view_of(foreign(), 1), 0);
    CHECK_EQ(kin_dispatcher_close(out), KIN_ENOTSUP);
    kin_dispatcher_release(out);
}

static struct counter done = COUNTER_INIT;

static void count(void *arg)
{
    (void)arg;
    counter_add(&done, 1);
}

TEST(what_comes_after_close_is_refused_on_the_pool_and_its_view)
{
    KIN_AUTO(kin_dispatcher) pool = NULL;
    KIN_AUTO(kin_dispatcher) view = NULL;

    CHECK_EQ(kin_fixed_pool(2, "pool", &pool), 0);
    CHECK_EQ(kin_limited_parallelism(pool, 1, "view", &view), 0);
    post(view, count, NULL);
    counter_await(&done, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(kin_dispatcher_close(pool), 0);
        CHECK_EQ(try_post(pool, never_run, NULL, 0), KIN_ECLOSED);
        CHECK_EQ(try_post(view, never_run, NULL, 0), KIN_ECLOSED);
    }
}

static void *close_pool(void *pool)
{
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    return NULL;
}

TEST(a_pool_may_be_closed_by_several_at_once)
{
    enum { CLOSERS = 4 };
    pthread_t closers[CLOSERS];
    KIN_AUTO(kin_dispatcher) pool = NULL;

    CHECK_EQ(kin_fixed_pool(2, "pool", &pool), 0);
    post(pool, count, NULL);
    for (int i = 0; i < CLOSERS; i++)
        CHECK_EQ(pthread_create(&closers[i], NULL, close_pool, pool), 0);
    for (int i = 0; i < CLOSERS; i++)
        CHECK_EQ(pthread_join(closers[i], NULL), 0);
    CHECK_EQ(counter_get(&done), 1);
}

/* The one who forgets to close loses the threads, and nothing else: they keep
 * what they need. */
TEST(a_pool_released_without_close_still_runs_what_it_has)
{
    CHECK_EQ(pool_of(1, "pool"), 0);
    post(out, count, NULL);
    kin_dispatcher_release(out);
    counter_await(&done, 1);
}

/* --- Main --------------------------------------------------------------- */

MISUSE(kin_main_pump, without_main, KIN_ENOMAIN, kin_main_pump(0))
MISUSE(kin_main_run, without_main, KIN_ENOMAIN, kin_main_run())
MISUSE(kin_main_detach, without_main, KIN_ENOMAIN, kin_main_detach())
MISUSE(kin_main_deadline, without_main, KIN_ENOMAIN, kin_main_deadline())

TEST(without_main_questions_are_answered_quietly)
{
    CHECK(!kin_main_is_attached());
    CHECK(!kin_main_is_current());
    CHECK_EQ(kin_main_fd(), KIN_ENOMAIN);
    CHECK_EQ(kin_main_quit(), KIN_ENOMAIN);
    CHECK_EQ(try_post(kin_main(), never_run, NULL, 0), KIN_ENOMAIN);
    CHECK_EQ(try_post(kin_main_immediate(), never_run, NULL, 0), KIN_ENOMAIN);
}

static long long with_main(long long (*call)(void))
{
    CHECK_EQ(kin_main_attach(), 0);
    long long result = call();
    CHECK(kin_main_is_current());
    CHECK_EQ(kin_main_detach(), 0);
    return result;
}

static long long pump_less_than_nothing(void)
{
    post(kin_main(), count, NULL);
    CHECK_EQ(kin_main_pump(INT64_MIN), KIN_EINVAL);
    CHECK_EQ(counter_get(&done), 0);
    int err = kin_main_pump(-1);
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    counter_add(&done, -1);
    return err;
}
MISUSE(kin_main_pump, for_less_than_nothing, KIN_EINVAL,
       with_main(pump_less_than_nothing))

TEST(pump_with_nothing_to_do_returns_at_once_for_any_budget)
{
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_main_pump(0), 0);
    CHECK_EQ(kin_main_pump(1), 0);
    CHECK_EQ(kin_main_pump(INT64_MAX - 1), 0);
    CHECK_EQ(kin_main_pump(INT64_MAX), 0);
    CHECK_EQ(kin_main_detach(), 0);
}

/* The calls of a thread that is not Main's. */
#define ELSEWHERE(function, ...)                                             \
    static void *function##__elsewhere(void *result)                         \
    {                                                                        \
        *(long long *)result = function(__VA_ARGS__);                        \
        return NULL;                                                         \
    }                                                                        \
    static long long function##__not_main(void)                              \
    {                                                                        \
        long long result = 0;                                                \
        on_thread(function##__elsewhere, &result);                           \
        return result;                                                       \
    }                                                                        \
    MISUSE(function, on_another_thread, KIN_EPERM,                           \
           with_main(function##__not_main))

ELSEWHERE(kin_main_pump, 0)
ELSEWHERE(kin_main_run)
ELSEWHERE(kin_main_detach)
ELSEWHERE(kin_main_deadline)

static void *attach_elsewhere(void *arg)
{
    (void)arg;
    CHECK_EQ(kin_main_attach(), KIN_EALREADY);
    CHECK(kin_main_is_attached());
    CHECK(!kin_main_is_current());
    CHECK(kin_main_fd() >= 0);
    return NULL;
}

TEST(main_is_attached_once_and_questions_may_come_from_anywhere)
{
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_main_attach(), KIN_EALREADY);
    on_thread(attach_elsewhere, NULL);
    CHECK(kin_main_is_current());
    CHECK_EQ(kin_main_detach(), 0);
    CHECK(!kin_main_is_attached());
}

/* What is called by a task of Main's own. */
static long long inside;

static void pump_inside(void *arg)
{
    (void)arg;
    inside = kin_main_pump(KIN_NEVER);
}

static void run_inside(void *arg)
{
    (void)arg;
    inside = kin_main_run();
}

static void detach_inside(void *arg)
{
    (void)arg;
    inside = kin_main_detach();
}

static long long called_inside(void (*fn)(void *))
{
    CHECK_EQ(kin_main_attach(), 0);
    post(kin_main(), fn, NULL);
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK(kin_main_is_current());
    CHECK_EQ(kin_main_detach(), 0);
    return inside;
}
MISUSE(kin_main_pump, inside_the_pump, KIN_EBUSY, called_inside(pump_inside))
MISUSE(kin_main_run, inside_the_pump, KIN_EBUSY, called_inside(run_inside))
MISUSE(kin_main_detach, inside_the_pump, KIN_EBUSY,
       called_inside(detach_inside))

static long long detach_twice(void)
{
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_main_detach(), 0);
    return kin_main_detach();
}
MISUSE(kin_main_detach, twice, KIN_ENOMAIN, detach_twice())

static void quit(void *arg)
{
    (void)arg;
    CHECK_EQ(kin_main_quit(), 0);
}

TEST(a_quit_does_not_outlive_the_attachment)
{
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_main_quit(), 0);
    CHECK_EQ(kin_main_quit(), 0);
    CHECK_EQ(kin_main_detach(), 0);
    CHECK_EQ(kin_main_attach(), 0);
    post(kin_main(), count, NULL);
    post(kin_main(), quit, NULL);
    CHECK_EQ(kin_main_run(), 0);
    CHECK_EQ(counter_get(&done), 1);
    CHECK_EQ(kin_main_detach(), 0);
}

/* --- Fibers ------------------------------------------------------------- */

KIN_SUSPENDS
static void *suspend_once(void *value)
{
    return kin_fiber_suspend(value);
}

static kin_fiber *const NO_FIBER = (kin_fiber *)1;
static char memory[KIN_FIBER_MEMORY_MIN];

static int new_fiber(kin_fiber_body *body, kin_fiber_options options)
{
    kin_fiber *fiber = NO_FIBER;

    options.fiber = &fiber;
    int err = kin_fiber_new_with(body, &options);
    if (err)
        CHECK_PTR(fiber, NO_FIBER);
    else
        kin_fiber_destroy(fiber);
    return err;
}

MISUSE(kin_fiber_new, without_a_body, KIN_EINVAL,
       new_fiber(NULL, (kin_fiber_options){ 0 }))
MISUSE(kin_fiber_new, into_null, KIN_EINVAL,
       kin_fiber_new(suspend_once, NULL))
MISUSE(kin_fiber_new, without_options, KIN_EINVAL,
       kin_fiber_new_with(suspend_once, NULL))
MISUSE(kin_fiber_new, on_no_memory, KIN_EINVAL,
       new_fiber(suspend_once, (kin_fiber_options){ .memory = memory }))
MISUSE(kin_fiber_new, on_too_little_memory, KIN_EINVAL,
       new_fiber(suspend_once,
                 (kin_fiber_options){ .memory = memory,
                                      .memory_size = sizeof memory - 1 }))

TEST(a_stack_may_have_any_size_up_to_64_mib)
{
    const size_t good[] = { 0, 1, 4095, 4097, KIN_STACK_SIZE_MAX };
    const size_t bad[] = { KIN_STACK_SIZE_MAX + 1, SIZE_MAX / 2,
                           SIZE_MAX - 4095, SIZE_MAX };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_EQ(new_fiber(suspend_once,
                           (kin_fiber_options){ .stack_size = good[i] }), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(new_fiber(suspend_once,
                           (kin_fiber_options){ .stack_size = bad[i] }),
                 KIN_EINVAL);
}

static kin_fiber *fiber_of(kin_fiber_body *body)
{
    kin_fiber *fiber = NULL;

    CHECK_EQ(kin_fiber_new(body, &fiber), 0);
    return fiber;
}

MISUSE(kin_fiber_resume, of_null, KIN_EINVAL,
       kin_fiber_resume(NULL, NULL, NULL))
MISUSE(kin_fiber_suspend, off_a_fiber, true, kin_fiber_suspend(memory) == NULL)
MISUSE(kin_fiber_transfer, to_null, KIN_EINVAL,
       kin_fiber_transfer(NULL, NULL, NULL))

KIN_UNCHECKED
static int transfer_off_a_fiber(void)
{
    void *value = memory;
    kin_fiber *fiber = fiber_of(suspend_once);
    int err = kin_fiber_transfer(fiber, NULL, &value);

    CHECK_PTR(value, memory);
    CHECK_EQ(kin_fiber_resume(fiber, NULL, NULL), 0);   /* as it was */
    kin_fiber_destroy(fiber);
    return err;
}
MISUSE(kin_fiber_transfer, off_a_fiber, KIN_ENOFIBER, transfer_off_a_fiber())

static void *destroy_itself(void *self)
{
    kin_fiber_destroy(*(kin_fiber **)self);
    CHECK_PTR(kin_fiber_current(), *(kin_fiber **)self);
    return self;
}

static void destroy_the_running(void)
{
    kin_fiber *fiber = fiber_of(destroy_itself);
    void *value = NULL;

    CHECK_EQ(kin_fiber_resume(fiber, &fiber, &value), 0);
    CHECK_PTR(value, &fiber);
    kin_fiber_destroy(fiber);
}
MISUSE(kin_fiber_destroy, of_the_running, 0, (destroy_the_running(), 0))

KIN_SUSPENDS
static void *resume_and_transfer_to_itself(void *self)
{
    void *value = memory;

    CHECK_EQ(kin_fiber_resume(self, NULL, &value), KIN_EBUSY);
    CHECK_EQ(kin_fiber_transfer(self, NULL, &value), KIN_EBUSY);
    CHECK_PTR(value, memory);
    return NULL;
}

TEST(a_running_fiber_is_busy_for_itself)
{
    kin_fiber *fiber = fiber_of(resume_and_transfer_to_itself);

    CHECK_EQ(kin_fiber_resume(fiber, fiber, NULL), 0);
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
}

TEST(an_ended_fiber_is_too_late_to_resume_and_leaves_the_value_alone)
{
    void *value = memory;
    kin_fiber *fiber = fiber_of(suspend_once);

    CHECK_EQ(kin_fiber_resume(fiber, NULL, NULL), 0);
    CHECK(!kin_fiber_is_done(fiber));
    CHECK_EQ(kin_fiber_resume(fiber, NULL, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(kin_fiber_resume(fiber, NULL, &value), KIN_ESTALE);
    CHECK_PTR(value, memory);
    kin_fiber_destroy(fiber);
}

TEST(no_fiber_is_done_and_has_nothing)
{
    CHECK(kin_fiber_is_done(NULL));
    CHECK_PTR(kin_fiber_name(NULL), NULL);
    CHECK_PTR(kin_fiber_local(NULL), NULL);
    CHECK_PTR(kin_fiber_current(), NULL);
    kin_fiber_set_local(NULL, memory);
    kin_fiber_destroy(NULL);
}

/* On the thread's own stack there is nothing to leave. */
KIN_UNCHECKED
static void suspend_here(void *value)
{
    *(void **)value = kin_fiber_suspend(memory);
}

static void *suspend_on_thread_stack(void *unused)
{
    void *value = memory;

    (void)unused;
    kin_call_on_thread_stack(suspend_here, &value);
    return value;
}

static void *value_of_suspension_on_thread_stack(void)
{
    void *value = memory;
    kin_fiber *fiber = fiber_of(suspend_on_thread_stack);

    CHECK_EQ(kin_fiber_resume(fiber, NULL, &value), 0);
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
    return value;
}
MISUSE(kin_fiber_suspend, on_the_threads_stack, true,
       value_of_suspension_on_thread_stack() == NULL)

/* --- Stacks ------------------------------------------------------------- */

MISUSE(kin_stack_get_stats, into_null, KIN_EINVAL, kin_stack_get_stats(NULL))
MISUSE(kin_stack_usage, into_null, 0, kin_stack_usage(NULL, SIZE_MAX))

TEST(usage_may_be_asked_for_without_room)
{
    kin_stack_use use;

    CHECK_EQ(kin_stack_usage(NULL, 0), 0);
    CHECK_EQ(kin_stack_usage(&use, SIZE_MAX), 0);
}

static size_t limit_now(void)
{
    kin_stack_stats stats;

    CHECK_EQ(kin_stack_get_stats(&stats), 0);
    return stats.bytes_limit;
}

TEST(the_limit_of_stacks_may_be_anything)
{
    const size_t limits[] = { 0, 1, SIZE_MAX - 1, SIZE_MAX };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        kin_stack_set_limit_bytes(limits[i]);
        CHECK_EQ(limit_now(), limits[i]);
        CHECK_EQ(new_fiber(suspend_once, (kin_fiber_options){ 0 }), 0);
    }
}

TEST(trimming_and_reports_may_be_asked_for_twice)
{
    for (int i = 0; i < 2; i++) {
        kin_trim();
        kin_stack_report_overflow(false);
    }
    CHECK_EQ(new_fiber(suspend_once, (kin_fiber_options){ 0 }), 0);
    for (int i = 0; i < 2; i++) {
        kin_stack_report_overflow(true);
        kin_trim();
    }
}

/* --- Time --------------------------------------------------------------- */

TEST(the_past_is_now_and_the_far_future_is_never)
{
    const int64_t past[] = { 0, -1, INT64_MIN + 1, INT64_MIN };
    const int64_t future[] = { INT64_MAX, INT64_MAX - 1 };

    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        int64_t before = kin_now(), at = kin_after(past[i]);
        CHECK(before <= at && at <= kin_now());
    }
    for (size_t i = 0; i < sizeof future / sizeof *future; i++)
        CHECK_EQ(kin_after(future[i]), KIN_NEVER);
}

TEST_MAIN
