#!/usr/bin/env python3
"""A full pass over the fleet of lab.py beside other ways to check it, and beside what no way can beat.

    benches/fleet.py             (after `make build` and `make deps`; LAB_PROBE names another binary)

The limit is the larger of two: the slowest answer of a server alone, or the timeout of one that never answers; and all
CPU time of the servers checked alone, divided by the cores. CPU of the probe itself is its own process and its supervisors.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from common import CORES, OUT, PROBE, ROOT, middle, need, row, run, write_part
from lab import HANGING, TIMEOUT, Lab

ROUNDS = int(os.environ.get("ROUNDS", "2"))
PEERS = OUT / "peers/npm"
CLAUDE = PEERS / "node_modules/.bin/claude"
MCPORTER = ROOT / "target/clients/node_modules/.bin/mcporter"
ORIGINAL = ROOT / "benches/peers/original.py"


def install_peers():
    pins = ROOT / "benches/peers/package.json"
    if CLAUDE.exists() and (PEERS / "package.json").read_bytes() == pins.read_bytes():
        return
    shutil.rmtree(PEERS, ignore_errors=True)
    PEERS.mkdir(parents=True)
    packages = [f"{name}@{version}" for name, version in json.loads(pins.read_text())["dependencies"].items()]
    quiet = ["--silent", "--no-audit", "--no-fund", "--no-package-lock", "--no-save"]
    subprocess.run(["npm", "install", *quiet, "--prefix", str(PEERS), *packages], check=True)
    # Last, so that an install that broke off is begun anew.
    shutil.copy(pins, PEERS)


def measured(args, lab, config_name):
    """A pass, with what is the servers' taken from what it remembers of each: the rest is the probe and its supervisors."""
    usage = run(args, lab.env)
    state = json.loads((lab.state(config_name) / "state.json").read_text())
    seen = [target["observation"] for target in state["targets"].values() if target["observation"]]
    used = [observation["facts"].get("cpu") for observation in seen]
    usage.children = sum(cpu for cpu in used if cpu)
    usage.own = usage.total - usage.children
    return usage


def check_verdicts(lab, config):
    """Whatever is timed below finds what is there; on a busy machine a real server may need more than one try."""
    for _ in range(3):
        if not (wrong := wrong_verdicts(lab, config)):
            return
    sys.exit(f"not what is there: {wrong}")


def wrong_verdicts(lab, config):
    command = [PROBE, "-q", "--config", config, "--once", "--fresh", "--format", "json"]
    document = json.loads(subprocess.run(command, env=lab.env, check=True, capture_output=True).stdout)
    verdicts = {target["name"]: target["verdict"] for target in document["targets"]}
    bad = {"stuck": "down", "silent": "down", "dead": "down", "oauth": "not_configured"}
    return {name: verdicts.get(name) for name in lab.servers if verdicts.get(name) != bad.get(name, "up")}


def one_pass(config):
    return [PROBE, "-q", "--config", config, "--once", "--fresh", "--format", "none"]


def alone(lab):
    """Each server that answers, checked by itself: its whole pass."""
    found = {}
    for name, server in lab.servers.items():
        if name in HANGING:
            continue
        lab.write_clients_list({name: server})
        config = lab.probe_config(f"one-{name}")
        run(one_pass(config), lab.env)  # remembers its era, as every pass but the first does
        runs = [run(one_pass(config), lab.env) for _ in range(ROUNDS)]
        found[name] = (middle(runs, "wall"), middle(runs, "total"))
    lab.write_clients_list(lab.servers)
    return found


def side_by_side(lab, config):
    """Every way in turn, so that what else the machine does falls on all of them."""
    served = str(lab.work / "mcporter.json")
    limits = {**lab.env, "MCP_TIMEOUT": str(TIMEOUT * 1000)}
    ways = {
        "ours": lambda: measured(one_pass(config), lab, "all"),
        "threads": lambda: run(["python3", str(ORIGINAL), served, str(len(lab.servers))], lab.env),
        "claude": lambda: run([str(CLAUDE), "mcp", "list"], limits, expect=None, cwd=lab.home),
        "mcporter": lambda: run([str(MCPORTER), "--config", served, "list", "--timeout", str(TIMEOUT * 1000)], lab.env, expect=None),
    }
    runs = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            runs[name].append(way())
    runs["original"] = [run(["python3", str(ORIGINAL), served], lab.env)]
    return runs


def without_hanging(lab):
    """The same fleet without what hangs: then the processor is the limit."""
    servers = {name: server for name, server in lab.servers.items() if name not in HANGING}
    lab.write_clients_list(servers)
    config = lab.probe_config("answering")
    run(one_pass(config), lab.env)
    runs = [run(one_pass(config), lab.env) for _ in range(ROUNDS)]
    lab.write_clients_list(lab.servers)
    return runs


def rows(lab):
    config = lab.probe_config("all")
    check_verdicts(lab, config)
    each = alone(lab)
    answering = without_hanging(lab)
    runs = side_by_side(lab, config)
    share = sum(total for _, total in each.values()) / CORES
    slowest = max(wall for wall, _ in each.values())
    limit, answering_limit = max(slowest, TIMEOUT, share), max(slowest, share)
    ours = {what: middle(runs["ours"], what) for what in ("wall", "own", "children")}
    count = len(lab.servers)
    yield row(f"full pass over {count} servers, two of them hanging", ours["wall"], limit, f"the limit (a timeout of {TIMEOUT} s)", "s", "≤ 1.1")
    for name, what in (("original", "the original's way, one after another"), ("threads", f"the same with {count} threads in Python"),
                       ("claude", "`claude mcp list`"), ("mcporter", "`mcporter list`")):
        yield row("the same, wall", ours["wall"], middle(runs[name], "wall"), what, "s")
    wall = middle(answering, "wall")
    yield row(f"full pass over the {count - len(HANGING)} that answer", wall, answering_limit, f"the limit (all CPU ÷ {CORES} cores, or the slowest alone)", "s", "≤ 1.1")
    # Side by side on the threads of one core the same servers take more CPU time than alone; nothing is idle meanwhile.
    yield row("the same", wall, middle(answering, "total") / CORES, f"all CPU of that very pass ÷ {CORES} cores", "s")
    yield row("CPU of the probe itself in a full pass", ours["own"], ours["children"], "the servers it starts", "s", "≤ 0.005")
    for name, what in (("threads", f"{count} threads in Python"), ("claude", "`claude mcp list`"), ("mcporter", "`mcporter list`")):
        yield row("the same, CPU of its own", ours["own"], middle(runs[name], "own"), what, "s")


def main():
    need(PROBE, "make build")
    need(MCPORTER, "make deps")
    install_peers()
    with Lab() as lab:
        write_part("fleet", list(rows(lab)))


if __name__ == "__main__":
    main()
