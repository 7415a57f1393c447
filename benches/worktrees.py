#!/usr/bin/env python3
"""A pass over many worktrees of one 20,000-file repository beside git itself.

    benches/worktrees.py [COUNT…]        (default: 5; 200 needs some 20 GB and 4 million inodes)

For each count, clean and then dirty (two edits in place and a new file in each): `git status` one after another and two
at a time; a first pass, without any memory; a pass in which nothing has changed; and one after an edit in each. Best of
three. The floor is benches/floor.c, which looks at every file as two threads would and does nothing else: an edit in place
shows nowhere else. BENCH_KEEP names a directory where the worktrees are made once and kept, because making 200 takes longer than
timing them.
"""

import subprocess
import sys

from common import CORES, PROBE, compile_c, need, row, run, write_part
from trees import STATUS, Trees, workplace


class Bench(Trees):
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
