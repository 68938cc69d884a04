/* A system that gives no thread, or no more: Default, IO, their views, pools
 * and whatever falls back on IO; and dispatchers of others that take nothing.
 * A call that needs a thread says KIN_EAGAIN and has done nothing; work that is
 * owed to someone is done all the same, on the thread at hand; and when there
 * are threads again, all goes on.
 *
 * The limit is the kernel's, on the processes of a user; it does not bind root,
 * so a test that is run by root becomes somebody else first.
 */
#include "tests/job_helpers.h"

#include "core/memory.h"
#include "dispatch/scheduler.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- The limit ---------------------------------------------------------- */

static void *nothing(void *arg)
{
    return arg;
}

static void set_soft_limit(unsigned which, bool none)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(which, &limit), 0);
    limit.rlim_cur = none ? 0 : limit.rlim_max;
    CHECK_EQ(setrlimit(which, &limit), 0);
}

static void allow_threads(void)
{
    set_soft_limit(RLIMIT_NPROC, false);
}

/* A number that nobody else has, so that nobody else is counted. */
static void stop_being_root(void)
{
    if (geteuid() != 0)
        return;
    if (setuid((uid_t)(100000 + getpid() % 900000)) != 0)
        SKIP("root, and cannot be anybody else");
    prctl(PR_SET_DUMPABLE, 1);          /* the leak checker looks at us */
}

static void refuse_threads(void)
{
    pthread_t thread;

    stop_being_root();
    set_soft_limit(RLIMIT_NPROC, true);
    if (pthread_create(&thread, NULL, nothing, NULL) != 0)
        return;
    pthread_join(thread, NULL);
    SKIP("the limit on threads does not bind here");
}

/* --- Helpers ------------------------------------------------------------ */

static kin_dispatcher *default_view(void)
{
    static kin_dispatcher *view;

    if (!view)
        CHECK_EQ(kin_limited_parallelism(kin_default(), 1, "v", &view), 0);
    return view;
}

static kin_dispatcher *io_view(void)
{
    static kin_dispatcher *view;

    if (!view)
        CHECK_EQ(kin_limited_parallelism(kin_io(), 1, "w", &view), 0);
    return view;
}

static kin_dispatcher *(*const threaded[])(void) = {
    kin_default, kin_io, default_view, io_view,
};
enum { THREADED = sizeof threaded / sizeof *threaded };

static void wait_until_completed(kin_job *job)
{
    while (!kin_job_is_completed(job))
        sched_yield();
}

static int unreachable_body(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    unreached();
    return 0;
}

/* --- No thread at all --------------------------------------------------- */

static void launch_is_refused(kin_dispatcher *dispatcher)
{
    KIN_AUTO(kin_job) job = NULL;
    KIN_AUTO(kin_error) cause = NULL;
    REPORT(refused);

    CHECK_EQ(kin_launch(kin_global_scope(), unreachable_body, NULL,
                        .dispatcher = dispatcher, .job = &job,
                        HANDLER(refused)), KIN_EAGAIN);
    CHECK_FLAGS(job, "011");
    CHECK_EQ(refused.count, 1);
    CHECK_EQ(kin_error_code(refused.error), KIN_EAGAIN);
    cause = cancellation_of(job);
}

static void run_blocking_works(kin_dispatcher *dispatcher)
{
    log_clear();
    CHECK_EQ(kin_run_blocking(say, "ran", .dispatcher = dispatcher), 0);
    CHECK_LOG("ran");
}

TEST(launch_without_a_thread_fails_the_job_and_works_later)
{
    refuse_threads();
    for (int i = 0; i < THREADED; i++)
        launch_is_refused(threaded[i]());
    allow_threads();
    for (int i = 0; i < THREADED; i++)
        run_blocking_works(threaded[i]());
}

TEST(run_blocking_on_default_without_a_thread_says_so)
{
    refuse_threads();
    for (int i = 0; i < THREADED; i++)
        CHECK_EQ(kin_run_blocking(unreachable_body, NULL,
                                  .dispatcher = threaded[i]()), KIN_EAGAIN);
    allow_threads();
    for (int i = 0; i < THREADED; i++)
        run_blocking_works(threaded[i]());
}

