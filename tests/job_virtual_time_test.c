/* job_virtual_time_test.c -- the virtual clock of kin/test.h: S296 to S301, and
 * each rule of its section (R23.1 to R23.5).
 *
 * Times are in plain nanoseconds: delay(15) is kin_delay(15). */
#include "tests/words.h"

#include "core/memory.h"

#include <kin/test.h>

#include <stdlib.h>
#include <unistd.h>

/* A test whose code is the body of a kin_run_test; `scope` and `clock` are its
 * own. */
#define TEST_BODY(name) TEST_BODY_WITH(name, .unconfined = false)
#define TEST_BODY_WITH(name, ...)                                            \
    KIN_SUSPENDS                                                             \
    static void name##__main(kin_scope *, kin_test_scheduler *);             \
    BODY(name##__body)                                                       \
    {                                                                        \
        name##__main(scope, kin_test_scheduler_of(scope));                   \
        return 0;                                                            \
    }                                                                        \
    TEST(name)                                                               \
    {                                                                        \
        MUST(kin_run_test(name##__body, NULL, __VA_ARGS__));                 \
    }                                                                        \
    static void name##__main(UNUSED kin_scope *scope,                        \
                             UNUSED kin_test_scheduler *clock)

#define YEAR (KIN_S(3600) * 24 * 365)

/* delay(time); ev(word).  LATE lasts as long as the block it is in. */
struct late {
    int64_t time;
    const char *word;
};
#define LATE(time, word) (&(struct late){ (time), (word) })

BODY(say_late)
{
    const struct late *late = arg;
    KIN_TRY(kin_delay(late->time));
    ev(late->word);
    return 0;
}

BODY(unreached_body)
{
    unreached();
    return 0;
}

/* --- A scheduler turned by a plain thread --------------------------------- */

struct rig {
    kin_test_scheduler *clock;
    kin_dispatcher *dispatcher;
};

static struct rig new_rig(bool unconfined)
{
    struct rig rig = { NULL, NULL };
    MUST(kin_test_scheduler_new(&rig.clock));
    MUST(unconfined ? kin_test_unconfined(rig.clock, &rig.dispatcher)
                    : kin_test_dispatcher(rig.clock, &rig.dispatcher));
    return rig;
}

static void free_rig(struct rig *rig)
{
    kin_dispatcher_release(rig->dispatcher);
    kin_test_scheduler_release(rig->clock);
}

#define RIG(name, unconfined)                                                \
    __attribute__((cleanup(free_rig))) struct rig name = new_rig(unconfined)

/* A root on the rig's dispatcher. */
#define GO(rig, body, ...)                                                   \
    MUST(kin_launch(kin_global_scope(), body, __VA_ARGS__,                   \
                    .dispatcher = (rig).dispatcher))

/* S296, R23.2: what is due at the very end has not run. */
TEST(advancing_stops_short_of_the_end)
{
    RIG(rig, false);
    GO(rig, say_late, LATE(15, "1"));
    MUST(kin_test_advance_by(rig.clock, 15));
    CHECK_EQ(kin_test_now(rig.clock), 15);
    CHECK_LOG("");
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("1");
}

BODY(say_now)
{
    evi(kin_test_now(arg));
    return 0;
}

/* S297 */
BODY(three_delays)
{
    static const int64_t delays[] = { 1000, 500, 501 };
    for (int i = 0; i < 3; i++) {
        KIN_TRY(kin_delay(delays[i]));
        evi(i + 1);
        KIN_TRY(say_now(scope, arg));
    }
    return 0;
}

/* R23.2: the clock is moved to each event, and then to the end. */
TEST(advancing_runs_what_comes_before_the_end)
{
    RIG(rig, false);
    GO(rig, three_delays, rig.clock);
    MUST(kin_test_advance_by(rig.clock, 2000));
    CHECK_LOG("1 1000 2 1500");
    CHECK_EQ(kin_test_now(rig.clock), 2000);
    MUST(kin_test_advance_by(rig.clock, 2));
    CHECK_LOG("1 1000 2 1500 3 2001");
    CHECK_EQ(kin_test_now(rig.clock), 2002);
}

/* R23.2: by nothing is allowed, and runs nothing. */
TEST(advancing_by_nothing_runs_nothing)
{
    RIG(rig, false);
    GO(rig, say, "1");
    MUST(kin_test_advance_by(rig.clock, 0));
    CHECK_LOG("");
    MUST(kin_test_advance_by(rig.clock, 1));
    CHECK_LOG("1");
}

/* R23.2 */
TEST(the_clock_stops_at_the_end_of_time)
{
    RIG(rig, false);
    GO(rig, say_late, LATE(KIN_NEVER - 1, "1"));
    MUST(kin_test_advance_by(rig.clock, 10));
    MUST(kin_test_advance_by(rig.clock, KIN_NEVER));
    CHECK_EQ(kin_test_now(rig.clock), KIN_NEVER);
    CHECK_LOG("1");
    MUST(kin_test_advance_by(rig.clock, KIN_NEVER));
    CHECK_EQ(kin_test_now(rig.clock), KIN_NEVER);
    GO(rig, say, "2");
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("1 2");
}

/* R23.1: by time, then by insertion, whether timer or task. */
TEST(events_are_ordered_by_time_and_then_by_insertion)
{
    RIG(rig, false);
    GO(rig, say_late, LATE(20, "e"));
    GO(rig, say_late, LATE(10, "a"));
    GO(rig, say_late, LATE(10, "b"));
    MUST(kin_test_advance_by(rig.clock, 5));
    GO(rig, say_late, LATE(5, "c"));
    MUST(kin_test_advance_by(rig.clock, 5));
    GO(rig, say, "d");
    CHECK_LOG("");
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("a b c d");
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_LOG("a b c d e");
    CHECK_EQ(kin_test_now(rig.clock), 20);
}

BODY(launch_after_delay)
{
    KIN_TRY(kin_delay(10));
    ev("a");
    KIN_TRY(kin_launch(scope, say, "c"));
    ev("a'");
    return 0;
}

/* R23.1: a delay goes on where its timer stood; what it launches is new. */
TEST(what_an_event_adds_comes_behind_what_was_there)
{
    RIG(rig, false);
    GO(rig, launch_after_delay, NULL);
    GO(rig, say_late, LATE(10, "b"));
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_LOG("a a' b c");
}

BODY(timed_out_at_10)
{
    CHECK_EQ(kin_with_timeout(10, wait_forever, NULL), KIN_ETIMEDOUT);
    ev("timeout");
    return 0;
}

/* R23.1: what a timeout cancels is resumed by a new event. */
TEST(what_a_timeout_cancels_queues_up_behind)
{
    RIG(rig, false);
    GO(rig, timed_out_at_10, NULL);
    GO(rig, say_late, LATE(10, "a"));
    MUST(kin_test_advance_by(rig.clock, 10));
    GO(rig, say, "b");
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("a b timeout");
}

BODY(move_clock_by_5)
{
    ev("m");
    MUST(kin_test_advance_by(arg, 5));
    evi(kin_test_now(arg));
    return 0;
}

/* R23.1: the new instant is for the next call. */
TEST(running_what_is_current_does_not_follow_the_clock)
{
    RIG(rig, false);
    GO(rig, move_clock_by_5, rig.clock);
    GO(rig, say, "now");
    GO(rig, say_late, LATE(3, "at3"));
    GO(rig, say_late, LATE(5, "at5"));
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("m now at3 5");
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("m now at3 5 at5");
}

BODY(launch_twice)
{
    ev("1");
    return kin_launch(scope, say, "2");
}

/* R23.1 */
TEST(running_what_is_current_includes_what_that_adds)
{
    RIG(rig, false);
    GO(rig, launch_twice, NULL);
    MUST(kin_test_run_current(rig.clock));
    CHECK_LOG("1 2");
    CHECK_EQ(kin_test_now(rig.clock), 0);
}

BODY(idle_inside)
{
    ev("in");
    MUST(kin_test_advance_until_idle(arg));
    ev("out");
    return 0;
}

/* R23.3 */
TEST(advancing_until_idle_may_be_nested)
{
    RIG(rig, false);
    GO(rig, idle_inside, rig.clock);
    GO(rig, idle_inside, rig.clock);
    GO(rig, say_late, LATE(7, "late"));
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_LOG("in in late out out");
    CHECK_EQ(kin_test_now(rig.clock), 7);
}

/* An outer call whose end a nested one has passed does not turn it back. */
TEST(the_clock_never_goes_backwards)
{
    RIG(rig, false);
    GO(rig, move_clock_by_5, rig.clock);
    MUST(kin_test_advance_by(rig.clock, 2));
    CHECK_EQ(kin_test_now(rig.clock), 5);
}

/* R23.4 */
TEST(an_endless_delay_is_no_event)
{
    RIG(rig, false);
    KIN_AUTO(kin_job) job = NULL;
    GO(rig, wait_forever, NULL, .job = &job);
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_EQ(kin_test_now(rig.clock), 0);
    MUST(kin_test_advance_by(rig.clock, KIN_NEVER));
    CHECK_FLAGS(job, "100");
    kin_job_cancel(job, NULL);
    MUST(kin_test_run_current(rig.clock));
    CHECK_FLAGS(job, "011");
}

TEST(a_cancelled_delay_is_no_event_any_more)
{
    RIG(rig, false);
    KIN_AUTO(kin_job) job = NULL;
    GO(rig, say_late, LATE(10, "1"), .job = &job);
    MUST(kin_test_run_current(rig.clock));
    kin_job_cancel(job, NULL);
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_FLAGS(job, "011");
    CHECK_EQ(kin_test_now(rig.clock), 0);
    CHECK_LOG("");
}

/* The victim's timer is due already, and behind, when it is cancelled. */
BODY(cancel_after_10)
{
    KIN_TRY(kin_delay(10));
    kin_job_cancel(*(kin_job **)arg, NULL);
    ev("cancelled");
    return 0;
}

TEST(a_timer_that_is_due_can_be_cancelled)
{
    RIG(rig, false);
    KIN_AUTO(kin_job) victim = NULL;
    GO(rig, cancel_after_10, &victim);
    GO(rig, say_late, LATE(10, "1"), .job = &victim);
    GO(rig, say_late, LATE(10, "2"));
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_LOG("cancelled 2");
    CHECK_FLAGS(victim, "011");
}

/* --- S298: the two dispatchers -------------------------------------------- */

BODY(launch_and_say)
{
    KIN_TRY(kin_launch(scope, say, "2"));
    ev("1");
    return 0;
}

/* S298 */
TEST(the_standard_dispatcher_queues_and_the_unconfined_one_does_not)
{
    MUST(kin_run_test(launch_and_say, NULL));
    CHECK_LOG("1 2");
    log_clear();
    MUST(kin_run_test(launch_and_say, NULL, .unconfined = true));
    CHECK_LOG("2 1");
}

/* After it has been resumed, too: by its own timer, or by another. */
TEST_BODY_WITH(unconfined_starts_in_place_after_a_delay, .unconfined = true)
{
    MUST(kin_delay(10));
    MUST(launch_and_say(scope, NULL));
    CHECK_LOG("2 1");
    CHECK_EQ(kin_test_now(clock), 10);
}

TEST(unconfined_delays_are_virtual)
{
    RIG(rig, true);
    GO(rig, three_delays, rig.clock);
    GO(rig, say_late, LATE(1500, "x"));
    GO(rig, say, "0");
    CHECK_LOG("0");
    MUST(kin_test_advance_by(rig.clock, 1501));
    CHECK_LOG("0 1 1000 x 2 1500");
    MUST(kin_test_advance_until_idle(rig.clock));
    CHECK_LOG("0 1 1000 x 2 1500 3 2001");
}

BODY(say_twice)
{
    ev(arg);
    KIN_TRY(kin_yield());
    ev(arg);
    return 0;
}

BODY(yield_to_each_other)
{
    kin_launch(scope, say_twice, "a");
    kin_launch(scope, say_twice, "b");
    return 0;
}

TEST(yield_on_each_of_them)
{
    MUST(kin_run_test(yield_to_each_other, NULL));
    CHECK_LOG("a b a b");
    log_clear();
    MUST(kin_run_test(yield_to_each_other, NULL, .unconfined = true));
    CHECK_LOG("a a b b");
}

TEST(views_of_them)
{
    RIG(standard, false);
    RIG(unconfined, true);
    kin_dispatcher *view = NULL;

    MUST(kin_limited_parallelism(standard.dispatcher, 1, NULL, &view));
    CHECK_PTR(view, standard.dispatcher);
    kin_dispatcher_release(view);
    CHECK_EQ(kin_limited_parallelism(unconfined.dispatcher, 1, NULL, &view),
             KIN_ENOTSUP);
    CHECK_EQ(kin_dispatcher_close(standard.dispatcher), KIN_ENOTSUP);
}

/* --- S300: timeouts ------------------------------------------------------- */

BODY(delay_for)
{
    return kin_delay((int64_t)(intptr_t)arg);
}

/* S300 */
TEST_BODY(timeouts_are_virtual)
{
    MUST(kin_with_timeout(50, delay_for, WORD(49)));
    CHECK_EQ(kin_test_now(clock), 49);
    CHECK_EQ(kin_with_timeout(50, delay_for, WORD(50)), KIN_ETIMEDOUT);
    CHECK_EQ(kin_test_now(clock), 99);
}

TEST_BODY(years_pass_in_no_time)
{
    int64_t before = kin_now();
    for (int i = 0; i < 100; i++)
        MUST(kin_delay(YEAR));
    CHECK_EQ(kin_test_now(clock), 100 * YEAR);
    CHECK(kin_now() - before < check_slow(KIN_S(5)));
}

TEST_BODY(deadlines_are_on_the_virtual_clock)
{
    MUST(kin_delay_until(kin_test_now(clock) + 10));
    MUST(kin_delay_until(5));
    CHECK_EQ(kin_test_now(clock), 10);
    CHECK_EQ(kin_with_timeout_until(30, delay_for, WORD(20)), KIN_ETIMEDOUT);
    CHECK_EQ(kin_test_now(clock), 30);
}

/* --- From the body -------------------------------------------------------- */

TEST_BODY(the_body_turns_the_clock)
{
    MUST(kin_launch(scope, say_late, LATE(15, "1")));
    CHECK_EQ(kin_test_now(clock), 0);
    MUST(kin_test_advance_by(clock, 15));
    CHECK_LOG("");
    MUST(kin_test_run_current(clock));
    CHECK_LOG("1");
    MUST(kin_launch(scope, say_late, LATE(YEAR, "2")));
    MUST(kin_test_advance_until_idle(clock));
    CHECK_LOG("1 2");
    CHECK_EQ(kin_test_now(clock), 15 + YEAR);
}

/* The body is blocked, not parked: what waits for it stays parked. */
TEST_BODY(what_waits_for_the_body_is_left_parked)
{
    KIN_AUTO(kin_job) job = NULL;
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    MUST(kin_launch(scope, await_deferred, gate, .job = &job));
    MUST(kin_test_advance_until_idle(clock));
    CHECK_FLAGS(job, "100");
    open_gate(gate);
    MUST(kin_test_run_current(clock));
    CHECK_FLAGS(job, "010");
}

BODY(nested_in_a_child)
{
    MUST(kin_delay(5));
    ev("child");
    MUST(kin_test_advance_by(arg, 10));
    ev("child'");
    MUST(kin_delay(5));
    ev("child''");
    return 0;
}

TEST_BODY(body_and_child_turn_it_in_turn)
{
    MUST(kin_launch(scope, nested_in_a_child, clock));
    MUST(kin_launch(scope, say_late, LATE(12, "12")));
    MUST(kin_launch(scope, say_late, LATE(18, "18")));
    MUST(kin_test_advance_by(clock, 6));
    CHECK_LOG("child 12 child'");
    CHECK_EQ(kin_test_now(clock), 15);
    MUST(kin_delay(4));
    CHECK_LOG("child 12 child' 18");
}

BODY(run_a_loop)
{
    MUST(kin_delay(1));             /* of the event loop: real time */
    ev("inner");
    return 0;
}

TEST_BODY(run_blocking_inside_is_real)
{
    MUST(kin_run_blocking(run_a_loop, NULL));
    CHECK_LOG("inner");
    CHECK_EQ(kin_test_now(clock), 0);
}

BODY(run_a_test)
{
    MUST(kin_run_test(launch_and_say, NULL));
    return 0;
}

TEST(run_test_on_a_fiber)
{
    RUN_IN_ORDER(run_a_test);
    CHECK_LOG("1 2");
}

/* --- R23.5: what a test waits for, and its outcome ------------------------ */

BODY(leave_children)
{
    static struct late late = { YEAR, "2" };
    kin_launch(scope, say_late, &late);
    kin_launch(scope, say, "1");
    ev("0");
    return 0;
}

TEST(the_children_are_waited_for)
{
    MUST(kin_run_test(leave_children, NULL));
    CHECK_LOG("0 1 2");
}

BODY(leave_roots)
{
    static struct late late = { 3, "1" };
    kin_dispatcher *own = kin_current_element(&kin_key_dispatcher);
    kin_launch(kin_global_scope(), say_late, &late, .dispatcher = own);
    return 0;
}

/* It runs until idle. */
TEST(what_is_queued_has_run)
{
    MUST(kin_run_test(leave_roots, NULL));
    CHECK_LOG("1");
}

BODY(throw_late)
{
    KIN_TRY(kin_delay(10));
    return kin_error_rethrow(arg);
}

BODY(fail_with_children)
{
    kin_launch(scope, say_when_cancelled, "cancelled");
    KIN_TRY(kin_yield());
    THROW(E);
}

BODY(fail_by_a_child)
{
    kin_launch(scope, throw_late, E1);
    return kin_delay(YEAR);
}

TEST(the_outcome_is_the_failure_of_body_or_child)
{
    CHECK_FAILED_WITH(kin_run_test(fail_with_children, NULL), E);
    CHECK_LOG("cancelled");
    CHECK_FAILED_WITH(kin_run_test(fail_by_a_child, NULL), E1);
    CHECK_FAILED_WITH(kin_run_test(throw_error, CE), CE);
}

static kin_error *fresh(const char *name)
{
    return kin_error_new("", -EIO, NULL, "%s", name);
}

/* Under a supervisor: nobody else gets these. */
BODY(fail_unseen)
{
    kin_error **errors = arg;
    int err;
    KIN_SUPERVISOR_SCOPE(err, supervised) {
        kin_launch(supervised, throw_error, errors[0]);
        kin_launch(supervised, throw_late, errors[1]);
    }
    MUST(err);
    return errors[2] ? kin_error_rethrow(errors[2]) : 0;
}

TEST(failures_that_nobody_saw_are_the_outcome)
{
    KIN_AUTO(kin_error) first = fresh("1");
    KIN_AUTO(kin_error) second = fresh("2");
    kin_error *errors[] = { first, second, NULL };

    CHECK_FAILED_WITH(kin_run_test(fail_unseen, errors), first);
    CHECK_EQ(kin_error_suppressed_count(first), 1);
    CHECK_PTR(kin_error_suppressed(first, 0), second);
}

TEST(the_failure_of_the_body_comes_first)
{
    KIN_AUTO(kin_error) first = fresh("1");
    KIN_AUTO(kin_error) second = fresh("2");
    KIN_AUTO(kin_error) body = fresh("body");
    kin_error *errors[] = { first, second, body };

    CHECK_FAILED_WITH(kin_run_test(fail_unseen, errors), body);
    CHECK_EQ(kin_error_suppressed_count(body), 2);
    CHECK_PTR(kin_error_suppressed(body, 0), first);
    CHECK_PTR(kin_error_suppressed(body, 1), second);
}

TEST(a_cancelled_body_does_not_hide_a_failure)
{
    KIN_AUTO(kin_error) first = fresh("1");
    KIN_AUTO(kin_error) second = fresh("2");
    kin_error *errors[] = { first, second, CE };

    CHECK_FAILED_WITH(kin_run_test(fail_unseen, errors), first);
}

TEST(a_handler_of_ones_own_takes_the_failures)
{
    KIN_AUTO(kin_context) mine = kin_context_of_handler(log_failure, NULL);
    kin_error *errors[] = { E1, E2, NULL };

    MUST(kin_run_test(fail_unseen, errors, .context = mine));
    CHECK_LOG("H(E1) H(E2)");
}

/* --- S299: background work ------------------------------------------------ */

BODY(every_100)
{
    for (;;) {
        int err = kin_delay(100);
        if (err) {
            ev("cancelled");
            return err;
        }
        evi(kin_test_now(arg));
    }
}

/* S299 */
TEST_BODY(background_work_does_not_keep_it_busy)
{
    MUST(kin_launch(kin_test_background(scope), every_100, clock));
    MUST(kin_test_advance_until_idle(clock));
    CHECK_EQ(kin_test_now(clock), 0);
    MUST(kin_test_run_current(clock));
    MUST(kin_test_advance_until_idle(clock));
    CHECK_EQ(kin_test_now(clock), 0);
    CHECK_LOG("");
    MUST(kin_launch(scope, say_late, LATE(250, "x")));
    MUST(kin_test_advance_until_idle(clock));
    CHECK_LOG("100 200 x");
    CHECK_EQ(kin_test_now(clock), 250);
    MUST(kin_delay(100));
    CHECK_LOG("100 200 x 300");
}

BODY(start_background)
{
    kin_scope *background = kin_test_background(scope);
    MUST(kin_launch(background, every_100, kin_test_scheduler_of(scope)));
    MUST(kin_delay(150));
    CHECK(kin_test_background(background) == background);
    ev("end");
    return 0;
}

/* R23.5; also what is launched by background work is of that kind. */
TEST(background_work_is_cancelled_at_the_end)
{
    MUST(kin_run_test(start_background, NULL));
    CHECK_LOG("100 end cancelled");
    log_clear();
    MUST(kin_run_test(start_background, NULL, .unconfined = true));
    CHECK_LOG("100 end cancelled");
}

BODY(fail_in_background)
{
    MUST(kin_launch(kin_test_background(scope), throw_late, arg));
    MUST(kin_launch(kin_test_background(scope), say_late, LATE(20, "other")));
    MUST(kin_delay(30));
    ev("end");
    return 0;
}

TEST(a_failure_in_the_background_fails_the_test_alone)
{
    CHECK_FAILED_WITH(kin_run_test(fail_in_background, E2), E2);
    CHECK_LOG("other end");
}

BODY(slow_to_stop)
{
    int err = kin_delay(KIN_NEVER);
    CHECK_EQ(err, KIN_ECANCELED);
    shielded(delay_for, WORD(YEAR));
    ev("stopped");
    return err;
}

BODY(start_slow_background)
{
    MUST(kin_launch(kin_test_background(scope), slow_to_stop, NULL));
    return kin_yield();
}

TEST(background_work_is_waited_for_when_cancelled)
{
    MUST(kin_run_test(start_slow_background, NULL));
    CHECK_LOG("stopped");
}

/* --- Other threads -------------------------------------------------------- */

BODY(block_on_io)
{
    block_ms(20);
    ev("io");
    return 0;
}

BODY(use_io)
{
    MUST(kin_with_context(block_on_io, NULL, .dispatcher = kin_io()));
    CHECK_EQ(kin_test_now(kin_test_scheduler_of(scope)), 0);
    MUST(kin_launch(scope, block_on_io, NULL, .dispatcher = kin_io()));
    ev("end");
    return 0;
}

TEST(work_on_io_is_waited_for_in_real_time)
{
    MUST(kin_run_test(use_io, NULL));
    CHECK_LOG("io end io");
    log_clear();
    MUST(kin_run_test(use_io, NULL, .unconfined = true));
    CHECK_LOG("io end io");
}

static int64_t cpu_time(void)
{
    struct timespec time;
    MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time));
    return time.tv_sec * KIN_S(1) + time.tv_nsec;
}

