#!/bin/bash
# The harness and the runner tell every kind of failure: a program with a test
# for each is built and run, and scripts that lie about themselves are counted.
. tests/check.sh

root=$PWD

# build_program: $scratch/program from a test file on stdin.
build_program() {
    { echo '#include "tests/check.h"'; cat; echo TEST_MAIN; } \
        > "$scratch/program.c"
    gcc -std=gnu17 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
        -D_GNU_SOURCE -I. -pthread "$scratch/program.c" tests/check*.c \
        -o "$scratch/program"
}

# says STATUS TEXT...: the program ends with STATUS and prints every TEXT.
says() {
    local status=0 expected=$1
    shift
    "$scratch/program" > "$scratch/said" 2>&1 || status=$?
    cat "$scratch/said"
    [ "$status" = "$expected" ]
    for text; do grep -qF -- "$text" "$scratch/said"; done
}

each_kind_of_failure_is_told_apart() {
    build_program <<'END'
#include <signal.h>
#include <stdlib.h>
TEST_TIMEOUT(1);
static void nothing(void *arg) { (void)arg; }
TEST(passes) { CHECK(1); }
TEST(false_condition) { CHECK(1 == 2); }
TEST(unequal) { CHECK_EQ(2 + 2, 5); }
TEST(other_text) { CHECK_STR("a", "b"); }
TEST(hangs) { for (;;) ; }
TEST(crashes) { raise(SIGSEGV); }
TEST(leaves) { exit(3); }
TEST(survives) { check_dies(nothing, NULL, ""); }
TEST(skips) { SKIP("it is late"); }
END
    says 1 'ok passes' \
        'FAIL false_condition' 'CHECK(1 == 2)' \
        'FAIL unequal' '2 + 2 == 5: 4 is not 5' \
        'FAIL other_text' '"a" is "a", not "b"' \
        'FAIL hangs (no end after 1 s)' \
        'FAIL crashes (SIGSEGV)' \
        'FAIL leaves (exit 3)' \
        'FAIL survives' 'did not die' \
        'skip skips: it is late'
}
run each_kind_of_failure_is_told_apart

events_in_the_wrong_order_fail() {
    build_program <<'END'
TEST(right) { expect(1); reached(2); finish(3); }
TEST(too_early) { expect(2); }
TEST(twice) { expect(1); expect(1); }
TEST(no_finish) { expect(1); }
TEST(late) { finish(1); expect(2); }
TEST(right_log) { ev("a"); evi(2); CHECK_LOG("a 2"); log_clear(); CHECK_LOG(""); }
TEST(wrong_log) { ev("b"); CHECK_LOG("a"); }
END
    says 1 'ok right' 'event 2 comes as number 1' 'event 1 comes as number 2' \
        'without finish(), after event 1' 'event 2 after finish(1)' \
        'ok right_log' 'the log is "b", not "a"'
}
run events_in_the_wrong_order_fail

a_death_is_examined() {
    build_program <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
static void die(void *arg) { fprintf(stderr, "a %s tale\n", (char *)arg); abort(); }
static void tell(void *arg) { fprintf(stderr, "a %s tale\n", (char *)arg); }
static char sad[] = "sad";
TEST(dies) { CHECK_EQ(check_dies(die, sad, "sad tale"), SIGABRT); }
TEST(says) { check_says(tell, sad, "sad tale"); }
TEST(wrong_words) { check_dies(die, sad, "happy"); }
TEST(says_and_dies) { check_says(die, sad, "sad"); }
END
    says 1 'ok dies' 'ok says' 'FAIL wrong_words' 'did not say "happy"' \
        'FAIL says_and_dies'
}
run a_death_is_examined

tests_are_chosen_by_name() {
    build_program <<'END'
TEST(one) { CHECK(1); }
TEST(two) { CHECK(1); }
TEST(three) { CHECK(0); }
END
    [ "$("$scratch/program" 't[w]*')" = 'ok two' ]
    [ "$("$scratch/program" --list | tr '\n' ' ')" = 'one two three ' ]
    "$scratch/program" one two
    ! "$scratch/program" nine || exit 1
}
run tests_are_chosen_by_name

the_seed_of_a_failure_is_printed() {
    build_program <<'END'
TEST(fails) { CHECK(0); }
END
    export KIN_SEED=4711
    says 1 'KIN_SEED=4711'
}
run the_seed_of_a_failure_is_printed

