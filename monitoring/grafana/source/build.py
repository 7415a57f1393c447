#!/usr/bin/env python3
"""Writes the dashboards from their sources. With --check writes nothing and fails if a file is not what it would be."""

import json
import pathlib
import sys

import lab_probe
import mcp_fleet
import thunes_overview
import trends
import worktrees

TARGET = pathlib.Path(__file__).resolve().parent.parent / "dashboards"
FILES = {
    "thunes-overview.json": thunes_overview.DASHBOARD,
    "mcp-fleet.json": mcp_fleet.DASHBOARD,
    "worktrees.json": worktrees.DASHBOARD,
    "trends.json": trends.DASHBOARD,
    "lab-probe.json": lab_probe.DASHBOARD,
}


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name, content in FILES.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        path = TARGET / name
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    extra = sorted(path.name for path in TARGET.glob("*.json") if path.name not in FILES)
    if stale or extra:
        sys.exit(f"not as generated: {', '.join(stale + extra)}; run monitoring/grafana/source/build.py")


if __name__ == "__main__":
    main()
