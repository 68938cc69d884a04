#!/bin/bash
# kinsum against sha256sum: the same bytes for every kind of name and tree;
# what is reported, what is not; what remains of a run that is stopped.
#
#   examples_kinsum_test.sh [KINSUM]     or KINSUM= in the environment
set -u
export LC_ALL=C
: "${O:=build/$(uname -m)-gcc}"
KINSUM=${KINSUM:-${1:-$O/bin/kinsum}}
if [ ! -x "$KINSUM" ]; then
    echo "skip kinsum: there is no $KINSUM"
    exit 77
fi

scratch=$(mktemp -d)
trap 'chmod -R u+rwx "$scratch"; rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
cp "$KINSUM" "$scratch/kinsum"          # where every user can run it
KINSUM=$scratch/kinsum
HUGE=64G                                # sparse: nobody sums it in time

# ------------------------------------------------------------------ harness

failed=0
# check NAME: runs the function of that name in an empty directory.
check() {
    mkdir "$scratch/$1"
    (cd "$scratch/$1" && set -e && "$1") > "$scratch/$1.log" 2>&1
    case $? in
    0)  echo "ok kinsum_$1" ;;
    77) echo "skip kinsum_$1: $(tail -n 1 "$scratch/$1.log")" ;;
    *)  echo "FAIL kinsum_$1 ($(tail -n 1 "$scratch/$1.log"))"
        sed 's/^/    /' "$scratch/$1.log" | tail -n 20
        failed=1 ;;
    esac
    chmod -R u+rwx "$scratch/$1"
    rm -rf "${scratch:?}/$1"
}

skip() { echo "$*"; exit 77; }
fail() { echo "$*"; exit 1; }

# run STATUS ARG...: kinsum, with its output in out and err.
run() {
    local expected=$1 status=0
    shift
    timeout 60 "$KINSUM" "$@" > out 2> err || status=$?
    [ $status = "$expected" ] ||
        fail "kinsum ${*:1:5}: status $status, not $expected: $(head -n 3 err)"
}

# out is what sha256sum prints for the files that find finds.
same_as_sha256sum() {
    find "$@" -type f -print0 | sort -z | xargs -0 -r sha256sum > expected
    cmp out expected || fail "not what sha256sum prints"
}

silent() { [ ! -s err ] || fail "on stderr: $(head -n 3 err)"; }
says() { grep -qF -- "$1" err || fail "stderr does not say: $1: $(cat err)"; }

# Waits until the process has read something of the file.
wait_for_reading() {
    local pid=$1 file=$2 fd pos i
    for ((i = 0; i < 1000; i++)); do
        for fd in /proc/"$pid"/fd/*; do
            [ "$(readlink "$fd")" = "$file" ] || continue
            pos=$(awk '/^pos/ { print $2 }' \
                  "/proc/$pid/fdinfo/${fd##*/}" 2> /dev/null) || pos=0
            [ "${pos:-0}" = 0 ] || return 0
        done
        sleep 0.01
    done
    kill -KILL "$pid"
    fail "does not read $file"
}

# Every line is whole and right.
whole_lines() {
    [ ! -s "$1" ] || [ "$(tail -c 1 "$1" | od -An -c | tr -d ' ')" = '\n' ] ||
        fail "a partial line"
    [ ! -s "$1" ] || sha256sum --quiet -c "$1" || fail "a wrong line"
}

# -------------------------------------------------------------------- names

prints_what_sha256sum_prints() {
    mkdir -p t/sub/deeper
    echo one > t/one
    : > t/empty
    head -c 100000 /dev/urandom > t/sub/random
    echo two > t/sub/deeper/two
    run 0 t
    silent
    same_as_sha256sum t
}

default_is_the_current_directory() {
    mkdir t
    echo a > t/a
    (cd t && "$KINSUM" > ../out 2> ../err)
    silent
    (cd t && find . -type f -print0 | sort -z | xargs -0 sha256sum) > expected
    cmp out expected
}

sorts_by_the_bytes_of_whole_paths() {
    mkdir -p t/a t/a.d t/a-b/c t/A
    touch t/a/x t/a/y t/a.c t/a-c t/a0 t/a.d/z t/a-b/c/z t/A/q t/ab t/B \
        $'t/\377' t/~ 't/!' $'t/a\001'
    run 0 t
    same_as_sha256sum t
}

