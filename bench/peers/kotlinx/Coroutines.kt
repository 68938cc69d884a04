// Coroutines.kt -- bench/workloads in kotlinx.coroutines: W2 to W9, MEM, IDLE.

import java.util.concurrent.atomic.AtomicLong
import kotlin.concurrent.thread
import kotlin.coroutines.ContinuationInterceptor
import kotlinx.coroutines.*
import kotlinx.coroutines.channels.*

suspend fun w2(f: Frame) {
    val n = f.param
    val times = if (n < 10000) 100000 / n else 10
    while (true) {
        var begin = 0L
        var end = 0L
        var sum = 0L

        f.next()
        coroutineScope {
            repeat(n) {
                launch {
                    yield()
                    if (begin == 0L)
                        begin = System.nanoTime()
                    for (i in 1 until times)
                        yield()
                    sum += times
                    if (sum == n.toLong() * times)
                        end = System.nanoTime()
                }
            }
        }
        f.add("yield", "ns", end - begin, n * times, sum)
    }
}

suspend fun CoroutineScope.w3one(f: Frame) {
    while (true) {
        f.next()
        val begin = System.nanoTime()
        var sum = 0L
        for (i in 0 until 1000) {
            var slot = 0
            launch { slot = i }.join()
            sum += slot
        }
        f.add("fiber", "ns", System.nanoTime() - begin, 1000, sum)
    }
}

suspend fun w3scope(f: Frame) {
    val slots = IntArray(f.param)
    while (true) {
        f.next()
        val begin = System.nanoTime()
        coroutineScope {
            for (i in slots.indices)
                launch { slots[i] = i }
        }
        var sum = 0L
        for (slot in slots)
            sum += slot
        f.add("fiber", "ns", System.nanoTime() - begin, slots.size, sum)
    }
}

private suspend fun CoroutineScope.sumOfLeaves(first: Int, leaves: Int): Long {
    if (leaves == 1)
        return first.toLong()
    val children = List(10) {
        async { sumOfLeaves(first + it * (leaves / 10), leaves / 10) }
    }
    var sum = 0L
    for (child in children)
        sum += child.await()
    return sum
}

suspend fun CoroutineScope.w4(f: Frame) {
    while (true) {
        f.next()
        val begin = System.nanoTime()
        val sum = async { sumOfLeaves(0, f.param) }.await()
        f.add("tree", "ms", System.nanoTime() - begin, 1, sum)
    }
}

private suspend fun echo(to: Channel<Int>, fro: Channel<Int>) {
    for (value in to)
        fro.send(value + 1)
}

private suspend fun play(f: Frame, to: Channel<Int>, fro: Channel<Int>) {
    while (true) {
        f.next()
        val begin = System.nanoTime()
        var sum = 0L
        for (i in 0 until 1000) {
            to.send(i)
            sum += fro.receive()
        }
        f.add("trip", "ns", System.nanoTime() - begin, 1000, sum)
    }
}

suspend fun CoroutineScope.w5(f: Frame) {
    val to = Channel<Int>()
    val fro = Channel<Int>()
    launch { echo(to, fro) }
    play(f, to, fro)
}

suspend fun w5loops(f: Frame) {
    val to = Channel<Int>()
    val fro = Channel<Int>()
    thread { runBlocking { echo(to, fro) } }
    play(f, to, fro)
}

/** Coroutines have no stacks: what they touch is in the heap. */
suspend fun CoroutineScope.w7(f: Frame) {
    val n = f.param
    val goOn = CompletableDeferred<Unit>()
    var parked = 0
    var ended = 0L

    f.next()
    System.gc()
    val before = resident()
    var begin = System.nanoTime()
    val children = List(n) {
        launch {
            touch()
            parked++
            goOn.await()
            ended++
        }
    }
    while (parked < n)
        yield()
    val created = System.nanoTime() - begin
    val grown = (resident() - before).toDouble()

    begin = System.nanoTime()
    goOn.complete(Unit)
    children.forEach { it.join() }
    f.add("wake", "ns", System.nanoTime() - begin, n, ended)
    f.add("create", "ns", created, n, ended)
    f.show("resident", "bytes", grown / n, ended)
    f.next()
}

suspend fun CoroutineScope.mem(f: Frame) {
    var ran = 0L

    f.next()
    System.gc()
    val before = resident()
    val children = List(f.param) { launch { ran++ } }
    val grown = (resident() - before).toDouble()
    children.forEach { it.join() }
    f.show("resident", "bytes", grown / f.param, ran)
    f.next()
}

suspend fun CoroutineScope.idle(f: Frame) {
    repeat(1000) { launch { }.join() }
    f.next()
    val before = cpu()
    delay(f.param * 1000L)
    f.add("cpu", "s", cpu() - before, 1, f.param.toLong())
    f.next()
}

private suspend fun sleepers(f: Frame, metric: String) {
    val before = cpu()
    val sleeps = Sleeps()
    val slept = AtomicLong()

    coroutineScope {
        repeat(f.param) {
            val ms = sleeps.next().toLong()
            launch {
                delay(ms)
                slept.addAndGet(ms)
            }
        }
    }
    f.add(metric, "s", cpu() - before, 1, slept.get())
}

suspend fun w8sleep(f: Frame) {
    f.next()
    sleepers(f, "first")
    sleepers(f, "warm")
    f.next()
}

suspend fun CoroutineScope.w8cancel(f: Frame) {
    repeat(f.param) { launch { delay(3_600_000) } }
    yield()
    while (true) {
        f.next()
        val begin = System.nanoTime()
        var sum = 0L
        for (i in 0 until 1000)
            withTimeout(10_000) { sum += i }
        f.add("timeout", "ns", System.nanoTime() - begin, 1000, sum)
    }
}

suspend fun CoroutineScope.w8late(f: Frame) {
    if (f.param > 0)
        launch {
            while (true) {
                compute(10_000)
                yield()
            }
        }
    while (true) {
        val late = LongArray(100)

        f.next()
        for (i in late.indices) {
            val begin = System.nanoTime()
            delay(1)
            late[i] = System.nanoTime() - begin - 1_000_000
        }
        late.sort()
        f.show("p50", "us", late[50] / 1e3, 100)
        f.show("p99", "us", late[99] / 1e3, 100)
        f.show("max", "us", late[99] / 1e3, 100)
    }
}

suspend fun CoroutineScope.w9same(f: Frame) {
    w9to(f, coroutineContext[ContinuationInterceptor] as CoroutineDispatcher)
}

suspend fun w9to(f: Frame, there: CoroutineDispatcher) {
    while (true) {
        f.next()
        val begin = System.nanoTime()
        var sum = 0L
        for (i in 0 until 1000)
            withContext(there) { sum += i }
        f.add("trip", "ns", System.nanoTime() - begin, 1000, sum)
    }
}
