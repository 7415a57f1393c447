#!/usr/bin/env python3
"""A tick in which everything is remembered, beside a static program that writes and renames one file.

    benches/tick.py              (after `make build` and `make deps`; LAB_PROBE names another binary)

Eighteen servers from the user's client list, then five worktrees with them. What the kernel and valgrind count is the
same on a busy machine; wall and CPU are medians of runs in turn.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import PROBE, compile_c, middle, need, row, run, write_part
from lab import Lab

TICKS = int(os.environ.get("TICKS", "41"))
WORKTREES = 5
CACHED = 'ttl = "10h"\nretry_after = "10h"\n'


def repository(work):
    """One with five worktrees, small and settled."""
    here = work / "five"
    git = lambda *args: subprocess.run(["git", "-c", "user.name=b", "-c", "user.email=b@example.invalid", *args], check=True, capture_output=True)
    git("init", "-q", "-b", "main", str(here))
    for number in range(20):
        (here / f"file{number}").write_text("text\n")
    git("-C", str(here), "add", ".")
    git("-C", str(here), "commit", "-qm", "files")
    for number in range(WORKTREES - 1):
        git("-C", str(here), "worktree", "add", "-q", str(work / f"tree{number}"), "-b", f"tree{number}")
    return here


def command(config):
    return [PROBE, "-q", "--config", config, "--once", "--format", "none"]


def in_turn(ways, env, cwd):
    runs = {name: [] for name in ways}
    for _ in range(TICKS):
        for name, args in ways.items():
            runs[name].append(run(args, env, cwd=cwd))
    return runs


def instructions(args, env, cwd):
    with tempfile.TemporaryDirectory() as scratch:
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out"]
        subprocess.run([*tool, *args], env=env, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return int(re.search(r"^(?:summary|totals): (\d+)", Path(f"{scratch}/out").read_text(), re.M).group(1))


class Trace:
    """What a run asks of the kernel."""

    def __init__(self, args, env, cwd):
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["strace", "-f", "-s", "0", "-o", f"{scratch}/out", *args], env=env, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
            lines = Path(f"{scratch}/out").read_text().splitlines()
        calls = [match.groups() for line in lines if (match := re.match(r"\d+ +(\w+)\((.*)", line))]
        self.calls = len(calls)
        self.count = lambda name: sum(call == name for call, _ in calls)
        written = [re.search(r"= (\d+)$", rest) for call, rest in calls if call.startswith(("write", "pwrite"))]
        self.written = sum(int(found.group(1)) for found in written if found)
        self.threads = sum("CLONE_THREAD" in rest for call, rest in calls if call == "clone3")
        self.processes = self.count("fork") + self.count("vfork") + self.count("clone") + self.count("clone3") - self.threads
        self.directories = self.count("getdents64") // 2
        self.syncs = self.count("fsync") + self.count("fdatasync")


def rows(lab):
    hello = compile_c("peers/hello.c", "hello", "-static")
    memory = Path(tempfile.mkdtemp(prefix="lab-probe-bench-", dir="/dev/shm"))
    try:
        yield from tick_rows(lab, hello, memory)
    finally:
        shutil.rmtree(memory, ignore_errors=True)


def tick_rows(lab, hello, memory):
    on_disk = lab.probe_config("disk", CACHED)
    disk, lab.work = lab.work, memory
    in_memory = lab.probe_config("memory", CACHED)
    lab.work = disk
    trees = lab.probe_config("trees", CACHED, repos=[str(repository(lab.work))])
    for config in (on_disk, in_memory, trees):
        for _ in range(3):
            run(command(config), lab.env, cwd=lab.home)
    ways = {
        "disk": command(on_disk), "hello sync": [hello, str(disk), "sync"],
        "memory": command(in_memory), "hello": [hello, str(memory)],
        "trees": command(trees), "version": [PROBE, "--version"], "true": ["/bin/true"],
    }
    runs = in_turn(ways, lab.env, lab.home)
    ours, theirs = Trace(ways["memory"], lab.env, lab.home), Trace(ways["hello"], lab.env, lab.home)
    what, static = "tick, all of 18 servers remembered", "a static hello-world that writes and renames a file"
    synced = f"{static}, synced"
    yield row(f"{what}: wall, on a disk", middle(runs["disk"], "wall"), middle(runs["hello sync"], "wall"), synced, "s", "≤ 3", f"{ours.syncs} files synced")
    yield row(f"{what}: wall, in memory", middle(runs["memory"], "wall"), middle(runs["hello"], "wall"), static, "s", "≤ 3")
    yield row(f"{what}: CPU", middle(runs["memory"], "own"), middle(runs["hello"], "own"), static, "s", "≤ 3")
    yield row("the same: wall", middle(runs["memory"], "wall"), middle(runs["version"], "wall"), "`lab-probe --version`", "s")
    count = lambda args: instructions(args, lab.env, lab.home)
    yield row("the same: instructions (callgrind)", count(ways["memory"]) / 1e6, count(ways["hello"]) / 1e6, static, "million")
    yield row("the same: system calls", ours.calls, theirs.calls, static)
    yield row("the same: bytes written", ours.written, theirs.written, static, "B")
    yield row("the same: page faults", middle(runs["memory"], "faults"), middle(runs["hello"], "faults"), static)
    yield row("the same: processes started", ours.processes, note=f"{ours.threads} threads, {ours.directories} directories read")
    yield row(f"the same with {WORKTREES} unchanged worktrees: CPU", middle(runs["trees"], "own"), middle(runs["memory"], "own"), "without them", "s")


def main():
    need(PROBE, "make build")
    for tool in ("valgrind", "strace", "cc"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: make deps")
    with Lab() as lab:
        write_part("tick", list(rows(lab)))


if __name__ == "__main__":
    main()
