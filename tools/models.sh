#!/bin/bash
# models.sh WHERE MODEL... -- checks models with spin, and the checks themselves.
#
# A model says in its opening comment how it is to be run (lines "RUN flags";
# none: once, without any) and how it can be broken (lines "BREAK_x  what").
# Each run must go through all states without finding anything; with each of
# the breakages at least one run must find something.  "ok" or "FAIL" for each;
# WHERE gets the generated checkers and what they said.
set -u

# What the model's comment says after ` *   word`.
lines() { sed -n "s/^ \*   \($1.*\)/\1/p; /\*\//q" "$2"; }

# One run; prints how many errors it found, or what went wrong.
verify() {
    local model=$1 at=$2
    shift 2
    rm -rf "$at" && mkdir -p "$at"
    (cd "$at" && spin -a "$@" "$model" > spin.log 2>&1) ||
        { echo "spin refuses it: $(head -n 1 "$at/spin.log")"; return; }
    # Compiling takes longer than running does: without optimisation, the less.
    gcc -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o "$at/pan" "$at/pan.c" ||
        { echo "it does not compile"; return; }
    (cd "$at" && timeout "$MODEL_TIME" ./pan -w22 -m1000000 > pan.log 2>&1) ||
        { echo "no end after $MODEL_TIME s"; return; }
    if grep -qE 'depth too small|ncompleted|MEMLIM' "$at/pan.log" &&
        ! grep -q 'errors: [1-9]' "$at/pan.log"; then
        echo "not all states were seen"
    else
        sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$at/pan.log"
    fi
}

# All the runs of a model, with or without a breakage: the worst of them.
verify_all() {
    local model=$1 at=$2 broken=${3:-} run found n=0
    while read -r run; do
        found=$(verify "$PWD/$model" "$at/$((n += 1))" ${run#RUN} $broken)
        [ "$found" = 0 ] || break
    done < <(lines RUN "$model" | grep . || echo RUN)
    echo "$found"
}

if [ "$1" = --one ]; then
    model=$3 broken=${4:-} name=$3${4:+ with $4}
    found=$(verify_all "$model" "$2/${model//\//-}-${broken:-whole}" \
                       ${broken:+-D$broken})
    case ${broken:+broken}:$found in
    :0 | broken:[1-9]*) echo "ok $name" ;;
    :[1-9]*)  echo "FAIL $name (see $2)" ;;
    broken:0) echo "FAIL $name (nothing is found)" ;;
    *)        echo "FAIL $name ($found)" ;;
    esac
    exit 0
fi

where=$(mkdir -p "$1" && cd "$1" && pwd)
shift
export MODEL_TIME=${MODEL_TIME:-300}
for model; do
    echo "$model"
    lines BREAK_ "$model" | sed "s|^\(BREAK_[A-Z0-9_]*\).*|$model \1|"
done | xargs -P "$(nproc)" -I{} sh -c "exec bash $0 --one $where {}" |
    tee "$where/summary"
! grep -q '^FAIL' "$where/summary" && [ -s "$where/summary" ]
