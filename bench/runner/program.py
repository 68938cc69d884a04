"""One implementation's process, and the protocol of bench/README.md."""

import os
import select
import subprocess
import tempfile
import time


class Cannot(Exception):
    """It says that it cannot do this; the text is why."""


class Broken(Exception):
    """It did not keep to the protocol."""


def cpus_for(threads):
    return sorted(os.sched_getaffinity(0))[-threads:]


def settle(cpus, nice):
    """In the child, before it becomes the program."""
    os.sched_setaffinity(0, cpus)
    if nice:
        os.nice(nice)
        os.setsid()
        try:                        # the same for the session as a group
            with open("/proc/self/autogroup", "w") as group:
                group.write(str(nice))
        except OSError:
            pass


class Program:
    PATIENCE = 300          # seconds for one answer
    nice = 0                # of all

    def __init__(self, path, case):
        self.buffer = b""
        self.errors = tempfile.TemporaryFile()
        cpus = cpus_for(case.threads)
        self.process = subprocess.Popen(
            [path, case.workload, str(case.param), str(case.threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, bufsize=0,
            preexec_fn=lambda: settle(cpus, self.nice))
        try:
            if self.line() != "ready":
                raise Broken("did not say ready")
        except Exception:
            self.kill()
            raise

    def line(self):
        """The next line it prints."""
        until = time.monotonic() + self.PATIENCE
        out = self.process.stdout
        while b"\n" not in self.buffer:
            if not select.select([out], [], [], until - time.monotonic())[0]:
                raise Broken("said nothing for %d s" % self.PATIENCE)
            said = os.read(out.fileno(), 65536)
            if not said:
                self.ended()
            self.buffer += said
        line, self.buffer = self.buffer.split(b"\n", 1)
        line = line.decode().strip()
        if line.startswith("cannot"):
            raise Cannot(line[len("cannot"):].strip() or "(no reason given)")
        return line

    def ended(self):
        status = self.process.wait(10)
        self.errors.seek(0)
        story = self.errors.read().decode(errors="replace").strip()[-500:]
        how = "signal %d" % -status if status < 0 else "exit %d" % status
        raise Broken("ended (%s) %s" % (how, story))

    def round(self):
        """Does one; {metric: (unit, value, checksum)}."""
        try:
            self.process.stdin.write(b"go\n")
        except BrokenPipeError:
            self.ended()
        metrics = {}
        while True:
            line = self.line()
            if not line:
                return metrics
            words = line.split()
            if len(words) != 4:
                raise Broken("said: " + line)
            metrics[words[0]] = (words[1], float(words[2]), int(words[3]))

    def close(self):
        self.process.stdin.close()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Broken("did not end with its input") from None
        self.process.stdout.close()
        self.errors.close()
        if status != 0:
            raise Broken("exit %d at the end" % status)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()
