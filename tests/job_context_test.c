/* Contexts as values: how they add up, in which order, and what is the very
 * same object.  Nothing here runs on a fiber.  A context is written down by
 * fold: "name:x job dispatcher". */
#include "job/context.h"
#include "kin/job.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

static const kin_key key_a = { "a" }, key_b = { "b" }, key_c = { "c" };
static char value_a[] = "A", value_b[] = "B", value_c[] = "C";

static kin_context *a(void)
{
    return kin_context_of(&key_a, value_a, NULL);
}

static kin_context *b(void)
{
    return kin_context_of(&key_b, value_b, NULL);
}

static kin_context *c(void)
{
    return kin_context_of(&key_c, value_c, NULL);
}

static kin_context *named(const char *name)
{
    return kin_context_of_name(name);
}

static int destroyed;

static int refuse(kin_dispatcher *self, kin_task *task)
{
    (void)self;
    (void)task;
    return KIN_ECLOSED;
}

static void count_destroyed(kin_dispatcher *self)
{
    (void)self;
    destroyed++;
}

static const kin_dispatcher_ops dispatcher_ops = {
    .dispatch = refuse, .destroy = count_destroyed
};

static kin_context *on(kin_dispatcher *dispatcher)
{
    return kin_context_of_dispatcher(dispatcher);
}

static void init(kin_dispatcher *dispatcher)
{
    CHECK_EQ(kin_dispatcher_init(dispatcher, &dispatcher_ops, "test"), 0);
}

static kin_job *new_job(void)
{
    kin_job *job = NULL;

    CHECK_EQ(kin_job_new(NULL, &job), 0);
    return job;
}

/* Writes a context down. */
static int write_element(const kin_key *key, void *value, void *arg)
{
    char *text = arg;
    size_t length = strlen(text);

    snprintf(text + length, 200 - length, "%s%s%s%s", length ? " " : "",
             key->name, key == &kin_key_name ? ":" : "",
             key == &kin_key_name ? (const char *)value : "");
    return 0;
}

static void check_order(const kin_context *context, const char *expected)
{
    char text[200] = "";

    CHECK_EQ(kin_context_fold(context, write_element, text), 0);
    CHECK_STR(text, expected);
}

/* --- Sums --------------------------------------------------------------- */

/* S001 */
TEST(a_sum_with_the_empty_context_is_the_other_object)
{
    KIN_AUTO(kin_context) one = a();
    KIN_AUTO(kin_context) left = kin_context_plus(kin_context_empty(), one);
    KIN_AUTO(kin_context) right = kin_context_plus(one, kin_context_empty());
    KIN_AUTO(kin_context) none =
        kin_context_plus(kin_context_empty(), kin_context_empty());

    CHECK_PTR(left, one);
    CHECK_PTR(right, one);
    CHECK_PTR(none, kin_context_empty());
}

/* S002 */
TEST(of_two_names_the_right_one_wins)
{
    KIN_AUTO(kin_context) sum = kin_context_join(named("x"), named("y"));

    CHECK_EQ(kin_context_count(sum), 1);
    CHECK_STR(kin_context_get(sum, &kin_key_name), "y");
    CHECK_STR(kin__context_name(sum), "y");
}

/* S003 */
TEST(an_element_that_is_replaced_moves_to_the_place_of_the_new_one)
{
    kin_dispatcher dispatcher;
    KIN_AUTO(kin_job) job1 = new_job();
    KIN_AUTO(kin_job) job2 = new_job();

    init(&dispatcher);
    KIN_AUTO(kin_context) sum = kin_context_join(
        kin_context_join(kin_context_of_job(job1), named("n")),
        kin_context_join(kin_context_of_job(job2), on(&dispatcher)));
    check_order(sum, "name:n job dispatcher");
    CHECK_PTR(kin_context_get(sum, &kin_key_job), job2);
    CHECK_PTR(kin__context_job(sum), job2);
    CHECK_PTR(kin__context_dispatcher(sum), &dispatcher);
}

/* S004 */
TEST(the_dispatcher_moves_to_the_end)
{
    kin_dispatcher dispatcher;

    init(&dispatcher);
    KIN_AUTO(kin_context) sum = kin_context_join(on(&dispatcher), named("n"));
    KIN_AUTO(kin_context) more =
        kin_context_join(kin_context_retain(sum), kin_context_join(a(), b()));
    check_order(sum, "name:n dispatcher");
    check_order(more, "name:n a b dispatcher");
}

/* S005 */
TEST(of_two_dispatchers_the_right_one_wins)
{
    kin_dispatcher first, second;

    init(&first);
    init(&second);
    KIN_AUTO(kin_context) left = kin_context_join(named("n"), on(&first));
    KIN_AUTO(kin_context) sum =
        kin_context_join(kin_context_retain(left), on(&second));
    check_order(sum, "name:n dispatcher");
    CHECK_PTR(kin_context_get(sum, &kin_key_dispatcher), &second);
    CHECK_PTR(kin_context_get(left, &kin_key_dispatcher), &first);
}

