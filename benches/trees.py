"""Many worktrees of one repository of 20,000 files, for worktrees.py and day.py, and lab-probe's configuration over them."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import PROBE, run

STATUS = ["--no-optional-locks", "status", "--porcelain=v2", "--branch"]
EDITED = ["src/area1/package25/file1.txt", "src/area3/package65/file9.txt"]
NEW = "src/area5/new.txt"
BUSY = "src/area7/package150/file7.txt"


class Trees:
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
        self.command = [PROBE, "-q", "--config", str(self.config), "--once", "--only", "worktree", "--format", "none"]

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
        return run(self.command, self.env)

    def a_first_pass(self):
        subprocess.run(["rm", "-rf", str(self.work / "state")], check=True)
        return self.a_pass()

    def a_pass_after_edits(self, trees):
        for tree in trees:
            with (tree / BUSY).open("a") as file:
                file.write("edited\n")
        return self.a_pass()


@contextlib.contextmanager
def workplace():
    if kept := os.environ.get("BENCH_KEEP"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept).resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="lab-probe-bench-") as work:
            yield Path(work)