escapes_names_as_sha256sum_does() {
    mkdir t
    touch $'t/new\nline' 't/back\slash' $'t/car\rriage' $'t/\n' $'t/tab\tx' \
        't/-j' 't/ space ' "t/quote'\"" $'t/\303\251' $'t/\200bad' 't/*'
    mkdir $'t/d\nir' 't/d\ir'
    touch $'t/d\nir/f' 't/d\ir/f'
    run 0 t
    silent
    same_as_sha256sum t
}

paths_are_shown_as_given() {
    mkdir -p t/u
    touch t/u/f t/g
    run 0 t/
    same_as_sha256sum t/
    run 0 ./t//
    same_as_sha256sum ./t//
    run 0 t/g t/u/../u
    same_as_sha256sum t/g t/u/../u
    run 0 "$PWD/t"
    same_as_sha256sum "$PWD/t"
}

several_trees_are_sorted_together() {
    mkdir -p b/x a a-b
    touch b/x/1 b/2 a/3 a-b/4 c
    run 0 c b a a-b
    same_as_sha256sum c b a a-b
}

overlapping_trees_are_merged() {
    mkdir -p a/b/c a/d
    touch a/1 a/b/2 a/b/c/3 a/b-4 a/d/5
    run 0 a a/b a/b/c/3 a/b/c a
    same_as_sha256sum a a/b a/b/c/3 a/b/c a
}

# --------------------------------------------------------------- many, big

sums_5000_files() {
    local i
    mkdir t
    for ((i = 0; i < 5000; i++)); do echo $i > t/$i; done
    run 0 t
    silent
    same_as_sha256sum t
    run 0 -j 1 t
    cmp out expected
    run 0 -j 256 t
    cmp out expected
}

sums_200_levels() {
    local i path=t
    for ((i = 0; i < 200; i++)); do path=$path/$i; done
    mkdir -p "$path"
    echo deep > "$path/file"
    echo shallow > t/0/file
    run 0 t
    silent
    same_as_sha256sum t
}

reports_a_path_that_is_too_long() {
    local i name
    name=$(printf '%0200d' 0)
    mkdir t
    echo a > t/a
    (cd t && for ((i = 0; i < 30; i++)); do
        mkdir "$name" && cd "$name"
    done)
    run 1 t
    says 'File name too long'
    grep -q '  t/a$' out
}

sums_a_big_file() {
    mkdir t
    truncate -s 150M t/big
    echo end >> t/big
    head -c 3000000 /dev/urandom | dd of=t/big bs=1 seek=70M conv=notrunc \
        bs=1M oflag=seek_bytes status=none
    run 0 t
    silent
    same_as_sha256sum t
}

sums_files_around_the_size_of_a_block() {
    local size
    mkdir t
    for size in 1 63 64 65535 65536 131072 262143 262144 262145 524287 524288 \
                524289 786432; do
        head -c $size /dev/urandom > t/$size
    done
    run 0 t
    same_as_sha256sum t
}

keeps_few_files_open() {
    local i
    mkdir t
    for ((i = 0; i < 500; i++)); do echo $i > t/$i; done
    (ulimit -n 40; run 0 t) || fail "with 40 descriptors: $(tail -n 1 err)"
    same_as_sha256sum t
}

takes_many_paths() {
    local i
    for ((i = 0; i < 3000; i++)); do echo $i > $i; done
    run 0 [0-9]*
    silent
    same_as_sha256sum [0-9]*
}

reads_stdin() {
    echo hello > f
    echo hello | "$KINSUM" - > out
    sha256sum < f | cmp - out
    head -c 3000000 /dev/urandom > random
    (cat random; sleep 0.2; cat random) | "$KINSUM" f - > out
    (cat random random | sha256sum; sha256sum f) > expected
    cmp out expected
    "$KINSUM" - < random > out
    sha256sum - < random | cmp - out
}

# ----------------------------------------------------------------- problems

reports_a_missing_path_and_goes_on() {
    echo a > a
    run 1 a missing
    says 'kinsum: missing: No such file or directory'
    same_as_sha256sum a
    run 1 ''
    says 'No such file or directory'
}