BODY(block_long_on_io)
{
    block_ms(300);
    return 0;
}

BODY(use_io_for_long)
{
    return kin_with_context(block_long_on_io, NULL, .dispatcher = kin_io());
}

TEST(waiting_for_another_thread_does_not_spin)
{
    int64_t before = cpu_time();
    MUST(kin_run_test(use_io_for_long, NULL));
    CHECK(cpu_time() - before < KIN_MS(150));
}

/* The clock jumps while another thread works: see the header. */
TEST_BODY(a_timeout_around_real_work_expires_at_once)
{
    int64_t before = kin_now();
    CHECK_EQ(kin_with_timeout(YEAR, use_io_for_long, NULL), KIN_ETIMEDOUT);
    CHECK(kin_now() - before < check_slow(KIN_S(5)));
    CHECK_EQ(kin_test_now(clock), YEAR);
}

/* Many dispatches and timers from both sides. */
BODY(back_and_forth)
{
    for (int i = 0; i < 200; i++) {
        MUST(kin_with_context(do_nothing, NULL, .dispatcher = kin_default()));
        MUST(kin_delay(1 + i % 3));
    }
    return 0;
}

BODY(many_back_and_forth)
{
    for (int i = 0; i < 20; i++)
        MUST(kin_launch(scope, back_and_forth, NULL));
    return 0;
}