/* S006 */
TEST(without_an_absent_key_it_is_the_same_object)
{
    KIN_AUTO(kin_context) sum = kin_context_join(a(), b());
    KIN_AUTO(kin_context) rest = kin_context_minus(sum, &key_c);
    KIN_AUTO(kin_context) none =
        kin_context_minus(kin_context_empty(), &key_a);

    CHECK_PTR(rest, sum);
    CHECK_PTR(none, kin_context_empty());
}

/* S006 */
TEST(without_its_last_element_it_is_the_empty_context)
{
    KIN_AUTO(kin_context) one = a();
    KIN_AUTO(kin_context) rest = kin_context_minus(one, &key_a);

    CHECK_PTR(rest, kin_context_empty());
}

/* S006 */
TEST(without_a_key_the_others_stay_in_order)
{
    KIN_AUTO(kin_context) one = a();
    KIN_AUTO(kin_context) sum = kin_context_join(
        kin_context_retain(one), kin_context_join(b(), c()));
    KIN_AUTO(kin_context) rest = kin_context_minus(sum, &key_b);
    KIN_AUTO(kin_context) last = kin_context_minus(rest, &key_c);
    KIN_AUTO(kin_context) other = kin_context_minus(rest, &key_a);

    check_order(sum, "a b c");
    check_order(rest, "a c");
    CHECK_PTR(kin_context_get(rest, &key_b), NULL);
    CHECK_PTR(last, one);
    check_order(other, "c");
}

static int append_value(const kin_key *key, void *value, void *arg)
{
    (void)key;
    strcat(arg, value);
    return 0;
}

static int stop_at_b(const kin_key *key, void *value, void *arg)
{
    append_value(key, value, arg);
    return key == &key_b ? 17 : 0;
}

/* S007 */
TEST(fold_visits_in_order_until_told_to_stop)
{
    KIN_AUTO(kin_context) sum =
        kin_context_join(a(), kin_context_join(b(), c()));
    char all[8] = "", some[8] = "";

    CHECK_EQ(kin_context_fold(sum, append_value, all), 0);
    CHECK_STR(all, "ABC");
    CHECK_EQ(kin_context_fold(sum, stop_at_b, some), 17);
    CHECK_STR(some, "AB");
    CHECK_EQ(kin_context_fold(kin_context_empty(), stop_at_b, some), 0);
}

/* S008 */
TEST(equality_does_not_look_at_the_order)
{
    KIN_AUTO(kin_context) ab = kin_context_join(a(), b());
    KIN_AUTO(kin_context) ba = kin_context_join(b(), a());
    KIN_AUTO(kin_context) ac = kin_context_join(a(), c());
    KIN_AUTO(kin_context) one = a();

    CHECK(kin_context_equals(ab, ba));
    CHECK(!kin_context_equals(ab, ac));
    CHECK(!kin_context_equals(ab, one));
    CHECK(!kin_context_equals(one, kin_context_empty()));
    CHECK(kin_context_equals(kin_context_empty(), kin_context_empty()));
}

/* S008 */
TEST(names_are_equal_by_text_and_jobs_by_identity)
{
    KIN_AUTO(kin_job) job1 = new_job();
    KIN_AUTO(kin_job) job2 = new_job();
    KIN_AUTO(kin_context) x = named("x");
    KIN_AUTO(kin_context) same = named("x");
    KIN_AUTO(kin_context) y = named("y");
    KIN_AUTO(kin_context) one = kin_context_of_job(job1);
    KIN_AUTO(kin_context) again = kin_context_of_job(job1);
    KIN_AUTO(kin_context) two = kin_context_of_job(job2);

    CHECK(kin_context_equals(x, same));
    CHECK(!kin_context_equals(x, y));
    CHECK(kin_context_equals(one, again));
    CHECK(!kin_context_equals(one, two));
}

static bool same_letter(const void *one, const void *other)
{
    return (*(const char *)one | 32) == (*(const char *)other | 32);
}

TEST(the_user_says_what_is_equal)
{
    kin_element_ops ops = { .equals = same_letter };
    KIN_AUTO(kin_context) upper = kin_context_of(&key_a, value_a, &ops);
    KIN_AUTO(kin_context) lower = kin_context_of(&key_a, &(char){ 'a' }, &ops);
    KIN_AUTO(kin_context) other = kin_context_of(&key_a, value_b, &ops);

    memset(&ops, 0xff, sizeof ops);     /* it was copied */
    CHECK(kin_context_equals(upper, lower));
    CHECK(!kin_context_equals(upper, other));
}

