#!/usr/bin/env python3
"""Holds the instructions (callgrind) of a tick and of one check: a regression shows here whatever else the machine does.

    benches/instructions.py [--update] [BINARY]      (BINARY: target/debug/lab-probe, as `make test` leaves it)

Compared with benches/instructions.json: at most 5 % more or less. `--update` writes what was counted: do this with a change
that costs or saves so much on purpose, and with a new Rust. The walk over /proc must see the same processes everywhere, so
the probe runs in a process namespace of its own (unshare(1)).
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import instant

KNOWN = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.05
SERVERS = 10


def write_config(work, port):
    (work / "out").mkdir()
    servers = "".join(f'[[mcp.server]]\nname = "s{n}"\nurl = "http://127.0.0.1:{port}/mcp"\n' for n in range(SERVERS))
    config = work / "lab-probe.toml"
    config.write_text(f"[probe]\nstate_dir = 'state'\n[mcp]\ndiscover = false\nttl = '10h'\n{servers}[output.textfile]\ndirectory = '{work}/out'\n"
                      .replace("'state'", f"'{work}/state'"))
    return config


def counted(binary, work, *arguments):
    found = work / "callgrind"
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    tool = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={found}"]
    env = {"HOME": str(work), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run([*alone, *tool, binary, "-q", "--once", "--format", "none", *arguments], env=env, cwd=work, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"the pass under valgrind ended with {done.returncode}: {done.stderr.strip()}")
    return int(re.search(r"^(?:summary|totals): (\d+)", found.read_text(), re.M).group(1))


def healthy(work):
    """What is counted was really checked."""
    text = (work / "out/lab-probe.prom").read_text()
    return len(re.findall(r"^lab_mcp_server_health\{.*\} 1$", text, re.M))


def count(binary):
    server = instant.serve()
    with tempfile.TemporaryDirectory(prefix="lab-probe-instructions-") as directory:
        work = Path(directory)
        config = write_config(work, server.server_address[1])
        counted(binary, work, "--config", str(config))
        if healthy(work) != SERVERS:
            sys.exit(f"{healthy(work)} of {SERVERS} servers are up")
        tick = counted(binary, work, "--config", str(config))
        # How often a reader wakes up is chance: a check varies by some percent, a tick hardly.
        fresh = statistics.median(counted(binary, work, "--config", str(config), "--fresh") for _ in range(5))
    server.shutdown()
    return {"a tick in which ten servers are remembered": tick, "one check over HTTP": (fresh - tick) // SERVERS}


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--update"]
    found = count(os.path.abspath(arguments[0] if arguments else "target/debug/lab-probe"))
    if "--update" in sys.argv[1:]:
        KNOWN.write_text(json.dumps(found, indent=1) + "\n")
    known = json.loads(KNOWN.read_text())
    moved = [what for what, instructions in found.items() if abs(instructions / known[what] - 1) > TOLERANCE]
    for what, instructions in found.items():
        print(f"{what}: {instructions:,} instructions, {100 * (instructions / known[what] - 1):+.1f} % of the known {known[what]:,}")
    if moved:
        sys.exit(f"moved by more than {TOLERANCE:.0%}: {', '.join(moved)}; if that is meant: benches/instructions.py --update")


main()