reports_unreadable_files_and_directories() {
    mkdir -p t/closed
    echo a > t/a
    echo b > t/b
    echo c > t/closed/c
    chmod 0 t/a t/closed
    if [ "$(id -u)" = 0 ]; then
        chmod 777 .
        status=0
        setpriv --reuid=65534 --regid=65534 --clear-groups true ||
            skip "needs a user that is not root"
        setpriv --reuid=65534 --regid=65534 --clear-groups \
            "$KINSUM" t > out 2> err || status=$?
        [ $status = 1 ] || fail "status $status: $(head -n 5 err)"
    else
        run 1 t
    fi
    says 'kinsum: t/a: Permission denied'
    says 'kinsum: t/closed: Permission denied'
    [ "$(wc -l < err)" = 2 ]
    sha256sum t/b | cmp - out
}

reports_a_dangling_link() {
    mkdir t
    echo a > t/a
    ln -s nowhere t/link
    run 1 t/a t/link
    says 'kinsum: t/link: No such file or directory'
    same_as_sha256sum t/a
    run 0 t
    silent
    run 1 --follow t
    says 'kinsum: t/link: No such file or directory'
    same_as_sha256sum t
}

reports_what_is_not_a_file() {
    mkdir t
    echo a > t/a
    mkfifo t/fifo
    run 1 t
    says 'kinsum: t/fifo: Not a regular file'
    same_as_sha256sum t
    run 1 t/fifo /dev/null
    says 'kinsum: t/fifo: Not a regular file'
    says 'kinsum: /dev/null: Not a regular file'
}

reports_loops_of_links() {
    mkdir -p t/d
    echo a > t/d/a
    ln -s loop t/loop
    ln -s .. t/d/up
    run 0 t
    silent
    same_as_sha256sum t
    run 1 --follow t
    says 'kinsum: t/loop: Too many levels of symbolic links'
    says 'kinsum: t/d/up: Too many levels of symbolic links'
    same_as_sha256sum t
    run 1 t/loop
    says 'kinsum: t/loop: Too many levels of symbolic links'
}

follows_links_when_told() {
    mkdir -p t/d u
    echo a > t/d/a
    echo b > u/b
    ln -s ../u t/u
    ln -s d/a t/a
    ln -s d t/d2
    run 0 t
    same_as_sha256sum t
    run 0 --follow t
    silent
    same_as_sha256sum -L t
    ln -s t link
    run 0 link
    same_as_sha256sum -H link
}

messages_do_not_control_the_terminal() {
    run 1 $'no\e[31m\nsuch'
    says 'kinsum: no?[31m\nsuch: No such file or directory'
}

survives_files_that_vanish() {
    local i churn
    mkdir t
    echo stays > t/stays
    (while :; do
        for i in 1 2 3 4 5 6 7 8; do echo $i > t/$i; done
        rm -f t/[1-8]
    done) &
    churn=$!
    for ((i = 0; i < 30; i++)); do
        status=0
        "$KINSUM" t > out 2> err || status=$?
        [ $status = 0 ] || [ $status = 1 ] || break
        grep -q '  t/stays$' out || break
        [ $status = 0 ] || grep -q 'No such file' err || break
    done
    kill $churn
    wait $churn || true
    [ $i = 30 ] || fail "status $status: $(head -n 2 err)"
}

# ------------------------------------------------------------- being stopped

stop_by() {
    local signal=$1 status=0 pid
    mkdir t
    echo a > t/a
    echo b > t/b
    truncate -s $HUGE t/huge
    env --default-signal=INT "$KINSUM" t > out 2> err &
    pid=$!
    wait_for_reading $pid "$PWD/t/huge"
    kill -"$signal" $pid
    wait $pid || status=$?
    echo $status > status
    whole_lines out
}

ctrl_c_ends_it_with_130() {
    stop_by INT
    [ "$(cat status)" = 130 ] || fail "status $(cat status): $(head -n 5 err)"
    says 'kinsum: interrupted: '
    says ": $(wc -l < out) file"
}

sigterm_ends_it_with_143() {
    stop_by TERM
    [ "$(cat status)" = 143 ] || fail "status $(cat status): $(head -n 5 err)"
    says 'kinsum: terminated: '
}

