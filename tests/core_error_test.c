/* Errors as objects: what is asked of one, whose current one it is, its text,
 * and what is left of it without memory. */
#include "core/error.h"
#include "core/memory.h"
#include "core/run.h"
#include "core/thread.h"
#include "tests/check.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static kin_error *failure(const char *message)
{
    return kin_error_new("", -EIO, NULL, "%s", message);
}

static kin_error *failure_because(const char *message, kin_error *cause)
{
    return kin_error_new("", -EIO, cause, "%s", message);
}

static long blocks(void)
{
    struct kin__memory_stats stats;

    kin__memory_get_stats(&stats);
    return stats.blocks;
}

/* --- Making and asking -------------------------------------------------- */

TEST(fail_returns_the_code_and_makes_an_error_current)
{
    CHECK_EQ(kin_fail(-ENOENT, "opening %s", "a.txt"), -ENOENT);
    CHECK_EQ(kin_error_code(kin_error_current()), -ENOENT);
    CHECK_STR(kin_error_message(kin_error_current()), "opening a.txt");
    CHECK(strstr(kin_error_where(kin_error_current()),
                 "core_error_test.c:") != NULL);
    CHECK_EQ(kin_error_kind_of(kin_error_current()), KIN_ERROR_FAILURE);
}

TEST(fail_without_a_negative_code_is_an_invalid_argument)
{
    CHECK_EQ(kin_fail(0, "nothing"), KIN_EINVAL);
    CHECK_EQ(kin_fail(ENOENT, "no minus"), KIN_EINVAL);
    CHECK_EQ(kin_error_code(kin_error_current()), KIN_EINVAL);
}

TEST(fail_with_canceled_makes_a_cancellation)
{
    CHECK_EQ(kin_fail(KIN_ECANCELED, "enough"), KIN_ECANCELED);
    CHECK(kin_error_is_cancellation(kin_error_current()));
    CHECK_EQ(kin_error_kind_of(kin_error_current()), KIN_ERROR_CANCELLATION);
    CHECK_EQ(kin_fail(KIN_ETIMEDOUT, "a server's"), KIN_ETIMEDOUT);
    CHECK(!kin_error_is_cancellation(kin_error_current()));
}

TEST(fail_because_keeps_the_cause)
{
    kin_error *cause = failure("cause");

    CHECK_EQ(kin_fail_because(cause, -EBADF, "effect %d", 7), -EBADF);
    CHECK_PTR(kin_error_cause(kin_error_current()), cause);
    kin_error_release(cause);
    CHECK_STR(kin_error_message(kin_error_cause(kin_error_current())),
              "cause");
}

TEST(an_error_of_any_kind_has_an_owner)
{
    int owner = 0;
    kin_error *error = kin__error_make(KIN_ERROR_TIMEOUT, KIN_ETIMEDOUT,
                                       &owner, NULL, NULL, "after %d ms", 3);

    CHECK_EQ(kin_error_kind_of(error), KIN_ERROR_TIMEOUT);
    CHECK(kin_error_is_cancellation(error));
    CHECK_EQ(kin_error_code(error), KIN_ETIMEDOUT);
    CHECK_PTR(kin__error_owner(error), &owner);
    CHECK_STR(kin_error_where(error), "");
    CHECK_STR(kin_error_message(error), "after 3 ms");
    kin_error_release(error);
}

TEST(nothing_is_asked_of_no_error)
{
    CHECK_EQ(kin_error_code(NULL), 0);
    CHECK_STR(kin_error_message(NULL), "");
    CHECK_STR(kin_error_where(NULL), "");
    CHECK_PTR(kin_error_cause(NULL), NULL);
    CHECK_PTR(kin__error_owner(NULL), NULL);
    CHECK_EQ(kin_error_suppressed_count(NULL), 0);
    CHECK_PTR(kin_error_suppressed(NULL, 0), NULL);
    CHECK(!kin_error_is_cancellation(NULL));
    CHECK_PTR(kin_error_retain(NULL), NULL);
    kin_error_release(NULL);
    kin__error_suppress(NULL, NULL);
}

