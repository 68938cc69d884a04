#!/bin/bash
# A program with more rights than whoever started it does not listen to the
# environment: the same one does when it is started without.
. tests/check.sh

# What a fiber finds on the stack of the one before it: "wiped" or "kept".
program() {
    cat > "$scratch/program.c" <<'END'
#include <kin/kin.h>
#include <stdio.h>
#include <sys/auxv.h>
static volatile long *word;
static void *leave(void *value)
{
    volatile long words[1000];
    word = &words[500];
    *word = 1;
    return value;
}
static void run(void)
{
    kin_fiber *fiber;
    if (kin_fiber_new(leave, &fiber) || kin_fiber_resume(fiber, NULL, NULL))
        return;
    kin_fiber_destroy(fiber);
}
int main(void)
{
    run();
    puts(getauxval(AT_SECURE) ? "setuid" : "plain");
    puts(*word ? "kept" : "wiped");
    return 0;
}
END
    gcc -Iinclude "$scratch/program.c" "$O/libkin.a" -pthread \
        -o "$scratch/program"
}

wiping_is_asked_for_by_the_environment() {
    program
    [ "$("$scratch/program" | tail -1)" = kept ]
    [ "$(KIN_WIPE_STACKS=0 "$scratch/program" | tail -1)" = kept ]
    [ "$(KIN_WIPE_STACKS=1 "$scratch/program" | tail -1)" = wiped ]
}
run wiping_is_asked_for_by_the_environment

a_setuid_program_does_not_listen_to_the_environment() {
    [ "$(id -u)" = 0 ] || skip 'only root makes setuid programs'
    program
    chmod 711 "$scratch"
    chmod 4755 "$scratch/program"
    KIN_WIPE_STACKS=1 setpriv --reuid=65534 --regid=65534 --clear-groups \
        "$scratch/program" > "$scratch/said"
    cat "$scratch/said"
    grep -qx setuid "$scratch/said" || skip "setuid has no effect in $scratch"
    grep -x kept "$scratch/said"
}
run a_setuid_program_does_not_listen_to_the_environment

finish