TEST_ON_LOOP(with_context_without_a_thread_stays_where_it_is)
{
    refuse_threads();
    for (int i = 0; i < THREADED; i++)
        CHECK_EQ(kin_with_context(unreachable_body, NULL,
                                  .dispatcher = threaded[i]()), KIN_EAGAIN);
    CHECK_EQ(kin_yield(), 0);
    CHECK_FLAGS(kin_scope_job(scope), "100");
    allow_threads();
    CHECK_EQ(kin_with_context(say, "ran", .dispatcher = kin_io()), 0);
    CHECK_LOG("ran");
}

TEST_ON_LOOP(async_without_a_thread_keeps_its_failure)
{
    KIN_AUTO(kin_deferred) d = NULL;
    int err;

    refuse_threads();
    KIN_SUPERVISOR_SCOPE(err, inner) {
        CHECK_EQ(kin_async(inner, &d, unreachable_body, NULL,
                           .dispatcher = kin_default()), KIN_EAGAIN);
        CHECK_EQ(kin_await(d, NULL), KIN_EAGAIN);
    }
    CHECK_EQ(err, 0);
    allow_threads();
}

static int launch_on_default(kin_scope *scope, void *arg)
{
    (void)arg;
    return kin_launch(scope, unreachable_body, NULL,
                      .dispatcher = kin_default());
}

TEST(a_scope_fails_with_the_child_that_got_no_thread)
{
    refuse_threads();
    CHECK_EQ(kin_run_blocking(launch_on_default, NULL), KIN_EAGAIN);
    allow_threads();
}

/* A loop keeps its own time; Unconfined has none, and needs a thread for it. */
KIN_SUSPENDS
static int delay_a_little(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_delay(KIN_US(100));
}

TEST_ON_LOOP(delay_on_a_loop_needs_no_thread)
{
    refuse_threads();
    CHECK_EQ(kin_delay(KIN_US(100)), 0);
    CHECK_EQ(kin_with_timeout(KIN_US(100), say_when_cancelled, "over"),
             KIN_ETIMEDOUT);
    CHECK_LOG("over");
    allow_threads();
}

TEST(delay_on_unconfined_without_a_thread_says_so)
{
    refuse_threads();
    CHECK_EQ(kin_run_blocking(delay_a_little, NULL,
                              .dispatcher = kin_unconfined()), KIN_EAGAIN);
    allow_threads();
    CHECK_EQ(kin_run_blocking(delay_a_little, NULL,
                              .dispatcher = kin_unconfined()), 0);
}

KIN_SUSPENDS
static int timeout_on_unconfined(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_with_timeout(KIN_US(100), unreachable_body, NULL);
}

TEST(timeout_on_unconfined_without_a_thread_does_not_begin)
{
    refuse_threads();
    CHECK_EQ(kin_run_blocking(timeout_on_unconfined, NULL,
                              .dispatcher = kin_unconfined()), KIN_EAGAIN);
    allow_threads();
}

/* --- Pools -------------------------------------------------------------- */

