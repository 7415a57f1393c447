#!/usr/bin/env python3
"""A simulated week of ticks: what grows, and whether a tick costs the same on the last day as on the first.

    benches/week.py              (after `make build`; LAB_PROBE names another binary, WEEK_DAYS fewer days)

Eighty MCP servers over HTTP and forty services, 200 series of which is learnt what is usual, and two trading environments
whose journals grow by a line each tick. The ticks are not waited for: each has a wall clock 30 seconds later than the one
before (peers/later.c).
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import instant
from common import PROBE, compile_c, measured, need, row, write_part

TICK, DAY = 30, 86_400
DAYS = int(os.environ.get("WEEK_DAYS", "7"))
SERVERS, SERVICES, ENVIRONMENTS = 80, 40, ("paper", "live")
# Ticks that say what watching these series costs.
BESIDE = 40


class Week:
    def __init__(self, work, port):
        self.work, self.state = work, work / "state"
        self.shim = compile_c("peers/later.c", "later.so", "-shared", "-fPIC")
        self.starter = compile_c("measured.c", "measured")
        here = f"http://127.0.0.1:{port}"
        servers = "".join(f'[[mcp.server]]\nname = "s{n}"\nurl = "{here}/mcp"\n' for n in range(SERVERS))
        services = "".join(f'[[service]]\nname = "v{n}"\nurl = "{here}/ready"\n' for n in range(SERVICES))
        trading = "".join(f'[[thunes]]\nenvironment = "{name}"\nroot = "{work}/{name}"\n' for name in ENVIRONMENTS)
        (work / "out").mkdir()
        for name in ENVIRONMENTS:
            (work / name / "logs").mkdir(parents=True)
        self.config, self.unwatched = work / "lab-probe.toml", work / "unwatched.toml"
        text = (
            f'[probe]\nstate_dir = "{self.state}"\n[mcp]\ndiscover = false\n{servers}{services}{trading}'
            f'[output.textfile]\ndirectory = "{work}/out"\n'
        )
        self.config.write_text(text)
        self.unwatched.write_text(text + "[anomaly]\nenabled = false\n")

    def trade(self, number):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime(time.time() + number * TICK))
        for name in ENVIRONMENTS:
            with open(self.work / name / "logs/audit_trail.jsonl", "a") as journal:
                journal.write(json.dumps({"timestamp": moment, "event": "TRADE_APPROVED", "symbol": "BTCUSDT", "side": "BUY"}) + "\n")

    def tick(self, number, config=None):
        """Wall and CPU seconds, and the largest resident set in bytes."""
        self.trade(number)
        env = {"HOME": str(self.work), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        # For the probe alone: the starter would keep it from what it starts.
        later = ["env", f"LD_PRELOAD={self.shim}", f"LATER_SECONDS={number * TICK}"]
        return measured(self.starter, [*later, PROBE, "-q", "--config", str(config or self.config), "--once", "--format", "none"], env)

    def sizes(self):
        size = lambda path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
        return {
            "state.json": size(self.state / "state.json"), "unusual.bin": size(self.state / "unusual.bin"),
            "history": size(self.state / "history"), "textfile": size(self.work / "out/lab-probe.prom"),
            "files": sum(1 for _ in self.state.rglob("*")),
        }

    def day(self, number):
        per_day = DAY // TICK
        ticks = [self.tick(number * per_day + tick) for tick in range(per_day)]
        text = (self.work / "out/lab-probe.prom").read_text()
        up = sum(line.startswith("lab_mcp_server_health{") and line.endswith(" 1") for line in text.splitlines())
        if up != SERVERS:
            sys.exit(f"day {number + 1}: {up} of {SERVERS} servers are up")
        cpu, resident = (statistics.median(column) for column in list(zip(*ticks))[1:])
        found = {"cpu": cpu, "resident": resident, **self.sizes()}
        print(f"day {number + 1}: {cpu * 1000:.2f} ms CPU a tick, {resident / 2**20:.1f} MiB, {found}", flush=True)
        return found


    def beside(self):
        """CPU seconds of a tick, and of one that watches no series; how many are watched. What is learnt is lost where it is off."""
        first = DAYS * DAY // TICK
        watched = re.search(r'^lab_anomaly_series\{.*state="watching"\} (\S+)$', (self.work / "out/lab-probe.prom").read_text(), re.M)
        tick = lambda config, later: statistics.median(self.tick(first + later + number, config)[1] for number in range(BESIDE))
        return tick(self.config, 0), tick(self.unwatched, BESIDE), float(watched[1])


def rows(days, watching, without, watched):
    first, last = days[0], days[-1]
    what = f"a tick of day {len(days)}: {SERVERS} servers, {SERVICES} services, {len(ENVIRONMENTS)} environments"
    yield row(f"{what}: CPU", last["cpu"], first["cpu"], "a tick of day 1", "s", "≤ 1.2")
    yield row("the same: largest resident set", last["resident"], first["resident"], "day 1", "B", "≤ 1.2")
    yield row("the same: CPU", watching, without, "with [anomaly] off", "s", note=f"{watched:,.0f} series are watched")
    for name in ("state.json", "unusual.bin", "textfile"):
        yield row(f"the same: {name}", last[name], days[min(2, len(days) - 1)][name], "day 3, when all is learnt", "B", "≤ 1.2")
    yield row("the same: history, all days", last["history"], last["history"] / len(days), "one day", "B")
    yield row("the same: files in the state directory", last["files"], first["files"], "day 1")


def main():
    need(PROBE, "make build")
    server = instant.serve()
    with tempfile.TemporaryDirectory(prefix="lab-probe-week-") as directory:
        week = Week(Path(directory), server.server_address[1])
        # In no repository: one would be a worktree to look at.
        os.chdir(directory)
        days = [week.day(number) for number in range(DAYS)]
        beside = week.beside()
    write_part("week", list(rows(days, *beside)))
    server.shutdown()


main()
