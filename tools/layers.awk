# layers.awk -- includes follow the edges of the architecture.
#
#   layers  the layers, lowest first
#   uses    a>b: a may include b's headers; a layer may always use itself
#   public  layer:noun,noun  which layer implements include/kin/noun.h
#
# Every include of ours names its layer ("core/wait.h") or is public
# ("kin/job.h", which belongs to the layer that implements it).  A header
# x_internal.h never leaves its folder.  Public headers and examples include
# public headers only.

BEGIN {
    count = split(layers, list, " ")
    for (i = 1; i <= count; i++) {
        is_layer[list[i]] = 1
        may[list[i] ">" list[i]] = 1
    }
    count = split(uses, list, " ")
    for (i = 1; i <= count; i++)
        may[list[i]] = 1
    count = split(public, list, " ")
    for (i = 1; i <= count; i++) {
        split(list[i], part, ":")
        nouns = split(part[2], noun, ",")
        for (j = 1; j <= nouns; j++)
            layer_of["kin/" noun[j] ".h"] = part[1]
    }
    for (i = 1; i < ARGC; i++) {
        name = ARGV[i]
        if (sub(/^include\//, "", name) && !(name in layer_of)) {
            print ARGV[i] ": PUBLIC in the Makefile names no layer for " name
            bad = 1
        }
    }
}

function complain(why) {
    print FILENAME ":" FNR ": " why
    bad = 1
}

FNR == 1 {
    is_public = FILENAME ~ /^include\//
    is_example = FILENAME ~ /^examples\//
    from = FILENAME
    sub(/\/.*/, "", from)
    if (is_public) {
        name = substr(FILENAME, length("include/") + 1)
        from = layer_of[name]
    }
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
    split($0, part, /["<>]/)
    target = part[2]
    quoted = $0 ~ /include[ \t]*"/
    folder = target
    sub(/\/.*/, "", folder)
    if (folder == "kin" && target ~ /\//) {
        if (is_example || (is_public && from == ""))
            next
        if (!(target in layer_of))
            complain("PUBLIC in the Makefile names no layer for " target)
        else if (!((from ">" layer_of[target]) in may))
            complain(from " may not use " layer_of[target] ": " target)
    } else if (folder in is_layer && target ~ /\//) {
        if (is_public || is_example)
            complain("a private header: " target)
        else if (!((from ">" folder) in may))
            complain(from " may not use " folder ": " target)
        else if (folder != from && target ~ /_internal\.h$/)
            complain("private to " folder ": " target)
    } else if (quoted && !is_example) {
        complain("an include must name its layer: " target)
    }
}

END { exit bad }
