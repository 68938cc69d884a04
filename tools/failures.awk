# failures.awk -- what failed in a log, in a few lines each.
#
#     awk -v where="tsan job_x_test" -f tools/failures.awk LOG
#
# For each line "FAIL name (why)" one line that begins with `where`, and below it
# how the report of it begins: a C program says it before that line, with the
# first line that looks like an error's; a shell test after it, indented.

BEGIN { FEW = 6 }

function shorten(line) {
    return length(line) > 200 ? substr(line, 1, 197) "..." : line
}

/^ *$/ || /^[-=]+$/ || /^make(\[[0-9]+\])?: / { next }

/^FAIL / {
    print where ": " shorten(substr($0, 6))
    for (i = 0; i < said; i++)
        print "    " before[i]
    said = is_error = after = 0
    is_after = 1
    next
}

is_after && /^    / {
    if (after++ < FEW)
        print shorten($0)
    next
}

{ is_after = 0 }

/^(ok|skip) / { said = is_error = 0; next }

!is_error && /(ERROR|WARNING|[Ee]rror): / { said = 0; is_error = 1 }
said < FEW { before[said++] = shorten($0) }
