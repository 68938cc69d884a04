// Main.kt -- kotlinx.coroutines: runBlocking's event loop where the workload
// has one thread, else Dispatchers.Default with so many (which the script that
// starts the JVM has told it).

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

typealias Body = suspend CoroutineScope.(Frame) -> Unit

private class Workload(val kind: Kind, val onDefault: Boolean?, val body: Body)

private fun warm(body: Body) = Workload(Kind.WARM, null, body)
private fun once(body: Body) = Workload(Kind.ONCE, null, body)
private fun fresh(body: Body) = Workload(Kind.FRESH, null, body)

/** On the event loop, however many threads there are besides. */
private fun onLoop(body: Body) = Workload(Kind.WARM, false, body)

private fun workload(name: String) = when (name) {
    "W2" -> warm { w2(it) }
    "W3one" -> warm { w3one(it) }
    "W3scope" -> warm { w3scope(it) }
    "W4" -> warm { w4(it) }
    "W5one", "W5pool" -> warm { w5(it) }
    "W5loops" -> onLoop { w5loops(it) }
    "W7" -> fresh { w7(it) }
    "W8sleep" -> fresh { w8sleep(it) }
    "W8cancel" -> warm { w8cancel(it) }
    "W8late" -> once { w8late(it) }
    "W9same" -> onLoop { w9same(it) }
    "W9io" -> warm { w9to(it, Dispatchers.IO) }
    "W9block" -> onLoop { w9to(it, Dispatchers.Default) }
    "W10resume" -> warm { w10resume(it) }
    "W10launch" -> warm { w10launch(it) }
    "W12" -> warm { w12(it) }
    "W12deep" -> warm { w12deep(it) }
    "W14main" -> onLoop { w14(it) }
    "W14default" -> warm { w14(it) }
    "MEM" -> fresh { mem(it) }
    "IDLE" -> fresh { idle(it) }
    "W1" -> cannot("its coroutines are state machines: they switch no stacks")
    "W8timer" -> cannot("a delay is a coroutine's; it has no bare timers")
    "W9view" -> cannot("this version has no limited views")
    else -> cannot("Main needs a user interface: Android, JavaFX or Swing")
}

fun main(args: Array<String>) {
    if (args.size == 1 && args[0] == "--version") {
        println("kotlinx.coroutines ${System.getProperty("peer.version")}, " +
                "Kotlin ${KotlinVersion.CURRENT}, " +
                "JVM ${System.getProperty("java.version")}")
        return
    }
    if (args.size != 3) {
        System.err.println("usage: kotlinx WORKLOAD PARAM THREADS")
        System.exit(2)
    }
    val work = workload(args[0])
    val body = work.body
    val f = Frame(args[1].toInt(), args[2].toInt(), work.kind)

    runBlocking {
        if (work.onDefault ?: (f.threads > 1))
            withContext(Dispatchers.Default) { body(f) }
        else
            body(f)
    }
}
