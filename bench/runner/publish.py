"""Puts a run into docs/PERFORMANCE.md, between its markers.

    <!-- results: machine -->  (or bars, instructions, W3one)
    ...is replaced...
    <!-- end -->
"""

import os
import re
import shutil

from . import charts, report

MARKED = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.S)


def pictures(workload, index, source, target, page):
    """Copies the charts; the lines that show them."""
    lines = []
    for name, _, _, _ in charts.names(workload, index):
        path = os.path.join(source, name)
        if not os.path.exists(path):
            continue
        os.makedirs(target, exist_ok=True)
        shutil.copy(path, os.path.join(target, name))
        where = os.path.relpath(os.path.join(target, name),
                                os.path.dirname(page))
        lines.append("![%s](%s)" % (name[:-len(".svg")], where))
    return "\n".join(lines)


def publish(page, out, index, workloads, run, texts):
    """texts: of the markers that are not workloads."""
    target = os.path.join(os.path.dirname(page), "performance")

    def fill(match):
        head, name, end = match.groups()
        if name in texts:
            text = texts[name]
        elif index.cases(name):
            workload = workloads[name]
            text = report.section(index, workload, run) + "\n\n" + pictures(
                workload, index, os.path.join(out, "charts"), target, page)
        else:
            text = "Not measured."
        return head + "\n" + text.strip() + "\n\n" + end

    with open(page, encoding="utf-8") as file:
        text = file.read()
    missing = [w for w in workloads
               if "<!-- results: %s -->" % w not in text]
    if missing:
        raise SystemExit("%s has no place for %s" % (page, " ".join(missing)))
    with open(page, "w", encoding="utf-8") as file:
        file.write(MARKED.sub(fill, text))
