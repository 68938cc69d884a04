# snippets.awk -- the C code of a Markdown page, as one C file.
#
#   ```c file     goes in as it is: declarations, functions
#   ```c body     statements of a body: become a function
#   table cells   what stands in backticks right of the first column: a call or
#                 statements become a function, `.option` and `.option = x` a
#                 kin_launch_options; a lone name is left to who checks names
#
# -v plain=file (or body) says what a fence without a second word is; without
# it such a fence is a mistake.  #line makes the compiler name the page.

function complain(why) {
    print FILENAME ":" FNR ": " why > "/dev/stderr"
    bad = 1
}

function at(line) { print "#line " line " \"" FILENAME "\"" }

function begin(line,    name) {
    name = "snippet_" ++count "(kin_scope *scope, void *arg)"
    print "int " name ";\nint " name "\n{\n(void)scope, (void)arg;"
    at(line)
}

function end() { print "return 0;\n}" }

# Its results are not looked at: a cell shows a call.
function cell(code) {
    if (code ~ /^[A-Za-z_][A-Za-z_0-9]*$/)
        return
    print "#pragma GCC diagnostic push"
    print "#pragma GCC diagnostic ignored \"-Wunused-result\""
    begin(FNR)
    if (code ~ /^\.[a-z_]+$/)
        code = "(void)sizeof ((kin_launch_options *)0)->" substr(code, 2)
    else if (code ~ /^\.[a-z_]+ = /)
        code = "(void)&(kin_launch_options){ " code " }"
    print code ";"
    end()
    print "#pragma GCC diagnostic pop"
}

/^[ \t]*```/ && fence {
    if (fence == "body")
        end()
    fence = ""
    next
}

/^[ \t]*```/ {
    fence = "other"
    sub(/^[ \t]*```[ \t]*/, "")
    words = split($0, word, /[ \t]+/)
    if (words == 0 || word[1] != "c")
        next
    fences++
    fence = words > 1 ? word[2] : plain
    if (fence == "body") {
        begin(FNR + 1)
    } else if (fence == "file") {
        at(FNR + 1)
    } else {
        complain("```c must say what it is: file or body")
        fence = "other"
    }
    next
}

fence == "file" || fence == "body"

!fence && /^\|/ {
    row = $0
    sub(/^\|[^|]*\|/, "", row)
    spans = split(row, span, "`")
    if (spans % 2 == 0)
        complain("a backtick is missing")
    for (i = 2; i <= spans; i += 2)
        cell(span[i])
}

END {
    if (fence)
        complain("the fence is not closed")
    if (!fences)
        complain("there is no C in it")
    exit bad
}
