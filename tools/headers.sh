#!/bin/sh
# headers.sh "PUBLIC" "PRIVATE" -- every header compiles alone.
#
# The public ones as a user sees them: C17 and C++17, gcc and clang, without a
# warning and without our private folders.  A header for the assembler only
# (it has an assembler macro) is left out.
set -u
bad=0
compile() { # compile HEADER COMPILER FLAG...
    header=$1; shift
    printf '#include "%s"\nextern int not_empty;\n' "$header" |
        "$@" -Wall -Wextra -pedantic -Werror -fsyntax-only - || bad=1
}

for h in $1; do
    h=${h#include/}
    compile "$h" gcc -x c -std=c17 -Iinclude
    compile "$h" clang -x c -std=c17 -Iinclude
    compile "$h" g++ -x c++ -std=c++17 -Iinclude
    compile "$h" clang++ -x c++ -std=c++17 -Iinclude
done
for h in $2; do
    ! grep -q '^[ \t]*\.macro' "$h" || continue
    compile "$h" gcc -x c -std=gnu17 -D_GNU_SOURCE -I. -Iinclude
    compile "$h" clang -x c -std=gnu17 -D_GNU_SOURCE -I. -Iinclude
done
exit $bad
