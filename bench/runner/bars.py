"""What was to be reached, and what was."""

import collections
import statistics

from .results import KIN, paired
from .table import Case

Verdict = collections.namedtuple("Verdict", "bar value reached why")


def compared_in(bars, case):
    """Who is needed to judge the bars of a case: kin, and the peers."""
    names = set()
    for bar in bars:
        if bar.case == case:
            names |= {KIN, bar.against.split(":")[0]}
        words = bar.against.split(":")
        if words[2:] and (words[0], int(words[1])) == case[:2]:
            names.add(KIN)
    return names


def value_of(bar, index):
    """The number that the bar limits, or None and why not."""
    ours = index.get(bar.case, bar.metric, KIN)
    if not ours:
        return None, "kin was not measured"
    if bar.against == "-":
        return ours["median"], None
    words = bar.against.split(":")
    if len(words) == 3:
        theirs = index.get(Case(words[0], int(words[1]), bar.case.threads),
                           words[2], KIN)
        if theirs:
            return ours["median"] / theirs["median"], None
        return None, "%s was not measured" % bar.against
    theirs = index.get(bar.case, words[1] if words[1:] else bar.metric,
                       words[0])
    if not theirs:
        return None, "no %s" % words[0]
    ratios = paired(ours["values"], theirs["values"])
    if not ratios:
        return None, "no round in common with %s" % words[0]
    return statistics.median(ratios), None


def judge(bars, records_index, workloads):
    """A verdict for each bar of a workload that was run."""
    verdicts = []
    for bar in bars:
        if bar.case.workload not in workloads:
            continue
        value, why = value_of(bar, records_index)
        reached = None if value is None else value <= bar.limit
        verdicts.append(Verdict(bar, value, reached, why))
    return verdicts


def in_words(verdict):
    if verdict.reached is None:
        return "not measured: " + verdict.why
    if verdict.reached:
        return "reached"
    if verdict.bar.limit == 0:
        return "not reached"
    return "not reached: %.2f times the bar" % (verdict.value
                                                / verdict.bar.limit)
