#!/usr/bin/env python3
"""Holds the bounds on the size of the program: lines in all, lines of one file, and the one file with unsafe code.

Production lines are all lines of src/**/*.rs but those of unit tests; files and directories named tests, and fuzzing.rs,
are not counted. `--list` also prints the lines of each room.
"""
import re
import sys
from collections import Counter
from pathlib import Path

TOTAL = 35_500
ONE_FILE = 400
UNSAFE_FILES = 1
UNSAFE_LINES = 300

UNIT_TESTS = re.compile(r"^#\[cfg\(test\)\]\s*\n(?:pub(?:\(\w+\))? )?mod \w+ \{.*?^\}\n", re.MULTILINE | re.DOTALL)
UNSAFE = re.compile(r"\bunsafe\b\s*(?:\{|fn\b|impl\b|extern\b|trait\b)")
COMMENT = re.compile(r"//.*")


def production(path):
    """The part of a file that is built into the program."""
    if path.name in ("tests.rs", "fuzzing.rs") or "tests" in path.parts:
        return ""
    text = path.read_text(encoding="utf-8")
    return UNIT_TESTS.sub("", text)


def main():
    root = Path(__file__).resolve().parents[2]
    sources = {path.relative_to(root): production(path) for path in sorted((root / "src").rglob("*.rs"))}
    lines = {path: len(text.splitlines()) for path, text in sources.items()}
    total = sum(lines.values())
    faults = []
    if total > TOTAL:
        faults.append(f"src has {total} production lines; at most {TOTAL} are allowed: remove what a library does")
    for path, count in lines.items():
        if count > ONE_FILE:
            faults.append(f"{path} has {count} production lines; at most {ONE_FILE} are allowed: split it by subject")
    unsafe = [path for path, text in sources.items() if UNSAFE.search(COMMENT.sub("", text))]
    if len(unsafe) > UNSAFE_FILES:
        names = ", ".join(map(str, unsafe))
        faults.append(f"unsafe code is in {len(unsafe)} files ({names}); at most {UNSAFE_FILES} is allowed")
    for path in unsafe:
        if lines[path] >= UNSAFE_LINES:
            faults.append(f"{path} has unsafe code and {lines[path]} production lines; it must have fewer than {UNSAFE_LINES}")
    if "--list" in sys.argv[1:]:
        rooms = Counter()
        for path, count in lines.items():
            rooms[path.parts[1] if len(path.parts) > 2 else "(files)"] += count
        for room, count in rooms.most_common():
            print(f"{count:6} {room}")
        print(f"{total:6} in all")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
