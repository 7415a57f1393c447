#!/usr/bin/env python3
"""Draws series with the band and the anomalies that `lab-probe backtest` finds in them, a small SVG for each.

plot.py [--probe FILE] [--windows FILE] --family F [--out DIRECTORY] FILE…
Windows (JSON: file name to a list of [from, to]) are times that somebody else calls anomalous; they are drawn below.
"""
import argparse
import csv
import io
import json
import math
import subprocess
from datetime import datetime, timezone
from pathlib import Path

WIDTH, HEIGHT, COLUMNS = 720, 120, 360
STYLE = ("text{font:10px sans-serif;fill:#777}.b{fill:#3b7ddd;fill-opacity:.2}.v{fill:none;stroke:#555;stroke-width:1}"
         ".a{fill:#d33;fill-opacity:.35}.w{fill:#e69f00}")


def rows_of(probe, family, path):
    """(seconds, value, lower, upper, anomaly) of each point."""
    command = [probe, "backtest", "--family", family, "--format", "csv", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for row in csv.DictReader(io.StringIO(text)):
        yield (float(row["timestamp"]), float(row["value"]), float(row["expected_lower"]), float(row["expected_upper"]),
               row["anomaly"])


def runs(times, flags, step):
    """The spans in which a flag is set."""
    found = []
    for time, flag in zip(times, flags):
        if flag and found and time - found[-1][1] <= step:
            found[-1][1] = time + step
        elif flag:
            found.append([time, time + step])
    return found


def drawing(title, rows, windows):
    times, values, lower, upper, words = zip(*rows)
    begin, end = times[0], times[-1]
    # Nearly all values fit; a spike, and a band that is wider, are cut off at the edge.
    ordered = sorted(values)
    top = ordered[-1 - len(ordered) // 200] * 1.4 or 1
    low = min(0, ordered[0])

    def x(time):
        return WIDTH * (time - begin) / (end - begin)

    def y(value):
        return HEIGHT * (1 - (min(max(value, low), top) - low) / (top - low))

    def buckets(pick, series):
        size = math.ceil(len(rows) / COLUMNS)
        return [(times[i], pick(series[i:i + size])) for i in range(0, len(rows), size)]

    def points(pairs):
        return " ".join(f"{x(time):.0f},{y(value):.0f}" for time, value in pairs)

    band = points(buckets(max, upper) + buckets(min, lower)[::-1])
    # Each column goes from its least to its largest value.
    line = points([pair for both in zip(buckets(min, values), buckets(max, values)) for pair in both])
    step = 2 * (times[1] - times[0])
    spans = "".join(f'<rect class="a" x="{x(a):.0f}" y="0" width="{max(2, x(b) - x(a)):.0f}" height="{HEIGHT}"/>'
                    for a, b in runs(times, words, step))
    spans += "".join(f'<rect class="w" x="{x(a):.0f}" y="{HEIGHT + 1}" width="{max(2, x(b) - x(a)):.0f}" height="3"/>'
                     for a, b in windows)
    day = "%Y-%m-%d"
    labels = (f'<text x="0" y="{HEIGHT + 15}">{datetime.fromtimestamp(begin, timezone.utc):{day}}</text>'
              f'<text x="{WIDTH}" y="{HEIGHT + 15}" text-anchor="end">{datetime.fromtimestamp(end, timezone.utc):{day}}</text>'
              f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT + 15}" text-anchor="middle">{title}, up to {top:.3g}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 18}"><style>{STYLE}</style>'
            f'<polygon class="b" points="{band}"/><polyline class="v" points="{line}"/>{spans}{labels}</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probe", default="target/release/lab-probe")
    parser.add_argument("--windows", type=Path)
    parser.add_argument("--family", required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images/unusual")
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args()
    windows = json.loads(asked.windows.read_text(encoding="utf-8")) if asked.windows else {}
    for path in asked.files:
        seconds = [[datetime.fromisoformat(time).replace(tzinfo=timezone.utc).timestamp() for time in span]
                   for span in windows.get(path.name, [])]
        rows = list(rows_of(asked.probe, asked.family, path))
        out = asked.out / f"{path.stem}.svg"
        out.write_text(drawing(path.stem, rows, seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
