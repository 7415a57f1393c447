#!/usr/bin/env python3
"""Joins what the parts of `make bench` have measured (target/bench/NAME.json) into one table of ratios.

    benches/table.py             print it, write it to target/bench/table.md, and say what moved since the page's table
    benches/table.py --publish    also put it between the <!-- bench --> marks of docs/costs.md

A part writes {"rows": [{"what", "ours", "peer", "peer_name", "unit", "ratio", "target", "met", "note"}]}: `ratio` is
ours ÷ peer, `target` a bound on it ("≤ 1.1", "≥ 2") or empty, `met` true, false or null; `peer` and `ratio` may be null.
benches/common.py has `row` and `write_part`. BENCH_OUT and BENCH_PAGE name other places.
"""

import datetime
import json
import os
import platform
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(os.environ.get("BENCH_OUT", ROOT / "target/bench"))
PAGE = Path(os.environ.get("BENCH_PAGE", ROOT / "docs/costs.md"))
# In this order; what a later part adds comes after.
PARTS = ["fleet", "many", "tick", "hour", "scale", "http", "worktrees", "day", "week", "ingest", "start", "hosts"]
# Below this a figure moves by itself on a shared machine.
MOVED = 0.1
SCALES = {"s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")], "B": [(1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")]}


def figure(value, unit):
    """Three digits and a fitting prefix."""
    if value is None:
        return ""
    for factor, name in SCALES.get(unit, []):
        if value >= factor:
            return f"{three(value / factor)} {name}"
    return f"{three(value)} {unit}".strip()


def three(value):
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def parts():
    def place(path):
        return (PARTS.index(path.stem) if path.stem in PARTS else len(PARTS), path.stem)

    for path in sorted(OUT.glob("*.json"), key=place):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and "rows" in document:
            yield path, document["rows"]


def line(row):
    peer = figure(row["peer"], row["unit"])
    peer = f"{row['peer_name']}: {peer}" if peer else row["peer_name"]
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    ratio = "" if row["ratio"] is None else three(row["ratio"])
    what = f"{row['what']} ({row['note']})" if row.get("note") else row["what"]
    cells = [what, figure(row["ours"], row["unit"]), peer, ratio, row["target"] or "", met]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def machine():
    model = "a processor"
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        model = found.group(1).strip() if found else platform.machine()
    except OSError:
        pass
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Linux {platform.release().split('-')[0]}"


def beside():
    """Times taken on a busy machine are worth less: the table says so."""
    load = os.getloadavg()[2]
    return f", beside other work (load average {load:.0f})" if load > 2 * len(os.sched_getaffinity(0)) else ""


def table():
    found = list(parts())
    if not found:
        sys.exit("nothing is measured yet: make bench")
    newest = max(path.stat().st_mtime for path, _ in found)
    day = datetime.date.fromtimestamp(newest).isoformat()
    lines = [f"Measured on {day} on {machine()}{beside()}; medians.", ""]
    lines += ["| what | lab-probe | beside | ratio | target | met |", "|---|--:|:--|--:|:--|:--|"]
    lines += [line(row) for _, rows in found for row in rows]
    return "\n".join(lines) + "\n"


BLOCK = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.S)


def into_page(text):
    page = PAGE.read_text()
    if not BLOCK.search(page):
        sys.exit("docs/costs.md has no <!-- bench --> marks")
    PAGE.write_text(BLOCK.sub(lambda marks: marks.group(1) + text + marks.group(2), page))


def figures(text):
    """What a table compares: of each row the ratio, or its own figure where nothing stands beside it."""
    found = {}
    for cells in (line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")):
        if (value := cells[3].strip() or cells[1].strip())[:1].isdigit():
            number, _, unit = value.partition(" ")
            name = re.sub(r" \(.*\)$", "", cells[0])
            found[name, cells[2].partition(": ")[0], unit] = float(number.replace(",", ""))
    return found


def moved(before, now):
    """A sentence for each figure that is in both tables and differs by more than a tenth."""
    for key in sorted(before.keys() & now.keys()):
        old, new = before[key], now[key]
        if abs(new - old) > MOVED * abs(old):
            what, peer, unit = key
            beside = f" ÷ {peer}" if peer else ""
            yield f"moved: {what}{beside}: {three(old)} → {three(new)} {unit}".rstrip()


def main():
    text = table()
    (OUT / "table.md").write_text(text)
    print(text, end="")
    last = BLOCK.search(PAGE.read_text())
    for sentence in moved(figures(last.group(0)), figures(text)) if last else ():
        print(sentence)
    if "--publish" in sys.argv[1:]:
        into_page(text)


main()