TEST(pool_without_a_thread_is_not_made)
{
    kin_dispatcher *pool = NULL;

    refuse_threads();
    CHECK_EQ(kin_fixed_pool(3, "pool", &pool), KIN_EAGAIN);
    CHECK_EQ(kin_single_thread("thread", &pool), KIN_EAGAIN);
    CHECK_PTR(pool, NULL);
    allow_threads();
    CHECK_EQ(kin_fixed_pool(3, "pool", &pool), 0);
    run_blocking_works(pool);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

/* Whichever of its threads it is (or what those that run need): the others
 * end. */
TEST(pool_that_gets_too_few_threads_leaves_none)
{
    kin_dispatcher *pool = NULL;
    int refused = 0, err = -1;

    for (unsigned long n = 1; err; n++) {
        kin__fail_at(n, false);
        err = kin_fixed_pool(3, "pool", &pool);
        kin__fail_at(0, false);
        CHECK(err == 0 || (!pool && (err == KIN_ENOMEM || err == KIN_EAGAIN)));
        refused += err == KIN_EAGAIN;
    }
    CHECK(refused > 0);
    run_blocking_works(pool);
    CHECK_EQ(kin_dispatcher_close(pool), 0);
    kin_dispatcher_release(pool);
}

/* --- What is owed is done on the thread at hand ------------------------- */

static kin_continuation kept;

static int keep(kin_continuation continuation, void *arg)
{
    (void)arg;
    kept = continuation;
    return 0;
}

KIN_SUSPENDS
static int park_then_clean_up(kin_scope *scope, void *thread)
{
    (void)scope;
    int err = kin_suspend_cancellable(keep, NULL);

    CHECK_EQ(err, KIN_ECANCELED);
    CHECK(pthread_equal(pthread_self(), *(pthread_t *)thread));
    ev("finally");
    return err;
}

static kin_job *park_on(kin_dispatcher *dispatcher, pthread_t *thread)
{
    kin_job *job = NULL;

    CHECK_EQ(kin_launch(kin_global_scope(), park_then_clean_up, thread,
                        .dispatcher = dispatcher, .job = &job), 0);
    return job;
}

TEST(fiber_of_a_closed_pool_cleans_up_where_it_is_resumed)
{
    pthread_t self = pthread_self();
    KIN_AUTO(kin_dispatcher) pool = NULL;

    CHECK_EQ(kin_single_thread("pool", &pool), 0);
    KIN_AUTO(kin_job) job = park_on(pool, &self);
    CHECK_EQ(kin_dispatcher_close(pool), 0);    /* it has parked */
    refuse_threads();
    kin_resume(kept, 0);
    CHECK_FLAGS(job, "011");
    CHECK_LOG("finally");
    allow_threads();
}

TEST(fiber_of_main_cleans_up_where_it_is_resumed_after_detach)
{
    pthread_t self = pthread_self();

    refuse_threads();
    CHECK_EQ(kin_main_attach(), 0);
    KIN_AUTO(kin_job) job = park_on(kin_main(), &self);
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_EQ(kin_main_detach(), 0);
    CHECK_FLAGS(job, "100");
    kin_resume(kept, 0);
    CHECK_FLAGS(job, "011");
    CHECK_LOG("finally");
    allow_threads();
}

KIN_SUSPENDS
static int yield_then_clean_up(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    int err = kin_yield();

    ev(kin_error_name(err));
    return err;
}

TEST(fiber_queued_at_detach_cleans_up_before_detach_returns)
{
    KIN_AUTO(kin_job) job = NULL;

    refuse_threads();
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_launch(kin_global_scope(), yield_then_clean_up, NULL,
                        .dispatcher = kin_main(), .job = &job), 0);
    CHECK_EQ(kin_launch(kin_global_scope(), do_nothing, NULL,
                        .dispatcher = kin_main()), 0);
    CHECK_EQ(kin_main_pump(0), 2);
    CHECK_EQ(kin_main_detach(), 0);
    CHECK_FLAGS(job, "011");
    CHECK_LOG("KIN_ECANCELED");
    allow_threads();
}

/* Nobody is there to keep its time: too early beats never. */
KIN_SUSPENDS
static int delay_for_hours(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    int err = kin_delay(KIN_S(3600));

    CHECK_EQ(err, KIN_ECANCELED);
    ev("finally");
    return err;
}

TEST(delay_on_main_ends_at_detach_if_nobody_can_keep_the_time)
{
    KIN_AUTO(kin_job) job = NULL;

    refuse_threads();
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_launch(kin_global_scope(), delay_for_hours, NULL,
                        .dispatcher = kin_main(), .job = &job), 0);
    CHECK_EQ(kin_main_pump(KIN_NEVER), 1);
    CHECK_EQ(kin_main_detach(), 0);
    CHECK_FLAGS(job, "011");
    CHECK_LOG("finally");
    allow_threads();
}

/* --- Some threads, but no more ------------------------------------------ */

static pthread_barrier_t all_here;

/* Holds its thread until the test and all of them meet. */
static int hold_thread(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    pthread_barrier_wait(&all_here);    /* each has one */
    pthread_barrier_wait(&all_here);    /* each may give it back */
    return 0;
}

static kin_job *launch_on(kin_dispatcher *dispatcher, kin_body *body)
{
    kin_job *job = NULL;

    CHECK_EQ(kin_launch(kin_global_scope(), body, NULL, .job = &job,
                        .dispatcher = dispatcher), 0);
    return job;
}

static int count_workers(void)
{
    struct kin__scheduler_stats stats;

    kin__scheduler_get_stats((struct kin__scheduler *)kin_default(), &stats);
    return stats.threads;
}

/* Each worker there is, and there will be no other. */
static void hold_all_workers(void)
{
    CHECK_EQ(kin_run_blocking(do_nothing, NULL, .dispatcher = kin_io()), 0);
    refuse_threads();
    int count = count_workers();
    pthread_barrier_init(&all_here, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++)
        kin_job_release(launch_on(kin_io(), hold_thread));
    pthread_barrier_wait(&all_here);
}

