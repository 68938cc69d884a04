/* job_soak_stress.c -- everything at once, for as long as one likes.
 *
 *     make soak                       ten minutes
 *     KIN_SOAK_SECONDS=60 ...         any other time
 *
 * Drivers on Default launch, cancel, time out, fail, hop between dispatchers
 * and suspend, in windows of a few dozen jobs; two foreign threads resume what
 * has suspended, once, twice, late, with values and with errors; somebody trims
 * and dumps meanwhile.  Time is cut into short epochs, and between two of them
 * nothing runs.  Then the books must be balanced:
 *
 *   each job that was launched has told its end, once
 *   each body that began has ended
 *   each value was received or handed back, once
 *   each failure of a supervisor's child was reported, once
 *   no heap block, live stack, file descriptor or thread is left over
 *   resident memory is flat to one per cent, once it has warmed up */
#include "core/memory.h"
#include "tests/process.h"
#include "tests/words.h"

#include <kin/dump.h>

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

TEST_TIMEOUT(900);

enum { DRIVERS = 8, WINDOW = 32, RESUMERS = 2, EPOCHS_MIN = 8 };
enum { THREADS_MAX = 64 + 64 };

static struct {
    atomic_llong launched, finished;
    atomic_llong begun, ended;
    atomic_llong sent, received, handed_back;
    atomic_llong thrown, reported;
    atomic_llong resumed, late, expired;
} books;

static atomic_bool epoch_over, all_over;
static kin_dispatcher *view, *pool;
static int null_file;

#define COUNT(what) atomic_fetch_add_explicit(&books.what, 1,               \
                                              memory_order_relaxed)

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state >> 4;
}

static kin_dispatcher *some_dispatcher(uint32_t random)
{
    switch (random % 8) {
    case 0:  return kin_io();
    case 1:  return view;
    case 2:  return pool;
    case 3:  return kin_unconfined();
    default: return kin_default();
    }
}

/* --- Foreign threads ------------------------------------------------------ */

enum { MAILBOX = 4096 };
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    kin_continuation letters[MAILBOX];
    unsigned first, count;
} mailbox = { .lock = PTHREAD_MUTEX_INITIALIZER,
              .filled = PTHREAD_COND_INITIALIZER };

/* On a busy machine those who resume may be far behind: false, it is full. */
static bool put_letter(kin_continuation letter)
{
    pthread_mutex_lock(&mailbox.lock);
    bool fits = mailbox.count < MAILBOX;
    if (fits)
        mailbox.letters[(mailbox.first + mailbox.count++) % MAILBOX] = letter;
    pthread_cond_signal(&mailbox.filled);
    pthread_mutex_unlock(&mailbox.lock);
    return fits;
}

/* False: it is all over. */
static bool take_letter(kin_continuation *letter)
{
    pthread_mutex_lock(&mailbox.lock);
    while (!mailbox.count && !atomic_load(&all_over))
        pthread_cond_wait(&mailbox.filled, &mailbox.lock);
    bool found = mailbox.count > 0;
    if (found) {
        *letter = mailbox.letters[mailbox.first];
        mailbox.first = (mailbox.first + 1) % MAILBOX;
        mailbox.count--;
    }
    pthread_mutex_unlock(&mailbox.lock);
    return found;
}

static void hand_back(UNUSED void *value, UNUSED kin_error *cause)
{
    COUNT(handed_back);
}

static void resume_with_value(kin_continuation letter)
{
    int err = kin_resume_or(letter, hand_back, &books);

    CHECK(err == 0 || err == KIN_ESTALE || err == KIN_EALREADY);
    if (err != KIN_EALREADY)
        COUNT(sent);
    if (err)
        COUNT(late);
    else
        COUNT(resumed);
}

static int post(kin_continuation continuation, UNUSED void *arg)
{
    if (!put_letter(continuation))
        resume_with_value(continuation);
    return 0;
}

