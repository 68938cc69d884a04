"""Charts by gnuplot: bars for each workload, lines for each sweep."""

import os
import shutil
import subprocess

from .report import number
from .results import KIN

HEAD = """set terminal svg size %d,%d font 'sans-serif,13' background '#ffffff'
set output '%s'
set border 3 lc '#888888'
set tics nomirror
set grid ytics lc '#dddddd' lt 1
set title "%s" noenhanced
set ylabel "%s" noenhanced
set logscale y
"""
KIN_COLOUR = "#c62828"
COLOURS = ("#1565c0", "#2e7d32", "#6a1b9a", "#ef6c00", "#00838f", "#5d4037",
           "#ad1457", "#9e9d24", "#37474f", "#4527a0", "#00695c", "#757575")


def gnuplot(script):
    subprocess.run(["gnuplot"], input=script.encode(), check=True)


def title(workload, what):
    one = workload.one
    if len(one) > 70:
        one = one[:one.rfind(" ", 0, 70)] + " ..."
    return "%s  %s%s" % (workload.name, one, what)


def threads_in_words(threads):
    return "1 thread" if threads == 1 else "%d threads" % threads


def positive(record):
    return record and record["median"] > 0


def bar_chart(path, workload, index, case, metric):
    """One case: a bar for each implementation, the least first."""
    bars = [(r["median"], impl, r["unit"]) for impl in
            index.impls(workload.name)
            for r in [index.of.get(case + (metric, impl))] if positive(r)]
    if not bars:
        return False
    bars.sort()
    what = ", n = %d" % case[1] if case[1] else ""
    what += ", " + threads_in_words(case[2])
    low = 10 ** (len("%d" % bars[0][0]) - 2) if bars[0][0] >= 1 else \
        bars[0][0] / 10
    script = HEAD % (640, 340, path, title(workload, what),
                     "%s, %s" % (metric, bars[0][2]))
    script += "set style fill solid noborder\nset boxwidth 0.7\nunset key\n"
    script += "set xrange [-0.6:%g]\nset yrange [%g:%g]\n" % (
        len(bars) - 0.4, low, bars[-1][0] * 3)
    script += "set xtics rotate by -25 noenhanced (%s)\n" % ", ".join(
        "'%s' %d" % (impl, i) for i, (_, impl, _) in enumerate(bars))
    script += "$data << END\n"
    for i, (value, impl, _) in enumerate(bars):
        colour = KIN_COLOUR if impl == KIN else "#90a4ae"
        script += "%d %g %d '%s'\n" % (i, value, int(colour[1:], 16),
                                       number(value))
    script += "END\nplot $data using 1:2:3 with boxes lc rgb variable, " \
              "$data using 1:2:4 with labels offset 0,0.7\n"
    gnuplot(script)
    return True


def line_chart(path, workload, index, threads, metric):
    """A sweep: a line for each implementation."""
    cases = [c for c in index.cases(workload.name) if c[2] == threads]
    lines, unit = [], ""
    for impl in index.impls(workload.name):
        points = [(c[1], index.of.get(c + (metric, impl))) for c in cases]
        points = [(n, r) for n, r in points if n > 0 and positive(r)]
        if points:
            unit = points[0][1]["unit"]
            lines.append((impl, [(n, r["median"]) for n, r in points]))
    if max([len(points) for _, points in lines] or [0]) < 2:
        return False
    script = HEAD % (640, 400, path,
                     title(workload, ", " + threads_in_words(threads)),
                     "%s, %s" % (metric, unit))
    script += "set logscale x\nset format x '10^{%T}'\nset xlabel 'n'\n" \
              "set key outside right noenhanced\n"
    plots = []
    lines = lines[1:] + lines[:1]       # kin's on top
    for i, (impl, points) in enumerate(lines):
        script += "$line%d << END\n%s\nEND\n" % (
            i, "\n".join("%d %g" % point for point in points))
        colour, width = (KIN_COLOUR, 3) if impl == KIN else \
            (COLOURS[i % len(COLOURS)], 1.2)
        plots.append("$line%d using 1:2 with linespoints pt 7 ps 0.5 "
                     "lw %g lc rgb '%s' title '%s'" % (i, width, colour, impl))
    gnuplot(script + "plot " + ", ".join(plots) + "\n")
    return True


def principal(workload, index):
    """The cases of the bar charts: the largest n that QUICK=1 has, too; 0 where
    n tells two kinds apart."""
    cases = index.cases(workload.name)
    wanted = [c for c in cases if c[1] in workload.quick] or cases
    most = max((c[1] for c in wanted), default=0)
    return [c for c in wanted if c[1] == (0 if workload.quick == [0, 1]
                                          else most)]


def names(workload, index):
    """(file, what to draw it with) of each chart that a workload may have."""
    for metric in index.metrics(workload.name):
        if metric not in [m.name for m in workload.metrics]:
            continue
        suffix = "" if len(workload.metrics) == 1 else "-" + metric
        for case in principal(workload, index):
            threads = "" if len(workload.threads) == 1 else "-%d" % case[2]
            yield ("%s%s%s.svg" % (workload.name, suffix, threads),
                   bar_chart, case, metric)
        for threads in workload.threads if len(workload.params) > 2 else ():
            many = "" if len(workload.threads) == 1 else "-%d" % threads
            yield ("%s%s%s-sweep.svg" % (workload.name, suffix, many),
                   line_chart, threads, metric)


def draw(directory, index, workloads):
    if not shutil.which("gnuplot"):
        print("no gnuplot, so no charts: make bench-deps")
        return
    os.makedirs(directory, exist_ok=True)
    for workload in workloads:
        for name, chart, what, metric in names(workload, index):
            path = os.path.join(directory, name)
            if not chart(path, workload, index, what, metric) \
                    and os.path.exists(path):
                os.remove(path)
