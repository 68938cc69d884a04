/* job_family_stress.c -- jobs that begin while their family ends.
 *
 * The races of the specification, section 3, a hundred thousand times each:
 *   attaching against completing of the parent     R3.2, R3.9, S042 to S044
 *   attaching against cancelling of the parent     R3.3, R3.9, S042, S046
 *   a lazy parent: started by a child, and by hand R3.1, R2.1, S047, S126
 *   a lazy child: started, and its parent cancelled  S045, S046
 *   the last two children end at once              R3.2, S025
 *   a child completes against cancelling           R2.4, R2.6, S033
 *   children of a supervisor fail at once          R3.7, S036
 *   asking for the family while it changes         R2.7, S027, S028
 *   the last handle goes while the job ends        (C: no garbage collector)
 */
#include "tests/race.h"

TEST_TIMEOUT(120);

struct round {
    kin_job *parent, *child, *other;
    kin_dispatcher *dispatcher;     /* borrowed                              */
    atomic_int ran;                 /* bodies of the child, or of the parent */
    atomic_int ended;               /* completion callbacks of the parent    */
    int left, right;                /* what the two calls returned           */
    atomic_int parent_ran;
    kin_continuation keeper;        /* of a child that takes its time        */
    bool kept;
};

static void begin_round(struct round *now, kin_job *parent)
{
    now->parent = parent;
    now->dispatcher = some_dispatcher();
}

static void release_all(struct round *now)
{
    kin_job_release(now->parent);
    kin_job_release(now->child);
    kin_job_release(now->other);
}

static int count_end(kin_job *job, UNUSED kin_error *cause, void *arg)
{
    struct round *now = arg;

    CHECK(kin_job_is_completed(job));
    CHECK_EQ(kin_job_children(job, NULL, 0), 0);
    atomic_fetch_add(&now->ended, 1);
    return 0;
}

KIN_SUSPENDS
static void check_ended_once(struct round *now)
{
    MUST(kin_join(now->parent));
    while (atomic_load(&now->ended) == 0)   /* joined before the callback */
        MUST(kin_yield());
    CHECK_EQ(now->ended, 1);
}

static void complete_parent(struct round *now)
{
    now->right = kin_job_complete(now->parent);
}

static void cancel_parent(struct round *now)
{
    kin_job_cancel(now->parent, NULL);
}

/* --- Attaching against completing ----------------------------------------- */

enum { RAN, BORN_CANCELLED };

static void begin_parent(struct round *now)
{
    begin_round(now, new_job(NULL));
    on_completion(now->parent, count_end, now);
}

BODY(run_while_parent_waits)
{
    struct round *now = arg;

    CHECK(!kin_job_is_completed(now->parent));
    atomic_fetch_add(&now->ran, 1);
    int err = kin_yield();
    CHECK(!kin_job_is_completed(now->parent));
    return err;
}

static void launch_child(struct round *now)
{
    now->child = LAUNCH_IN(now->parent, kin_global_scope(),
                          run_while_parent_waits, now,
                          .dispatcher = now->dispatcher);
}

KIN_SUSPENDS
static void check_child_ran_or_not(struct round *now)
{
    CHECK_EQ(now->right, 1);
    MUST(kin_join(now->child));
    check_ended_once(now);
    CHECK_FLAGS(now->parent, "010");
    CHECK_FLAGS(now->child, now->ran ? "010" : "011");
    saw(now->ran ? RAN : BORN_CANCELLED);
    release_all(now);
}

TEST(a_child_attached_while_its_parent_completes_is_waited_for_or_never_runs)
{
    RACE(begin_parent, launch_child, complete_parent, check_child_ran_or_not,
         "ran", "born cancelled");
}

/* --- Attaching against cancelling ----------------------------------------- */

static int keep_keeper(kin_continuation continuation, void *arg)
{
    struct round *now = arg;

    now->keeper = continuation;
    return 0;
}

BODY(take_time)
{
    return kin_suspend(keep_keeper, arg);
}

/* Sometimes with a child that ends only when told to. */
static void begin_parent_and_keeper(struct round *now)
{
    begin_parent(now);
    if (draw(4) == 0)
        return;
    now->kept = true;
    now->other = LAUNCH_IN(now->parent, kin_global_scope(), take_time, now,
                          .dispatcher = kin_unconfined());
}

BODY(run_until_cancelled)
{
    struct round *now = arg;

    CHECK(!now->kept || !kin_job_is_completed(now->parent));
    atomic_fetch_add(&now->ran, 1);
    CHECK_EQ(kin_await_cancellation(), KIN_ECANCELED);
    CHECK(!now->kept || !kin_job_is_completed(now->parent));
    return KIN_ECANCELED;
}

static void launch_waiting_child(struct round *now)
{
    static const kin_start starts[] = {
        KIN_START_DEFAULT, KIN_START_LAZY, KIN_START_ATOMIC,
        KIN_START_UNDISPATCHED
    };
    now->child = LAUNCH_IN(now->parent, kin_global_scope(), run_until_cancelled,
                          now, .dispatcher = now->dispatcher,
                          .start = starts[draw(4)]);
}

