#!/bin/bash
# Runs a test program under many seeds, each of which orders what is due at the
# same time, and what kin's own steps race with, in another way (kin/test.h):
#     tools/explore.sh PROGRAM SEEDS [FIRST]
# A test that fails is told with its seed: KIN_SEED=n PROGRAM name has it again.
set -u
program=$1 seeds=$2 first=${3:-1} status=0
"$program" --seeds="$first-$((first + seeds - 1))" || status=$?
[ "$status" != 77 ] || echo "$program: none of its tests asks for a seed"
exit "$status"
