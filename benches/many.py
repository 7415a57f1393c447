#!/usr/bin/env python3
"""Fifty real MCP servers at once, the broken ones of a real LAB among them, beside other ways to check them.

    benches/many.py              (after `make build` and `make deps`; LAB_PROBE names another binary)

benches/many.json names them with their versions and what the official SDK clients say of each (`up`). Each is installed in a
folder of its own below target/bench/many/ (MANY_DIR); what is not there after ten minutes (MANY_MINUTES) is left out and said.
The limit is all CPU time of one start of each server that is up, divided by the cores. Nothing is called right that calls a
healthy server down. MANY_TICKS=120 adds an hour of ticks over them (eight minutes): a tick every 30 seconds, on a wall clock
that is 30 seconds later than that of the one before (peers/later.c).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import CORES, OUT, PROBE, ROOT, compile_c, need, row, run, write_part
from fleet import CLAUDE, MCPORTER, ORIGINAL, install_peers

SERVERS = json.loads((ROOT / "benches/many.json").read_text())
DIRECTORY = Path(os.environ.get("MANY_DIR", OUT / "many")).resolve()
MINUTES = float(os.environ.get("MANY_MINUTES", "10"))
WORK = DIRECTORY / "work"
PASSES = 12
TICK, HOUR = 30, 3600
TICKS = int(os.environ.get("MANY_TICKS", "0"))


def folder(name):
    return DIRECTORY / ("npm" if "npm" in SERVERS[name] else "pypi") / name


def command(name):
    return folder(name) / ("node_modules/.bin" if "npm" in SERVERS[name] else "bin") / SERVERS[name]["bin"]


def install(name, until):
    entry, here = SERVERS[name], folder(name)
    here.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1", "PUPPETEER_SKIP_DOWNLOAD": "1"}
    if "npm" in entry:
        (here / "package.json").write_text('{"private": true}\n')
        steps = [["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"{entry['npm']}@{entry['version']}"]]
    else:
        python = shutil.which(entry.get("python", "python3")) or sys.executable
        steps = [[python, "-m", "venv", "."], ["bin/pip", "install", "-q", f"{entry['pypi']}=={entry['version']}"]]
    try:
        for step in steps:
            subprocess.run(step, cwd=here, env=env, check=True, capture_output=True, timeout=max(1, until - time.monotonic()))
    except (subprocess.SubprocessError, OSError):
        shutil.rmtree(here, ignore_errors=True)


def installed():
    until = time.monotonic() + MINUTES * 60
    for name in SERVERS:
        if not command(name).exists() and time.monotonic() < until:
            install(name, until)
    names = [name for name in SERVERS if command(name).exists()]
    if missing := [name for name in SERVERS if name not in names]:
        print(f"not installed and left out: {', '.join(missing)}", file=sys.stderr)
    return names


def listed(names):
    """The servers as a client's list has them."""
    for part in ("files", "work", "arxiv", "shrimp"):
        (WORK / part).mkdir(parents=True, exist_ok=True)
    if not (WORK / "repo").exists():
        git = ["git", "-c", "user.name=lab", "-c", "user.email=lab@localhost"]
        subprocess.run([*git, "init", "-q", str(WORK / "repo")], check=True)
        subprocess.run([*git, "-C", str(WORK / "repo"), "commit", "-q", "--allow-empty", "-m", "empty"], check=True)
    here = lambda text: text.replace("${WORK}", str(WORK))
    entry = lambda name: {
        "type": "stdio",
        "command": str(command(name)),
        "args": [here(argument) for argument in SERVERS[name]["args"]],
        "env": {key: here(value) for key, value in SERVERS[name].get("env", {}).items()},
    }
    return {name: entry(name) for name in names}


