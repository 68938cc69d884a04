#!/bin/bash
# android.sh OBJECTS ABI LEVEL -- the library asks Android for nothing it lacks.
#
# Of the objects compiled for Android in OBJECTS: whatever they leave undefined
# is in docs/android-symbols.txt, with a level that is not above LEVEL; nothing
# touches x18, which belongs to the platform; there are no thread-locals, which
# older levels only emulate.
set -u
tools=
[ "$2" = x86_64 ] || tools=aarch64-linux-gnu-
objects=$(find "$1" -name '*.o' | LC_ALL=C sort)
bad=0
[ -n "$objects" ] || { echo "no objects in $1"; exit 1; }

"${tools}nm" -g $objects 2> /dev/null | awk -v level="$3" '
    BEGIN {
        list = "docs/android-symbols.txt"
        while ((getline line < list) > 0) {
            if (line !~ /^[a-z_A-Z]/)
                continue
            fields = split(line, field, " ")
            if (fields < 3 || fields > 4 || field[2] !~ /^[0-9]+$/) {
                print list ": " line
                bad = 1
            }
            since[field[1]] = since[field[fields > 3 ? 4 : 1]] = field[2]
        }
    }
    NF == 3 { defined[$3] = 1 }         # weak ones may be missing
    $1 == "U" { used[$2] = 1 }
    END {
        if (NR == 0) {
            print "nm sees no symbols"
            bad = 1
        }
        for (name in used)
            if (name in defined || name == "_GLOBAL_OFFSET_TABLE_") {
                continue
            } else if (!(name in since)) {
                print name ": not in " list "; does Android have it?"
                bad = 1
            } else if (since[name] > level) {
                print name ": only from level " since[name] " on"
                bad = 1
            }
        exit bad
    }' || bad=1

if "${tools}objdump" -d --no-show-raw-insn $objects 2> /dev/null |
   grep -E '\b[wx]18\b'; then
    echo "x18 is the platform's"
    bad=1
fi
for object in $objects; do
    if "${tools}readelf" -SW "$object" | grep -E ' \.t(bss|data)'; then
        echo "$object: a thread-local"
        bad=1
    fi
done
exit $bad