static void resume_with_error(kin_continuation letter)
{
    int err = kin_resume_with_error(letter, CE);

    CHECK(err == 0 || err == KIN_ESTALE || err == KIN_EALREADY);
}

/* What was resumed before is resumed again, much later. */
static void *resume_letters(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed;
    kin_continuation letter, old[64] = { { NULL, 0 } };

    for (unsigned n = 0; take_letter(&letter); n++) {
        uint32_t random = next_random(&state);

        if (random % 16 == 0)
            resume_with_error(letter);
        else
            resume_with_value(letter);
        if (random % 32 == 1)
            resume_with_value(letter);
        if (old[n % 64].fiber && random % 4 == 0)
            resume_with_value(old[n % 64]);
        old[n % 64] = letter;
    }
    return NULL;
}

/* --- What is launched ----------------------------------------------------- */

/* The argument of a body: numbers, and whether a supervisor is above it. */
enum { SUPERVISED = 1 };

static int suspend_for_a_value(void) KIN_SUSPENDS;
static int suspend_for_a_value(void)
{
    int err = kin_suspend_cancellable(post, NULL);

    if (err == 0)
        COUNT(received);
    return err;
}

BODY(wait_for_a_value)
{
    return suspend_for_a_value();
}

BODY(yield_a_little)
{
    for (uint32_t i = (uint32_t)(uintptr_t)arg % 4; i > 0; i--)
        KIN_TRY(kin_yield());
    return 0;
}

BODY(launch_two)
{
    KIN_TRY(kin_launch(scope, yield_a_little, arg));
    return kin_launch(scope, yield_a_little, arg, .dispatcher = view);
}

static int in_time(uint32_t random) KIN_SUSPENDS;
static int in_time(uint32_t random)
{
    bool expired = false;
    int err = kin_with_timeout_or_null(KIN_US(random % 200), wait_for_a_value,
                                       NULL, &expired);
    if (expired)
        COUNT(expired);
    return err;
}

static int fail(uint32_t numbers)
{
    if (numbers & SUPERVISED)
        COUNT(thrown);
    return kin_fail(-EIO, "failure %u", numbers);
}

static int do_something(kin_scope *scope, uint32_t numbers) KIN_SUSPENDS;
static int do_something(kin_scope *scope, uint32_t numbers)
{
    uint32_t random = numbers >> 1;
    void *arg = WORD(random);

    switch (random % 12) {
    case 0: return fail(numbers);
    case 1: return kin_delay(KIN_US(random % 100));
    case 2: return kin_launch(scope, yield_a_little, arg);
    case 3: return kin_coroutine_scope(launch_two, arg);
    case 4: return kin_with_context(yield_a_little, arg,
                                    .dispatcher = some_dispatcher(random >> 8));
    case 5: return kin_await_cancellation();
    case 6: return in_time(random >> 4);
    case 7: return kin_with_timeout(KIN_US(random % 300), wait_forever, NULL);
    case 8:
    case 9: return suspend_for_a_value();
    default: return yield_a_little(scope, arg);
    }
}

BODY(work)
{
    COUNT(begun);
    int err = do_something(scope, (uint32_t)(uintptr_t)arg);
    COUNT(ended);
    return err;
}

static int count_finished(kin_job *job, UNUSED kin_error *cause,
                          UNUSED void *arg)
{
    CHECK(kin_job_is_completed(job));
    COUNT(finished);
    return 0;
}

static int count_reported(UNUSED kin_job *job, kin_error *error,
                          UNUSED void *arg)
{
    CHECK(!kin_error_is_cancellation(error));
    COUNT(reported);
    return 0;
}

/* --- Windows -------------------------------------------------------------- */

struct window {
    uint32_t state;                 /* random numbers                        */
    bool supervised;
    kin_job *jobs[WINDOW];
    int count;
};

