#!/bin/bash
# tools/gdb/kin.py shows the family tree and the backtraces of parked fibers, in
# a process that is stopped and in a core file of it.
. tests/check.sh

# program: a family of parked fibers; stopped() is called when they all are.
program() {
    command -v gdb > /dev/null || skip 'gdb is not installed'
    gdb -nx -batch -ex run /bin/true 2>&1 | grep -q 'exited normally' ||
        skip 'gdb may not trace here'
    cat > "$scratch/family.c" <<'END'
#include <kin/kin.h>
#include <stdio.h>
#include <stdlib.h>
static __attribute__((noinline)) int deeper(int ms)
{
    int err = kin_delay(KIN_MS(ms));
    return err ? err : ms;
}
static int sleeps(kin_scope *scope, void *arg)
{
    (void)scope, (void)arg;
    return deeper(100000) < 0 ? KIN_ECANCELED : 0;
}
static int joins(kin_scope *scope, void *job)
{
    (void)scope;
    return kin_join(job);
}
__attribute__((noinline)) void stopped(void) { puts("stopped"); }
static int family(kin_scope *scope, void *arg)
{
    kin_job *job = NULL;
    int err;
    err = kin_launch(scope, sleeps, NULL, .name = "sleeper", .job = &job);
    err = err ? err : kin_launch(scope, joins, job, .name = "joiner");
    err = err ? err : kin_launch(scope, joins, job, .name = "lazy",
                                 .start = KIN_START_LAZY);
    err = err ? err : kin_delay(KIN_MS(300));
    stopped();
    if (arg)
        abort();
    kin_job_cancel(kin_current_job(), NULL);
    kin_job_release(job);
    return err;
}
int main(int argc, char **argv)
{
    return kin_run_blocking(family, argc > 1 ? argv : NULL) != KIN_ECANCELED;
}
END
    gcc -std=gnu17 -g -O1 -Iinclude "$scratch/family.c" "$O/libkin.a" \
        -pthread -o "$scratch/family"
}

# stopped COMMAND...: gdb's commands, where the family is parked.
stopped() {
    local each args=()
    for each; do args+=(-ex "$each"); done
    gdb -nx -batch -ex 'set width 0' -ex 'set debuginfod enabled off' \
        -ex 'break stopped' -ex run -ex 'source tools/gdb/kin.py' \
        "${args[@]}" "$scratch/family" < /dev/null 2>&1 |
        tee "$scratch/said"
}

# examine COMMAND...: likewise, in the core file that there is.
examine() {
    local each args=()
    for each; do args+=(-ex "$each"); done
    gdb -nx -batch -ex 'set width 0' -ex 'set debuginfod enabled off' \
        -ex 'source tools/gdb/kin.py' "${args[@]}" \
        "$scratch/family" "$scratch"/core* < /dev/null 2>&1 |
        tee "$scratch/said"
}

# core COMMAND...: likewise, in one that the kernel has written of it.
core() {
    (ulimit -c unlimited && cd "$scratch" && ./family die) || true
    ls "$scratch"/core* || skip 'the kernel writes no core file here'
    examine "$@"
}

said() {
    grep -qE -- "$1" "$scratch/said"
}

# They are looked at after 300 ms, by a clock that ticks at least every 20 ms.
waited='(2[89][0-9]|[3-9][0-9]{2}) ms|[0-9]{1,2}\.[0-9] s'
waited="($waited)"

tree_is_said() {
    said '^kin: live jobs$'
    said '^active blocking on ".*" at .*family.c:.*, 3 children: running$'
    said '^  active launch "sleeper" .*, fiber 0x[0-9a-f]+: delay, for .*, until [0-9]+ ms'
    said '^  active launch "joiner" .*, fiber 0x[0-9a-f]+: join "sleeper", for '
    said "\"joiner\" .*, for $waited\$"
    said '^  new launch "lazy" .*: not started$'
    said '^kin: 4 jobs$'
}

backtrace_is_said() {
    said '^#1 .*kin__'
    said '^#[0-9]+ .*kin_delay \(.*100000000000\)'
    said '^#[0-9]+ .*deeper \(ms=.*\) at '
    said '^#[0-9]+ .*sleeps \('
    said '^#[0-9]+ .*host_main'
    ! said 'corrupt stack' || exit 1
}

the_tree_of_a_process_is_shown() {
    program
    stopped 'kin jobs'
    tree_is_said
}
run the_tree_of_a_process_is_shown

the_tree_in_a_core_file_is_shown() {
    program
    core 'kin jobs'
    tree_is_said
}
run the_tree_in_a_core_file_is_shown

a_parked_fiber_of_a_process_has_a_backtrace() {
    program
    stopped 'kin fiber sleeper bt' 'echo then\n' 'bt 1' 'continue'
    backtrace_is_said
    said '^#0 .*stopped \(\)'           # the thread is where it was
    said 'exited normally'
}
run a_parked_fiber_of_a_process_has_a_backtrace

a_parked_fiber_in_a_core_file_has_a_backtrace() {
    program
    core 'kin fiber sleeper bt' 'kin fiber joiner bt'
    backtrace_is_said
    said '^#[0-9]+ .*kin_join \('
}
run a_parked_fiber_in_a_core_file_has_a_backtrace

# Its date is then no help: it has been copied, say.
in_a_core_file_without_its_date_a_fiber_has_waited_at_least_so_long() {
    program
    core 'kin jobs'
    touch -d '2 days ago' "$scratch"/core*
    examine 'kin jobs'
    said "\"sleeper\" .*: delay, for at least [0-9]+ ms, until"
}
run in_a_core_file_without_its_date_a_fiber_has_waited_at_least_so_long

a_core_file_of_gdb_shows_the_tree_or_what_is_missing() {
    program
    stopped "generate-core-file $scratch/core" kill
    examine 'kin jobs'
    tree_is_said || said 'memory is missing in this core file'
}
run a_core_file_of_gdb_shows_the_tree_or_what_is_missing

a_fiber_is_found_by_its_address() {
    program
    core 'kin jobs'
    local id
    id=$(sed -n 's/.*"joiner".* fiber \(0x[0-9a-f]*\):.*/\1/p' "$scratch/said")
    examine "kin fiber $id" 'kin fiber 0x1'
    said "^active launch \"joiner\" .* fiber $id:"
    said '^no fiber 0x1: see `kin jobs`$'
}
run a_fiber_is_found_by_its_address

what_has_no_backtrace_says_why() {
    program
    stopped 'kin fiber lazy bt' 'kin jobs'
    said 'it has not begun, or has never parked'
}
run what_has_no_backtrace_says_why

finish
