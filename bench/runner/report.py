"""A run as Markdown."""

from .bars import in_words
from .results import KIN


def number(value):
    """Three digits, without an exponent; an integer as it is."""
    if value == 0:
        return "0"
    if isinstance(value, int) and abs(value) < 1000:
        return str(value)
    if abs(value) >= 1000:
        return "{:,.0f}".format(value).replace(",", " ")
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else \
        2 if abs(value) >= 1 else 3
    return "%.*f" % (digits, value)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "|" + "|".join("---" if i == 0 else "--:"
                            for i in range(len(head))) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def column(case, cases):
    """What tells a case from the others of its workload."""
    words = []
    if len({c[1] for c in cases}) > 1:
        words.append("n = " + number(case[1]))
    if len({c[2] for c in cases}) > 1:
        words.append("1 thread" if case[2] == 1 else "%d threads" % case[2])
    return ", ".join(words) or "median"


def cell(record):
    if not record:
        return ""
    text = number(record["median"])
    if record.get("kin_ratio") is not None:
        text += " *%s*" % number(record["kin_ratio"])
    return text


def spread(record):
    return "" if not record else "%s – %s" % (number(record["min"]),
                                              number(record["max"]))


def metric_table(index, workload, metric):
    """Rows: who; columns: the cases.  A single case has its spread, too."""
    cases = index.cases(workload)
    rows = []
    unit = ""
    for impl in index.impls(workload):
        records = [index.of.get(c + (metric, impl)) for c in cases]
        if not any(records):
            continue
        unit = next(r["unit"] for r in records if r)
        row = ["**%s**" % impl if impl == KIN else impl]
        row += [cell(r) for r in records]
        if len(cases) == 1:
            row += [spread(records[0]), str(records[0]["rounds"])]
        rows.append(row)
    head = ["%s, %s" % (metric, unit)] + [column(c, cases) for c in cases]
    if len(cases) == 1:
        head += ["min – max", "rounds"]
    return table(head, rows)


def merged(notes, cases):
    """'who cannot: why', with the cases that it is so for, if not for all."""
    grouped = {}
    for note in notes:
        why = "cannot%s: " + note["cannot"].replace("%", "%%") if note["cannot"] else \
            "**failed**%s: " + note["broken"].replace("%", "%%")
        grouped.setdefault((note["impl"], why), []).append(
            (note["workload"], note["param"], note["threads"]))
    for (impl, why), found in grouped.items():
        where = "" if len(found) == len(cases) else \
            " (%s)" % "; ".join(column(case, cases) for case in found)
        yield "- %s %s" % (impl, why % where)


def section(index, workload, run):
    """One workload: a table for each metric, and who could not."""
    parts = [metric_table(index, workload.name, metric)
             for metric in index.metrics(workload.name)]
    notes = list(merged([n for n in run["notes"]
                         if n["workload"] == workload.name],
                        index.cases(workload.name)))
    if notes:
        parts.append("\n".join(notes))
    return "\n\n".join(parts)


def bars_table(verdicts):
    rows = []
    for v in verdicts:
        case = v.bar.case
        rows.append(["%s %s" % (case.workload, v.bar.metric),
                     number(case.param) if case.param else "",
                     str(case.threads),
                     "" if v.bar.against == "-" else v.bar.against,
                     number(v.bar.limit),
                     "" if v.value is None else number(v.value),
                     in_words(v)])
    return table(["work", "n", "threads", "against", "bar", "measured", ""],
                 rows)


def machine_line(run):
    m = run["machine"]
    line = ("%s, %d cores, %.0f GiB, %s (%s), %s; load %.2f at the start; "
            "%d round%s" % (m["processor"], m["cores"], m["memory_gib"],
                           m["kernel"], m["architecture"], m["date"],
                           m["load"], run["rounds"],
                           "" if run["rounds"] == 1 else "s"))
    lines = [line + "."]
    versions = ["%s: %s" % item for item in run["versions"].items()]
    if versions:
        lines.append("Measured: " + "; ".join(versions) + ".")
    if run["skipped"]:
        lines.append("No time for: " + ", ".join(run["skipped"]) + ".")
    if run["absent"]:
        lines.append("Absent: " + ", ".join(run["absent"]) + ".")
    return "\n\n".join(lines)


def whole(index, workloads, run, verdicts):
    parts = ["# Results", machine_line(run),
             "Medians; in italics kin's share of it, the median of the ratios "
             "within the rounds: below 1 kin is faster, or smaller."]
    if verdicts:
        parts += ["## Bars", bars_table(verdicts)]
    for workload in workloads:
        if index.cases(workload.name):
            parts += ["## %s" % workload.name, "One %s." % workload.one,
                      section(index, workload, run)]
    return "\n\n".join(parts) + "\n"