static void let_go(void)
{
    pthread_barrier_wait(&all_here);
}

static int launch_a_hundred(kin_scope *scope, void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        KIN_TRY(kin_launch(scope, i % 10 ? yield_once : delay_a_little, NULL,
                           .dispatcher = threaded[i % THREADED]()));
    return 0;
}

TEST(the_workers_there_are_do_everything_in_the_end)
{
    CHECK_EQ(kin_run_blocking(do_nothing, NULL, .dispatcher = kin_io()), 0);
    refuse_threads();
    CHECK_EQ(kin_run_blocking(launch_a_hundred, NULL), 0);
    allow_threads();
}

TEST(work_waits_for_a_worker_that_is_held)
{
    hold_all_workers();
    KIN_AUTO(kin_job) cpu = launch_on(kin_default(), yield_once);
    KIN_AUTO(kin_job) io = launch_on(kin_io(), yield_once);

    CHECK_FLAGS(cpu, "100");
    CHECK_FLAGS(io, "100");
    let_go();
    wait_until_completed(cpu);
    wait_until_completed(io);
    CHECK_FLAGS(cpu, "010");
    CHECK_FLAGS(io, "010");
    allow_threads();
}

/* What found no thread is not forgotten when the next one finds one. */
TEST(work_that_waits_for_a_thread_runs_when_there_is_one_again)
{
    hold_all_workers();
    KIN_AUTO(kin_job) cpu = launch_on(kin_default(), yield_once);
    KIN_AUTO(kin_job) io = launch_on(kin_io(), yield_once);

    allow_threads();
    KIN_AUTO(kin_job) next = launch_on(kin_io(), yield_once);
    wait_until_completed(next);
    wait_until_completed(cpu);
    wait_until_completed(io);
    let_go();
}

TEST(cpu_work_that_waits_for_a_thread_runs_when_cpu_work_finds_one)
{
    hold_all_workers();
    KIN_AUTO(kin_job) cpu = launch_on(kin_default(), yield_once);

    allow_threads();
    KIN_AUTO(kin_job) next = launch_on(kin_default(), yield_once);
    wait_until_completed(next);
    wait_until_completed(cpu);
    let_go();
}

KIN_SUSPENDS
static int delay_on_default(kin_scope *scope, void *arg)
{
    (void)scope;
    return kin_with_context(delay_a_little, arg, .dispatcher = kin_default());
}

/* Those who would fire it are held; they come to that when they are free. */
TEST(timer_waits_for_a_worker_that_is_held)
{
    hold_all_workers();
    KIN_AUTO(kin_job) sleeper = launch_on(kin_unconfined(), delay_on_default);

    CHECK_FLAGS(sleeper, "100");
    let_go();
    wait_until_completed(sleeper);
    CHECK_FLAGS(sleeper, "010");
    allow_threads();
}

/* --- The creation that fails, once -------------------------------------- */

struct refusal {
    kin_dispatcher *dispatcher;
    unsigned long n;                /* of the call that is refused           */
    int err;
};

static void run_refused_once(void *arg)
{
    struct refusal *refusal = arg;

    kin__fail_at(refusal->n, false);
    refusal->err = kin_run_blocking(do_nothing, NULL,
                                    .dispatcher = refusal->dispatcher);
    CHECK(kin__fail_hits() > 0);
    kin__fail_at(0, false);
    run_blocking_works(refusal->dispatcher);
}

/* Tries one call after the other, each in a new process, until the refusal is
 * that of a thread. */