TEST(fibers_come_and_go_between_threads)
{
    MUST(kin_run_test(many_back_and_forth, NULL));
    MUST(kin_run_test(many_back_and_forth, NULL, .unconfined = true));
    MUST(kin_run_test(many_back_and_forth, NULL, .seed = 7));
}

/* A delay on the virtual clock that a thread cancels: firing against
 * disarming. */
BODY(cancel_delays)
{
    for (int i = 0; i < 200; i++) {
        KIN_AUTO(kin_job) job = NULL;
        MUST(kin_launch(scope, delay_for, WORD(1), .job = &job));
        MUST(kin_launch(scope, do_nothing, NULL, .dispatcher = kin_default()));
        MUST(kin_yield());
        MUST(kin_with_context(do_nothing, NULL, .dispatcher = kin_default()));
        kin_job_cancel(job, NULL);
    }
    return 0;
}

/* Takes the reference. */
BODY(cancel_and_release)
{
    kin_job_cancel(arg, NULL);
    kin_job_release(arg);
    return 0;
}

BODY(race_with_timers)
{
    for (int i = 0; i < 500; i++) {
        KIN_AUTO(kin_job) job = NULL;
        MUST(kin_launch(scope, delay_for, WORD(1 + i % 2), .job = &job,
                        .dispatcher = arg));
        MUST(kin_launch(scope, cancel_and_release, kin_job_retain(job),
                        .dispatcher = kin_default()));
        MUST(kin_delay(1));
        MUST(kin_join(job));
    }
    return 0;
}

