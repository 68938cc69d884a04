#!/bin/bash
# run.sh KINSUM -- kinsum on this repository and on bigger trees: the same
# output as sha256sum, byte for byte, and the times of both.
#
# sha256sum gets the names of the files, sorted and ready; kinsum finds them.
#
#   ROUNDS=7   how often each is timed; they take turns
set -eu
kinsum=$(realpath "$1")
rounds=${ROUNDS:-7}
export LC_ALL=C
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# 2000 files of 0 to 64 KiB, 64 MiB together.
make_many() {
    local i
    mkdir -p "$scratch"/many/{0..19}
    head -c 65536 /dev/urandom > "$scratch/block"
    for ((i = 0; i < 2000; i++)); do
        { echo $i; head -c $((i * 65536 / 2000)) "$scratch/block"; } \
            > "$scratch/many/$((i % 20))/$i"
    done
}

with_kinsum() { "$kinsum" "$@"; }
with_sha256sum() { xargs -0 -r sha256sum < "$scratch/names"; }

# Milliseconds that a command takes, its output thrown away.
time_of() {
    local begin=$EPOCHREALTIME
    "$@" > /dev/null
    echo "$begin $EPOCHREALTIME" | awk '{ printf "%.2f\n", 1e3 * ($2 - $1) }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare LABEL PATH...
compare() {
    local label=$1 i ours theirs
    shift
    find "$@" -type f -print0 | sort -z > "$scratch/names"
    with_kinsum "$@" > "$scratch/ours"
    with_sha256sum > "$scratch/theirs"
    cmp "$scratch/ours" "$scratch/theirs" ||
        { echo "kinsum and sha256sum disagree about $label"; exit 1; }
    rm -f "$scratch"/time.*
    for ((i = 0; i < rounds; i++)); do
        time_of with_kinsum "$@" >> "$scratch/time.ours"
        time_of with_sha256sum >> "$scratch/time.theirs"
    done
    ours=$(median < "$scratch/time.ours")
    theirs=$(median < "$scratch/time.theirs")
    printf '%-12s %5d files %7.1f MB  %8.2f ms  %8.2f ms  %5.2f times\n' \
        "$label" "$(wc -l < "$scratch/ours")" \
        "$(find "$@" -type f -printf '%s\n' | awk '{ n += $1 / 1e6 }
                                                   END { print n }')" \
        "$ours" "$theirs" "$(echo "$ours $theirs" | awk '{ print $2 / $1 }')"
}

# The working tree, without what git and make keep in it.
mapfile -d '' -t sources < <(find . -mindepth 1 -maxdepth 1 \
                             ! -name .git ! -name build -printf '%f\0')

"$kinsum" "${sources[@]}" > "$scratch/sums"
head -n 5 "$scratch/sums"
echo "... $(wc -l < "$scratch/sums") lines"
echo
echo "The same output as sha256sum's, medians of $rounds runs in turn:"
printf '%-12s %5s %16s  %11s  %11s\n' '' '' '' kinsum sha256sum
compare repository "${sources[@]}"
make_many
compare "small files" "$scratch/many"
head -c 256M /dev/urandom > "$scratch/big"
compare "one big file" "$scratch/big"
