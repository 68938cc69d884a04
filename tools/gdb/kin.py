"""kin's jobs and fibers in gdb, on a live process and on a core file.

    (gdb) source tools/gdb/kin.py
    (gdb) kin jobs                  the family tree, as kin_dump() writes it
    (gdb) kin fiber 0x7f10c040 bt   where a fiber is that does not run
    (gdb) kin fiber loader bt       the same by name, if one job only has it

Nothing of the program is run or changed: what is read are the structures that
debug information describes, of kin and of nobody else.  A fiber's frames come
from an unwinder that, while the command runs, has the newest frame of the
selected thread called from where the fiber stopped.

How long a fiber has waited is told up to now for a live process here, up to its
date for a core file; where neither serves (another machine's), up to the last
time that a fiber has parked, "at least".

A core file should be the kernel's: gdb's generate-core-file gives up on a
mapping at the first page that cannot be read, such as a guard of a stack.
"""

import os
import re
import time

import gdb
import gdb.unwinder

# How a suspended context lies in memory: asm/switch_<cpu>.S.
LAYOUTS = {
    "i386:x86-64": {
        "size": 0x18, "sp": "rsp", "pc": ("rip", 0x10),
        "saved": {"rbp": 0x08},
    },
    "aarch64": {
        "size": 0xb0, "sp": "sp", "pc": ("pc", 0x98),
        "saved": {"x%d" % n: 0x40 + 8 * (n - 19) for n in range(19, 31)},
    },
}

BODY_DONE = 16                  # job/job.h: the word of a job
STATE = 7
WAIT_STATE = 7                  # core/wait.c: the wait word
IDLE, UNDECIDED, PARKED, RESUMED, CANCELLED = range(5)
NODE_CHILD = 1                  # job/job.h: enum kin__node_kind
NEVER = (1 << 63) - 1

INCOMPLETE = """a list of jobs is broken off: memory is missing in this core file.
gdb's own generate-core-file leaves out what lies near the guards of stacks; the
kernel does not: let it write the core (`signal SIGABRT`, or kill -ABRT)."""

KINDS = ["launch", "async", "blocking", "scope", "supervisor_scope", "timeout",
         "job", "supervisor", "deferred", "non_cancellable"]
STATES = ["new", "active", "completing", "cancelling", "cancelled",
          "completed"]
PHASES = ["queued", "running", "hop", "ended"]


# --- Reading ---------------------------------------------------------------

def offset_of(type, member):
    """Where that member begins, also one of an anonymous union or structure."""
    for field in type.fields():
        if field.name == member:
            return field.bitpos // 8
        if not field.name:
            inner = offset_of(field.type, member)
            if inner is not None:
                return field.bitpos // 8 + inner
    return None


def container(pointer, type_name, member):
    """The structure of which *pointer is that member."""
    type = gdb.lookup_type(type_name)
    offset = offset_of(type, member)
    if offset is None:
        raise gdb.GdbError("%s has no %s" % (type_name, member))
    return gdb.Value(int(pointer) - offset).cast(type.pointer())


def text(value):
    """A C string, or None for NULL."""
    return value.string(errors="replace") if int(value) else None


def word(address):
    type = gdb.lookup_type("unsigned long").pointer()
    return int(gdb.Value(address).cast(type).dereference())


def follow(pointer):
    """A link of the list of roots, which is inverted with AddressSanitizer."""
    address = int(pointer)
    if address >> 63:
        address = ~address & ((1 << 64) - 1)
    return gdb.Value(address).cast(pointer.type)


def linked(head):
    """The jobs that are children in a list."""
    node = follow(head["next"])
    while int(node) != int(head.address):
        if not int(node):
            raise gdb.GdbError(INCOMPLETE)
        if int(node["kind"]) == NODE_CHILD:
            yield container(node, "struct kin_job", "child")
        node = follow(node["next"])


def roots():
    try:
        shards = gdb.parse_and_eval("kin__roots")
    except gdb.error:
        raise gdb.GdbError("no kin with debug information in this program")
    first, last = shards.type.range()
    for i in range(first, last + 1):
        if int(shards[i]["head"]["next"]):
            yield from linked(shards[i]["head"])


def jobs():
    """All of them, each with its level; parents first.  No recursion."""
    families = [roots()]
    while families:
        job = next(families[-1], None)
        if job is None:
            families.pop()
            continue
        yield len(families) - 1, job
        families.append(linked(job["list"]))