TEST(messages_of_every_length_are_whole)
{
    static char text[100001];
    size_t length;

    for (length = 0; length <= 100000; length += length < 600 ? 1 : 33130) {
        memset(text, 'x', length);
        text[length] = '\0';
        kin_error *error = kin_error_new("here:1", -EIO, NULL, "%s", text);
        CHECK_STR(kin_error_message(error), text);
        CHECK_STR(kin_error_where(error), "here:1");
        kin_error_release(error);
    }
}

TEST(an_error_borrows_nothing_for_longer_than_the_call)
{
    char where[] = "file.c:1", format[] = "format";
    kin_error *error = kin_error_new(where, -EIO, NULL, format, 0);

    memset(where, '?', sizeof where - 1);
    memset(format, '?', sizeof format - 1);
    CHECK_STR(kin_error_where(error), "file.c:1");
    CHECK_STR(kin_error_message(error), "format");
    kin_error_release(error);
}

TEST(neither_a_place_nor_a_message_is_needed)
{
    const char *volatile none = NULL;
    kin_error *error = kin_error_new(NULL, -EIO, NULL, none, 0);

    CHECK_STR(kin_error_where(error), "");
    CHECK_STR(kin_error_message(error), "");
    kin_error_release(error);
}

/* --- Current ------------------------------------------------------------ */

static void *look_at_current(void *arg)
{
    *(kin_error **)arg = kin_error_current();
    kin_fail(-EIO, "freed when the thread ends");
    return NULL;
}

