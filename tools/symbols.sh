#!/bin/sh
# symbols.sh OBJECTS "LAYERS"   -- symbols point downwards, names tell levels
# symbols.sh --exports LIBRARY  -- what a shared library shows, sorted
#
# 1 Linked with the layers below it, a layer leaves nothing of ours undefined:
#   that would be an upward call, which no include had to admit.
# 2 Every name that crosses a file begins with kin_, and what is shown beyond
#   the library and what is not agree with it: kin_x is shown; kin__x is
#   hidden, but for what a macro of a public header needs.
# 3 What the system may refuse (memory, mappings, threads, descriptors) is
#   asked for in one object, where tests can have it refused.
set -eu
maker=core/memory.o
refusable='free malloc calloc realloc reallocarray aligned_alloc memalign valloc
  posix_memalign strdup strndup asprintf vasprintf getline getdelim
  open_memstream fopen fdopen opendir mmap mmap64 munmap mremap madvise
  posix_madvise mprotect mlock brk sbrk pthread_create thrd_create clone fork
  vfork posix_spawn system popen open open64 openat openat64 creat dup dup2
  dup3 fcntl socket socketpair accept accept4 pipe pipe2 eventfd timerfd_create
  signalfd epoll_create epoll_create1 inotify_init inotify_init1 memfd_create
  shm_open'
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
for o in $below; do
    [ "$o" != "$objects/$maker" ] || continue
    "$NM" -u "$o" 2> /dev/null | awk -v o="${o#"$objects/"}" \
        -v list="$refusable" -v maker="$maker" '
        BEGIN {
            n = split(list, name)
            for (i = 1; i <= n; i++) refusable[name[i]] = 1
        }
        { sub(/@.*/, "", $NF) }
        $NF in refusable {
            print o " asks the system itself, not by " maker ": " $NF
            bad = 1
        }
        END { exit bad }' || bad=1
done
for symbol in $("$0" --exports "$objects/libkin.so"); do
    case $symbol in
    kin__*) grep -rqw "$symbol" include ||
            { echo "private by its name, but shown: $symbol"; bad=1; } ;;
    esac
done
exit $bad
