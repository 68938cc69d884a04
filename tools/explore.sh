#!/bin/bash
# Runs a test program under many seeds, each of which orders what is due at the
# same time in another way (kin/test.h), and names the seeds that fail:
#     tools/explore.sh PROGRAM SEEDS [FIRST]
set -u
program=$1 seeds=$2 first=${3:-1} failed=0
for ((seed = first; seed < first + seeds; seed++)); do
    if ! output=$(KIN_SEED=$seed timeout 120 "$program" 2>&1); then
        failed=$((failed + 1))
        echo "FAIL seed $seed: KIN_SEED=$seed $program"
        grep '^FAIL' <<< "$output" | sed 's/^/    /'
    fi
done
echo "$program: $((seeds - failed)) seeds passed, $failed failed"
[ "$failed" = 0 ]
