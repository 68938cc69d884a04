#!/bin/bash
# The benchmark runner adds up what programs say, compares within rounds, and
# believes no program that did other work; kin's own programs all do theirs;
# and bench-check fails where a path has become longer.
. tests/check.sh

# A program that says one value a round: $1 its name, $2 its checksum, and then
# the values.
program() {
    local name=$1 checksum=$2
    shift 2
    {
        echo '#!/bin/bash'
        echo "[ \"\$1\" != --version ] || { echo '$name 1.0'; exit; }"
        echo "values=($*) round=0; echo ready"
        echo 'while read -r go; do'
        echo "    echo \"time ns \${values[round++]} $checksum\"; echo"
        echo 'done'
    } > "$scratch/$name"
    chmod +x "$scratch/$name"
}

# The data files of a suite with one workload, of kin's program w.
suite() {
    mkdir -p "$scratch/data/peers"
    cat > "$scratch/data/workloads" <<'END'
workload W1 w
one      thing
threads  1
params   5
quick    5
tiny     5
metric   time ns n * (n - 1) // 2
END
    : > "$scratch/data/bars"
    printf '%s  a peer\n' "$@" > "$scratch/data/peers/list"
}

run_suite() {
    bench/run --kin "$scratch" --peers "$scratch" --out "$scratch/out" \
        --data "$scratch/data" --rounds 3 "$@" > "$scratch/said" 2>&1
}

# The field of the record of an implementation.
field() {
    python3 -c 'import json, sys
for r in json.load(open(sys.argv[1])):
    if r["impl"] == sys.argv[2] and r["metric"] == "time":
        print(r[sys.argv[3]])' "$scratch/out/results.json" "$1" "$2"
}

a_value_is_the_median_with_its_extremes() {
    suite
    program w 10 30 10 11
    run_suite
    [ "$(field kin median)" = 11.0 ]
    [ "$(field kin min)" = 10.0 ]
    [ "$(field kin max)" = 30.0 ]
    [ "$(field kin rounds)" = 3 ]
    [ "$(field kin unit)" = ns ]
    [ "$(field kin param)" = 5 ]
}

# Medians 11 and 20 would make 0.55; within the rounds it is 2, 0.5, 0.5.
a_ratio_is_the_median_of_those_within_the_rounds() {
    suite peer
    program w 10 40 10 11
    program peer 10 20 20 22
    run_suite
    [ "$(field peer kin_ratio)" = 0.5 ]
    grep -q '| peer | 20.0 \*0.500\* | 20.0 – 22.0 | 3 |' \
        "$scratch/out/results.md"
}

who_is_absent_or_cannot_is_named() {
    suite gone lame
    program w 10 1 1 1
    printf '#!/bin/sh\necho cannot walk on one leg\nexit 3\n' \
        > "$scratch/lame"
    chmod +x "$scratch/lame"
    run_suite
    grep -q '^absent: gone$' "$scratch/said"
    grep -q '^Absent: gone\.$' "$scratch/out/results.md"
    grep -q '^- lame cannot: walk on one leg$' \
        "$scratch/out/results.md"
}

other_work_is_an_error() {
    suite peer
    program w 10 1 1 1
    program peer 11 1 1 1
    ! run_suite || return 1
    grep -q 'FAILED: peer W1 5: time: checksum 11, not 10' "$scratch/said"
    [ -z "$(field peer median)" ]
    [ "$(field kin median)" = 1.0 ]
}

a_program_that_dies_is_an_error() {
    suite peer
    program w 10 1 1 1
    program peer 10 1 1 1
    sed -i 's/^while.*/read go; echo "out of luck" >\&2; exit 7; while :; do/' \
        "$scratch/peer"
    ! run_suite || return 1
    grep -q 'FAILED: peer W1 5: ended (exit 7) out of luck' "$scratch/said"
}

a_metric_that_is_missing_is_an_error() {
    suite
    program w 10 1 1 1
    sed -i 's/time ns/tide ns/' "$scratch/w"
    ! run_suite || return 1
    grep -q 'FAILED: kin W1 5: no metric time' "$scratch/said"
}

