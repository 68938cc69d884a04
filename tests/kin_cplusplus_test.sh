#!/bin/bash
# The public headers are for C++17 too: a program of it compiles without a
# warning, links against the library, and does what it says.
. tests/check.sh

write_program() {
    cat > "$scratch/program.cpp" <<'END'
#include <kin/kin.h>

#include <cstdio>

namespace {

int answer(kin_scope *scope, void *arg)
{
    KIN_TRY(kin_yield());
    return kin_return(scope, arg);
}

int fails(kin_scope *, void *)
{
    return kin_fail(-EIO, "reading %s", "nothing");
}

int add(kin_scope *scope, void *arg)
{
    kin_launch_options options = {};
    KIN_AUTO(kin_deferred) left = nullptr;
    KIN_AUTO(kin_deferred) right = nullptr;
    void *a = nullptr, *b = nullptr;

    options.arg = arg;
    options.site = KIN__HERE;
    KIN_TRY(kin_async_with(scope, &left, answer, &options));
    options.dispatcher = kin_io();
    KIN_TRY(kin_async_with(scope, &right, answer, &options));
    KIN_TRY(kin_await(left, &a));
    KIN_TRY(kin_await(right, &b));
    std::printf("sum %d\n", *static_cast<int *>(a) + *static_cast<int *>(b));
    return 0;
}

int run(kin_scope *, void *arg)
{
    int err = 0;
    KIN_COROUTINE_SCOPE(err, scope) {
        kin_launch_options options = {};
        options.arg = arg;
        KIN_TRY_IN(scope, kin_launch_with(scope, add, &options));
    }
    KIN_TRY(err);

    err = kin_coroutine_scope(fails, nullptr);
    std::printf("%s: %s\n", kin_error_name(err),
                kin_error_message(kin_error_current()));
    kin_error_clear();

    kin_context_options inner = {};
    inner.arg = arg;
    inner.dispatcher = kin_default();
    return kin_with_context_with(add, &inner);
}

} // namespace

int main()
{
    int number = 21;
    kin_launch_options options = {};
    options.arg = &number;
    return kin_run_blocking_with(run, &options) == 0 ? 0 : 1;
}
END
}

compile_and_run() {
    write_program
    "$@" -std=c++17 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
        -Iinclude "$scratch/program.cpp" "$O/libkin.a" -pthread \
        -o "$scratch/program"
    $PREFIX_COMMAND "$scratch/program" > "$scratch/said"
    printf '%s\n' 'sum 42' 'EIO: reading nothing' 'sum 42' |
        diff - "$scratch/said"
}

a_program_compiled_by_gxx_uses_the_library() {
    compile_and_run $GXX
}
run a_program_compiled_by_gxx_uses_the_library

a_program_compiled_by_clangxx_uses_the_library() {
    command -v clang++ > /dev/null || skip 'no clang++'
    compile_and_run $CLANGXX
}
run a_program_compiled_by_clangxx_uses_the_library

finish
