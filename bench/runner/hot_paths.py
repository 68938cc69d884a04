"""Counts what kin's hot paths execute: bench/hot_paths under callgrind, and by
itself, step by step."""

import bisect
import collections
import os
import subprocess
import tempfile

# Of callgrind's: instructions, data reads, data writes.
EVENTS = ("Ir", "Dr", "Dw")

# Functions of the program that is counted, as their names begin.
OURS = ("loop_", "step_", "echo", "bench_", "park_again", "yield_again",
        "hand_over", "answer", "nothing")


def dumps(directory):
    """(path, operations, [counts]) of each dump that callgrind made."""
    found = []
    for name in os.listdir(directory):
        label, totals, events = None, None, []
        with open(os.path.join(directory, name)) as file:
            for line in file:
                if line.startswith("desc: Trigger: Client Request: "):
                    label = line.split(": ", 3)[3].split()
                elif line.startswith("events: "):
                    events = line.split()[1:]
                elif line.startswith("totals: "):
                    totals = dict(zip(events, map(int, line.split()[1:])))
        if label and totals:
            found.append((label[0], int(label[1]),
                          [totals[event] for event in EVENTS]))
    return sorted(found, key=lambda dump: dump[1])


def by_callgrind(program):
    """path -> {instructions, loads, stores} of one operation."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--cache-sim=yes",
             "--callgrind-out-file=%s/out" % directory, program, "callgrind"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise SystemExit("callgrind: "
                             + done.stdout.decode(errors="replace"))
        found = dumps(directory)
    paths = {}
    for path, operations, counts in found:
        paths.setdefault(path, []).append((operations, counts))
    return {path: dict(zip(("instructions", "loads", "stores"),
                           [(b - a) / (two[1][0] - two[0][0])
                            for a, b in zip(two[0][1], two[1][1])]))
            for path, two in paths.items() if len(two) == 2}


def by_steps(program):
    """path -> {what: how often in one operation}."""
    said = subprocess.run([program, "count"], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    return {words[0]: dict(zip(words[1::2], map(float, words[2::2])))
            for words in map(str.split, said.splitlines())}


def compiler_of(program):
    """What built it, as its file says; instructions depend on it."""
    said = subprocess.run(["readelf", "-p", ".comment", program],
                          stdout=subprocess.PIPE, check=True).stdout.decode()
    return "compiler " + next(line.split("]", 1)[1].strip()
                              for line in said.splitlines() if "GCC:" in line)


def symbols(program):
    """(address, name) of the program's functions, in order."""
    said = subprocess.run(["nm", program], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    return sorted((int(words[0], 16), words[2].split(".")[0])
                  for words in map(str.split, said.splitlines())
                  if len(words) == 3 and words[1] in "tT")


def profile(program, path):
    """[(function, instructions of one operation)], the most first."""
    said = subprocess.run([program, "profile", path], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    functions, sums = symbols(program), collections.Counter()
    for line in said.splitlines():
        offset, count = line.split()
        at = bisect.bisect_right(functions, (int(offset, 16), "\xff")) - 1
        name = functions[at][1] if int(offset, 16) else "(libraries)"
        sums[name] += int(count) / 1000
    return sums.most_common()


def table(program):
    """As Markdown: what each path takes, and where most of it is."""
    counted, steps = by_callgrind(program), by_steps(program)
    lines = ["| path | instructions | loads | stores | locked | allocations "
             "| most of them in |", "|---|--:|--:|--:|--:|--:|---|"]
    for path in steps:
        most = ", ".join(["`%s` %.0f" % (name, count)
                          for name, count in profile(program, path)
                          if count >= 1 and not name.startswith(OURS)][:5])
        lines.append("| %s | %.0f | %.0f | %.0f | %g | %g | %s |" % (
            path, *[counted[path][what]
                    for what in ("instructions", "loads", "stores")],
            steps[path]["locked"], steps[path]["allocations"], most))
    return "\n".join(lines)
