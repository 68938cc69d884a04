"""Medians, paired ratios, and the two files that hold a run."""

import datetime
import json
import os
import platform
import statistics

KIN = "kin"


def summary(values):
    return {"median": statistics.median(values), "min": min(values),
            "max": max(values), "rounds": len(values)}


def paired(ours, theirs):
    """Ratios within the rounds that both did: two lists of value or None."""
    return [a / b for a, b in zip(ours, theirs)
            if a is not None and b is not None and b > 0]


def by_round(series, metric):
    return [r.get(metric) if r else None for r in series.rounds]


def ratio(ours, metric, theirs, other):
    ratios = paired(by_round(ours, metric), by_round(theirs, other))
    return statistics.median(ratios) if ratios else None


def of_case(case, all_series):
    """The records of a case, and who could not."""
    records, notes = [], []
    kin = all_series.get(KIN)
    for name, series in all_series.items():
        if not series.runs():
            notes.append({"workload": case.workload, "param": case.param,
                          "threads": case.threads, "impl": name,
                          "cannot": series.cannot, "broken": series.broken})
        for metric, unit in series.units.items() if series.runs() else ():
            record = {"workload": case.workload, "param": case.param,
                      "threads": case.threads, "metric": metric,
                      "impl": name, "unit": unit}
            record.update(summary(series.values(metric)))
            record["values"] = by_round(series, metric)
            if kin and name != KIN and kin.runs():
                record["kin_ratio"] = ratio(kin, metric, series, metric)
            records.append(record)
    return records, notes


def processor():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) / 2**20
    return {"processor": processor(), "architecture": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory, 1),
            "kernel": "%s %s" % (platform.system(),
                                 platform.release().split("-")[0]),
            "load": round(os.getloadavg()[0], 2),
            "date": datetime.date.today().isoformat()}


def key(record):
    return record["workload"], record["param"], record["threads"]


def load(directory):
    with open(os.path.join(directory, "results.json")) as file:
        records = json.load(file)
    with open(os.path.join(directory, "run.json")) as file:
        return records, json.load(file)


def save(directory, records, run, merge):
    """merge: what an earlier run has, and this one did not do, stays."""
    if merge:
        try:
            old_records, old = load(directory)
        except FileNotFoundError:
            old_records, old = [], {"notes": []}
        done = {key(r) for r in records} | {key(n) for n in run["notes"]}
        records = [r for r in old_records if key(r) not in done] + records
        run["notes"] = [n for n in old["notes"] if key(n) not in done] \
            + run["notes"]
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "results.json"), "w") as file:
        json.dump(records, file, indent=1)
    with open(os.path.join(directory, "run.json"), "w") as file:
        json.dump(run, file, indent=1)
    return records, run


class Index:
    """Records by what they are of."""

    def __init__(self, records):
        self.of = {key(r) + (r["metric"], r["impl"]): r for r in records}

    def get(self, case, metric, impl):
        return self.of.get(tuple(case)[:1] + (case.param, case.threads,
                                              metric, impl))

    def cases(self, workload):
        return sorted({k[:3] for k in self.of if k[0] == workload},
                      key=lambda k: (k[2], k[1]))

    def metrics(self, workload):
        seen = []
        for k in self.of:
            if k[0] == workload and k[3] not in seen:
                seen.append(k[3])
        return seen

    def impls(self, workload):
        seen = []
        for k in self.of:
            if k[0] == workload and k[4] not in seen:
                seen.append(k[4])
        return sorted(seen, key=lambda name: name != KIN)
