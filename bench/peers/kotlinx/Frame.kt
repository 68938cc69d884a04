// Frame.kt -- the frame of the kotlinx.coroutines program; bench/peers/peer.h
// says the same for C: a workload prepares what outlives a unit, and then does
// a unit each time that next returns.  It warms up for seconds, until the
// compiler of the JVM has done with it.

import java.io.File
import java.lang.management.ManagementFactory
import kotlin.system.exitProcess

enum class Kind {
    WARM,   // repeats the unit, warmed up before
    ONCE,   // one unit to a round
    FRESH   // one unit to a process, not warmed up
}

private const val ROUND_TIMED = 20_000_000L
private const val ROUND_LONG = 200_000_000L
private const val WARM_CPU = 4_000_000_000L
private const val WARM_LONG = 12_000_000_000L
private const val WARM_UPS = 3

private class Metric(val name: String, val unit: String, val checksum: Long) {
    var sum = 0.0
    var operations = 0.0
}

class Frame(val param: Int, val threads: Int, private val kind: Kind) {
    private var ready = false
    private var rounds = 0
    private val started = System.nanoTime()
    private var begin = 0L
    private var timed = 0L
    private val metrics = ArrayList<Metric>()

    private fun metric(name: String, unit: String, checksum: Long): Metric {
        val known = metrics.find { it.name == name }
        if (known == null)
            return Metric(name, unit, checksum).also { metrics.add(it) }
        check(known.checksum == checksum) {
            "$name: checksum $checksum, before ${known.checksum}"
        }
        return known
    }

    /** The unit took so many nanoseconds for so many operations. */
    fun add(name: String, unit: String, took: Long, operations: Int,
            checksum: Long) {
        val one = when (unit) { "s" -> 1e9; "ms" -> 1e6; "us" -> 1e3; else -> 1.0 }
        val m = metric(name, unit, checksum)
        m.sum += took / one
        m.operations += operations.toDouble()
        timed += took
    }

    /** The unit showed this value; a round shows their mean. */
    fun show(name: String, unit: String, value: Double, checksum: Long) {
        val m = metric(name, unit, checksum)
        m.sum += value
        m.operations += 1.0
    }

    private fun print() {
        for (m in metrics)
            println("${m.name} ${m.unit} ${m.sum / m.operations} ${m.checksum}")
        println()
    }

    private fun wantsMore() = kind == Kind.WARM && begin != 0L &&
        timed < ROUND_TIMED && System.nanoTime() - begin < ROUND_LONG

    /** By processor time, as the machine may be busy; where the work is to
     *  sleep, it has the same time on the clock. */
    private fun isWarm(): Boolean {
        val passed = System.nanoTime() - started
        return passed > WARM_LONG ||
            (if (kind == Kind.ONCE) passed else cpu()) > WARM_CPU
    }

    private fun isCold() = kind != Kind.FRESH && !ready &&
        (rounds++ < WARM_UPS || !isWarm())

    /** Waits until a unit is wanted; at the end of the input it exits. */
    fun next() {
        if (wantsMore())
            return
        if (!isCold()) {
            if (ready) print() else println("ready")
            if (kind == Kind.FRESH && ready || readLine() == null)
                Runtime.getRuntime().halt(0)
            ready = true
        }
        begin = System.nanoTime()
        timed = 0
        for (m in metrics) {
            m.sum = 0.0
            m.operations = 0.0
        }
    }
}

fun cannot(why: String): Nothing {
    println("cannot $why")
    exitProcess(3)
}

private val system = ManagementFactory.getOperatingSystemMXBean()
    as com.sun.management.OperatingSystemMXBean

/** Nanoseconds of the processors that this process has used. */
fun cpu(): Long = system.processCpuTime

/** Bytes of this process that are in memory. */
fun resident(): Long =
    File("/proc/self/statm").readLines()[0].split(' ')[1].toLong() * 4096

/** The lengths of sleep, the same for all programs. */
class Sleeps {
    private var x = 1

    fun next(): Int {
        x = x xor (x shl 13)
        x = x xor (x ushr 17)
        x = x xor (x shl 5)
        return 1 + (x.toLong() and 0xffffffffL).rem(1000).toInt()
    }
}

fun compute(nanoseconds: Long) {
    val end = System.nanoTime() + nanoseconds
    while (System.nanoTime() < end)
        ;
}

@Volatile
var touched = 0

/** Uses 512 bytes. */
fun touch() {
    val bytes = ByteArray(512)
    for (i in bytes.indices)
        bytes[i] = i.toByte()
    touched = bytes[511].toInt()
}