TEST(the_current_error_belongs_to_the_thread)
{
    kin_error *seen = failure("something");
    kin_error *mine = seen;
    pthread_t thread;

    kin_error_rethrow(mine);
    CHECK_EQ(pthread_create(&thread, NULL, look_at_current, &seen), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_PTR(seen, NULL);
    CHECK_PTR(kin_error_current(), mine);
    kin_error_release(mine);
}

TEST(the_current_error_belongs_to_what_runs)
{
    struct kin__runnable runnable = { .error = NULL };

    kin_fail(-EIO, "the thread's");
    kin__thread()->current = &runnable;
    CHECK_PTR(kin_error_current(), NULL);
    kin_fail(-EBADF, "the fiber's");
    CHECK_EQ(kin_error_code(runnable.error), -EBADF);
    kin_error_clear();
    CHECK_PTR(runnable.error, NULL);
    kin__thread()->current = NULL;
    CHECK_EQ(kin_error_code(kin_error_current()), -EIO);
}

TEST(rethrow_makes_the_same_object_current)
{
    kin_error *error = failure("again");
    long before;

    kin__memory_watch(true);
    before = blocks();
    CHECK_EQ(kin_error_rethrow(error), -EIO);
    CHECK_PTR(kin_error_current(), error);
    kin_error_release(error);
    CHECK_EQ(kin_error_rethrow(kin_error_current()), -EIO);
    CHECK_STR(kin_error_message(kin_error_current()), "again");
    CHECK_EQ(kin_error_rethrow(NULL), 0);
    CHECK_PTR(kin_error_current(), error);
    kin_error_clear();
    CHECK_PTR(kin_error_current(), NULL);
    CHECK_EQ(blocks(), before - 1);
}

TEST(a_body_that_returns_the_current_code_failed_with_the_current_error)
{
    kin_error *error = failure("this");
    kin_error *taken;

    kin_error_rethrow(error);
    taken = kin__error_take(-EIO);
    CHECK_PTR(taken, error);
    CHECK_PTR(kin_error_current(), NULL);
    kin_error_release(taken);
    kin_error_release(error);
}

TEST(a_body_that_returns_another_code_failed_with_a_new_error)
{
    kin_error *one, *two, *canceled;

    kin_fail(-EIO, "dealt with");
    one = kin__error_take(-EBADF);
    two = kin__error_take(-EBADF);
    canceled = kin__error_take(KIN_ECANCELED);
    CHECK(one != two);
    CHECK_EQ(kin_error_code(one), -EBADF);
    CHECK_STR(kin_error_message(one), "");
    CHECK_EQ(kin_error_kind_of(one), KIN_ERROR_FAILURE);
    CHECK_EQ(kin_error_kind_of(canceled), KIN_ERROR_CANCELLATION);
    kin_error_release(one);
    kin_error_release(two);
    kin_error_release(canceled);
}

/* --- Names and text ----------------------------------------------------- */

TEST(codes_have_names)
{
    CHECK_STR(kin_error_name(KIN_ECANCELED), "KIN_ECANCELED");
    CHECK_STR(kin_error_name(KIN_ETIMEDOUT), "KIN_ETIMEDOUT");
    CHECK_STR(kin_error_name(KIN_ENOFIBER), "KIN_ENOFIBER");
    CHECK_STR(kin_error_name(KIN_EHANDLER), "KIN_EHANDLER");
    CHECK_STR(kin_error_name(-EPIPE), "EPIPE");
    CHECK_STR(kin_error_name(EPIPE), "EPIPE");
    CHECK_STR(kin_error_name(ENOENT), "ENOENT");
    CHECK_STR(kin_error_name(0), "no error");
    CHECK_STR(kin_error_name(-41), "unknown error");
    CHECK_STR(kin_error_name(-100000), "unknown error");
    CHECK_STR(kin_error_name(INT_MIN), "unknown error");
    CHECK_STR(kin_error_name(INT_MAX), "unknown error");
}

static void check_format(const kin_error *error, const char *expected)
{
    static char text[4096], part[4096];
    size_t length = strlen(expected);

    CHECK_EQ(kin_error_format(error, text, sizeof text), length);
    CHECK_STR(text, expected);
    CHECK_EQ(kin_error_format(error, NULL, 0), length);
    for (size_t size = 1; size <= length + 1; size++) {
        memset(part, '?', sizeof part);
        CHECK_EQ(kin_error_format(error, part, size), length);
        CHECK_EQ(strlen(part), size - 1);
        CHECK(memcmp(part, expected, size - 1) == 0);
        CHECK_EQ(part[size], '?');
    }
}

TEST(an_error_as_text_tells_causes_and_suppressed_errors)
{
    kin_error *route = kin_error_new("net.c:7", -EHOSTUNREACH, NULL, "route");
    kin_error *file = kin_error_new("", -ENOENT, NULL, "opening it");
    kin_error *load = kin_error_new("load.c:12", -EIO, route, "loading %d", 3);
    kin_error *bare = kin__error_take(KIN_EBUSY);

    check_format(bare, "(KIN_EBUSY, -16)");
    check_format(NULL, "no error");
    check_format(file, "opening it (KIN_ENOJOB/ENOENT, -2)");
    kin__error_suppress(route, bare);
    kin__error_suppress(load, file);
    check_format(load,
                 "loading 3 (EIO, -5) at load.c:12\n"
                 "  caused by: route (EHOSTUNREACH, -113) at net.c:7\n"
                 "    suppressed: (KIN_EBUSY, -16)\n"
                 "  suppressed: opening it (KIN_ENOJOB/ENOENT, -2)");
    kin_error_release(bare);
    kin_error_release(load);
    kin_error_release(file);
    kin_error_release(route);
}

TEST(an_error_that_leads_back_to_itself_is_told_once)
{
    kin_error *a = failure("a"), *b = failure_because("b", a);

    kin__error_suppress(a, b);
    check_format(a, "a (EIO, -5)\n"
                    "  suppressed: b (EIO, -5)\n"
                    "    caused by: a (EIO, -5), as above");
    kin_error_release(a);
    kin_error_release(b);
}

TEST(text_is_bounded_whatever_leads_where)
{
    kin_error *all[20], *deep = failure("root");
    size_t i, j;

    for (i = 0; i < LENGTH(all); i++)
        all[i] = failure("one of many");
    for (i = 0; i < LENGTH(all); i++)
        for (j = 0; j < LENGTH(all); j++)
            kin__error_suppress(all[i], all[j]);
    CHECK(kin_error_format(all[0], NULL, 0) < 200 * 80);
    for (i = 0; i < 1000; i++) {
        kin_error *effect = failure_because("", deep);
        kin_error_release(deep);
        deep = effect;
    }
    CHECK(kin_error_format(deep, NULL, 0) < 20 * 80);
    for (i = 0; i < LENGTH(all); i++)
        kin_error_release(all[i]);
    kin_error_release(deep);
}

/* --- Without memory ----------------------------------------------------- */

TEST(without_memory_the_code_is_not_lost)
{
    static const int foreign[] = { -134, -1000, -1001, INT_MIN, -41 };
    kin_error *error, *again;

    kin__fail_at(1, true);
    for (int code = -1; code >= -133; code--) {
        CHECK_EQ(kin_fail(code, "lost %d", code), code);
        CHECK_EQ(kin_error_code(kin_error_current()), code);
        CHECK_STR(kin_error_message(kin_error_current()), "");
        CHECK_EQ(kin_error_is_cancellation(kin_error_current()),
                 code == KIN_ECANCELED);
    }
    for (size_t i = 0; i < LENGTH(foreign); i++) {
        CHECK_EQ(kin_fail(foreign[i], "lost"), foreign[i]);
        error = kin__error_take(foreign[i]);
        again = kin__error_take(foreign[i]);
        CHECK_EQ(kin_error_code(error), foreign[i]);
        CHECK_PTR(again, error);
    }
    error = kin__error_make(KIN_ERROR_TIMEOUT, KIN_ETIMEDOUT, &error, NULL,
                            "", "lost");
    CHECK_EQ(kin_error_kind_of(error), KIN_ERROR_TIMEOUT);
    CHECK_EQ(kin_error_code(error), KIN_ETIMEDOUT);
    kin__fail_at(0, false);
}

TEST(without_memory_the_thousandth_foreign_code_still_makes_an_error)
{
    kin__fail_at(1, true);
    for (int code = -1000; code > -2000; code--) {
        kin_error *error = kin_error_new("", code, NULL, "lost");
        CHECK(kin_error_code(error) == code ||
              kin_error_code(error) == KIN_ENOMEM);
        CHECK_EQ(kin_fail(code, "lost"), code);
    }
    kin__fail_at(0, false);
}

TEST(an_error_made_without_memory_is_never_freed_nor_changed)
{
    kin_error *other = failure("other");
    kin_error *error;

    kin__fail_at(1, true);
    error = kin_error_new("", -EIO, other, "lost");
    kin__fail_at(0, false);
    for (int i = 0; i < 3; i++)
        kin_error_release(error);
    CHECK_PTR(kin_error_retain(error), error);
    kin__error_suppress(error, other);
    CHECK_EQ(kin_error_suppressed_count(error), 0);
    CHECK_PTR(kin_error_cause(error), NULL);
    kin__error_suppress(other, error);
    CHECK_PTR(kin_error_suppressed(other, 0), error);
    check_format(error, "(EIO, -5)");
    kin_error_release(other);
}

TEST(without_memory_a_suppressed_error_is_dropped)
{
    kin_error *winner = failure("winner"), *other = failure("other");

    kin__fail_at(1, false);
    kin__error_suppress(winner, other);
    CHECK_EQ(kin__fail_hits(), 1);
    CHECK_EQ(kin_error_suppressed_count(winner), 0);
    kin__error_suppress(winner, other);
    CHECK_EQ(kin_error_suppressed_count(winner), 1);
    kin_error_release(winner);
    kin_error_release(other);
}

TEST_MAIN
