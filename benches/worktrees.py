#!/usr/bin/env python3
"""A pass over many worktrees of one 20,000-file repository beside git itself.

    benches/worktrees.py [COUNT…]        (default: 5; 200 needs some 20 GB and 4 million inodes)

For each count, clean and then dirty (two edits in place and a new file in each): `git status` one after another and two
at a time; a first pass, without any memory; a pass in which nothing has changed; and one after an edit in each. Best of
three. The floor is benches/floor.c, which looks at every file as two threads would and does nothing else: an edit in place
shows nowhere else. BENCH_KEEP names a directory where the worktrees are made once and kept, because making 200 takes longer than
timing them.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import CORES, PROBE, compile_c, need, row, run, write_part

STATUS = ["--no-optional-locks", "status", "--porcelain=v2", "--branch"]
EDITED = ["src/area1/package25/file1.txt", "src/area3/package65/file9.txt"]
NEW = "src/area5/new.txt"
BUSY = "src/area7/package150/file7.txt"


class Bench:
    def __init__(self, work):
        self.work = work
        self.repository = work / "repository"
        self.env = {**os.environ, "HOME": str(work), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        if not self.repository.exists():
            self.make_repository()
        self.config = work / "lab-probe.toml"
        self.config.write_text(f"""
[probe]
deadline = "10m"
state_dir = "{work}/state"
[mcp]
discover = false
[worktree]
repos = ["{self.repository}"]
timeout = "10m"
[output.textfile]
directory = "{work}/out"
""")
        (work / "out").mkdir(exist_ok=True)

    def git(self, *args):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
        return subprocess.run(["git", *identity, *args], env=self.env, check=True, capture_output=True, text=True).stdout

    def make_repository(self):
        self.git("init", "-q", "-b", "main", str(self.repository))
        for package in range(200):
            directory = self.repository / f"src/area{package // 20}/package{package}"
            directory.mkdir(parents=True)
            for file in range(100):
                (directory / f"file{file}.txt").write_text(f"package {package} file {file}\n" * 20)
        self.git("-C", str(self.repository), "add", "-A")
        self.git("-C", str(self.repository), "commit", "-q", "-m", "files")

    def grow(self, count):
        """Exactly `count` worktrees, their paths: a pass looks at all there are."""
        if (self.work / f"tree{count}").exists():
            sys.exit(f"{self.work} holds more than {count} worktrees already")
        trees = [self.repository, *(self.work / f"tree{number}" for number in range(1, count))]
        for tree in trees:
            if not tree.exists():
                self.git("-C", str(self.repository), "worktree", "add", "-q", str(tree), "-b", tree.name)
        return trees

    def settle(self, trees, dirty):
        for tree in trees:
            self.git("-C", str(tree), "checkout", "-q", ".")
            self.git("-C", str(tree), "clean", "-qfd")
            self.git("-C", str(tree), "status")
            if dirty:
                for name in EDITED:
                    with (tree / name).open("a") as file:
                        file.write("edited\n")
                (tree / NEW).write_text("new\n")

    def a_pass(self):
        return run([PROBE, "-q", "--config", str(self.config), "--once", "--only", "worktree", "--format", "none"], self.env)

    def a_first_pass(self):
        subprocess.run(["rm", "-rf", str(self.work / "state")], check=True)
        return self.a_pass()

    def a_pass_after_edits(self, trees):
        for tree in trees:
            with (tree / BUSY).open("a") as file:
                file.write("edited\n")
        return self.a_pass()

    def measure(self, trees, state):
        each = "\n".join(map(str, trees))
        listing = self.work / "list"
        listing.write_text(each + "\n")
        by_git = ["xargs", "-a", str(listing), "-P{}", "-I{{}}", "git", "-C", "{{}}", *STATUS]
        git = lambda places: run([part.format(places) for part in by_git], self.env)
        alone, parallel = best(lambda: git(1)), best(lambda: git(CORES))
        first = best(self.a_first_pass)
        # One pass learns what differs from the index, one finds nothing too fresh to be trusted.
        subprocess.run(["sleep", "3"], check=True)
        self.a_pass(), self.a_pass()
        unchanged = best(self.a_pass)
        files = self.work / "files"
        files.write_text(self.git("-C", str(self.repository), "ls-files"))
        look = ["xargs", "-a", str(listing), f"-P{CORES}", "-I{}", compile_c("floor.c", "bin/floor", "-static"), str(files), "{}"]
        floor = best(lambda: run(look, self.env))
        edited = best(lambda: self.a_pass_after_edits(trees))
        what, at_once = f"{len(trees)} {state} worktrees", f"git status, {CORES} at a time"
        cpu = lambda usage, peer, whose="git's": f"CPU {usage.total / peer.total:.2f} × {whose}"
        return [
            row(f"{what}: first pass", first.wall, parallel.wall, at_once, "s", "≤ 1", cpu(first, parallel)),
            row(f"{what}: nothing changed", unchanged.wall, alone.wall, "git status, one by one", "s", "≤ 0.2", cpu(unchanged, alone)),
            row(f"{what}: nothing changed", unchanged.wall, parallel.wall, at_once, "s"),
            row(f"{what}: nothing changed", unchanged.wall, floor.wall, f"one fstatat a file, {CORES} at a time", "s", "", cpu(unchanged, floor, "its")),
            row(f"{what}: one fstatat a file, {CORES} at a time", floor.wall, alone.wall, "git status, one by one", "s"),
            row(f"{what}: one file edited in each", edited.wall, parallel.wall, at_once, "s", "", cpu(edited, parallel)),
        ]


def best(measure):
    return min((measure() for _ in range(3)), key=lambda usage: usage.wall)


@contextlib.contextmanager
def workplace():
    if kept := os.environ.get("BENCH_KEEP"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept).resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="lab-probe-bench-") as work:
            yield Path(work)


def main():
    need(PROBE, "make build")
    counts = [int(count) for count in sys.argv[1:]] or [5]
    rows = []
    with workplace() as work:
        bench = Bench(work)
        for count in sorted(counts):
            trees = bench.grow(count)
            subprocess.run(["sleep", "2"], check=True)
            for state in ["clean", "dirty"]:
                bench.settle(trees, state == "dirty")
                rows += bench.measure(trees, state)
        write_part("worktrees", rows)


if __name__ == "__main__":
    main()
