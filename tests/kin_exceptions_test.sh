#!/bin/bash
# C++ exceptions: thrown and caught inside fibers, across suspensions and on
# several threads at once, each fiber with its own; one that would leave a body
# is a failure; and a C program knows nothing of all that.
. tests/check.sh

cat_common() {
    cat <<'END'
#include <kin/kin.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#define CHECK(x) \
    ((x) ? (void)0 : (std::fprintf(stderr, "line %d: %s\n", __LINE__, #x), std::abort()))

[[maybe_unused]] static int launch(kin_scope *scope, kin_body *body, void *arg,
                  kin_dispatcher *dispatcher, kin_job **job = nullptr)
{
    kin_launch_options options = {};
    options.arg = arg;
    options.site = KIN__HERE;
    options.dispatcher = dispatcher;
    options.job = job;
    return kin_launch_with(scope, body, &options);
}

[[maybe_unused]] static int run(kin_body *body)
{
    kin_launch_options options = {};
    options.site = KIN__HERE;
    return kin_run_blocking_with(body, &options);
}

/* What this fiber handles, by its number. */
[[maybe_unused]] static bool handles(int number)
{
    try {
        throw;
    } catch (const std::runtime_error &e) {
        return e.what() == std::to_string(number);
    }
}
END
}

# build NAME FLAGS: the program on stdin.
build() {
    { cat_common; cat; } > "$scratch/$1.cpp"
    $GXX -std=c++17 -O2 -g -Wall -Wextra -Iinclude "${@:2}" \
        "$scratch/$1.cpp" "$O/libkin.a" -pthread -o "$scratch/$1"
}

fibers_handle_exceptions_of_their_own_on_several_threads() {
    make -s $SAME "$O/libkin.a"
    build own <<'END'
enum { FIBERS = 64, ROUNDS = 200 };

struct at_exit {                     /* suspends while an exception passes */
    int number;
    ~at_exit()
    {
        CHECK(std::uncaught_exceptions() == 1);
        CHECK(kin_yield() == 0);
        CHECK(std::uncaught_exceptions() == 1);
    }
};

static void throw_and_suspend(int number, int depth)
{
    try {
        at_exit guard{number};
        throw std::runtime_error(std::to_string(number));
    } catch (const std::exception &) {
        CHECK(std::uncaught_exceptions() == 0);
        CHECK(kin_yield() == 0);
        CHECK(handles(number));
        if (depth > 0)
            throw_and_suspend(number + 1, depth - 1);
        CHECK(kin_delay(KIN_US(number % 50)) == 0);
        CHECK(handles(number));
    }
}

static int play(kin_scope *, void *arg)
{
    int number = *static_cast<int *>(arg);

    for (int i = 0; i < ROUNDS; i++)
        throw_and_suspend(number * 100, i % 3);
    CHECK(!std::current_exception());
    return 0;
}

static int numbers[FIBERS];

static int play_all(kin_scope *scope, void *)
{
    for (int i = 0; i < FIBERS; i++) {
        numbers[i] = i;
        CHECK(launch(scope, play, &numbers[i],
                     i % 2 ? kin_default() : kin_io()) == 0);
    }
    return 0;
}

static int nest(kin_scope *, void *)
{
    CHECK(!std::current_exception());
    return run(play_all);
}

int main()
{
    CHECK(run(play_all) == 0);
    try {
        throw std::runtime_error("7");
    } catch (const std::exception &) {
        CHECK(run(nest) == 0);              /* the thread's own stays its own */
        CHECK(handles(7));
    }
    CHECK(!std::current_exception());
    std::puts("done");
}
END
    $PREFIX_COMMAND "$scratch/own" | grep done
}
run fibers_handle_exceptions_of_their_own_on_several_threads

what_is_resumed_on_the_next_stack_leaves_that_ones_alone() {
    make -s $SAME "$O/libkin.a"
    build next <<'END'
static bool over;

static int handle_and_yield(kin_scope *, void *)
{
    try {
        throw std::runtime_error("1");
    } catch (const std::exception &) {
        while (!over) {
            CHECK(kin_yield() == 0);
            CHECK(handles(1));
        }
    }
    return 0;
}

/* Due when it parks: goes on in place, on the stack of the one above. */
static int delay(kin_scope *, void *)
{
    for (int i = 0; i < 1000; i++)
        CHECK(kin_delay(1) == 0);
    over = true;
    return kin_main_quit();
}

int main()
{
    CHECK(kin_main_attach() == 0);
    CHECK(launch(kin_global_scope(), handle_and_yield, nullptr, kin_main())
          == 0);
    CHECK(launch(kin_global_scope(), delay, nullptr, kin_main_immediate())
          == 0);
    CHECK(kin_main_run() == 0);
    while (kin_main_pump(0) > 0)
        continue;
    CHECK(kin_main_detach() == 0);
    std::puts("done");
}
END
    $PREFIX_COMMAND "$scratch/next" | grep done
}
run what_is_resumed_on_the_next_stack_leaves_that_ones_alone

bare_fibers_handle_exceptions_of_their_own() {
    make -s $SAME "$O/libkin.a"
    build bare <<'END'
static void *count(void *value)
{
    CHECK(!std::current_exception());
    for (int i = 100;; i++) {
        try {
            throw std::runtime_error(std::to_string(i));
        } catch (const std::exception &) {
            value = kin_fiber_suspend(value);
            CHECK(handles(i));
        }
        if (!value)
            return nullptr;
    }
}

int main()
{
    kin_fiber *fiber = nullptr;
    kin_fiber_options options = {};
    options.fiber = &fiber;
    CHECK(kin_fiber_new_with(count, &options) == 0);
    for (int i = 0; i < 10; i++) {
        try {
            throw std::runtime_error(std::to_string(i));
        } catch (const std::exception &) {
            CHECK(kin_fiber_resume(fiber, i < 9 ? &fiber : nullptr, nullptr)
                  == 0);
            CHECK(handles(i));
        }
        CHECK(!std::current_exception());
    }
    CHECK(kin_fiber_is_done(fiber));
    kin_fiber_destroy(fiber);
    std::puts("done");
}
END
    $PREFIX_COMMAND "$scratch/bare" | grep done
}
run bare_fibers_handle_exceptions_of_their_own

an_exception_that_leaves_a_body_is_its_failure() {
    make -s $SAME "$O/libkin.a"
    build leaves <<'END'
static int destroyed;
struct counted {
    ~counted() { destroyed++; }
};

static int throws(kin_scope *, void *arg)
{
    counted here;
    if (arg)
        CHECK(kin_yield() == 0);
    throw std::runtime_error("no input");
}

static int throws_a_number(kin_scope *, void *)
{
    throw 7;
}

static void check_failed(int err, const char *text)
{
    char said[300];
    CHECK(err == KIN_EEXCEPTION);
    kin_error_format(kin_error_current(), said, sizeof said);
    if (!std::strstr(said, text))
        std::printf("it said: %s\n", said);
    CHECK(std::strstr(said, text));
    kin_error_clear();
    CHECK(!std::current_exception() && !std::uncaught_exceptions());
}

static int launch_and_join(kin_scope *scope, void *)
{
    KIN_AUTO(kin_job) job = nullptr;
    CHECK(launch(scope, throws, scope, kin_default(), &job) == 0);
    return kin_join(job);
}

static int scopes(kin_scope *, void *)
{
    check_failed(kin_coroutine_scope(throws, nullptr),
                 "an exception left kin_coroutine_scope: std::runtime_error");
    check_failed(kin_supervisor_scope(throws, &destroyed), "runtime_error");
    check_failed(kin_with_timeout(KIN_S(5), throws, &destroyed), "with_timeout");
    kin_context_options options = {};
    options.dispatcher = kin_default();
    options.arg = &destroyed;
    check_failed(kin_with_context_with(throws, &options), "with_context");
    check_failed(kin_coroutine_scope(launch_and_join, nullptr),
                 "an exception left the body: std::runtime_error");
    return 0;
}

static int callback(kin_job *, kin_error *, void *)
{
    throw std::logic_error("in a callback");
}

static int start(kin_continuation, void *)
{
    throw std::bad_alloc();
}

static int callbacks(kin_scope *, void *)
{
    KIN_AUTO(kin_job) job = nullptr;
    CHECK(kin_job_new(nullptr, &job) == 0);
    CHECK(kin_invoke_on_completion(job, callback, nullptr, 0, nullptr) == 0);
    CHECK(kin_job_complete(job) == KIN_EHANDLER);
    CHECK(kin_error_code(kin_error_cause(kin_error_current()))
          == KIN_EEXCEPTION);
    kin_error_clear();
    check_failed(kin_suspend(start, nullptr), "std::bad_alloc");
    return 0;
}

int main()
{
    check_failed(run(throws), "an exception left the body: std::runtime_error");
    CHECK(destroyed == 1);
    check_failed(run(throws_a_number), "an exception left the body: int");
    CHECK(run(scopes) == 0);
    CHECK(destroyed == 6);
    CHECK(run(callbacks) == 0);
    for (int i = 0; i < 1000; i++)
        check_failed(run(throws), "runtime_error");
    std::puts("done");
}
END
    $PREFIX_COMMAND "$scratch/leaves" | tee /dev/stderr | grep done
}
run an_exception_that_leaves_a_body_is_its_failure

an_exception_that_leaves_a_bare_fiber_ends_the_program() {
    make -s $SAME "$O/libkin.a"
    build ends <<'END'
static void *throws(void *)
{
    throw std::runtime_error("out");
}

int main()
{
    kin_fiber *fiber = nullptr;
    kin_fiber_options options = {};
    options.fiber = &fiber;
    std::set_terminate([] { std::fputs("terminated", stderr); std::_Exit(3); });
    CHECK(kin_fiber_new_with(throws, &options) == 0);
    kin_fiber_resume(fiber, nullptr, nullptr);
}
END
    $PREFIX_COMMAND "$scratch/ends" 2> "$scratch/said" || test $? = 3
    grep terminated "$scratch/said"
}
run an_exception_that_leaves_a_bare_fiber_ends_the_program

a_c_program_has_nothing_of_it() {
    make -s $SAME "$O/libkin.a"
    echo '#include <kin/kin.h>
          static int nothing(kin_scope *s, void *a)
          { (void)s, (void)a; return kin_yield(); }
          int main(void) { return kin_run_blocking(nothing, NULL); }' \
        > "$scratch/c.c"
    ${GXX/g++/gcc} -std=gnu17 -Iinclude "$scratch/c.c" "$O/libkin.a" -pthread \
        -o "$scratch/c"
    $PREFIX_COMMAND "$scratch/c"
    ! readelf -d "$scratch/c" | grep 'stdc++'
}
run a_c_program_has_nothing_of_it

finish