def has_coroutine(job):
    return int(job["kind"]) <= 2


def coroutine_of(job):
    return container(job, "struct kin__coroutine", "job")


def name_of(job):
    """The name it was given, or None."""
    if not has_coroutine(job):
        return None
    context = coroutine_of(job)["scope"]["context"]
    return text(context["name"]) if int(context) else None


# --- The time --------------------------------------------------------------

SECOND = 1000000000
TICK = SECOND // 50             # the clock of the stamps is as late as that


def core_file():
    """The path of the core file that is looked at, or None."""
    said = gdb.execute("info files", to_string=True)
    found = re.search(r"core dump file:\n\s*[`'](.*)', file type", said)
    return found.group(1) if found else None


def newest_stamp():
    stamps = [0]
    for _, job in jobs():
        if has_coroutine(job):
            runnable = coroutine_of(job)["runnable"]
            if int(runnable["wait_word"]) & WAIT_STATE == PARKED:
                stamps.append(int(runnable["wait"]["since"]))
    return max(stamps)


def now_of_inferior():
    """Its kin_now(), and whether it may be later than that."""
    newest, now = newest_stamp(), time.monotonic_ns()
    core = core_file()
    connection = gdb.selected_inferior().connection
    if core is not None:
        now -= time.time_ns() - os.stat(core).st_mtime_ns
    elif connection is None or connection.type != "native":
        now = 0
    if newest <= now + TICK and now <= time.monotonic_ns():
        return now, False
    return newest, True


class Clock:
    """What time it is, found out once a command."""
    now, at_least = 0, False

    @classmethod
    def read(cls):
        cls.now, cls.at_least = now_of_inferior()