class Lab:
    """A home whose Claude Code has these servers, and the same list for the others."""

    def __init__(self, names):
        self.names, self.servers = names, listed(names)
        self.healthy = [name for name in names if SERVERS[name]["up"]]
        self.env = {"HOME": str(WORK), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self.list = WORK / "mcporter.json"
        self.list.write_text(json.dumps({"mcpServers": self.servers, "imports": []}))
        (WORK / ".claude.json").write_text(json.dumps({"mcpServers": self.servers}))
        self.out, self.state = WORK / "out", WORK / "state"
        self.out.mkdir(exist_ok=True)

    def probe(self, name, servers, *arguments):
        """Runs lab-probe with a configuration of these servers only."""
        shutil.rmtree(self.state, ignore_errors=True) if name else None
        config = WORK / "lab-probe.toml"
        config.write_text(f'[probe]\nstate_dir = "{self.state}"\n[mcp]\ndiscover = false\nconfig_files = ["{self.write(servers)}"]\n'
                          f'[output.textfile]\ndirectory = "{self.out}"\n')
        return run([PROBE, "-q", "--config", str(config), "--once", "--format", "none", *arguments], self.env)

    def later(self, tick):
        """The same configuration, remembered results and all, a number of ticks later."""
        env = {**self.env, "LD_PRELOAD": compile_c("peers/later.c", "later.so", "-shared", "-fPIC"), "LATER_SECONDS": str(tick * TICK)}
        return run([PROBE, "-q", "--config", str(WORK / "lab-probe.toml"), "--once", "--format", "none"], env)

    def write(self, servers):
        path = WORK / "servers.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        return path

    def verdicts(self):
        text = (self.out / "lab-probe.prom").read_text()
        return {name: float(value) for name, value in re.findall(r'^lab_mcp_server_health\{.*server_name="([^"]+)"\} (\S+)$', text, re.M)}

    def wrong(self, up):
        """How many healthy servers are not among those that are called up, and how many of the others are."""
        missed = sum(name not in up for name in self.healthy)
        return missed, sum(name in up and not SERVERS[name]["up"] for name in self.names)


def alone(lab):
    """CPU seconds of one start of each healthy server, checked by itself."""
    return sum(lab.probe(name, {name: lab.servers[name]}, "--fresh").total for name in lab.healthy)


def ours(lab):
    """Passes from nothing remembered until every healthy server is up: how many, wall, CPU, false verdicts in any of them."""
    wall = cpu = 0
    false = 0
    for number in range(1, PASSES + 1):
        usage = lab.probe("first" if number == 1 else "", lab.servers)
        wall, cpu, verdicts = wall + usage.wall, cpu + usage.total, lab.verdicts()
        false += sum(verdicts.get(name) == 0 for name in lab.healthy) + sum(verdicts.get(name) == 1 and not SERVERS[name]["up"] for name in lab.names)
        if all(verdicts.get(name) == 1 for name in lab.healthy):
            return number, wall, cpu, false
    sys.exit(f"after {PASSES} passes not up: {[name for name in lab.healthy if verdicts.get(name) != 1]}")


def said(args, lab, up):
    """A peer's wall and CPU seconds, and the names that it calls up by this pattern."""
    output = WORK / "output"
    quoted = " ".join(f"'{argument}'" for argument in map(str, args))
    usage = run(["sh", "-c", f"exec {quoted} >'{output}' 2>&1"], lab.env, expect=None, cwd=WORK)
    return usage, set(re.findall(up, output.read_text(errors="replace"), re.M))


def peers(lab):
    yield "18 threads in Python", *said(["python3", ORIGINAL, lab.list, "18"], lab, r'server_name="([^"]+)"\} 1')
    yield "`claude mcp list`", *said([CLAUDE, "mcp", "list"], lab, r"^(\S+): .* - (?:✓|✔) Connected")
    yield "`mcporter list`", *said([MCPORTER, "--config", lab.list, "list", "--json"], lab, r'"name": "([^"]+)",\s+"status": "ok"')


def hour(lab):
    """Ticks after the passes that have found all healthy servers up: CPU seconds an hour, by whom, and false verdicts."""
    ticks, false, missed = [], 0, 0
    for number in range(1, TICKS + 1):
        ticks.append(lab.later(number))
        verdicts = lab.verdicts()
        false += sum(verdicts.get(name) == 0 for name in lab.healthy) + sum(verdicts.get(name) == 1 and not SERVERS[name]["up"] for name in lab.names)
        missed += sum(verdicts.get(name) != 1 for name in lab.healthy)
    an_hour = HOUR / TICK / TICKS
    total, own = (sum(getattr(usage, part) for usage in ticks) * an_hour for part in ("total", "own"))
    first, last = (sum(usage.total for usage in half) for half in (ticks[: TICKS // 2], ticks[TICKS // 2 :]))
    note = f"the probe itself {own:.1f} s; the second half of {TICKS} ticks {last / first:.2f} times the first; {missed} times a healthy one was not up"
    yield row(f"an hour of ticks over {len(lab.names)} servers, those that are broken included: CPU", total, CORES * HOUR, f"{CORES} cores", "s", "≤ 0.06", note)
    yield row("the same: CPU of the costliest tick", max(usage.total for usage in ticks), TICK, "a core's tick", "s", "≤ 0.333")
    yield row("the same: false verdicts", false)


def rows(lab):
    limit = alone(lab) / CORES
    passes, wall, cpu, false = ours(lab)
    what = f"{len(lab.names)} real servers at once, from nothing remembered until all {len(lab.healthy)} healthy ones are up"
    yield row(f"{what}: wall", wall, limit, f"the limit (CPU of one start each ÷ {CORES} cores)", "s", "≤ 1.2", f"{passes} passes")
    yield row("the same: CPU with the servers", cpu, limit * CORES, "CPU of one start each", "s")
    yield row("the same: false verdicts", false, note="healthy ones called down, others called up")
    if TICKS:
        yield from hour(lab)
    for name, usage, up in peers(lab):
        missed, false = lab.wrong(up)
        note = f"it does not call up {missed} of {len(lab.healthy)} healthy ones, and calls up {false} others"
        yield row("the same: wall", wall, usage.wall, name, "s", "", note)
        yield row("the same: CPU with the servers", cpu, usage.total, name, "s")


def main():
    need(PROBE, "make build")
    need(MCPORTER, "make deps")
    install_peers()
    write_part("many", list(rows(Lab(installed()))))


if __name__ == "__main__":
    main()