seeds_run_what_asks_for_one_until_it_fails() {
    build_program <<'END'
TEST(holds) { CHECK(check_seed() < 100); }
TEST(breaks) { CHECK(check_seed() != 7); }
TEST(does_not_ask) { CHECK(1); }
TEST(skips) { SKIP("never asks"); }
END
    "$scratch/program"
    KIN_SEED=7 says 1 'FAIL breaks' 'ok does_not_ask'
    [ "$("$scratch/program" --seeds=1-9 | tee /dev/stderr)" = \
"ok holds (seeds 1 to 9)
FAIL breaks (exit 1; $scratch/program.c:3: CHECK(check_seed() != 7); KIN_SEED=7)" ]
    "$scratch/program" --seeds=8-9
    for bad in --seeds --seeds=0-9 --seeds=9-8 --seeds=1-2x --seeds=9; do
        ! "$scratch/program" $bad || exit 1
    done
    [ "$("$scratch/program" --seeds=1-2 does_not_ask || echo $?)" = 77 ]
}
run seeds_run_what_asks_for_one_until_it_fails

a_drawn_log_has_the_words_and_obeys_the_rules() {
    build_program <<'END'
#include <stdlib.h>
static void say(const char *a, const char *b, const char *c)
{
    setenv("KIN_SEED", "1", 1);
    ev(a), ev(b), ev(c);
}
TEST(right_order) { say("b", "a", "c"); CHECK_LOG_DRAWN("a b c", "a<c b<c"); }
TEST(right_chain) { say("a", "b", "c"); CHECK_LOG_DRAWN("c b a", "a<b<c"); }
TEST(right_twice) { say("a", "b", "a"); CHECK_LOG_DRAWN("a a b", ""); }
TEST(may_be_missing) { say("a", "b", "c"); CHECK_LOG_DRAWN("a b c d", "d?"); }
TEST(may_come) { say("a", "b", "c"); CHECK_LOG_DRAWN("a b", "c? b<c"); }
TEST(no_seed) { ev("a"), ev("b"); CHECK_LOG_DRAWN("a b", "b<a"); }
TEST(bad_order) { say("b", "c", "a"); CHECK_LOG_DRAWN("a b c", "a<c"); }
TEST(bad_chain) { say("a", "c", "b"); CHECK_LOG_DRAWN("a b c", "a<b<c"); }
TEST(bad_count) { say("a", "b", "a"); CHECK_LOG_DRAWN("a b", ""); }
TEST(bad_last) { say("a", "b", "a"); CHECK_LOG_DRAWN("a a b", "a<b"); }
TEST(bad_missing) { say("a", "b", "c"); CHECK_LOG_DRAWN("a b c d", ""); }
TEST(bad_more) { say("a", "b", "c"); CHECK_LOG_DRAWN("a b", ""); }
TEST(bad_word) { say("a", "bc", "c"); CHECK_LOG_DRAWN("a b c", "b?"); }
TEST(bad_twice) { say("a", "b", "b"); CHECK_LOG_DRAWN("a b", "b?"); }
TEST(bad_without) { ev("b"), ev("a"); CHECK_LOG_DRAWN("a b", ""); }
END
    unset KIN_SEED
    "$scratch/program" '[rmn]*'
    says 1
    [ "$(grep -c '^FAIL bad_.*the log is' "$scratch/said")" = 9 ]
}
run a_drawn_log_has_the_words_and_obeys_the_rules

a_failure_on_another_thread_ends_the_test() {
    build_program <<'END'
#include <pthread.h>
static void *fail(void *arg) { CHECK(arg); return arg; }
TEST(threaded)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fail, NULL), 0);
    pthread_join(thread, NULL);
}
END
    says 1 'FAIL threaded (exit 1; ' 'CHECK(arg)'
}
run a_failure_on_another_thread_ends_the_test

a_race_has_fewer_rounds_where_it_is_slow_or_as_many_as_one_wants() {
    build_program <<'END'
#include "tests/rounds.h"
#include <stdio.h>
TEST(rounds) { printf("%d,%d\n", race_rounds(RACE_ROUNDS), race_rounds(500)); }
END
    rounds() { "$scratch/program" | head -n 1; }
    unset KIN_TEST_SLOWDOWN KIN_TEST_ROUNDS
    [ "$(rounds)" = 100000,500 ]
    [ "$(KIN_TEST_SLOWDOWN=4 rounds)" = 25000,125 ]
    [ "$(KIN_TEST_SHARE=4 rounds)" = 25000,125 ]
    [ "$(KIN_TEST_SLOWDOWN=4 KIN_TEST_SHARE=4 rounds)" = 25000,125 ]
    [ "$(KIN_TEST_SLOWDOWN=10 rounds)" = 1000,100 ]
    [ "$(KIN_TEST_SLOWDOWN=10 KIN_TEST_ROUNDS=70 rounds)" = 70,70 ]
}
run a_race_has_fewer_rounds_where_it_is_slow_or_as_many_as_one_wants

script() { # script NAME COMMANDS
    printf '%s\n' "$2" > "$scratch/$1.sh"
}