TEST(a_sum_of_which_nothing_is_left_is_the_right_one)
{
    KIN_AUTO(kin_context) one = a();
    KIN_AUTO(kin_context) both = kin_context_join(a(), b());
    KIN_AUTO(kin_context) sum = kin_context_plus(one, both);
    KIN_AUTO(kin_context) self = kin_context_plus(both, both);

    CHECK_PTR(sum, both);
    CHECK_PTR(self, both);
}

/* --- The four, and NULL ------------------------------------------------- */

static int handle(kin_job *job, kin_error *error, void *arg)
{
    (void)job;
    (void)error;
    (void)arg;
    return 0;
}

TEST(a_handler_is_kept_with_its_argument)
{
    int arg = 0;
    KIN_AUTO(kin_context) one = kin_context_of_handler(handle, &arg);
    KIN_AUTO(kin_context) same = kin_context_of_handler(handle, &arg);
    KIN_AUTO(kin_context) other = kin_context_of_handler(handle, NULL);
    const kin_handler *handler = kin_context_get(one, &kin_key_handler);

    CHECK(handler->fn == handle);
    CHECK_PTR(handler->arg, &arg);
    CHECK_PTR(kin__context_handler(one), handler);
    CHECK(kin_context_equals(one, same));
    CHECK(!kin_context_equals(one, other));
}

TEST(names_of_any_length_are_copied)
{
    static char name[100001];

    memset(name, 'n', sizeof name - 1);
    KIN_AUTO(kin_context) one = named(name);
    name[0] = '?';
    CHECK_EQ(strlen(kin__context_name(one)), sizeof name - 1);
    CHECK_EQ(kin__context_name(one)[0], 'n');
}

TEST(an_element_of_nothing_is_the_empty_context)
{
    CHECK_PTR(kin_context_of(&key_a, NULL, NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_job(NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_dispatcher(NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_name(NULL), kin_context_empty());
    CHECK_PTR(kin_context_of_name(""), kin_context_empty());
    CHECK_PTR(kin_context_of_handler(NULL, NULL), kin_context_empty());
    CHECK_EQ(kin_context_count(kin_context_empty()), 0);
    kin_context_release(kin_context_empty());
    CHECK_PTR(kin_context_retain(kin_context_empty()), kin_context_empty());
}

TEST(no_context_yields_no_context)
{
    KIN_AUTO(kin_context) one = a();

    CHECK_PTR(kin_context_plus(one, NULL), NULL);
    CHECK_PTR(kin_context_plus(NULL, one), NULL);
    CHECK_PTR(kin_context_plus(kin_context_empty(), NULL), NULL);
    CHECK_PTR(kin_context_plus(NULL, kin_context_empty()), NULL);
    CHECK_PTR(kin_context_minus(NULL, &key_a), NULL);
    CHECK_PTR(kin_context_get(NULL, &key_a), NULL);
    CHECK_EQ(kin_context_count(NULL), 0);
    CHECK_EQ(kin_context_fold(NULL, append_value, NULL), 0);
    CHECK(!kin_context_equals(NULL, one));
    CHECK(!kin_context_equals(one, NULL));
    CHECK_PTR(kin_context_retain(NULL), NULL);
    CHECK_PTR(kin__context_job(NULL), NULL);
    CHECK_PTR(kin__context_dispatcher(NULL), NULL);
    kin_context_release(NULL);
}

TEST(a_built_in_key_is_as_the_function_made_for_it)
{
    const kin_handler handler = { handle, value_a };
    char name[] = "name";
    kin_dispatcher dispatcher;

    init(&dispatcher);
    destroyed = 0;
    KIN_AUTO(kin_context) sum = kin_context_join(
        kin_context_of(&kin_key_dispatcher, &dispatcher, NULL),
        kin_context_join(
            kin_context_of(&kin_key_name, name, NULL),
            kin_context_of(&kin_key_handler, (void *)&handler, NULL)));
    name[0] = '?';
    kin_dispatcher_release(&dispatcher);
    CHECK_EQ(destroyed, 0);
    check_order(sum, "name:name handler dispatcher");
    CHECK(kin__context_handler(sum)->fn == handle);
    kin_context_release(sum);
    sum = NULL;
    CHECK_EQ(destroyed, 1);
}

static void make_one_without_a_key(void *arg)
{
    (void)arg;
    CHECK_PTR(kin_context_of(NULL, value_a, NULL), NULL);
}

TEST(an_element_without_a_key_is_misuse)
{
#if defined(KIN_DEBUG) && KIN_DEBUG
    check_dies(make_one_without_a_key, NULL, "kin_context_of: key is NULL");
#else
    check_says(make_one_without_a_key, NULL, "kin_context_of: key is NULL");
#endif
}

TEST_MAIN
