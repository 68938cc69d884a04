#!/bin/bash
# CMakeLists.txt: what it builds can be found and can be taken into another
# project's tree, and is compiled as make compiles it.
. tests/check.sh

command -v cmake > /dev/null || tools/need.sh cmake=cmake
root=$PWD

# A project in $scratch that gets kin by the given line.
project() {
    mkdir -p "$scratch/project"
    cat > "$scratch/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(program LANGUAGES C)
$1
add_executable(program program.c)
target_link_libraries(program PRIVATE kin::kin)
END
    cat > "$scratch/project/program.c" <<'END'
#include <kin/kin.h>
#include <stdio.h>
static int child(kin_scope *scope, void *arg)
{
    (void)scope;
    *(int *)arg += 1;
    return kin_delay(KIN_MS(1));
}
static int body(kin_scope *scope, void *arg)
{
    KIN_TRY(kin_launch(scope, child, arg, .dispatcher = kin_default()));
    return kin_yield();
}
int main(void)
{
    int n = 41, err = kin_run_blocking(body, &n);
    printf("%d %d\n", n, err);
    return 0;
}
END
}

# build SOURCE TO OPTION...
build() {
    local source=$1 to=$2
    shift 2
    cmake -S "$source" -B "$to" -DCMAKE_C_COMPILER=gcc "$@"
    cmake --build "$to" -j "$(nproc)"
}

find_package_finds_what_was_installed() {
    build . "$scratch/build" -DCMAKE_INSTALL_PREFIX="$scratch/usr" \
        -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
    cmake --install "$scratch/build"
    diff -r include/kin "$scratch/usr/include/kin"
    project 'find_package(kin 0.1 REQUIRED)'
    build "$scratch/project" "$scratch/out" -DCMAKE_PREFIX_PATH="$scratch/usr"
    [ "$("$scratch/out/program")" = '42 0' ]
    compiled_as_by_make
}

# What a source is compiled with, but for warnings, paths and definitions.
flags() {
    tr ' ' '\n' | grep -E '^-(f|m|O|std)' | grep -v fPIC | sort -u
}

compiled_as_by_make() {
    local source
    for source in core/run.c core/thread.c asm/switch_x86_64.S; do
        make -n V=1 CC=gcc BUILD="$scratch/make" \
            "$scratch/make/$(uname -m)-gcc/${source%.*}.o" |
            grep -- "-c $source" | flags > "$scratch/by_make"
        grep "\"command\".*$source" "$scratch/build/compile_commands.json" |
            flags > "$scratch/by_cmake"
        cat "$scratch/by_cmake"
        # The visibility and dialect of C mean nothing to the assembler.
        case $source in
        *.S) sed -i '/-fvisibility\|-std/d' "$scratch"/by_* ;;
        esac
        diff "$scratch/by_make" "$scratch/by_cmake"
    done
}
run find_package_finds_what_was_installed

add_subdirectory_takes_it_in_as_a_shared_library() {
    project "add_subdirectory($root kin)"
    build "$scratch/project" "$scratch/out" -DBUILD_SHARED_LIBS=ON \
        -DCMAKE_C_FLAGS=-O0 -DCMAKE_INSTALL_PREFIX="$scratch/usr"
    [ "$("$scratch/out/program")" = '42 0' ]
    readelf -d "$scratch/out/kin/libkin.so" | grep -F 'soname: [libkin.so.0]'
    nm -D --defined-only "$scratch/out/kin/libkin.so" | awk '{ print $NF }' |
        LC_ALL=C sort | diff docs/symbols.txt -
    cmake --install "$scratch/out"
    [ ! -e "$scratch/usr/include/kin" ]
}
run add_subdirectory_takes_it_in_as_a_shared_library

a_wrong_version_is_not_found() {
    cmake -S . -B "$scratch/build" -DCMAKE_INSTALL_PREFIX="$scratch/usr" \
        -DCMAKE_C_COMPILER=gcc
    project "find_package(kin 9.0 REQUIRED PATHS $scratch/build)"
    ! cmake -S "$scratch/project" -B "$scratch/out" > "$scratch/said" 2>&1 ||
        exit 1
    grep -F 'requested version "9.0"' "$scratch/said"
}
run a_wrong_version_is_not_found

finish
