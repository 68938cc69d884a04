# tidy.awk -- sizes: files <= 500 lines, public headers <= 250, functions <= 70
# lines, lines <= 80 columns, no trailing blanks.
#
#   long_files      files that may be longer
#   long_functions  file:function that may be longer
#
# Both lists only shrink: a name that needs no exception must leave them.

BEGIN {
    n = split(long_files, list, " ")
    for (i = 1; i <= n; i++) file_excused[list[i]] = 1
    n = split(long_functions, list, " ")
    for (i = 1; i <= n; i++) function_excused[list[i]] = 1
}

function complain(where, why) {
    print where ": " why
    bad = 1
}

# Columns, not bytes: the bytes that continue a UTF-8 character do not count.
function columns(line) {
    gsub(/[\200-\277]/, "", line)
    return length(line)
}

# The name in front of the first parenthesis, attributes aside.
function name_of(head) {
    gsub(/__attribute__[ ]*\(\([^;]*\)\)/, " ", head)
    if (!match(head, /[A-Za-z_][A-Za-z0-9_]*[ ]*\(/))
        return ""
    head = substr(head, RSTART, RLENGTH - 1)
    sub(/ +$/, "", head)
    return head
}

function end_file() {
    if (file == "")
        return
    limit = file ~ /^include\// ? 250 : 500
    if (lines > limit && !(file in file_excused))
        complain(file, lines " lines, over " limit)
    if (lines <= limit && file in file_excused)
        complain(file, "no longer too long: take it from LONG_FILES")
    delete file_excused[file]
}

FNR == 1 { end_file(); file = FILENAME; start = 0; head = ""; lines = 0 }
{ lines = FNR }

columns($0) > 80 { complain(FILENAME ":" FNR, "over 80 columns") }
/[ \t\r]$/       { complain(FILENAME ":" FNR, "trailing blank") }

/^[A-Za-z_].*[^;:,]$|^[A-Za-z_].*,$|^[A-Za-z_]$/ { if (!start) head = $0 }
/^[ \t]+[^ \t*\/].*\)[ ]*$/ && !start && head !~ /\)$/ { head = head $0 }
/^\{/ { start = FNR }
/^[A-Za-z_].*\)[ ]*\{$/ && !/^(struct|union|enum|typedef)[^(]*$/ {
    head = $0
    start = FNR
}
/^\}/ {
    if (start) {
        key = FILENAME ":" name_of(head)
        long = FNR - start - 1
        if (long > 70 && !(key in function_excused))
            complain(key, long " lines, over 70")
        if (long <= 70 && key in function_excused)
            complain(key, "no longer too long: take it from LONG_FUNCTIONS")
        delete function_excused[key]
    }
    start = 0
}

END {
    end_file()
    for (name in file_excused) complain(name, "in LONG_FILES, but not there")
    for (name in function_excused)
        complain(name, "in LONG_FUNCTIONS, but not there")
    exit bad
}