bars_are_reached_or_not_or_not_measured() {
    suite peer gone
    program w 10 10 10 10
    program peer 10 40 40 40
    cat > "$scratch/data/bars" <<'END'
W1 5 1 time 0.25 peer
W1 5 1 time 0.20 peer:time
W1 5 1 time 1.0  W1:5:time
W1 5 1 time 5    -
W1 5 1 time 0.5  gone
END
    run_suite
    grep -q ' peer  *bar 0.25  *0.250 reached$' "$scratch/said"
    grep -q ' peer:time  *bar 0.2  *0.250 not reached: 1.25 times the bar$' \
        "$scratch/said"
    grep -q ' W1:5:time  *bar 1  *1.00 reached$' "$scratch/said"
    grep -q ' -  *bar 5  *10.0 not reached: 2.00 times the bar$' \
        "$scratch/said"
    grep -q ' gone  *bar 0.5  *not measured: no gone$' "$scratch/said"
    grep -q '^bars: 2 reached, 2 not reached, 1 not measured$' \
        "$scratch/said"
}

# Three rounds of two, each with the turn of who is first.
the_implementations_take_turns() {
    suite peer
    program w 10 1 1 1
    program peer 10 1 1 1
    for name in w peer; do
        sed -i "s|^while.*|&\n    echo $name >> $scratch/order|" \
            "$scratch/$name"
    done
    run_suite
    [ "$(tr '\n' ' ' < "$scratch/order")" = "w peer peer w w peer " ]
}

results_go_between_the_markers_of_a_page() {
    suite
    program w 10 1 2 3
    run_suite
    printf '# P\n<!-- results: %s -->\nold\n<!-- end -->\n' machine bars W1 \
        > "$scratch/page.md"
    run_suite --publish "$scratch/page.md"
    ! grep -q '^old$' "$scratch/page.md" || return 1
    grep -q '^| \*\*kin\*\* | 2.00 | 1.00 – 3.00 | 3 |$' "$scratch/page.md"
    grep -q "cores, .*, $(date +%Y)-" "$scratch/page.md"
    [ "$(grep -c '<!-- end -->' "$scratch/page.md")" = 3 ]
}

# Checksums and all; the figures of such small work mean nothing.
every_workload_of_kin_does_its_work() {
    make -s $SAME bench-kin
    bench/run --kin "$O/bench" --out "$scratch/out" --tiny --only "" \
        > "$scratch/said" 2>&1 || { cat "$scratch/said"; return 1; }
    for name in $(sed -n 's/^workload \([^ ]*\).*/\1/p' bench/workloads); do
        grep -q "^$name .* kin [0-9]" "$scratch/said"
    done
}

the_page_has_a_place_for_every_workload() {
    for name in machine bars \
                $(sed -n 's/^workload \([^ ]*\).*/\1/p' bench/workloads); do
        grep -q "^<!-- results: $name -->$" docs/PERFORMANCE.md
    done
}

# A budget with one path too short, one too long, one that locks less, and one
# that is missing.
a_path_above_its_budget_fails_the_check() {
    [ "$(uname -m)" = x86_64 ] || skip "x86-64 only"
    make -s $SAME "$O/bench/hot_paths"
    bench/check "$O/bench/hot_paths" "$scratch/budget" --write \
        > "$scratch/said"
    awk '$1 == "switch" { $2 *= 0.9 } $1 == "park" { $2 *= 1.1 }
         $1 == "resume" { $3 = -1 } $1 != "timeout"' \
        "$scratch/budget" > "$scratch/planted"
    ! bench/check "$O/bench/hot_paths" "$scratch/planted" \
        > "$scratch/said" || return 1
    grep -q '^FAIL switch: .*, +11.1 % against' "$scratch/said"
    grep -q '^FAIL park: .*, -9.1 % against' "$scratch/said"
    grep -q '^FAIL resume: .* locked, not -1' "$scratch/said"
    grep -q '^FAIL timeout: is not in the budget' "$scratch/said"
    [ "$(grep -c '^FAIL' "$scratch/said")" = 4 ]
}

run a_value_is_the_median_with_its_extremes
run a_ratio_is_the_median_of_those_within_the_rounds
run who_is_absent_or_cannot_is_named
run other_work_is_an_error
run a_program_that_dies_is_an_error
run a_metric_that_is_missing_is_an_error
run bars_are_reached_or_not_or_not_measured
run the_implementations_take_turns
run results_go_between_the_markers_of_a_page
run every_workload_of_kin_does_its_work
run the_page_has_a_place_for_every_workload
run a_path_above_its_budget_fails_the_check
finish
