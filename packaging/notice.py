#!/usr/bin/env python3
"""Prints NOTICE: the licence of every library that is linked into the binary, from the crates themselves."""
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "license*", "third-party/**/LICENSE*")
HEAD = """lab-probe contains the libraries below, each under its own licence. SQLite, which libsqlite3-sys brings along, is in the
public domain. Rust's standard library is under MIT or Apache-2.0.
"""


def linked():
    """Every package that a normal dependency leads to; build and test dependencies are in no binary."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={TARGET}"]
    data = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    found, todo = set(), [data["resolve"]["root"]]
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if normal and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    packages = [package for package in data["packages"] if package["id"] in found]
    macros = [p for p in packages if all(t["kind"] == ["proc-macro"] for t in p["targets"] if "custom-build" not in t["kind"])]
    return sorted((p for p in packages if p not in macros), key=lambda p: (p["name"], p["version"]))


def main():
    texts, without = defaultdict(list), []
    for package in linked():
        directory = Path(package["manifest_path"]).parent
        files = sorted({file for name in NAMES for file in directory.glob(name) if file.is_file()})
        title = f"{package['name']} {package['version']} ({package['license']})"
        # Of a choice with MIT the MIT text is enough.
        mit = [file for file in files if "MIT" in file.name.upper()]
        if mit and "MIT OR" in package["license"].replace("/", " OR ") + " OR":
            files = mit
        for file in files:
            texts[file.read_text(encoding="utf-8", errors="replace").strip()].append(title)
        if not files:
            without.append(title)
    print(HEAD)
    for text, titles in sorted(texts.items(), key=lambda pair: pair[1]):
        print("-" * 80, *dict.fromkeys(titles), "", text, "", sep="\n")
    if without:
        print("-" * 80, "Without a text of their own in the package:", *without, sep="\n")
    print(f"{sum(map(len, texts.values()))} texts, {len(without)} packages without one", file=sys.stderr)


if __name__ == "__main__":
    main()
