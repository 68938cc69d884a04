// Contended.kt -- W10, W12 and W14 in kotlinx.coroutines: many wait for one,
// and are cancelled.

import java.util.concurrent.SynchronousQueue
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicLong
import kotlin.concurrent.thread
import kotlin.coroutines.Continuation
import kotlin.coroutines.resume
import kotlinx.coroutines.*

private const val WAITERS = 100
private const val DEFERREDS = 10
private const val DEEP = 10000

private suspend fun AtomicInteger.reaches(n: Int) {
    while (get() < n)
        yield()
}

suspend fun w10resume(f: Frame) {
    while (true) {
        val all = List(DEFERREDS) { CompletableDeferred<Int>() }
        val waiting = AtomicInteger()
        val sum = AtomicLong()
        var begin = 0L

        f.next()
        coroutineScope {
            repeat(WAITERS) {
                launch {
                    for (deferred in all) {
                        waiting.incrementAndGet()
                        sum.addAndGet(deferred.await().toLong())
                    }
                }
            }
            for (i in all.indices) {
                waiting.reaches((i + 1) * WAITERS)
                if (i == 0)
                    begin = System.nanoTime()
                all[i].complete(i + 1)
            }
        }
        f.add("wake", "ns", System.nanoTime() - begin, WAITERS * DEFERREDS,
              sum.get())
    }
}

suspend fun w10launch(f: Frame) {
    val slots = IntArray(100 * 100)
    while (true) {
        f.next()
        val begin = System.nanoTime()
        coroutineScope {
            val scope = this
            repeat(100) {
                launch {
                    for (j in it * 100 until (it + 1) * 100)
                        scope.launch { slots[j] = j }
                }
            }
        }
        var sum = 0L
        for (slot in slots)
            sum += slot
        f.add("launch", "ns", System.nanoTime() - begin, slots.size, sum)
    }
}

/** Waits until it is cancelled, and counts that. */
private suspend fun park(cancelled: AtomicInteger) {
    try {
        suspendCancellableCoroutine<Unit> { }
    } catch (cancellation: CancellationException) {
        cancelled.incrementAndGet()
        throw cancellation
    }
}

suspend fun CoroutineScope.w12(f: Frame) {
    while (true) {
        val waiting = AtomicInteger()
        val cancelled = AtomicInteger()

        f.next()
        val parent = launch {
            repeat(f.param) {
                launch {
                    waiting.incrementAndGet()
                    park(cancelled)
                }
            }
        }
        waiting.reaches(f.param)
        val begin = System.nanoTime()
        parent.cancelAndJoin()
        f.add("child", "ns", System.nanoTime() - begin, f.param,
              cancelled.get().toLong())
    }
}

private fun CoroutineScope.nest(left: Int, waiting: AtomicInteger,
                                cancelled: AtomicInteger): Job = launch {
    if (left > 1)
        nest(left - 1, waiting, cancelled)
    waiting.incrementAndGet()
    park(cancelled)
}

suspend fun CoroutineScope.w12deep(f: Frame) {
    if (f.param > DEEP)
        cannot("a cancellation goes down the tree on the thread's stack")
    while (true) {
        val waiting = AtomicInteger()
        val cancelled = AtomicInteger()

        f.next()
        val first = nest(f.param, waiting, cancelled)
        waiting.reaches(f.param)
        val begin = System.nanoTime()
        first.cancelAndJoin()
        f.add("child", "ns", System.nanoTime() - begin, f.param,
              cancelled.get().toLong())
    }
}

private const val BUSY_ANSWERS = 1000
private const val IDLE_ANSWERS = 50

/** A thread of its own: it is asked to resume many at once, or one after
 *  200 us of silence. */
private class Answerer {
    val waiters = arrayOfNulls<Continuation<Unit>>(BUSY_ANSWERS)
    val asked = SynchronousQueue<Int>()
    @Volatile var begin = 0L

    init {
        thread(isDaemon = true) {
            while (true) {
                val n = asked.take()
                if (n == 1)
                    Thread.sleep(0, 200_000)
                begin = System.nanoTime()
                for (i in 0 until n)
                    waiters[i]!!.resume(Unit)
            }
        }
    }
}

/** Has n coroutines wait to be resumed: nanoseconds from the first resume to
 *  when the last of them runs. */
private suspend fun Answerer.answer(n: Int, sum: AtomicLong): Long {
    val waiting = AtomicInteger()
    val answered = AtomicInteger()
    var end = 0L

    coroutineScope {
        for (i in 0 until n)
            launch {
                suspendCancellableCoroutine<Unit> {
                    waiters[i] = it
                    waiting.incrementAndGet()
                }
                sum.addAndGet(i.toLong())
                if (answered.incrementAndGet() == n)
                    end = System.nanoTime()
            }
        waiting.reaches(n)
        asked.put(n)
    }
    return end - begin
}

suspend fun w14(f: Frame) {
    val answerer = Answerer()
    while (true) {
        val sum = AtomicLong()

        f.next()
        val took = answerer.answer(BUSY_ANSWERS, sum)
        f.add("busy", "ns", took, BUSY_ANSWERS, sum.get())
        val wakes = LongArray(IDLE_ANSWERS) { answerer.answer(1, sum) }
        wakes.sort()
        f.show("idle", "us", wakes[IDLE_ANSWERS / 2] / 1e3,
               IDLE_ANSWERS.toLong())
    }
}
