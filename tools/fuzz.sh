#!/bin/bash
# fuzz.sh SECONDS WHERE PROGRAM... -- runs fuzz targets side by side, so long.
#
# A target begins with its corpus in tests/corpus/<name> and puts what it finds
# new into WHERE/<name>, a crashing input too; KEEP=1 adds to the corpus what
# reaches code that it does not reach.  FUZZ_SEED=n draws the same programs each
# time; 0: others.  "ok" or "FAIL" for each.
set -u
time=$1 where=$2
shift 2

# one PROGRAM
one() {
    local name corpus
    name=$(basename "$1" _fuzz)
    corpus=tests/corpus/$name
    mkdir -p "$where/$name/corpus" "$corpus"
    if ! "$1" -max_total_time="$time" -max_len=1024 -timeout=20 \
        -rss_limit_mb=4096 -seed="${FUZZ_SEED:-0}" -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$where/$name/" "$where/$name/corpus" "$corpus" \
        > "$where/$name/log" 2>&1; then
        tail -n 60 "$where/$name/log"
        echo "FAIL $name ($where/$name/log)"
        return 1
    fi
    echo "ok $name: $(sed -n 's/stat::number_of_executed_units: *//p' \
        "$where/$name/log") programs, $time s"
    [ -z "${KEEP:-}" ] ||
        "$1" -merge=1 -use_counters=0 -max_len=256 \
            "$corpus" "$where/$name/corpus" > "$where/$name/merge.log" 2>&1
}

pids=() status=0
for program; do
    one "$program" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || status=1
done
exit $status