BODY(race_unconfined_with_timers)
{
    kin_dispatcher *unconfined = NULL;
    int err;
    MUST(kin_test_unconfined(kin_test_scheduler_of(scope), &unconfined));
    err = race_with_timers(scope, unconfined);
    kin_dispatcher_release(unconfined);
    return err;
}

TEST(cancellation_from_other_threads_races_with_the_clock)
{
    MUST(kin_run_test(cancel_delays, NULL));
    MUST(kin_run_test(race_with_timers, NULL));
    MUST(kin_run_test(race_unconfined_with_timers, NULL));
}

/* --- The limit of real time ----------------------------------------------- */

BODY(never_end)
{
    return kin_await_cancellation();
}

/* The limit may come first, where the machine has other things to do. */
static bool has_begun;

BODY(leave_an_endless_child)
{
    has_begun = true;
    return kin_launch(scope, never_end, NULL, .name = "sleeper");
}

BODY(for_ever_and_ever)
{
    for (;;)
        KIN_TRY(kin_delay(1));
}

BODY(idle_for_ever)
{
    MUST(kin_launch(scope, for_ever_and_ever, NULL));
    MUST(kin_test_advance_until_idle(kin_test_scheduler_of(scope)));
    return kin_ensure_active();
}

BODY(leave_an_endless_root)
{
    kin_dispatcher *own = kin_current_element(&kin_key_dispatcher);
    has_begun = true;
    return kin_launch(kin_global_scope(), for_ever_and_ever, NULL,
                      .dispatcher = own, .job = arg);
}