# counts SUM...: the runner, over all scripts, ends with SUM.
counts() {
    local status=0
    TESTS='*' tools/run-tests.sh label "$scratch/log" "$scratch"/*.sh \
        > "$scratch/said" 2>&1 || status=$?
    cat "$scratch/said"
    tail -n 1 "$scratch/said" | grep -qF "$1"
    return $status
}

the_runner_adds_up() {
    script a 'echo ok 1; echo ok 2'
    script b 'echo skip 3: why; exit 77'
    counts '2 passed, 0 failed, 1 skipped'
}
run the_runner_adds_up

the_runner_counts_what_ends_badly() {
    script a 'echo ok 1; echo "FAIL 2 (x)"; exit 1'
    script crash 'echo ok 1; kill -SEGV $$'
    script exit3 'echo ok 1; exit 3'
    script quiet 'exit 0'
    script unsaid 'echo ok 1; exit 1'
    ! counts '4 passed, 5 failed' || exit 1
    counts '4 passed, 5 failed' || true
    grep -q 'FAIL quiet.sh (ran no test)' "$scratch/said"
    grep -q 'FAIL exit3.sh (exit 3)' "$scratch/said"
}
run the_runner_counts_what_ends_badly

the_runner_ends_what_takes_too_long() {
    script slow 'echo ok 1; sleep 100'
    export TEST_TIME=4                  # of which getting there takes some
    ! counts x || exit 1
    grep -q 'FAIL slow.sh (no end after [1-4] s)' "$scratch/said"
}
run the_runner_ends_what_takes_too_long

no_programs_at_all_is_a_failure() {
    ! TESTS='*' tools/run-tests.sh label "$scratch/log" || exit 1
}
run no_programs_at_all_is_a_failure

# A tree with our `make check`, in which a check and a test are a script each.
check_tree() {
    cd "$scratch"
    cp -r "$root/tools" .
    cat > Makefile <<'END'
good bad:
	@sh $@.sh
test:
	@[ "$(ROW)" != broken ] || { echo 'x.c:1: error: no x' >&2; exit 1; }
	@tools/run-tests.sh $(ROW) log-$(ROW) $(ROW)*.sh
END
    script good 'echo all is well'
    script bad 'echo "a.c:3: error: too long" >&2; exit 1'
    script one 'echo ok 1'
    script two_c '
        echo ok 1; echo =====; echo begins; echo "WARNING: a race"
        for i in $(seq 30); do echo "    #$i"; done
        echo "FAIL a_sentence (exit 66)"; echo ok 2; echo of the next
        echo "FAIL another (exit 1; a.c:7: x)"; exit 1'
    script two_crash 'echo ok 1; echo "kin: it hurts"; kill -SEGV $$'
    script two_shell '
        echo "FAIL in_a_shell (exit 2)"
        for i in $(seq 30); do echo "    said $i"; done; exit 1'
}

# checks "CHECKS" "ROWS": what `make check` prints, in $scratch/said.
checks() {
    local status=0
    MAKE=make BUILD=build TESTS='*' TEST_TIME=60 CHECK_TIME=60 \
        tools/check.sh "$1" "$2" > said || status=$?
    cat said
    return $status
}

a_check_ends_with_what_failed() {
    check_tree
    ! checks 'good bad' 'one two broken' || exit 1
    sed -n '/^FAIL broken/,$p' said | sed '1d; s/^[0-9]* s$/N s/' > end
    diff end - <<'END'
bad: bad
    a.c:3: error: too long
two two_c.sh: a_sentence (exit 66)
    WARNING: a race
        #1
        #2
        #3
        #4
        #5
two two_c.sh: another (exit 1; a.c:7: x)
    of the next
two two_crash.sh: two_crash.sh (exit 139)
    kin: it hurts
two two_shell.sh: in_a_shell (exit 2)
    said 1
    said 2
    said 3
    said 4
    said 5
    said 6
broken: broken (it does not build)
    x.c:1: error: no x
N s
failed in: bad two broken
5 passed, 6 failed
END
}
run a_check_ends_with_what_failed

a_check_of_which_nothing_failed_ends_with_the_sum() {
    check_tree
    checks good one
    [ "$(tail -n 1 said)" = '2 passed, 0 failed' ]
    ! grep -A 9 '^one ' said | grep -E '^(one [a-z]|    |failed)' || exit 1
}
run a_check_of_which_nothing_failed_ends_with_the_sum

what_fails_by_the_hundred_is_told_in_a_line_each() {
    check_tree
    rm two_*.sh
    script two 'for i in $(seq 200); do echo alas; echo "FAIL $i"; done; exit 1'
    ! checks good two || exit 1
    sed -n '/^make: /,$p' said > end
    [ "$(wc -l < end)" = $((1 + 150 + 3)) ]
    grep -qx 'two two.sh: 150' end
    ! grep alas end || exit 1
}
run what_fails_by_the_hundred_is_told_in_a_line_each

bti_is_enforced_on_arm64() {
    local cc=aarch64-linux-gnu-gcc
    command -v $cc && command -v qemu-aarch64 || skip 'no ARM64 tools here'
    cat > "$scratch/main.c" <<'END'
extern char unmarked[], marked[];
__asm__(".globl marked, unmarked\nmarked: bti c\nunmarked: ret");
int main(int argc, char **argv)
{
    char *volatile target = argc > 1 && argv ? unmarked : marked;
    ((void (*)(void))(void *)target)();
    return 0;
}
END
    $cc -mbranch-protection=standard -fPIC -nostartfiles -Wl,-z,force-bti \
        "$scratch/main.c" tests/start_aarch64.S -o "$scratch/main"
    set -- qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu "$scratch/main"
    "$@"
    local status=0
    "$@" unmarked || status=$?
    [ $status = $((128 + 4)) ]                   # SIGILL
}
run bti_is_enforced_on_arm64

finish