KIN_SUSPENDS
static void check_child_cancelled(struct round *now)
{
    if (now->kept)
        MUST(kin_resume(now->keeper, 0));
    if (now->kept) {
        check_ended_once(now);
        CHECK(kin_job_is_completed(now->child));     /* it was waited for */
    } else {
        MUST(kin_join(now->child));
        check_ended_once(now);
    }
    CHECK_FLAGS(now->parent, "011");
    CHECK_FLAGS(now->child, "011");
    CHECK(now->ran <= 1);
    saw(now->ran ? RAN : BORN_CANCELLED);
    release_all(now);
}

TEST(a_child_attached_while_its_parent_is_cancelled_is_cancelled_in_any_order)
{
    RACE(begin_parent_and_keeper, launch_waiting_child, cancel_parent,
         check_child_cancelled, "ran", "never ran");
}

static void launch_lazy_and_forget(struct round *now)
{
    LAUNCH_UNDER(now->parent, kin_global_scope(), run_until_cancelled, now,
                 .start = KIN_START_LAZY, .dispatcher = kin_unconfined());
}

KIN_SUSPENDS
static void check_forgotten(struct round *now)
{
    if (now->kept)
        MUST(kin_resume(now->keeper, 0));
    check_ended_once(now);
    CHECK_EQ(now->ran, 0);
    saw(now->kept);
    release_all(now);
}

TEST(a_lazy_child_without_a_handle_dies_with_its_parent)
{
    RACE(begin_parent_and_keeper, launch_lazy_and_forget, cancel_parent,
         check_forgotten, "alone", "with a sibling");
}

/* --- Lazy parents --------------------------------------------------------- */

enum { BY_THE_CHILD, BY_HAND, NOT_AT_ALL };
BODY(run_parent)
{
    struct round *now = arg;

    atomic_fetch_add(&now->parent_ran, 1);
    return 0;
}

static void begin_lazy_parent(struct round *now)
{
    begin_round(now, NULL);
    now->parent = LAUNCH(kin_global_scope(), run_parent, now,
                        .start = KIN_START_LAZY,
                        .dispatcher = now->dispatcher);
    on_completion(now->parent, count_end, now);
}

static void start_parent(struct round *now)
{
    now->right = kin_job_start(now->parent);
}

KIN_SUSPENDS
static void check_started_once(struct round *now)
{
    MUST(kin_join(now->child));
    check_ended_once(now);
    CHECK_EQ(now->parent_ran, 1);
    CHECK_EQ(now->ran, kin_job_is_cancelled(now->child) ? 0 : 1);
    saw(now->right ? BY_HAND : BY_THE_CHILD);
    release_all(now);
}

TEST(a_lazy_parent_is_started_once_by_a_child_or_by_hand)
{
    RACE(begin_lazy_parent, launch_child, start_parent, check_started_once,
         "by the child", "by hand");
}

KIN_SUSPENDS
static void check_started_or_cancelled(struct round *now)
{
    MUST(kin_join(now->child));
    check_ended_once(now);
    CHECK(now->parent_ran <= 1 && now->ran <= 1);
    if (!now->parent_ran)
        CHECK_FLAGS(now->parent, "011");
    if (!now->ran)
        CHECK_FLAGS(now->child, "011");
    saw(now->parent_ran ? 0 : 1);
    release_all(now);
}

TEST(a_lazy_parent_started_by_a_child_while_it_is_cancelled)
{
    RACE(begin_lazy_parent, launch_child, cancel_parent,
         check_started_or_cancelled, "ran", "cancelled");
}

/* --- Lazy children -------------------------------------------------------- */

static void begin_lazy_child(struct round *now)
{
    begin_parent(now);
    now->child = LAUNCH_IN(now->parent, kin_global_scope(),
                          run_while_parent_waits, now,
                          .start = KIN_START_LAZY,
                          .dispatcher = now->dispatcher);
}

static void start_child(struct round *now)
{
    now->left = kin_job_start(now->child);
}

KIN_SUSPENDS
static void check_lazy_child(struct round *now)
{
    check_ended_once(now);
    CHECK(kin_job_is_completed(now->child));
    CHECK_FLAGS(now->parent, "011");
    CHECK(now->ran <= now->left);
    if (!now->ran)
        CHECK_FLAGS(now->child, "011");
    saw(now->ran ? 0 : now->left ? 1 : 2);
    release_all(now);
}

TEST(a_lazy_child_is_started_or_cancelled_with_its_parent)
{
    RACE(begin_lazy_child, start_child, cancel_parent, check_lazy_child,
         "ran", "started too late", "not started");
}

/* --- The last children ---------------------------------------------------- */

static void begin_last_two(struct round *now)
{
    begin_parent(now);
    now->child = new_job(now->parent);
    now->other = new_job(now->parent);
    CHECK_EQ(kin_job_complete(now->parent), 1);
}