static void times_out(kin_body *body)
{
    has_begun = body != leave_an_endless_child;
    do
        CHECK_EQ(kin_run_test(body, NULL, .timeout = check_slow(KIN_MS(20))),
                 KIN_ETIMEDOUT);
    while (!has_begun);
    CHECK(!kin_error_is_cancellation(kin_error_current()));
}

static void time_out(void *body)
{
    times_out(*(kin_body **)body);
}

TEST(a_test_that_does_not_end_is_cancelled)
{
    kin_body *body = never_end, *child = leave_an_endless_child;
    check_says(time_out, &body, "its body has not ended");
    check_says(time_out, &child, "its body has ended, but not \"sleeper\"");
    times_out(never_end);
    times_out(leave_an_endless_child);
    times_out(for_ever_and_ever);
    times_out(idle_for_ever);
}

TEST(a_root_that_does_not_end_is_left_behind)
{
    RIG(rig, false);
    KIN_AUTO(kin_context) context = kin_context_of_dispatcher(rig.dispatcher);
    KIN_AUTO(kin_job) root = NULL;

    has_begun = false;
    for (int64_t ms = 20; !has_begun; ms *= 2)
        CHECK_EQ(kin_run_test(leave_an_endless_root, &root, .context = context,
                              .timeout = KIN_MS(ms)), KIN_ETIMEDOUT);
    CHECK_FLAGS(root, "100");
    kin_job_cancel(root, NULL);
    MUST(kin_test_run_current(rig.clock));
    CHECK_FLAGS(root, "011");
}

