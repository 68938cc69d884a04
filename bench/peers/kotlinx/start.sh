#!/bin/sh
# start.sh -- becomes build/bench/peers/kotlinx; tells Dispatchers.Default how
# many threads it has.  A cancellation goes down the tree on the stack of the
# thread, and where that overflows a program hangs: a deep tree needs a big one.
jars=/usr/share/java
coroutines=$(readlink -f $jars/kotlinx-coroutines-core.jar)
version=${coroutines##*-}
stack=
[ "${1-}" != W12deep ] || stack=-Xss900m

exec java $stack -Dkotlinx.coroutines.scheduler.core.pool.size="${3:-1}" \
    -Dpeer.version="${version%.jar}" \
    -cp "${0%/*}/kotlinx.jar:$jars/kotlin-stdlib.jar:$jars/atomicfu.jar:$coroutines" \
    MainKt "$@"
