# orders.awk -- a barrier without its partner is a bug waiting.
#
# Every acquire, release or stronger operation has "pairs with" on its line or
# in the five lines above; and no atomic operation leaves its order unsaid.

FNR == 1 { near = -9 }
/pairs with/ { near = FNR }

function complain(why) {
    print FILENAME ":" FNR ": " why
    bad = 1
}

{
    code = $0
    if (code ~ /^[ \t]*\*/)
        next
    sub(/\/\*.*/, "", code)
    sub(/\/\/.*/, "", code)
}

code ~ /memory_order_(acquire|release|acq_rel|seq_cst|consume)/ ||
code ~ /__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)/ ||
code ~ /(^|[^a-z])(load|store|swap|cas|exchange|fence|fetch_[a-z]+)_(acquire|release|acq_rel|seq_cst)[ ]*\(/ {
    if (FNR - near > 5)
        complain("memory order without \"pairs with\"")
}

code ~ /atomic_(load|store|exchange|compare_exchange_(weak|strong)|fetch_(add|sub|or|and|xor))[ ]*\(/ {
    complain("an atomic operation without its memory order")
}

END { exit bad }