BODY(fail_when_cancelled)
{
    has_begun = true;
    (void)!kin_await_cancellation();
    return kin_error_rethrow(arg);
}

TEST(what_fails_because_of_it_is_suppressed)
{
    has_begun = false;
    for (int64_t ms = 10; !has_begun; ms *= 2)
        CHECK_EQ(kin_run_test(fail_when_cancelled, E3, .timeout = KIN_MS(ms)),
                 KIN_ETIMEDOUT);
    CHECK_EQ(kin_error_suppressed_count(kin_error_current()), 1);
    CHECK_PTR(kin_error_suppressed(kin_error_current(), 0), E3);
}

/* --- Seeds ---------------------------------------------------------------- */

enum { PLAYERS = 5, MOVES = 4 };

BODY(play)
{
    for (int i = 0; i < MOVES; i++) {
        evi((intptr_t)arg * 10 + i);
        KIN_TRY(i % 2 ? kin_yield() : kin_delay(1));
    }
    return 0;
}

BODY(play_together)
{
    for (int i = 1; i <= PLAYERS; i++)
        MUST(kin_launch(scope, play, WORD(i)));
    return 0;
}

/* What the events were, as one number. */
static uint64_t trace;

BODY(trace_moves)
{
    for (uint64_t i = 0; i < MOVES; i++) {
        trace = trace * 31 + (uint64_t)(uintptr_t)arg * 10 + i;
        KIN_TRY(i % 2 ? kin_yield() : kin_delay(1));
    }
    return 0;
}

BODY(trace_all)
{
    trace = 0;
    for (int i = 1; i <= PLAYERS; i++)
        MUST(kin_launch(scope, trace_moves, WORD(i)));
    return 0;
}

static uint64_t trace_of(uint64_t seed)
{
    MUST(kin_run_test(trace_all, NULL, .seed = seed));
    return trace;
}

TEST(a_seed_gives_the_same_order_each_time)
{
    uint64_t plain;
    int different = 0;

    unsetenv("KIN_SEED");
    plain = trace_of(0);
    CHECK_EQ(trace_of(0), plain);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t first = trace_of(seed);
        CHECK_EQ(trace_of(seed), first);
        different += first != plain;
    }
    CHECK(different > 40);
    CHECK(trace_of(1) != trace_of(2));
}

TEST(without_a_seed_events_keep_their_order)
{
    MUST(kin_run_test(play_together, NULL));
    CHECK_LOG("10 20 30 40 50 11 21 31 41 51 12 22 32 42 52 13 23 33 43 53");
}

BODY(say_times)
{
    for (int i = 5; i > 0; i--)
        MUST(kin_launch(scope, say_late, &((struct late *)arg)[i - 1]));
    return 0;
}

/* Only equal times are drawn. */
TEST(no_seed_changes_the_order_of_times)
{
    static struct late late[] = { { 1, "1" }, { 2, "2" }, { 3, "3" },
                                  { 4, "4" }, { 5, "5" } };
    for (uint64_t seed = 1; seed <= 50; seed++) {
        log_clear();
        MUST(kin_run_test(say_times, late, .seed = seed));
        CHECK_LOG("1 2 3 4 5");
    }
}

/* The planted bug: read, wait, write.  In the order of queueing the second
 * begins when the first has ended. */
static int counter;

BODY(increment)
{
    int seen = counter;
    KIN_TRY(kin_delay(KIN_MS(1)));
    counter = seen + 1;
    return 0;
}

