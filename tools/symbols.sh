#!/bin/sh
# symbols.sh OBJECTS "LAYERS"   -- symbols point downwards, names tell levels
# symbols.sh --exports LIBRARY  -- what a shared library shows, sorted
#
# 1 Linked with the layers below it, a layer leaves nothing of ours undefined:
#   that would be an upward call, which no include had to admit.
# 2 Every name that crosses a file begins with kin_, and what is shown beyond
#   the library and what is not agree with it: kin_x is shown; kin__x is
#   hidden, but for what a macro of a public header needs.
set -eu
: "${NM:=nm}" "${LD:=ld}"

if [ "$1" = --exports ]; then
    "$NM" -D --defined-only "$2" | awk '{ print $NF }' | LC_ALL=C sort
    exit
fi

objects=$1 bad=0 below=
for layer in $2; do
    for o in "$objects/$layer"/*.o; do
        [ ! -e "$o" ] || below="$below $o"
    done
    [ -n "$below" ] || continue
    "$LD" -r $below -o "$objects/upto_$layer.o"
    up=$("$NM" -u "$objects/upto_$layer.o" | awk '$NF ~ /^kin_/ { print $NF }')
    for symbol in $up; do
        echo "$layer calls upwards: $symbol"
        bad=1
    done
done

[ -n "$below" ] || { echo "no objects in $objects"; exit 1; }
readelf -sW $below | awk '
    $5 !~ /GLOBAL|WEAK/ || $7 == "UND" { next }
    $8 !~ /^kin_/ { print "not ours by its name: " $8; bad = 1; next }
    $8 !~ /^kin__/ && $6 == "HIDDEN" {
        print "public by its name, but hidden: " $8 \
              " (#pragma GCC visibility push(default) in its header?)"
        bad = 1
    }
    END { exit bad }' || bad=1
for symbol in $("$0" --exports "$objects/libkin.so"); do
    case $symbol in
    kin__*) grep -rqw "$symbol" include ||
            { echo "private by its name, but shown: $symbol"; bad=1; } ;;
    esac
done
exit $bad
