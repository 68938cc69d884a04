/* job_run_blocking_stress.c -- loops that others hand work to, to the end.
 *
 * The races of the specification, section 14:
 *   two threads that exchange values from loop to loop   S212
 *   a dispatch to a loop that closes                     R14.5, S203
 *   a timer of a loop that closes                        R14.5, S203
 *   a chain of unconfined fibers, resumed from two ends  S208, R14.6
 *
 * No wake-up is lost, nothing that was dispatched is dropped, no stack
 * grows. */
#include "tests/race.h"

TEST_TIMEOUT(120);

struct round {
    kin_job *job;
    kin_dispatcher *loop;           /* of a thread that is about to close it */
    atomic_int ran;
    int result;
};

/* --- From loop to loop ---------------------------------------------------- */

static kin_deferred *_Atomic balls[2];  /* what the one waits for, the other
                                           completes                         */

static void make_ball(int which)
{
    atomic_store(&balls[which], new_deferred(NULL));
}

static void throw_ball(int which, intptr_t value)
{
    CHECK_EQ(kin_deferred_complete(balls[which], WORD(value)), 1);
}

static intptr_t catch_ball(int which) KIN_SUSPENDS;
static intptr_t catch_ball(int which)
{
    kin_deferred *ball = atomic_load(&balls[which]);
    intptr_t value = -1;

    MUST(kin_await(ball, &value));
    make_ball(which);                   /* before the other can throw again */
    kin_deferred_release(ball);
    return value;
}

BODY(serve)
{
    for (int i = 0; i < race_rounds(RACE_ROUNDS); i++) {
        throw_ball(0, i);
        CHECK_EQ(catch_ball(1), i + 1);
    }
    return 0;
}

BODY(answer)
{
    for (int i = 0; i < race_rounds(RACE_ROUNDS); i++) {
        CHECK_EQ(catch_ball(0), i);
        throw_ball(1, i + 1);
    }
    return 0;
}

static void *run_answer(UNUSED void *arg)
{
    MUST(kin_run_blocking(answer, NULL));
    return NULL;
}

/* S212 */
TEST(two_threads_in_run_blocking_exchange_and_lose_no_wake_up)
{
    make_ball(0);
    make_ball(1);
    pthread_t other = start_thread(run_answer, NULL);
    MUST(kin_run_blocking(serve, NULL));
    pthread_join(other, NULL);
    kin_deferred_release(balls[0]);
    kin_deferred_release(balls[1]);
}

/* --- Loops that close ----------------------------------------------------- */

BODY(lend_loop)
{
    struct round *now = arg;

    now->loop = kin_dispatcher_retain(race_loop());
    return 0;
}

/* A thread whose loops live for the time of one body each. */
static pthread_t short_lived;
static _Atomic(struct round *) wanted;
static atomic_int served;

BODY(serve_one)
{
    struct round *now = arg;

    MUST(lend_loop(scope, now));
    atomic_store(&served, 1);
    race_spin(now->result);
    return 0;
}

static void *serve_rounds(UNUSED void *arg)
{
    for (;;) {
        struct round *now;
        while (!(now = atomic_load(&wanted)))
            sched_yield();
        if (now == (struct round *)&wanted)
            return NULL;
        atomic_store(&wanted, NULL);
        MUST(kin_run_blocking(serve_one, now));
        atomic_store(&served, 2);
    }
}

BODY(note_ran)
{
    struct round *now = arg;

    atomic_fetch_add(&now->ran, 1);
    int err = now->result % 4 ? kin_yield() : kin_delay(KIN_US(1));
    atomic_fetch_add(&now->ran, 1);
    return err;
}

static void race_with_closing(uint32_t *state)
{
    struct round now = { .result = (int)(race_next(state) % 2048) };

    atomic_store(&served, 0);
    atomic_store(&wanted, &now);
    while (!atomic_load(&served))
        sched_yield();
    race_spin((int)(race_next(state) % 4096));
    now.job = LAUNCH(kin_global_scope(), note_ran, &now,
                     .dispatcher = now.loop);
    while (atomic_load(&served) != 2)
        sched_yield();
    wait_for_job(now.job);
    CHECK_FLAGS(now.job, "010");
    CHECK_EQ(now.ran, 2);
    kin_job_release(now.job);
    kin_dispatcher_release(now.loop);
}

/* Of these there are fewer: each makes a loop and ends it. */
TEST(what_is_dispatched_to_a_loop_that_closes_runs_all_the_same)
{
    uint32_t state = race_seed(3);

    short_lived = start_thread(serve_rounds, NULL);
    for (int i = 0; i < race_rounds(RACE_ROUNDS); i++)
        race_with_closing(&state);
    atomic_store(&wanted, (struct round *)&wanted);
    pthread_join(short_lived, NULL);
}

/* --- Chains --------------------------------------------------------------- */

enum { LINKS = 64 };

struct chain {
    kin_continuation next[LINKS];
    kin_job *jobs[LINKS];
    atomic_int resumed;
};

static struct chain chain;

static int link_in(kin_continuation continuation, void *arg)
{
    chain.next[(intptr_t)arg] = continuation;
    return 0;
}

/* Whoever is resumed resumes the two beside him, who may have been. */
BODY(resume_the_next)
{
    intptr_t i = (intptr_t)arg;

    MUST(kin_suspend(link_in, arg));
    atomic_fetch_add(&chain.resumed, 1);
    if (i + 1 < LINKS)
        kin_resume(chain.next[i + 1], 0);
    if (i > 0)
        kin_resume(chain.next[i - 1], 0);
    return 0;
}

static void make_chain(void)
{
    atomic_store(&chain.resumed, 0);
    for (intptr_t i = 0; i < LINKS; i++)
        chain.jobs[i] = LAUNCH(kin_global_scope(), resume_the_next, WORD(i),
                               .dispatcher = kin_unconfined());
}

static void pull(int which)
{
    int err = kin_resume(chain.next[which], 0);
    CHECK(err == 0 || err == KIN_EALREADY || err == KIN_ESTALE);
}

static void *pull_the_last(UNUSED void *arg)
{
    for (int i = 0; i < race_rounds(RACE_ROUNDS) / LINKS; i++) {
        while (!atomic_load(&wanted))
            sched_yield();
        pull(LINKS - 1);
        atomic_store(&wanted, NULL);
    }
    return NULL;
}

/* S208, from both ends: a hundred thousand links in all. */
TEST(a_chain_of_unconfined_fibers_resumed_from_both_ends_is_resumed_once)
{
    pthread_t other = start_thread(pull_the_last, NULL);
    uint32_t state = race_seed(4);

    for (int i = 0; i < race_rounds(RACE_ROUNDS) / LINKS; i++) {
        make_chain();
        atomic_store(&wanted, (struct round *)&wanted);
        race_spin((int)(race_next(&state) % 8192));
        pull(0);
        while (atomic_load(&wanted))
            sched_yield();
        for (int k = 0; k < LINKS; k++) {
            wait_for_job(chain.jobs[k]);
            kin_job_release(chain.jobs[k]);
        }
        CHECK_EQ(chain.resumed, LINKS);
    }
    pthread_join(other, NULL);
}

TEST_MAIN
