#!/usr/bin/env python3
"""What an hour of ticks costs over the fleet of lab.py: the original's way, every server on every tick, and lab-probe.

    benches/hour.py              (after `make build` and `make deps`; LAB_PROBE names another binary)

A tick comes every 30 seconds. The ticks are not waited for: each pass gets a wall clock that is 30 seconds later than
that of the one before (peers/later.c). After a first pass that remembers nothing, HOUR_TICKS ticks (default 40, twenty
minutes, four times the default ttl) are run and counted up to an hour; 120 run all of it.
"""

import json
import os
import subprocess
import sys

from common import PROBE, ROOT, compile_c, middle, need, row, run, write_part
from lab import Lab

TICK, HOUR = 30, 3600
TICKS = int(os.environ.get("HOUR_TICKS", "40"))
ORIGINAL = ROOT / "benches/peers/original.py"
# What hangs costs time, not processor: a short timeout keeps the bench short.
SHORT = "500ms"


def with_short_timeouts(servers):
    """What hangs, by hand, so that it has a timeout of its own; the others come from the client's list."""
    text = ""
    for name in ("stuck", "silent"):
        server = servers[name]
        text += f'[[mcp.server]]\nname = "{name}"\ntimeout = "{SHORT}"\n'
        keys = ("command", "args") if "command" in server else ("url",)
        text += "".join(f"{key} = {json.dumps(server[key])}\n" for key in keys)
    return text


class Hour:
    """Ticks one after another, each on a later clock."""

    def __init__(self, lab):
        self.lab = lab
        self.config = lab.probe_config("hour", with_short_timeouts(lab.servers))
        self.shim = compile_c("peers/later.c", "later.so", "-shared", "-fPIC")
        self.checks, self.starts, self.cpu, self.worst = [], [], 0.0, 0.0
        self.started = {name for name, server in lab.servers.items() if "command" in server}

    def tick(self, number):
        env = {**self.lab.env, "LD_PRELOAD": self.shim, "LATER_SECONDS": str(number * TICK)}
        usage = run([PROBE, "-q", "--config", self.config, "--once", "--format", "none"], env)
        return usage, self.checked()

    def checked(self):
        """The servers whose last check is this pass's."""
        state = json.loads((self.lab.state("hour") / "state.json").read_text())
        known = {name.removeprefix("mcp/"): target["observation"] for name, target in state["targets"].items()}
        seen = {name: observation["checked_at"] for name, observation in known.items() if observation}
        return {name for name, at in seen.items() if at >= state["last_pass"]["started_at"]}

    def go(self):
        self.tick(0)
        for number in range(1, TICKS + 1):
            usage, checked = self.tick(number)
            self.cpu += usage.total
            self.worst = max(self.worst, usage.total)
            self.checks.append(len(checked))
            self.starts.append(len(checked & self.started))


def rows(lab):
    hour = Hour(lab)
    hour.go()
    an_hour = HOUR / TICK
    served = str(lab.work / "mcporter.json")
    original = run(["python3", str(ORIGINAL), served], lab.env).total * an_hour
    every = [run([PROBE, "-q", "--config", hour.config, "--once", "--fresh", "--format", "none"], lab.env) for _ in range(3)]
    every = middle(every, "total") * an_hour
    ours = hour.cpu / TICKS * an_hour
    count = len(lab.servers)
    yield row(f"an hour of ticks over {count} servers: CPU", ours, original, "the original's way", "s", "≤ 0.05", "a server answers 12 checks instead of 120")
    yield row("the same", ours, every, "every server on every tick (--fresh)", "s")
    yield row("most servers started in one tick", max(hour.starts), count, "the fleet", target="≤ 0.25")
    yield row("most servers checked in one tick, those behind URLs and those to be retried included", max(hour.checks), count, "the fleet")
    yield row("CPU of the costliest tick", hour.worst, hour.cpu / TICKS, "the mean tick", "s")


def main():
    need(PROBE, "make build")
    with Lab() as lab:
        write_part("hour", list(rows(lab)))


main()
