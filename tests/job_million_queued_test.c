/* job_million_queued_test.c -- ten million jobs that never park.
 *
 *     make million            ten million
 *     KIN_MILLION=50000 ...   or ten times any other number
 *
 * Queued all at once, each takes its record and nothing more; queued some at a
 * time, no more memory than some; launched on Default by somebody who never
 * waits, not more than if all were queued; and always the memory is back at
 * the end. */
#include "tests/million.h"

#include <stdatomic.h>

TEST_TIMEOUT(300);

enum { QUEUED = 10000 };            /* at a time                             */

static atomic_long over;

BODY(count)
{
    atomic_fetch_add_explicit(&over, 1, memory_order_relaxed);
    return 0;
}

/* --- On a loop ------------------------------------------------------------ */

static void warm_up(void)
{
    make_scope();
    launch_all(count, QUEUED);
    CHECK_EQ(counting_run(&loop), QUEUED);
    over = 0;
}

TEST(ten_million_jobs_that_are_queued_at_once_take_a_record_each)
{
    long n = how_many() * 10;
    long long start;

    warm_up();
    kin_trim();
    start = process_resident();
    launch_all(count, n);
    check_each("queued", process_resident() - start, n, LAUNCHED_MAX);
    CHECK_EQ(over, 0);
    CHECK_EQ(counting_run(&loop), n);
    CHECK_EQ(over, n);
    end_scope();
    check_back(start);
}

TEST(ten_million_jobs_that_are_queued_by_and_by_take_no_more_than_a_few)
{
    long n = how_many() * 10;
    long long most;

    warm_up();
    most = process_resident() + (8 << 20);
    for (long left = n; left > 0; left -= QUEUED) {
        long some = left < QUEUED ? left : QUEUED;

        launch_all(count, some);
        CHECK_EQ(counting_run(&loop), some);
    }
    CHECK_EQ(over, n);
    if (is_plain() && process_resident() > most)
        FAIL("%lld bytes resident, more than %lld", process_resident(), most);
    end_scope();
}

/* --- On Default ----------------------------------------------------------- */

struct stream {
    long n, launched;
    bool waits;                     /* for some, before it launches more     */
    long long highest;              /* memory seen                           */
    long waiting;                   /* jobs seen that were not over          */
};

BODY(launch_some)
{
    struct stream *stream = arg;
    long some = stream->n - stream->launched;

    if (some > QUEUED)
        some = QUEUED;
    for (long i = 0; i < some; i++)
        MUST(kin_launch(scope, count, NULL));
    stream->launched += some;
    long waiting = stream->launched - atomic_load(&over);
    if (waiting > stream->waiting)
        stream->waiting = waiting;
    long long memory = process_resident();
    if (memory > stream->highest)
        stream->highest = memory;
    return 0;
}

BODY(launch_stream)
{
    struct stream *stream = arg;

    while (stream->launched < stream->n)
        MUST(stream->waits ? kin_coroutine_scope(launch_some, stream)
                           : launch_some(scope, stream));
    return 0;
}

static void run_stream(struct stream *stream)
{
    over = 0;
    MUST(kin_run_blocking(launch_stream, stream, .dispatcher = kin_default()));
    CHECK_EQ(over, stream->n);
}

static struct stream stream_ten_million(bool waits)
{
    struct stream warm = { .n = 4 * QUEUED, .waits = true };
    struct stream stream = { .n = how_many() * 10, .waits = waits };
    long long start;

    run_stream(&warm);
    kin_trim();
    start = process_resident();
    run_stream(&stream);
    stream.highest -= start;
    printf("  at most %ld waited, in %lld KiB\n", stream.waiting,
           stream.highest >> 10);
    check_back(start);
    return stream;
}

TEST(a_launcher_on_default_that_never_waits_needs_no_more_than_a_record_each)
{
    struct stream stream = stream_ten_million(false);

    if (is_plain() && !KIN_DEBUG_BOOKS
        && stream.highest > stream.n * LAUNCHED_MAX + (8 << 20))
        FAIL("%lld bytes for %ld jobs", stream.highest, stream.n);
}

TEST(a_launcher_on_default_that_waits_for_some_needs_no_more_than_some)
{
    struct stream stream = stream_ten_million(true);

    CHECK(stream.waiting <= QUEUED);
    if (is_plain() && stream.highest > (8 << 20))
        FAIL("%lld bytes for %d jobs", stream.highest, QUEUED);
}

TEST_MAIN
