#!/bin/bash
# The small examples: each is run, and its output is what is expected.
#
#   examples_programs_test.sh [DIRECTORY]    where they are built
set -u
: "${O:=build/$(uname -m)-gcc}"
bin=${1:-$O/bin}
failed=0

# check NAME COMMAND...: compares the output, without line numbers, with stdin.
check() {
    local name=$1 program=$bin/$2 expected output status=0
    shift 2
    expected=$(cat)
    if [ ! -x "$program" ]; then
        echo "skip $name: there is no $program"
        return
    fi
    output=$(timeout 30 "$program" "$@" 2>&1) || status=$?
    output=$(echo "$output" | sed 's/ at [^ ]*:[0-9]*$//')
    if [ $status != 0 ]; then
        echo "FAIL $name (status $status: $(echo "$output" | tail -n 1))"
        failed=1
    elif [ "$output" != "$expected" ]; then
        echo "FAIL $name (not the expected output)"
        diff <(echo "$expected") <(echo "$output") | sed 's/^/    /'
        failed=1
    else
        echo "ok $name"
    fi
}

check load_page_awaits_both load_page << 'END'
Ada: 3 new posts
in 0.2 s
END

check load_page_gives_up_with_the_first_failure load_page fail << 'END'
failed: loading the user of page 7 (ECONNREFUSED, -111)
in 0.1 s
END

check generator_compares_leaves generator << 'END'
 a/a b/b c/c d/d -/-: same
 a/a b/c: different
 a/a b/b -/c: different
END

check tokenizer_is_the_same_in_all_pieces tokenizer << 'END'
name area
sign =
number 3.14159
sign *
name r2
sign ;
name say
sign (
string a "circle" of 
sign ,
name r2
sign )
the same in pieces of 1 to 48 bytes
END

check tokenizer_goes_on_in_the_next_piece \
    tokenizer 'x1' '2 = "a\' '"b' '" + 3' '.' '14 "open' << 'END'
name     x12
sign     =
string   a"b
sign     +
number   3.14
unfinished string open
END

check game_loads_a_level_between_frames game_loop << 'END'
level: 20 walls, 3 coins, on Main: yes
20 frames with the level, 3 slices on Main
END

check libuv_loop_runs_fibers libuv_loop << 'END'
begins on the loop
then elsewhere
a file of some size, again on the loop
tick 1, on the loop
timeout: KIN_ETIMEDOUT, on the loop
tick 2, on the loop
tick 3, on the loop
the loop has ended
END

exit $failed
