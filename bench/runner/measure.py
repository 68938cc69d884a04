"""Runs a case: all implementations in turn, round by round."""

import collections
import time

from .program import Broken, Cannot, Program

# Seconds that an implementation may take for a case that no bar compares it
# in; beyond them it does no more than LEAST rounds, and beyond LONG for each
# of them, no more at all.
ENOUGH, LEAST, LONG = 6, 3, 10


class Series:
    """What one implementation said in one case."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.rounds = []        # of {metric: value}; None where it has stopped
        self.units = {}
        self.cannot = self.broken = None
        self.program, self.taken = None, 0

    def values(self, metric):
        return [r[metric] for r in self.rounds if r and metric in r]

    def runs(self):
        return not (self.cannot or self.broken)


def check(workload, case, answers):
    """The metrics of the table are all there, and their checksums right."""
    for metric in workload.metrics:
        if metric.name not in answers:
            raise Broken("no metric %s" % metric.name)
        unit, _, checksum = answers[metric.name]
        if unit != metric.unit:
            raise Broken("%s in %s, not %s" % (metric.name, unit, metric.unit))
        want = workload.checksum(metric, case.param)
        if checksum != want:
            raise Broken("%s: checksum %d, not %d: not the same work"
                         % (metric.name, checksum, want))


def one_round(workload, case, series):
    start = time.monotonic()
    if not series.program:
        series.program = Program(series.path, case)
    answers = series.program.round()
    check(workload, case, answers)
    if workload.fresh:
        series.program.close()
        series.program = None
    series.rounds.append({name: a[1] for name, a in answers.items()})
    series.units.update({name: a[0] for name, a in answers.items()})
    series.taken += time.monotonic() - start


def attempt(series, action):
    """Does action; what goes wrong is noted and ends the series."""
    try:
        action()
    except Cannot as why:
        series.cannot = str(why)
    except (Broken, OSError, ValueError) as why:
        series.broken = str(why)
        series.rounds = []
    if not series.runs() and series.program:
        series.program.kill()
        series.program = None


def is_slow(series, rounds):
    """Has it done its share, by the rounds before this one?"""
    if rounds >= LEAST:
        return series.taken > ENOUGH
    return rounds > 0 and series.taken > LONG * rounds


def start(case, series):
    begun = time.monotonic()
    series.program = Program(series.path, case)
    series.taken += time.monotonic() - begun


def run_case(workload, case, programs, rounds, compared):
    """programs: name -> path.  Each does its rounds; who begins changes.
    compared: names that do all rounds, however long they take."""
    all_series = collections.OrderedDict(
        (name, Series(name, path)) for name, path in programs.items())
    order = list(all_series.values())

    if not workload.fresh:
        for series in order:
            attempt(series, lambda: start(case, series))
    for number in range(rounds):
        first = number % len(order)
        for series in order[first:] + order[:first]:
            if not series.runs():
                continue
            if series.name not in compared and is_slow(series, number):
                series.rounds.append(None)
                continue
            attempt(series, lambda: one_round(workload, case, series))
    for series in order:
        if series.program:
            attempt(series, series.program.close)
            series.program = None
    return all_series