BODY(increment_later)
{
    KIN_TRY(kin_delay(KIN_MS(1)));
    return increment(scope, arg);
}

BODY(increment_twice)
{
    int err;
    counter = 0;
    KIN_COROUTINE_SCOPE(err, both) {
        kin_launch(both, increment, NULL);
        kin_launch(both, increment_later, NULL);
    }
    KIN_TRY(err);
    return counter == 2 ? 0 : kin_fail(-EIO, "the counter is %d", counter);
}

TEST(a_planted_bug_is_found_by_seeds)
{
    int found = 0;
    uint64_t seed, bad = 0;

    unsetenv("KIN_SEED");
    MUST(kin_run_test(increment_twice, NULL));
    for (seed = 1; seed <= 200; seed++)
        if (kin_run_test(increment_twice, NULL, .seed = seed) != 0) {
            found++;
            bad = seed;
        }
    CHECK(found > 5);
    CHECK(found < 195);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(kin_run_test(increment_twice, NULL, .seed = bad), -EIO);
}

static void fail_with_seed(void *arg)
{
    CHECK_EQ(kin_run_test(throw_error, arg, .seed = 1234), -EIO);
}

static void fail_with_seed_of_environment(void *arg)
{
    setenv("KIN_SEED", "77", 1);
    fail_with_seed(arg);
}

TEST(a_failure_tells_the_seed)
{
    unsetenv("KIN_SEED");
    check_says(fail_with_seed, E, "kin: seed 1234\n");
    check_says(fail_with_seed_of_environment, E, "kin: seed 77\n");
}

TEST(the_environment_replaces_a_seed)
{
    unsetenv("KIN_SEED");
    uint64_t plain = trace_of(0), five = trace_of(5);
    setenv("KIN_SEED", "5", 1);
    CHECK_EQ(trace_of(1), five);
    CHECK_EQ(trace_of(0), plain);
    setenv("KIN_SEED", "five", 1);
    uint64_t one = trace_of(1);
    unsetenv("KIN_SEED");
    CHECK_EQ(trace_of(1), one);
}

/* --- Misuse --------------------------------------------------------------- */

static kin_test_scheduler *some_clock(void)
{
    static kin_test_scheduler *clock;
    if (!clock)
        MUST(kin_test_scheduler_new(&clock));
    return clock;
}

/* S301, R23.2 */
MISUSE(kin_test_advance_by, negative, KIN_EINVAL,
       kin_test_advance_by(some_clock(), -1))
MISUSE(kin_test_advance_by, null, KIN_EINVAL, kin_test_advance_by(NULL, 1))
MISUSE(kin_test_run_current, null, KIN_EINVAL, kin_test_run_current(NULL))
MISUSE(kin_test_advance_until_idle, null, KIN_EINVAL,
       kin_test_advance_until_idle(NULL))
MISUSE(kin_test_now, null, KIN_EINVAL, kin_test_now(NULL))
MISUSE(kin_test_scheduler_new, null, KIN_EINVAL, kin_test_scheduler_new(NULL))
MISUSE(kin_test_dispatcher, null, KIN_EINVAL,
       kin_test_dispatcher(some_clock(), NULL))
MISUSE(kin_test_unconfined, null, KIN_EINVAL,
       kin_test_unconfined(NULL, &(kin_dispatcher *){ NULL }))
MISUSE(kin_run_test, null, KIN_EINVAL, kin_run_test(NULL, NULL))
MISUSE(kin_run_test, null_options, KIN_EINVAL,
       kin_run_test_with(do_nothing, NULL))
MISUSE(kin_run_test, negative_timeout, KIN_EINVAL,
       kin_run_test(do_nothing, NULL, .timeout = -1))
MISUSE(kin_test_scheduler_of, null, 0, kin_test_scheduler_of(NULL) != NULL)
MISUSE(kin_test_background, null, 0, kin_test_background(NULL) != NULL)
MISUSE(kin_test_background, elsewhere, 0,
       kin_test_background(kin_global_scope()) != NULL)

TEST(null_may_be_released)
{
    kin_test_scheduler_release(NULL);
    CHECK(kin_test_scheduler_retain(NULL) == NULL);
    CHECK(kin_test_scheduler_of(kin_global_scope()) == NULL);
}

