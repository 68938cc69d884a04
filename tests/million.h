/* million.h -- very many jobs at once, and the memory that each takes.
 *
 *     KIN_MILLION=50000 ...   how many a million are
 *
 * To be included last. */
#ifndef KIN_TESTS_MILLION_H
#define KIN_TESTS_MILLION_H

#include "tests/counting_dispatcher.h"
#include "tests/process.h"
#include "tests/words.h"

#include <stdlib.h>

enum {
    LAUNCHED_MAX = 300,             /* the record, and what maps it          */
    BACK_WITHIN = 32 << 20
};

/* A debug build keeps books of jobs, beside them. */
#if defined(KIN_DEBUG)
#define KIN_DEBUG_BOOKS 1
#else
#define KIN_DEBUG_BOOKS 0
#endif

/* In a hard build a record is bigger (core/record.h). */
#if defined(KIN_HARD)
#define RECORD_MORE 24
#else
#define RECORD_MORE 0
#endif

/* Sanitizers and emulators have memory of their own beside ours. */
static inline bool is_plain(void)
{
    return check_slow(1) == 1;
}

static inline long how_many(void)
{
    const char *text = getenv("KIN_MILLION");
    long wish = text ? atol(text) : 200000, slow = (long)check_slow(1);

    if (wish <= 0)
        wish = 200000;
    wish /= slow * slow * slow * slow;
    return wish > 100 ? wish : 100;
}

static inline void check_each(const char *what, long long bytes, long n,
                              int most)
{
    most += RECORD_MORE;
    printf("  %s: %lld bytes each\n", what, bytes / n);
    if (is_plain() && !KIN_DEBUG_BOOKS && bytes / n > most)
        FAIL("%s: %lld bytes each, more than %d", what, bytes / n, most);
}

/* All is over: the memory is the system's again. */
static inline void check_back(long long start)
{
    long long back;

    kin_trim();
    back = process_resident();
    printf("  %lld MiB at the end, %lld MiB before\n", back >> 20,
           start >> 20);
    if (is_plain() && back > start + BACK_WITHIN)
        FAIL("%lld bytes at the end, %lld at the beginning", back, start);
}

/* --- A family on a loop that waits to be told ----------------------------- */

static struct counting loop;        /* what is dispatched waits to be run    */
static kin_scope *family;           /* everything is launched in it          */

static inline void make_scope(void)
{
    KIN_AUTO(kin_context) context = NULL;

    counting_init(&loop, "loop");
    context = kin_context_of_dispatcher(&loop.dispatcher);
    MUST(kin_scope_new(context, &family));
}

static inline void launch_all(kin_body *body, long n)
{
    for (long i = 0; i < n; i++)
        MUST(kin_launch(family, body, NULL));
}

static inline void end_scope(void)
{
    MUST(kin_scope_cancel(family, NULL));
    counting_run(&loop);
    CHECK_EQ(kin_job_children(kin_scope_job(family), NULL, 0), 0);
    CHECK_FLAGS(kin_scope_job(family), "011");
    kin_scope_release(family);
}

#endif