def waited_text(since):
    waited = max(0, Clock.now - since)
    said = ", for at least " if Clock.at_least else ", for "
    if waited < SECOND:
        return said + "%d ms" % (waited // 1000000)
    return said + "%d.%d s" % (waited // SECOND, waited % SECOND * 10 // SECOND)


# --- A line ----------------------------------------------------------------

def target_text(wait):
    if not int(wait["target"]):
        return ""
    job = wait["target"].cast(gdb.lookup_type("struct kin_job").pointer())
    name = name_of(job)
    if name is None or text(wait["what"]).startswith("children"):
        return " " + KINDS[int(job["kind"])]
    return ' "%s"' % name


def wait_text(wait):
    said = (text(wait["what"]) or "something") + target_text(wait)
    said += waited_text(int(wait["since"]))
    until = int(wait["until"])
    if until not in (0, NEVER):
        said += ", until %d ms of the clock" % (until // 1000000)
    return said


def doing(coroutine):
    job = coroutine["job"]
    bits = int(job["word"])
    runnable = coroutine["runnable"]
    state = int(runnable["wait_word"]) & WAIT_STATE
    if bits & STATE == 0:
        return "not started"
    if bits & BODY_DONE:
        return "body ended"
    if state == PARKED:
        return wait_text(runnable["wait"])
    if state in (RESUMED, CANCELLED):
        return "woken"
    return PHASES[int(coroutine["job"]["phase"])]


def children_text(job):
    count = int(job["pending"])
    if not count:
        return ""
    return ", %d %s" % (count, "child" if count == 1 else "children")


def line_of(job):
    kind = int(job["kind"])
    line = "%s %s" % (STATES[int(job["word"]) & STATE], KINDS[kind])
    if has_coroutine(job):
        co = coroutine_of(job)
        name, site = name_of(job), text(co["site"])
        line += ' "%s"' % name if name is not None else ""
        if int(co["dispatcher"]):
            line += ' on "%s"' % (text(co["dispatcher"]["name"]) or "?")
        line += " at %s" % site if site else ""
        return "%s, fiber 0x%x%s: %s" % (line, int(co), children_text(job),
                                         doing(co))
    if kind <= 5:
        block = container(job, "struct kin__block_scope", "job")
        line += ", in fiber 0x%x" % int(block["runner"])
    return line + children_text(job)


# --- A fiber ---------------------------------------------------------------

class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class ParkedUnwinder(gdb.unwinder.Unwinder):
    """While `sp` is set: what the thread's newest frame returns to is the
    suspended context at sp."""

    def __init__(self):
        super().__init__("kin")
        self.sp = None

    def begin(self, sp):
        frame = gdb.newest_frame()
        layout = layout_of(frame)
        self.newest = int(frame.read_register(layout["sp"])), frame.pc()
        self.layout = layout
        self.sp = sp
        gdb.invalidate_cached_frames()

    def end(self):
        self.sp = None
        gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if self.sp is None:
            return None
        sp, pc = self.layout["sp"], self.layout["pc"]
        here = [pending.read_register(r) for r in (sp, pc[0])]
        if tuple(int(value) for value in here) != self.newest:
            return None
        # Further in than the fiber's frames, as it must be.
        pointer = here[0].type
        info = pending.create_unwind_info(
            FrameId(gdb.Value(self.sp).cast(pointer), here[1]))
        values = {sp: self.sp + self.layout["size"],
                  pc[0]: word(self.sp + pc[1])}
        for register, offset in self.layout["saved"].items():
            values[register] = word(self.sp + offset)
        for register, value in values.items():
            type = pending.read_register(register).type
            info.add_saved_register(register, gdb.Value(value).cast(type))
        return info


def layout_of(frame):
    try:
        return LAYOUTS[frame.architecture().name()]
    except KeyError:
        raise gdb.GdbError("fibers are not known on %s"
                           % frame.architecture().name())


unwinder = ParkedUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def thread_on(fiber):
    """The thread that runs on the fiber's stack, or None."""
    before, found = gdb.selected_thread(), None
    base, top = int(fiber["stack"]["base"]), int(fiber["stack"]["top"])
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frame = gdb.newest_frame()
        if base <= int(frame.read_register(layout_of(frame)["sp"])) < top:
            found = thread
    before.switch()
    return found


def backtrace(coroutine):
    fiber = coroutine["runnable"]["fiber"]
    if int(coroutine["job"]["word"]) & BODY_DONE:
        raise gdb.GdbError("its body has ended")
    if not int(fiber):
        raise gdb.GdbError("it has not begun, or has never parked: "
                           "see `thread apply all bt`")
    thread = thread_on(fiber)
    if thread is not None:
        raise gdb.GdbError("it runs: see `thread apply %d bt`" % thread.num)
    unwinder.begin(int(fiber["stack"]["sp"]))
    try:
        lines = gdb.execute("bt", to_string=True).splitlines()
    finally:
        unwinder.end()
    # #0 is the thread's.
    start = next((i for i, l in enumerate(lines) if l.startswith("#1 ")), None)
    if start is None:
        print("#1  0x%x" % word(int(fiber["stack"]["sp"]) + LAYOUTS[
            gdb.newest_frame().architecture().name()]["pc"][1]))
    else:
        print("\n".join(lines[start:]))


def find(which):
    found = []
    for _, job in jobs():
        if has_coroutine(job):
            co = coroutine_of(job)
            if which in ("0x%x" % int(co), name_of(job)):
                found.append(co)
    if not found:
        raise gdb.GdbError("no fiber %s: see `kin jobs`" % which)
    if len(found) > 1:
        raise gdb.GdbError("%d fibers are named %s: " % (len(found), which)
                           + ", ".join("0x%x" % int(co) for co in found))
    return found[0]


# --- The commands ----------------------------------------------------------

class Kin(gdb.Command):
    """Jobs and fibers of kin: kin jobs, kin fiber ID bt."""

    def __init__(self):
        super().__init__("kin", gdb.COMMAND_STACK, prefix=True)


class KinJobs(gdb.Command):
    """kin jobs: the family tree; see kin/dump.h for what a line says."""

    def __init__(self):
        super().__init__("kin jobs", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        count = 0
        Clock.read()
        print("kin: live jobs")
        for level, job in jobs():
            count += 1
            indent = "  " * level if level < 40 else "%s(%d) " % (" " * 80,
                                                                  level)
            print(indent + line_of(job))
        print("kin: %d jobs" % count)


class KinFiber(gdb.Command):
    """kin fiber ID [bt]: a fiber, by its address or name, and where it is."""

    def __init__(self):
        super().__init__("kin fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if len(words) not in (1, 2) or words[1:] not in ([], ["bt"]):
            raise gdb.GdbError("kin fiber ID [bt]")
        Clock.read()
        coroutine = find(words[0])
        print(line_of(coroutine["job"].address))
        if words[1:]:
            backtrace(coroutine)


Kin()
KinJobs()
KinFiber()