static void launch_one(kin_scope *scope, struct window *window)
{
    uint32_t random = next_random(&window->state);
    kin_job *job = NULL;
    void *arg = WORD(next_random(&window->state) << 1 | window->supervised);

    COUNT(launched);
    MUST(kin_launch(scope, work, arg, .job = &job,
                    .dispatcher = some_dispatcher(random),
                    .start = (kin_start)(random / 8 % 4),
                    .handler = count_reported));
    on_completion(job, count_finished, NULL);
    window->jobs[window->count++] = job;
}

static void deal_with(kin_job *job, uint32_t random) KIN_SUSPENDS;
static void deal_with(kin_job *job, uint32_t random)
{
    switch (random % 4) {
    case 0:  kin_job_start(job); break;
    case 1:  kin_job_cancel(job, NULL); break;
    case 2:  kin_cancel_and_join(job); break;
    default: (void)kin_with_timeout(KIN_US(20), join_body, job);
    }
}

BODY(play_window)
{
    struct window *window = arg;

    for (int i = 0; i < WINDOW; i++)
        launch_one(scope, window);
    for (int i = 0; i < WINDOW; i++)
        deal_with(window->jobs[i], next_random(&window->state));
    kin_job_cancel_children(kin_scope_job(scope), NULL);
    return 0;
}

BODY(drive)
{
    struct window window = { .state = (uint32_t)(uintptr_t)arg | 1 };

    while (!atomic_load_explicit(&epoch_over, memory_order_relaxed)) {
        window.count = 0;
        window.supervised = next_random(&window.state) % 4;
        if (window.supervised)
            MUST(kin_supervisor_scope(play_window, &window));
        else
            (void)kin_coroutine_scope(play_window, &window);
        kin_error_clear();
        for (int i = 0; i < window.count; i++)
            kin_job_release(window.jobs[i]);
    }
    return 0;
}

/* --- Epochs --------------------------------------------------------------- */

static int64_t epoch_length;
static uint32_t epoch;

BODY(look_on)
{
    for (int i = 0; i < 4; i++) {
        MUST(kin_delay(epoch_length / 4));
        kin_trim();
        MUST(kin_dump(null_file));
    }
    atomic_store(&epoch_over, true);
    return 0;
}

BODY(run_epoch)
{
    atomic_store(&epoch_over, false);
    for (uint32_t i = 0; i < DRIVERS; i++)
        MUST(kin_launch(scope, drive, WORD((epoch * DRIVERS + i) * 2654435761u
                                           >> 1),
                        .dispatcher = kin_default()));
    return look_on(scope, NULL);
}

/* Of those who resume it may be one that is not done yet. */
static void wait_for_the_mailbox(void)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&mailbox.lock);
        bool empty = mailbox.count == 0;
        pthread_mutex_unlock(&mailbox.lock);
        if (empty && atomic_load(&books.sent)
                     == atomic_load(&books.received)
                        + atomic_load(&books.handed_back)
            && atomic_load(&books.finished) == atomic_load(&books.launched))
            return;
        block_ms(1);
    }
}

static void check_books(void)
{
    wait_for_the_mailbox();
    CHECK_EQ(books.finished, books.launched);
    CHECK_EQ(books.ended, books.begun);
    CHECK_EQ(books.received + books.handed_back, books.sent);
    CHECK_EQ(books.reported, books.thrown);
}

/* --- What is left over ---------------------------------------------------- */

struct left_over {
    long blocks, files, threads;
    size_t stacks;
    long long resident;
};

static struct left_over look(void)
{
    struct kin__memory_stats memory;
    kin_stack_stats stacks;

    kin_trim();
    kin__memory_get_stats(&memory);
    MUST(kin_stack_get_stats(&stacks));
    return (struct left_over){ memory.blocks, process_files(),
                               process_threads(), stacks.live,
                               process_resident() };
}

/* A worker may be on its way from the end of a job to its sleep still. */
static struct left_over look_at_rest(void)
{
    const struct timespec moment = { 0, 1000000 };
    struct left_over now = look();

    for (int i = 0; i < 3000 && now.stacks > 3 * (size_t)now.threads; i++) {
        nanosleep(&moment, NULL);
        now = look();
    }
    return now;
}

