/* job_continuation_stress.c -- continuations resumed and cancelled from other
 * threads, a hundred thousand times each: S189 and S190.
 *
 * Two threads meet at a mailbox, an atomic word per round, so that they race
 * within a few hundred nanoseconds.  Counts must be exact; no stack may be
 * left over, and memory must not grow with the rounds. */
#include "tests/process.h"
#include "tests/rounds.h"
#include "tests/words.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

TEST_TIMEOUT(120);

static int rounds(void)
{
    return race_rounds(RACE_ROUNDS);
}

/* Spins a while, then lets others run: there may be one CPU only. */
static void wait_for(_Atomic int *word, int value)
{
    for (int spins = 0; atomic_load(word) != value; spins++)
        if (spins > 1000)
            sched_yield();
}

static size_t live_stacks(void)
{
    kin_stack_stats stats;
    MUST(kin_stack_get_stats(&stats));
    return stats.live;
}

/* --- S189: resumed while start still runs ------------------------------- */

static struct {
    kin_continuation continuation;
    _Atomic int posted;             /* the round for the resumer; -1: end    */
} mailbox;

static void *resume_each_round(UNUSED void *arg)
{
    for (int round = 1;; round++) {
        while (atomic_load(&mailbox.posted) == round - 1)
            sched_yield();
        if (atomic_load(&mailbox.posted) < 0)
            return NULL;
        MUST(kin_resume(mailbox.continuation, round));
    }
}

static int post(kin_continuation continuation, void *arg)
{
    const int *round = arg;

    mailbox.continuation = continuation;
    atomic_store(&mailbox.posted, *round);
    for (volatile int i = 0; i < *round % 512; i++)
        ;
    return 0;
}

BODY(suspend_each_round)
{
    for (int round = 1; round <= rounds(); round++)
        CHECK_EQ(kin_suspend_cancellable(post, &round), round);
    atomic_store(&mailbox.posted, -1);
    return 0;
}

static void resume_during_start(kin_dispatcher *dispatcher)
{
    pthread_t resumer = start_thread(resume_each_round, NULL);
    MUST(kin_run_blocking(suspend_each_round, NULL,
                          .dispatcher = dispatcher));
    pthread_join(resumer, NULL);
}

TEST(resume_by_a_thread_during_start_is_delivered_once_on_a_loop)
{
    resume_during_start(NULL);
}

TEST(resume_by_a_thread_during_start_is_delivered_once_on_default)
{
    resume_during_start(kin_default());
}

/* --- S190: resume against cancel ---------------------------------------- */

struct race {
    kin_continuation continuation;
    kin_job *job;
    _Atomic int parked;             /* the continuation is there             */
    _Atomic int value, cancelled;   /* how the call ended                    */
    _Atomic int handed_back;
};

static struct race race;
static _Atomic int go, gone;        /* the round for the canceller           */
static int values, cancellations;

static int keep(kin_continuation continuation, UNUSED void *arg)
{
    race.continuation = continuation;
    atomic_store(&race.parked, 1);
    return 0;
}

static void hand_back(void *value, UNUSED kin_error *cause)
{
    CHECK_PTR(value, &race);
    race.handed_back++;
}

BODY(suspend_in_race)
{
    int err = kin_suspend_cancellable(keep, NULL);

    if (err == 0)
        race.value++;
    else if (err == KIN_ECANCELED)
        race.cancelled++;
    else
        FAIL("the call said %d", err);
    return err;
}

static void *cancel_each_round(UNUSED void *arg)
{
    for (int round = 1; round <= rounds(); round++) {
        wait_for(&go, round);
        kin_job_cancel(race.job, NULL);
        atomic_store(&gone, round);
    }
    return NULL;
}

static void race_once(int round, kin_dispatcher *dispatcher)
{
    race = (struct race){ .job = NULL };
    MUST(kin_launch(kin_global_scope(), suspend_in_race, NULL,
                    .dispatcher = dispatcher, .job = &race.job));
    wait_for(&race.parked, 1);
    atomic_store(&go, round);
    for (volatile int i = 0; i < round % 256; i++)
        ;
    kin_resume_or(race.continuation, hand_back, &race);
    wait_for(&gone, round);
    while (!kin_job_is_completed(race.job))
        sched_yield();
    kin_job_release(race.job);

    CHECK_EQ(race.value + race.cancelled, 1);
    CHECK_EQ(race.handed_back, race.cancelled);
    values += race.value;
    cancellations += race.cancelled;
}

static void race_often(kin_dispatcher *dispatcher)
{
    pthread_t canceller = start_thread(cancel_each_round, NULL);
    size_t live = 0;
    long threads = 0;
    long long before = 0;

    for (int round = 1; round <= rounds(); round++) {
        race_once(round, dispatcher);
        if (round == rounds() / 5) {
            live = live_stacks();
            threads = process_threads();
            before = process_resident();
        }
    }
    pthread_join(canceller, NULL);
    CHECK_EQ(values + cancellations, rounds());
    /* Workers that came since (the machine was busy) keep two each. */
    if (process_threads() > threads)
        live += 2 * (size_t)(process_threads() - threads);
    if (live_stacks() > live + 4)
        FAIL("%zu stacks live, before %zu", live_stacks(), live);
    /* ThreadSanitizer's own memory grows. */
    if (!KIN__TSAN && process_resident() > before + (8 << 20))
        FAIL("%lld bytes resident, before %lld", process_resident(), before);
}

TEST(resume_against_cancel_ends_in_one_of_both_on_default)
{
    race_often(kin_default());
}

TEST(resume_against_cancel_ends_in_one_of_both_on_unconfined)
{
    race_often(kin_unconfined());
}

/* --- Several resumers: one wins ----------------------------------------- */

static _Atomic int winners, losers;

static void *resume_in_competition(void *value)
{
    for (int round = 1; round <= rounds(); round++) {
        while (atomic_load(&mailbox.posted) < round)
            sched_yield();
        kin_continuation continuation = mailbox.continuation;
        int err = kin_resume(continuation, (int)(intptr_t)value);
        if (err == 0)
            winners++;
        else if (err == KIN_EALREADY || err == KIN_ESTALE)
            losers++;
        else
            FAIL("resume said %d", err);
        while (atomic_load(&gone) < round)
            sched_yield();
    }
    return NULL;
}

BODY(suspend_for_the_first)
{
    for (int round = 1; round <= rounds(); round++) {
        int winner = kin_suspend_cancellable(post, &round);
        CHECK(winner == 1 || winner == 2);
        while (winners + losers < 2 * round)
            sched_yield();
        atomic_store(&gone, round);
    }
    return 0;
}

TEST(one_of_two_resumers_wins_and_the_other_is_told)
{
    pthread_t first = start_thread(resume_in_competition, WORD(1));
    pthread_t second = start_thread(resume_in_competition, WORD(2));

    MUST(kin_run_blocking(suspend_for_the_first, NULL,
                          .dispatcher = kin_default()));
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    CHECK_EQ(winners, rounds());
    CHECK_EQ(losers, rounds());
}

TEST_MAIN