static void complete_child(struct round *now)
{
    now->left = kin_job_complete(now->child);
}

static void complete_other(struct round *now)
{
    now->right = kin_job_complete(now->other);
}

static void check_last_two(struct round *now)
{
    CHECK_EQ(now->left, 1);
    CHECK_EQ(now->right, 1);
    CHECK_FLAGS(now->parent, "010");     /* inside the later of the two */
    CHECK_EQ(now->ended, 1);
    saw(0);
    release_all(now);
}

TEST(the_later_of_the_last_two_children_completes_the_parent)
{
    RACE(begin_last_two, complete_child, complete_other, check_last_two,
         "completed");
}

static void begin_only_child(struct round *now)
{
    begin_parent(now);
    now->child = new_job(now->parent);
}

KIN_SUSPENDS
static void check_completed_or_cancelled(struct round *now)
{
    CHECK_FLAGS(now->child, now->left ? "010" : "011");
    CHECK_FLAGS(now->parent, "011");
    check_ended_once(now);
    saw(now->left ? 0 : 1);
    release_all(now);
}

TEST(a_child_that_completes_while_its_parent_is_cancelled_is_one_of_both)
{
    RACE(begin_only_child, complete_child, cancel_parent,
         check_completed_or_cancelled, "completed", "cancelled");
}

/* --- Supervisors ---------------------------------------------------------- */

static void begin_supervisor(struct round *now)
{
    begin_round(now, new_supervisor(NULL));
    on_completion(now->parent, count_end, now);
    now->child = new_job(now->parent);
    now->other = new_job(now->parent);
}

static void fail_child(struct round *now)
{
    now->left = kin_job_fail(now->child, E1);
}

static void fail_or_complete_other(struct round *now)
{
    now->right = draw_right(2) ? kin_job_complete(now->other)
                              : kin_job_fail(now->other, E2);
}

KIN_SUSPENDS
static void check_supervisor(struct round *now)
{
    CHECK_EQ(now->left, 1);
    CHECK_EQ(now->right, 1);
    CHECK_FLAGS(now->parent, "100");
    CHECK_EQ(kin_job_children(now->parent, NULL, 0), 0);
    CHECK_FLAGS(now->child, "011");
    saw(kin_job_is_cancelled(now->other) ? 0 : 1);
    CHECK_EQ(kin_job_complete(now->parent), 1);
    check_ended_once(now);
    CHECK_FLAGS(now->parent, "010");
    release_all(now);
}

TEST(children_of_a_supervisor_that_end_at_once_leave_it_and_each_other_alone)
{
    RACE(begin_supervisor, fail_child, fail_or_complete_other,
         check_supervisor, "both fail", "one fails");
}

/* --- Asking --------------------------------------------------------------- */

static void begin_two_children(struct round *now)
{
    begin_parent(now);
    now->child = new_job(now->parent);
    now->other = new_job(now->parent);
}

static void ask_for_the_family(struct round *now)
{
    kin_job *children[2];
    KIN_AUTO(kin_job) parent = parent_of(now->child);
    size_t count = kin_job_children(now->parent, children, 2);

    CHECK(!parent || parent == now->parent);
    CHECK(count == 1 || count == 2);
    CHECK_PTR(children[count - 1], now->other);
    if (count == 2)
        CHECK_PTR(children[0], now->child);
    now->right = (int)count;
    while (count-- > 0)
        kin_job_release(children[count]);
}

KIN_SUSPENDS
static void check_family(struct round *now)
{
    CHECK_PTR(child_of(now->parent), now->other);
    kin_job_release(now->other);         /* what child_of has retained */
    CHECK_PTR(parent_of(now->child), NULL);
    kin_job_cancel(now->parent, NULL);
    check_ended_once(now);
    saw(now->right - 1);
    release_all(now);
}

TEST(who_asks_for_the_family_while_a_child_ends_sees_it_before_or_after)
{
    RACE(begin_two_children, complete_child, ask_for_the_family,
         check_family, "after", "before");
}

/* --- The last handle ------------------------------------------------------ */

static void begin_unheld(struct round *now)
{
    begin_parent(now);
    now->child = new_job(now->parent);
    now->left = 0;
    CHECK_EQ(kin_job_complete(now->parent), 1);
    CHECK_EQ(kin_job_children(now->parent, NULL, 0), 1);
}

static void complete_and_drop_child(struct round *now)
{
    CHECK_EQ(kin_job_complete(now->child), 1);
    kin_job_release(now->child);
}

static void drop_parent(struct round *now)
{
    now->right = kin_job_is_completed(now->parent);
    kin_job_release(now->parent);
}

static void check_dropped(struct round *now)
{
    CHECK_EQ(now->ended, 1);
    saw(now->right);
}

TEST(the_last_handle_of_a_parent_goes_while_its_child_ends_it)
{
    RACE(begin_unheld, complete_and_drop_child, drop_parent, check_dropped,
         "before the end", "after the end");
}

TEST_MAIN