static void check_left_over(struct left_over before, struct left_over now)
{
    if (now.blocks > before.blocks + 64)
        FAIL("%ld heap blocks, before %ld", now.blocks, before.blocks);
    CHECK_EQ(now.files, before.files);
    if (now.threads > THREADS_MAX)
        FAIL("%ld threads", now.threads);
    if (now.stacks > 3 * (size_t)now.threads)   /* a host and a spare each */
        FAIL("%zu live stacks, %ld threads", now.stacks, now.threads);
}

static int64_t how_long(void)
{
    const char *text = getenv("KIN_SOAK_SECONDS");
    long seconds = text ? atol(text) : 4;

    return KIN_S(seconds > 0 ? seconds : 4);
}

/* What threads cache of their own is not filled after a few seconds. */
static long long noise(void)
{
    return how_long() < KIN_S(30) ? 2 << 20 : 256 << 10;
}

/* The highest of the second quarter of the epochs, and of the last. */
static void check_flat(long long early, long long late)
{
    printf("  resident: %lld KiB early, %lld KiB late\n", early >> 10,
           late >> 10);
    if (check_slow(1) == 1 && late > early + early / 100 + noise())
        FAIL("resident memory has grown from %lld to %lld", early, late);
}

static void tell(void)
{
    printf("  %lld launched, %lld begun; %lld sent: %lld received, %lld handed "
           "back; %lld failures; %lld resumed, %lld too late; %lld expired\n",
           (long long)books.launched, (long long)books.begun,
           (long long)books.sent, (long long)books.received,
           (long long)books.handed_back, (long long)books.thrown,
           (long long)books.resumed, (long long)books.late,
           (long long)books.expired);
    CHECK(books.launched > 0 && books.received > 0 && books.handed_back > 0);
    CHECK(books.thrown > 0 && books.late > 0 && books.expired > 0);
}

/* --- The soak ------------------------------------------------------------- */

static void make_pool(void)
{
    MUST(kin_fixed_pool(1, "soak", &pool));
}

static void close_pool(void)
{
    MUST(kin_dispatcher_close(pool));
    kin_dispatcher_release(pool);
}

static void run_epochs(int64_t end)
{
    struct left_over first = { 0 }, now = { 0 };
    long long early = 0, late = 0;
    int64_t begin = kin_now();

    for (epoch = 1; epoch <= EPOCHS_MIN || kin_now() < end; epoch++) {
        int64_t quarter = (kin_now() - begin) * 4 / (end - begin);

        make_pool();
        MUST(kin_run_blocking(run_epoch, NULL));
        close_pool();
        check_books();
        now = look_at_rest();
        if (quarter < 1 || !first.files)
            first = now;
        if (quarter <= 1 && now.resident > early)
            early = now.resident;
        if (quarter >= 3 && now.resident > late)
            late = now.resident;
        check_left_over(first, now);
    }
    check_flat(early, late);
}

TEST(all_at_once_the_books_are_balanced_and_memory_is_flat)
{
    pthread_t resumers[RESUMERS];
    int64_t time = how_long();

    kin__memory_watch(true);
    null_file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    epoch_length = time / 40 < KIN_MS(500) ? time / 40 : KIN_MS(500);
    MUST(kin_limited_parallelism(kin_default(), 2, "view", &view));
    for (intptr_t i = 0; i < RESUMERS; i++)
        resumers[i] = start_thread(resume_letters, WORD(12345 + i));
    run_epochs(kin_after(time));
    pthread_mutex_lock(&mailbox.lock);
    atomic_store(&all_over, true);
    pthread_cond_broadcast(&mailbox.filled);
    pthread_mutex_unlock(&mailbox.lock);
    for (int i = 0; i < RESUMERS; i++)
        pthread_join(resumers[i], NULL);
    check_books();
    tell();
    kin_dispatcher_release(view);
    close(null_file);
}

TEST_MAIN
