#!/usr/bin/env python3
"""A simulated day of worktrees: fifty of 20,000 files each, three of them edited as a coding agent would.

    benches/day.py               (after `make build`; LAB_PROBE names another binary; some 6 GB below TMPDIR)

A tick comes every 30 seconds and is not waited for: each pass gets a later wall clock (peers/later.c), and each edited file
the modification time of that clock. Edits are seen when `lab_worktree_changed_files` has the value they make; the first of
them has waited longest. DAY_TICKS (2,880: a day), DAY_FROM (0: the hour it begins with) and DAY_TREES (50) make it smaller; BENCH_KEEP names
a directory where the worktrees are made once and kept.
"""

import os
import random
import re
import shutil
import sys
import time

from common import PROBE, compile_c, need, row, run, write_part
from trees import STATUS, Trees, workplace

TICK = 30
TICKS = int(os.environ.get("DAY_TICKS", "2880"))
FROM = int(os.environ.get("DAY_FROM", "0")) * 3600
TREES = int(os.environ.get("DAY_TREES", "50"))
# When the three agents are at work, in hours of the day, and how often each edits a file, in seconds.
AGENTS = [((9, 12), 120), ((13, 18), 45), ((0, 24), 3600)]
# A worktree counts as active while the last edit that was seen is at most this old, in seconds: t/60 is then one tick.
ACTIVE = 30 * 60
CHANGED = re.compile(r'^lab_worktree_changed_files\{.*worktree_name="([^"]+)".*\} (\S+)$', re.M)


class Agent:
    """Edits one file after another and commits every tenth time; what it expects to be shown of its worktree."""

    def __init__(self, trees, tree, hours, period):
        self.trees, self.tree, self.hours, self.period = trees, tree, hours, period
        self.chance = random.Random(tree.name)
        self.edited, self.next, self.seen_at, self.waiting = [], 0, None, []
        self.delays = []

    def work(self, now, clock):
        """Does what is due at simulated second `now`, which the wall clock of a pass has as `clock`."""
        first, end = (hour * 3600 for hour in self.hours)
        if now < FROM or not first <= now % 86400 < end or now < self.next:
            return
        self.next = now + self.period
        if len(self.edited) == 10:
            self.trees.git("-C", str(self.tree), "add", "-A")
            self.trees.git("-C", str(self.tree), "commit", "-qm", f"edited at {now}")
            self.edited = []
        else:
            self.edited.append(self.edit(clock))
        self.waiting.append(now)

    def edit(self, clock):
        """A line more in a file that is not edited yet, or a new file: neither touches what git keeps of itself."""
        while True:
            number = self.chance.randrange(240)
            file = self.tree / f"src/area{number % 10}/package{number % 10 * 20}/file{number}.txt"
            if file not in self.edited:
                break
        with file.open("a") as text:
            text.write(f"{clock}\n")
        os.utime(file, (clock, clock))
        return file

    def see(self, now, changed):
        if self.waiting and changed.get(self.tree.name) == len(self.edited):
            active = self.seen_at is not None and self.waiting[0] - self.seen_at <= ACTIVE
            self.delays.append((now - self.waiting[0], active))
            self.seen_at, self.waiting = now, []


def a_day(trees, paths):
    agents = [Agent(trees, tree, *times) for tree, times in zip(paths[1:], AGENTS)]
    shim = compile_c("peers/later.c", "later.so", "-shared", "-fPIC")
    shutil.rmtree(trees.work / "state", ignore_errors=True)
    begun, cpu, worst = time.time(), 0.0, 0.0
    for number in range(TICKS):
        now = FROM + number * TICK
        clock = begun + number * TICK
        for agent in agents:
            # Right after the tick before: the longest that an edit can wait.
            agent.work(now - TICK + 1, clock - TICK + 1)
        env = {**trees.env, "LD_PRELOAD": shim, "LATER_SECONDS": str(int(clock - time.time()))}
        usage = run(trees.command, env)
        if number:
            cpu, worst = cpu + usage.total, max(worst, usage.total)
        text = (trees.work / "out/lab-probe.prom").read_text()
        changed = {name: float(value) for name, value in CHANGED.findall(text)}
        for agent in agents:
            agent.see(now + usage.wall, changed)
    return agents, cpu / (TICKS - 1), worst


def rows(trees):
    paths = trees.grow(TREES)
    trees.settle(paths, dirty=False)
    time.sleep(2)
    one_by_one = lambda: sum(run(["git", "-C", str(path), *STATUS], trees.env).total for path in paths)
    git = min(one_by_one() for _ in range(3))
    agents, mean, worst = a_day(trees, paths)
    delays = [delay for agent in agents for delay in agent.delays]
    active = [seconds for seconds, was_active in delays if was_active]
    idle = [seconds for seconds, was_active in delays if not was_active]
    what = f"{TICKS * TICK // 3600} h of ticks over {TREES} worktrees of 20,000 files, three being edited"
    yield row(f"{what}: CPU of a tick in the mean", mean, git, "git status, one by one", "s", "≤ 0.15")
    yield row("the same: CPU of the costliest tick", worst, git, "git status, one by one", "s")
    for name, seconds, bound in (("active", active, TICK), ("idle", idle, 300)):
        if seconds:
            note = f"{len(seconds)} edits; ticks every {TICK} s"
            yield row(f"longest time until an edit in an {name} worktree was seen", max(seconds), bound, "promised", "s", "≤ 1.1", note)
    yield row("edits that were never seen", sum(len(agent.waiting) for agent in agents))


def main():
    need(PROBE, "make build")
    with workplace() as work:
        trees = Trees(work)
        write_part("day", list(rows(trees)))


if __name__ == "__main__":
    sys.exit(main())
