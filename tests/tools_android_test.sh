#!/bin/bash
# The check that the library asks Android for nothing it lacks finds what it is
# there to find, and the build for Android refuses what it does not know.
. tests/check.sh

compiler() {
    command -v clang > /dev/null || skip 'no clang here'
    command -v aarch64-linux-gnu-nm > /dev/null || skip 'no ARM64 binutils here'
}

# finds CODE TEXT: objects of CODE and one of ours fail the check with TEXT.
finds() {
    compiler
    mkdir -p "$scratch/objects"
    printf '%s\n' "$1" |
        clang --target=aarch64-linux-android24 -fPIC -O1 -x c -c - \
            -o "$scratch/objects/it.o"
    if tools/android.sh "$scratch/objects" arm64-v8a 24 > "$scratch/said"; then
        [ -z "$2" ]
    else
        cat "$scratch/said"
        [ -n "$2" ] && grep -F -- "$2" "$scratch/said"
    fi
}

what_android_has_passes() {
    finds 'void *malloc(unsigned long); void *f(void) { return malloc(1); }' ''
}
run what_android_has_passes

a_function_that_came_later_is_found() {
    finds 'int memfd_create(const char *, unsigned);
           int f(void) { return memfd_create("", 0); }' \
          'memfd_create: only from level 30 on'
}
run a_function_that_came_later_is_found

a_function_that_is_not_listed_is_found() {
    finds 'int dladdr1(void); int f(void) { return dladdr1(); }' \
          'dladdr1: not in docs/android-symbols.txt'
}
run a_function_that_is_not_listed_is_found

a_weak_reference_may_be_missing() {
    finds '__attribute__((weak)) int dladdr1(void);
           int f(void) { return dladdr1 ? dladdr1() : 0; }' ''
}
run a_weak_reference_may_be_missing

a_thread_local_is_found() {
    finds 'static _Thread_local int x; int *f(void) { return &x; }' \
          '__emutls_get_address'
}
run a_thread_local_is_found

the_platform_s_register_is_found() {
    finds 'void f(void) { __asm__("mov x18, x0"); }' "x18 is the platform's"
}
run the_platform_s_register_is_found

# refuses TEXT VARIABLE...: make stops and says TEXT.
refuses() {
    local text=$1
    shift
    ! make -s "$@" > "$scratch/said" 2>&1 || return 1
    cat "$scratch/said"
    grep -qF -- "$text" "$scratch/said"
}

a_build_for_android_refuses_what_it_does_not_know() {
    local ndk=$scratch/ndk
    mkdir -p "$ndk/toolchains/llvm/prebuilt/linux-x86_64/bin"
    refuses 'there is no toolchains' ANDROID_NDK="$scratch"
    refuses 'only arm64-v8a and x86_64' ANDROID_NDK="$ndk" ABI=armeabi-v7a
    refuses 'a level from 24 on' ANDROID_NDK="$ndk" API=21
    refuses 'a level from 24 on' ANDROID_NDK="$ndk" API=x
}
run a_build_for_android_refuses_what_it_does_not_know

finish
