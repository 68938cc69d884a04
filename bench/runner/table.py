"""The data files beside the runner: workloads, bars, peers/list."""

import collections

Metric = collections.namedtuple("Metric", "name unit checksum")
Case = collections.namedtuple("Case", "workload param threads")
Bar = collections.namedtuple("Bar", "case metric limit against")


def sleeps(n):
    """The milliseconds of n sleepers, added up: xorshift32 from 1."""
    total, x = 0, 1
    for _ in range(n):
        x ^= x << 13 & 0xffffffff
        x ^= x >> 17
        x ^= x << 5 & 0xffffffff
        total += 1 + x % 1000
    return total


class Workload:
    def __init__(self, name, program):
        self.name, self.program = name, program
        self.one = self.unit = ""
        self.threads, self.params = [1], [0]
        self.quick, self.tiny = [0], [0]
        self.rounds, self.fresh = 0, False
        self.metrics = []

    def set(self, key, words):
        if key in ("one", "unit"):
            setattr(self, key, " ".join(words))
        elif key in ("threads", "params", "quick", "tiny"):
            setattr(self, key, [int(word) for word in words])
        elif key == "rounds":
            self.rounds = int(words[0])
        elif key == "fresh":
            self.fresh = True
        elif key == "metric":
            self.metrics.append(Metric(words[0], words[1], " ".join(words[2:])))
        else:
            raise ValueError("workloads: %s?" % key)

    def cases(self, size):
        return [Case(self.name, param, threads)
                for threads in self.threads
                for param in getattr(self, size)]

    def checksum(self, metric, param):
        return eval(metric.checksum, {"__builtins__": {}},
                    {"n": param, "max": max, "sleeps": sleeps})


def lines(path):
    """(line, is it indented) for all that say something."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = line.split("#")[0].rstrip()
            if text:
                yield text, text[0].isspace()


def read_workloads(path):
    found = collections.OrderedDict()
    workload = key = None
    for text, indented in lines(path):
        words = text.split()
        if indented:
            workload.set(key, (getattr(workload, key) + " " + text).split())
        elif words[0] == "workload":
            workload = found[words[1]] = Workload(words[1], words[2])
        else:
            key = words[0]
            workload.set(key, words[1:])
    return found


def read_bars(path):
    bars = []
    for text, _ in lines(path):
        name, param, threads, metric, limit, against = text.split()
        bars.append(Bar(Case(name, int(param), int(threads)), metric,
                        float(limit), against))
    return bars


def read_peers(path):
    """Name -> what it is; empty without the file."""
    try:
        return collections.OrderedDict(
            (text.split()[0], " ".join(text.split()[1:]))
            for text, _ in lines(path))
    except FileNotFoundError:
        return collections.OrderedDict()
