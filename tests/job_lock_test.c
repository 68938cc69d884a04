/* A fiber that holds a pthread mutex must not suspend: in a debug build whatever
 * would do so aborts, and names the call, where the mutex was locked, and the
 * fiber; in a release build nothing is watched.  What is allowed is not
 * reported: to unlock in time, on any way out, and to hold what one likes off a
 * fiber. */
#include "tests/job_helpers.h"

#include "kin/lock.h"

#include <errno.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;

static bool is_locked(pthread_mutex_t *mutex)
{
    if (pthread_mutex_trylock(mutex) != 0)
        return true;
    pthread_mutex_unlock(mutex);
    return false;
}

/* --- What is caught ------------------------------------------------------- */

KIN_SUSPENDS
static int delay_with_the_lock(kin_scope *scope, void *arg)
{
    int err;
    (void)scope, (void)arg;
    CHECK_EQ(KIN_MUTEX_LOCK(&lock), 0);
    err = kin_delay(KIN_MS(1));
    CHECK_EQ(KIN_MUTEX_UNLOCK(&lock), 0);
    return err;
}

KIN_SUSPENDS
static int yield_in_a_block(kin_scope *scope, void *arg)
{
    int err = -1;
    (void)scope, (void)arg;
    KIN_WITH_MUTEX(&lock)
        err = kin_yield();
    return err;
}

static int block_with_the_lock(kin_scope *scope, void *arg)
{
    int err = -1;
    (void)scope, (void)arg;
    KIN_WITH_MUTEX(&lock)
        err = kin_run_blocking(do_nothing, NULL);
    return err;
}

KIN_SUSPENDS
static int suspend_with_one_of_two(kin_scope *scope, void *arg)
{
    int err;
    (void)scope, (void)arg;
    CHECK_EQ(KIN_MUTEX_LOCK(&lock), 0);
    CHECK_EQ(KIN_MUTEX_LOCK(&other), 0);
    CHECK_EQ(KIN_MUTEX_UNLOCK(&lock), 0);       /* not the newest */
    err = kin_yield();
    CHECK_EQ(KIN_MUTEX_UNLOCK(&other), 0);
    return err;
}

static int end_with_the_lock(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return KIN_MUTEX_LOCK(&lock);
}

KIN_SUSPENDS
static int suspend_with_a_lock_of_another_kind(kin_scope *scope, void *arg)
{
    int err;
    (void)scope;
    kin_lock_taken(arg, "spin.c:7");
    err = kin_yield();
    kin_lock_released(arg);
    return err;
}

static int run_as_holder(kin_body *body)
{
    const kin_launch_options options = { .arg = &lock, .name = "holder",
                                         .site = "a.c:30" };

    return kin_run_blocking_with(body, &options);
}

/* Each is a run of its own for check_misuse. */
#define CAUGHT(sentence, body, text)                                         \
    static void body##__run(void *arg)                                       \
    {                                                                        \
        (void)arg;                                                           \
        CHECK_EQ(run_as_holder(body), 0);                                    \
    }                                                                        \
    TEST(sentence)                                                           \
    {                                                                        \
        if (MISUSE_ABORTS)                                                   \
            CHECK(WIFSIGNALED(check_dies(body##__run, NULL, text)));         \
        else                                                                 \
            body##__run(NULL);                                               \
    }

CAUGHT(a_delay_with_a_mutex_names_itself, delay_with_the_lock,
       "misuse: kin_delay: must not be called while the lock")
CAUGHT(a_yield_in_a_block_names_where_it_was_locked, yield_in_a_block,
       "taken at tests/job_lock_test.c:")
CAUGHT(a_nested_loop_with_a_mutex_names_the_fiber, block_with_the_lock,
       "by fiber \"holder\", launched at a.c:30")
CAUGHT(the_lock_that_is_still_held_counts, suspend_with_one_of_two,
       "misuse: kin_yield: must not be called while the lock")
CAUGHT(a_lock_of_another_kind_is_told_by_its_place,
       suspend_with_a_lock_of_another_kind, "taken at spin.c:7")
CAUGHT(a_fiber_that_ends_with_a_mutex_is_told_of, end_with_the_lock,
       "is still held at the end of fiber \"holder\"")

/* --- What is not ---------------------------------------------------------- */

TEST_ON_LOOP(a_mutex_that_was_unlocked_in_time_is_fine)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(KIN_MUTEX_LOCK(&lock), 0);
        CHECK_EQ(KIN_MUTEX_TRYLOCK(&lock), EBUSY);
        CHECK(is_locked(&lock));
        CHECK_EQ(KIN_MUTEX_UNLOCK(&lock), 0);
        CHECK_EQ(KIN_MUTEX_TRYLOCK(&lock), 0);
        CHECK_EQ(KIN_MUTEX_UNLOCK(&lock), 0);
        CHECK_EQ(kin_yield(), 0);
    }
    CHECK(!is_locked(&lock));
}

static int leave_early(int how)
{
    for (int i = 0; i < 2; i++) {
        KIN_WITH_MUTEX(&lock) {
            CHECK(is_locked(&lock));
            if (how == 1)
                return 1;
            if (how == 2)
                break;
            if (how == 3)
                goto out;
        }
        CHECK(!is_locked(&lock));
    }
    return 0;
out:
    return 3;
}

TEST_ON_LOOP(a_block_is_unlocked_on_every_way_out)
{
    CHECK_EQ(leave_early(0), 0);
    CHECK_EQ(leave_early(1), 1);
    CHECK_EQ(leave_early(2), 0);
    CHECK_EQ(leave_early(3), 3);
    CHECK(!is_locked(&lock));
    CHECK_EQ(kin_yield(), 0);
}

TEST_ON_LOOP(a_block_whose_mutex_cannot_be_locked_does_not_run)
{
    pthread_mutex_t checked;
    pthread_mutexattr_t kind;

    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checked, &kind);
    KIN_WITH_MUTEX(&checked) {
        KIN_WITH_MUTEX(&checked)
            FAIL("locked twice");
        CHECK_EQ(pthread_mutex_trylock(&checked), EBUSY);
    }
    CHECK_EQ(kin_yield(), 0);
    pthread_mutex_destroy(&checked);
    pthread_mutexattr_destroy(&kind);
}

TEST(a_plain_thread_may_hold_what_it_likes)
{
    KIN_WITH_MUTEX(&lock)
        CHECK_EQ(kin_run_blocking(do_nothing, NULL), 0);
    CHECK(!is_locked(&lock));
    kin_lock_released(&lock);                   /* never taken: nothing */
    kin_lock_taken(NULL, NULL);
    kin_lock_released(NULL);
}

/* Others run meanwhile, on this very thread, and may suspend. */
static int lock_a_while(kin_scope *scope, void *arg)
{
    (void)scope;
    KIN_WITH_MUTEX(&lock)
        open_gate(arg);
    return 0;
}

TEST_ON_LOOP(a_fiber_resumed_under_a_lock_may_suspend)
{
    KIN_AUTO(kin_deferred) gate = new_deferred(NULL);
    KIN_AUTO(kin_job) waiter = launch_in(
        scope, NULL, wait_shielded,
        (kin_launch_options){ .arg = gate, .dispatcher = kin_unconfined() });

    CHECK_EQ(kin_launch(scope, lock_a_while, gate), 0);
    CHECK_EQ(kin_join(waiter), 0);
}

TEST_MAIN