/* The same in the body of a test. */
#define MISUSE_IN_TEST(function, what, code, ...)                            \
    BODY(function##_##what##__body)                                          \
    {                                                                        \
        CHECK_EQ((__VA_ARGS__), (code));                                     \
        return 0;                                                            \
    }                                                                        \
    MISUSE(function, what, 0, kin_run_test(function##_##what##__body, NULL))

/* R23.5 */
MISUSE_IN_TEST(kin_run_test, nested, KIN_EBUSY, kin_run_test(do_nothing, NULL))

static int run_test_with_dispatcher(kin_dispatcher *dispatcher, bool unconfined)
{
    KIN_AUTO(kin_context) context = kin_context_of_dispatcher(dispatcher);
    return kin_run_test(do_nothing, NULL, .context = context,
                        .unconfined = unconfined);
}

static kin_dispatcher *some_test_dispatcher(void)
{
    static kin_dispatcher *dispatcher;
    if (!dispatcher)
        MUST(kin_test_dispatcher(some_clock(), &dispatcher));
    return dispatcher;
}

MISUSE(kin_run_test, on_default, KIN_EINVAL,
       run_test_with_dispatcher(kin_default(), false))
MISUSE(kin_run_test, both_dispatchers, KIN_EINVAL,
       run_test_with_dispatcher(some_test_dispatcher(), true))

/* R23.5: a second scheduler in one scope. */
MISUSE_IN_TEST(kin_test_dispatcher, second_clock, KIN_EINVAL,
               kin_with_context(do_nothing, NULL,
                                .dispatcher = some_test_dispatcher()))

BODY(delay_on_second_clock)
{
    RIG(other, true);
    CHECK_EQ(kin_with_context(delay_for, WORD(1),
                              .dispatcher = other.dispatcher), KIN_EINVAL);
    return 0;
}

static void run_delay_on_second_clock(UNUSED void *arg)
{
    MUST(kin_run_test(delay_on_second_clock, NULL));
}

TEST(a_second_clock_keeps_no_time_for_a_test)
{
    check_misuse(run_delay_on_second_clock, "kin_test_dispatcher");
}

/* A child that cannot run there is a child that failed. */
BODY(launch_on_second_clock)
{
    CHECK_EQ(kin_launch(scope, unreached_body, NULL,
                        .dispatcher = some_test_dispatcher()), KIN_EINVAL);
    return 0;
}

static void run_launch_on_second_clock(UNUSED void *arg)
{
    CHECK_EQ(kin_run_test(launch_on_second_clock, NULL), KIN_EINVAL);
}

TEST(a_launch_on_a_second_clock_fails)
{
    check_misuse(run_launch_on_second_clock, "kin_test_dispatcher");
}

/* On Default, while the test's own thread waits for events. */
BODY(turn_from_another_thread)
{
    CHECK_EQ(kin_test_run_current(arg), KIN_EBUSY);
    return 0;
}

BODY(turn_from_default)
{
    return kin_with_context(turn_from_another_thread,
                            kin_test_scheduler_of(scope),
                            .dispatcher = kin_default());
}

static void run_turn_from_default(UNUSED void *arg)
{
    MUST(kin_run_test(turn_from_default, NULL));
}

TEST(another_thread_cannot_turn_the_clock_of_a_test)
{
    check_misuse(run_turn_from_default, "kin_test_run_current");
}

static int turn_in_callback(UNUSED kin_job *job, UNUSED kin_error *cause,
                            void *clock)
{
    CHECK_EQ(kin_test_advance_until_idle(clock), KIN_EPERM);
    CHECK_EQ(kin_run_test(do_nothing, NULL), KIN_EPERM);
    return 0;
}

static void complete_a_job(UNUSED void *arg)
{
    RIG(rig, false);
    KIN_AUTO(kin_job) job = new_job(NULL);
    on_completion(job, turn_in_callback, rig.clock);
    CHECK_EQ(kin_job_complete(job), 1);
}

TEST(a_callback_cannot_turn_the_clock)
{
    check_misuse(complete_a_job, "kin_test_advance_until_idle");
}

/* --- A scheduler of one's own --------------------------------------------- */

BODY(check_own_clock)
{
    CHECK_PTR(kin_test_scheduler_of(scope), arg);
    CHECK_STR(kin_current_element(&kin_key_name), "mine");
    CHECK_EQ(kin_test_now(arg), 5);
    return kin_delay(10);
}

TEST(a_dispatcher_in_the_context_brings_its_clock)
{
    RIG(rig, false);
    KIN_AUTO(kin_context) context = kin_context_of_dispatcher(rig.dispatcher);

    GO(rig, say_late, LATE(8, "1"));
    MUST(kin_test_advance_by(rig.clock, 5));
    MUST(kin_run_test(check_own_clock, rig.clock, .context = context,
                      .name = "mine"));
    CHECK_EQ(kin_test_now(rig.clock), 15);
    CHECK_LOG("1");
    MUST(kin_run_test(say_now, rig.clock, .context = context));
    CHECK_LOG("1 15");
}

BODY(use_the_same_clock)
{
    return run_test_with_dispatcher(arg, false);
}

static void run_twice_on_one_clock(UNUSED void *arg)
{
    RIG(rig, false);
    KIN_AUTO(kin_context) context = kin_context_of_dispatcher(rig.dispatcher);
    KIN_AUTO(kin_job) job = NULL;
    GO(rig, use_the_same_clock, rig.dispatcher, .job = &job,
       .handler = log_failure);
    CHECK_EQ(kin_run_test(do_nothing, NULL, .context = context), 0);
    CHECK_FLAGS(job, "011");
}

TEST(one_clock_is_for_one_test_at_a_time)
{
    check_misuse(run_twice_on_one_clock, "kin_run_test");
}

/* --- Without memory ------------------------------------------------------- */

BODY(a_bit_of_everything)
{
    kin_scope *background = kin_test_background(scope);
    int err, timed;

    KIN_TRY(kin_launch(background, every_100, kin_test_scheduler_of(scope)));
    KIN_TRY(kin_launch(scope, delay_for, WORD(10)));
    timed = kin_with_timeout(5, delay_for, WORD(50));
    if (timed != KIN_ETIMEDOUT)
        return timed;
    KIN_SUPERVISOR_SCOPE(err, supervised)
        KIN_TRY_IN(supervised, kin_launch(supervised, throw_error, arg));
    KIN_TRY(err);
    return kin_test_advance_by(kin_test_scheduler_of(scope), 300);
}

TEST(each_allocation_may_fail)
{
    unsigned long n = 0, hits = 1;

    CHECK_EQ(kin_run_test(a_bit_of_everything, E), -EIO);
    while (hits) {
        int err;
        kin__fail_at(++n, false);
        err = kin_run_test(a_bit_of_everything, E, .timeout = KIN_S(20));
        hits = kin__fail_hits();
        kin__fail_at(0, false);
        CHECK(err == KIN_ENOMEM || err == -EIO || (hits && err == 0));
    }
    CHECK(n > 10);
}

TEST_MAIN