static void first_thread_fails(kin_dispatcher *dispatcher)
{
    struct refusal *refusal = mmap(NULL, sizeof *refusal,
                                   PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(refusal != MAP_FAILED);
    refusal->dispatcher = dispatcher;
    do {
        refusal->n++;
        check_says(run_refused_once, refusal, "");
        CHECK(refusal->err == 0 || refusal->err == KIN_ENOMEM
              || refusal->err == KIN_EAGAIN);
    } while (refusal->err != KIN_EAGAIN);
    munmap(refusal, sizeof *refusal);
}

TEST(first_thread_that_fails_fails_only_the_call_that_needed_it)
{
    first_thread_fails(kin_default());
    first_thread_fails(kin_io());
}

/* --- Descriptors -------------------------------------------------------- */

TEST(main_without_a_descriptor_is_not_attached)
{
    set_soft_limit(RLIMIT_NOFILE, true);
    CHECK_EQ(kin_main_attach(), KIN_EAGAIN);
    CHECK(!kin_main_is_attached());
    CHECK(!kin_main_is_current());
    set_soft_limit(RLIMIT_NOFILE, false);
    CHECK_EQ(kin_main_attach(), 0);
    CHECK_EQ(kin_main_detach(), 0);
}

/* --- A dispatcher that has its moods ------------------------------------ */

/* On Default's threads, when it likes to. */
struct moody {
    kin_dispatcher dispatcher;          /* first                             */
    _Atomic int refusal;                /* of tasks: 0, or a code            */
    _Atomic int no_time;                /* of timers: likewise               */
    _Atomic int in_place;               /* how often it claims to be there   */
    _Atomic int taken;
};

static int moody_dispatch(kin_dispatcher *self, kin_task *task)
{
    struct moody *moody = (struct moody *)self;

    if (moody->refusal)
        return moody->refusal;
    moody->taken++;
    return kin_default()->ops->dispatch(kin_default(), task);
}

static bool moody_needs_dispatch(kin_dispatcher *self)
{
    struct moody *moody = (struct moody *)self;

    return moody->in_place == 0 || moody->in_place-- == 0;
}

static int moody_set_timer(kin_dispatcher *self, kin_timer *timer,
                           int64_t deadline)
{
    struct moody *moody = (struct moody *)self;

    if (moody->no_time)
        return moody->no_time;
    return kin_default()->ops->set_timer(kin_default(), timer, deadline);
}

static struct moody moody;

static kin_dispatcher *a_moody_one(void)
{
    static const kin_dispatcher_ops ops = {
        .dispatch = moody_dispatch,
        .needs_dispatch = moody_needs_dispatch,
        .set_timer = moody_set_timer,
    };

    CHECK_EQ(kin_dispatcher_init(&moody.dispatcher, &ops, "moody"), 0);
    return &moody.dispatcher;
}

TEST(a_dispatcher_that_refuses_a_launch_fails_the_job_with_its_code)
{
    KIN_AUTO(kin_job) job = NULL;
    REPORT(refused);

    kin_dispatcher *dispatcher = a_moody_one();
    moody.refusal = -EIO;
    CHECK_EQ(kin_launch(kin_global_scope(), unreachable_body, NULL,
                        .dispatcher = dispatcher, .job = &job,
                        HANDLER(refused)), -EIO);
    CHECK_FLAGS(job, "011");
    CHECK_EQ(kin_error_code(refused.error), -EIO);
    moody.refusal = 0;
    run_blocking_works(dispatcher);
}

TEST_ON_LOOP(a_dispatcher_that_refuses_a_move_leaves_the_fiber_where_it_is)
{
    kin_dispatcher *dispatcher = a_moody_one();
    pthread_t self = pthread_self();

    moody.refusal = -EIO;
    CHECK_EQ(kin_with_context(unreachable_body, NULL,
                              .dispatcher = dispatcher), -EIO);
    CHECK(pthread_equal(self, pthread_self()));
    CHECK_FLAGS(kin_scope_job(scope), "100");
    CHECK_EQ(kin_yield(), 0);
}

static int become_unwilling(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    moody.refusal = -EIO;
    return 0;
}

KIN_SUSPENDS
static int go_away_and_back(kin_scope *scope, void *arg)
{
    (void)arg;
    int err = kin_with_context(become_unwilling, NULL,
                               .dispatcher = kin_io());

    CHECK_EQ(err, KIN_ECANCELED);
    CHECK_FLAGS(kin_scope_job(scope), "001");
    CHECK_EQ(kin_delay(KIN_S(1000)), KIN_ECANCELED);
    ev("finally");
    return err;
}

TEST(a_dispatcher_that_refuses_to_take_a_fiber_back_has_its_job_cancelled)
{
    CHECK_EQ(kin_run_blocking(go_away_and_back, NULL,
                              .dispatcher = a_moody_one()), KIN_ECANCELED);
    CHECK_EQ(kin_error_code(kin_error_cause(kin_error_current())), -EIO);
    CHECK_LOG("finally");
}

KIN_SUSPENDS
static int yield_to_the_unwilling(kin_scope *scope, void *arg)
{
    int err;

    (void)scope, (void)arg;
    moody.refusal = -EIO;
    err = kin_yield();
    CHECK_EQ(err, KIN_ECANCELED);
    ev("finally");
    return err;
}

TEST(a_dispatcher_that_refuses_a_fiber_of_its_own_has_its_job_cancelled)
{
    KIN_AUTO(kin_job) job = launch_on(a_moody_one(), yield_to_the_unwilling);

    wait_until_completed(job);
    CHECK_FLAGS(job, "011");
    CHECK_LOG("finally");
}

KIN_SUSPENDS
static int use_no_time(kin_scope *scope, void *arg)
{
    bool expired = false;
    int err;

    (void)scope, (void)arg;
    CHECK_EQ(kin_delay(KIN_MS(1)), -EIO);
    CHECK_EQ(kin_delay_until(kin_after(KIN_S(1000))), -EIO);
    CHECK_EQ(kin_with_timeout(KIN_S(1), unreachable_body, NULL), -EIO);
    CHECK_EQ(kin_with_timeout_or_null(KIN_S(1), unreachable_body, NULL,
                                      &expired), -EIO);
    CHECK(!expired);
    KIN_WITH_TIMEOUT(err, KIN_S(1))
        unreached();
    CHECK_EQ(err, -EIO);
    CHECK_EQ(kin_yield(), 0);
    return 0;
}

TEST(a_dispatcher_without_time_fails_what_needs_it_and_nothing_else)
{
    kin_dispatcher *dispatcher = a_moody_one();

    moody.no_time = -EIO;
    CHECK_EQ(kin_run_blocking(use_no_time, NULL, .dispatcher = dispatcher),
             0);
    moody.no_time = 0;
    CHECK_EQ(kin_run_blocking(delay_a_little, NULL,
                              .dispatcher = dispatcher), 0);
}

/* Disarming is refused, too: what has fired is over all the same. */
static int lose_the_time(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    moody.no_time = -EIO;
    return 0;
}

KIN_SUSPENDS
static int time_out_without_time(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return kin_with_timeout(KIN_S(1000), lose_the_time, NULL);
}

TEST(a_timer_is_off_even_if_its_dispatcher_does_not_disarm_it)
{
    CHECK_EQ(kin_run_blocking(time_out_without_time, NULL,
                              .dispatcher = a_moody_one()), 0);
}

/* It claims to be where it is not: what it is asked for runs here. */
TEST(a_dispatcher_that_claims_to_be_there_has_everything_run_in_place)
{
    kin_dispatcher *dispatcher = a_moody_one();

    moody.in_place = 1000000;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(kin_run_blocking(i % 2 ? yield_once : delay_a_little, NULL,
                                  .dispatcher = dispatcher), 0);
    moody.in_place = 0;
}

/* Now this, now that. */
KIN_SUSPENDS
static int claim_for_a_while(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    for (int i = 0; i < 100; i++) {
        moody.in_place = i % 3;
        KIN_TRY(kin_yield());
        KIN_TRY(kin_with_context(yield_once, NULL, .dispatcher = kin_io()));
    }
    return 0;
}

TEST(a_dispatcher_may_change_its_mind_about_where_it_is)
{
    moody.in_place = 0;
    CHECK_EQ(kin_run_blocking(claim_for_a_while, NULL,
                              .dispatcher = a_moody_one()), 0);
    CHECK(moody.taken > 0);
}

static kin_dispatcher never_initialised;

MISUSE(kin_launch, on_a_dispatcher_never_initialised, KIN_EINVAL,
       kin_launch(kin_global_scope(), unreachable_body, NULL,
                  .dispatcher = &never_initialised))
MISUSE(kin_run_blocking, on_a_dispatcher_never_initialised, KIN_EINVAL,
       kin_run_blocking(unreachable_body, NULL,
                        .dispatcher = &never_initialised))
MISUSE_ON_FIBER(kin_with_context, on_a_dispatcher_never_initialised,
                KIN_EINVAL,
                kin_with_context(unreachable_body, NULL,
                                 .dispatcher = &never_initialised))

KIN_UNCHECKED
static int enter_block_nowhere(void)
{
    int err = 0;

    KIN_WITH_CONTEXT(err, .dispatcher = &never_initialised)
        unreached();
    return err;
}
MISUSE_ON_FIBER(KIN_WITH_CONTEXT, on_a_dispatcher_never_initialised,
                KIN_EINVAL, enter_block_nowhere())

TEST_MAIN