ctrl_c_ends_waiting_for_stdin() {
    local pid status=0
    mkfifo silent
    exec 8<> silent
    env --default-signal=INT "$KINSUM" - < silent > out 2> err &
    pid=$!
    sleep 0.3
    kill -INT $pid
    wait $pid || status=$?
    [ $status = 130 ] || fail "status $status: $(head -n 5 err)"
    [ ! -s out ]
    says 'interrupted: 0 files, '
}

# A pipe that is full does not keep Main from hearing Ctrl-C.
ctrl_c_ends_waiting_for_a_reader() {
    local i pid status=0
    mkdir t
    for ((i = 0; i < 3000; i++)); do echo $i > t/$i; done
    mkfifo slow
    exec 8<> slow
    env --default-signal=INT "$KINSUM" t > slow 2> err &
    pid=$!
    sleep 1
    kill -INT $pid
    wait $pid || status=$?
    [ $status = 130 ] || fail "status $status: $(head -n 5 err)"
    dd if=slow of=out iflag=nonblock bs=1M count=1 status=none <&8 || true
    [ "$(wc -l < out)" -gt 100 ] || fail "nothing in the pipe"
    whole_lines out
    says ": $(wc -l < out) file"
}

timeout_ends_it_with_124() {
    mkdir t
    echo a > t/a
    truncate -s $HUGE t/huge
    run 124 --timeout 0.3 t
    says 'kinsum: timed out after 0.3 s: '
    whole_lines out
    run 124 --timeout=300ms t
    run 0 --timeout 1m t/a
    silent
}

reports_a_full_disk() {
    local status=0
    [ -c /dev/full ] || skip "needs /dev/full"
    echo a > a
    "$KINSUM" a > /dev/full 2> err || status=$?
    [ $status = 1 ] || fail "status $status: $(head -n 5 err)"
    says 'write error: No space left on device'
}

reports_a_closed_output() {
    local status=0 i
    echo a > a
    "$KINSUM" a >&- 2> err || status=$?
    [ $status = 1 ] || fail "closed: status $status"
    says 'write error: '
    mkdir t
    for ((i = 0; i < 2000; i++)); do echo $i > t/$i; done
    { status=0; "$KINSUM" t 2> err || status=$?; echo $status > status; } | :
    [ "$(cat status)" = 1 ] || fail "broken pipe: status $(cat status)"
    says 'write error: Broken pipe'
}

# ----------------------------------------------------------------- progress

# Runs a command with stderr (and stdin) on a terminal; its text goes to seen.
on_terminal() {
    command -v script > /dev/null || skip "needs script"
    script -qec "$*" /dev/null < /dev/null > seen || fail "status $?"
}

shows_progress_on_a_terminal() {
    truncate -s 600M big
    echo a > a
    on_terminal "'$KINSUM' a big > out"
    grep -qE '[01] of 2 files .* MB/s  [0-9]+ %  [0-9]+:[0-9]{2} left' seen ||
        fail "no progress: $(head -c 300 seen)"
    same_as_sha256sum a big
}

shows_no_progress_when_quiet() {
    truncate -s 300M big
    on_terminal "'$KINSUM' --quiet big > out"
    [ ! -s seen ] || fail "it says: $(head -c 300 seen)"
    same_as_sha256sum big
}

shows_no_progress_off_a_terminal() {
    truncate -s 300M big
    run 0 big
    silent
}

# ------------------------------------------------------------------ options

helps() {
    run 0 --help
    grep -q '^Usage: kinsum' out
    run 0 --version
    grep -q '^kinsum ' out
}

refuses_wrong_usage_with_2() {
    local bad
    for bad in '-j 0' '-j x' '-j 99999' '-j -1' '--timeout 0' '--timeout x' \
               '--timeout -1' '--timeout nan' '--timeout 1y' '--bad' '- -'; do
        run 2 $bad
        [ ! -s out ] || fail "$bad: prints something"
        [ -s err ] || fail "$bad: says nothing"
    done
}

# -------------------------------------------------------------------- all

for name in $(sed -n 's/^\([a-z0-9_]*\)() {$/\1/p' "$0"); do
    case $name in
    check|skip|fail|run|same_as_sha256sum|silent|says) ;;
    wait_for_reading|whole_lines|stop_by|on_terminal) ;;
    *) check "$name" ;;
    esac
done
exit $failed
