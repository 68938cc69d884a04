#!/bin/bash
# What the build makes: an installation that a program can use, a library that
# claims what it honours, and no work done twice.
. tests/check.sh

the_shared_library_has_its_soname_and_binds_now() {
    readelf -d "$O/libkin.so" | grep -F 'soname: [libkin.so.0]'
    readelf -d "$O/libkin.so" | grep -wF BIND_NOW
}
run the_shared_library_has_its_soname_and_binds_now

# Of the shared library as a whole the C library's start files decide, too.
every_object_claims_landing_pads_and_no_shadow_stack() {
    [ "$(uname -m)" = x86_64 ] || skip 'for x86-64; BTI is tested running'
    for object in "$O"/asm/*x86_64.o "$O"/core/*.o; do
        readelf -n "$object" > "$scratch/notes"
        grep -w IBT "$scratch/notes" || { echo "$object: no IBT"; exit 1; }
        ! grep -w SHSTK "$scratch/notes" || { echo "$object"; exit 1; }
    done
}
run every_object_claims_landing_pads_and_no_shadow_stack

the_arm64_assembly_claims_landing_pads() {
    local cc=aarch64-linux-gnu-gcc
    command -v $cc || skip 'no ARM64 compiler here'
    for source in asm/*.S; do
        $cc -I. -Iinclude -mbranch-protection=standard -c "$source" \
            -o "$scratch/it.o"
        case $source in
        *aarch64.S) readelf -n "$scratch/it.o" | grep -w BTI ;;
        esac
        readelf -SW "$scratch/it.o" | grep -F .note.GNU-stack
    done
}
run the_arm64_assembly_claims_landing_pads

no_stack_is_executable() {
    readelf -lW "$O/libkin.so" | grep GNU_STACK | grep -v RWE
}
run no_stack_is_executable

a_program_builds_against_an_installation() {
    local at=$scratch/usr program=$scratch/program
    make -s $SAME install DESTDIR="$scratch" PREFIX=/usr
    find "$scratch"
    cat > "$program.c" <<'END'
#include <kin/kin.h>
int main(void) { return kin_error_name(KIN_EINVAL)[0] != 'K'; }
END
    grep -x 'Libs: -L${libdir} -lkin' "$at/lib/pkgconfig/kin.pc"
    grep -x 'libdir=/usr/lib' "$at/lib/pkgconfig/kin.pc"
    ! grep '@' "$at/lib/pkgconfig/kin.pc" || exit 1
    gcc -I"$at/include" "$program.c" -L"$at/lib" -lkin -o "$program"
    readelf -d "$program" | grep -F 'libkin.so.0'
    LD_LIBRARY_PATH=$at/lib "$program"
    gcc -I"$at/include" "$program.c" "$at/lib/libkin.a" -pthread -o "$program"
    "$program"
    make -s $SAME uninstall DESTDIR="$scratch" PREFIX=/usr
    [ -z "$(find "$scratch/usr" ! -type d)" ]
}
run a_program_builds_against_an_installation

# A copy of the sources, so that touching one disturbs nobody.
copy_of_the_tree() {
    cp -r Makefile tools asm core dispatch job include "$scratch"
    cd "$scratch"
    make -s
}

a_second_build_does_nothing_and_a_header_rebuilds_its_users() {
    copy_of_the_tree
    [ -z "$(make)" ]
    touch core/thread.h
    make | tee said
    grep -w 'CC   core/thread.c' said
    make CFLAGS=-DANOTHER | grep -w 'CC   core/thread.c'
}
run a_second_build_does_nothing_and_a_header_rebuilds_its_users

the_thread_local_file_is_never_optimised_across_files() {
    cp -r Makefile tools asm core dispatch job include "$scratch"
    cd "$scratch"
    make -s LTO=1 "build/$(uname -m)-gcc-lto/core/thread.o" CC=gcc
    ! readelf -SW "build/$(uname -m)-gcc-lto/core/thread.o" | grep lto_ ||
        exit 1
}
run the_thread_local_file_is_never_optimised_across_files

help_names_the_targets() {
    make help > "$scratch/help"
    for target in all run test check bench install clean; do
        grep -q "make $target " "$scratch/help"
    done
}
run help_names_the_targets

finish
