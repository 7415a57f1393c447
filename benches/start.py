#!/usr/bin/env python3
"""What starting costs: `--version` and a pass without targets beside /bin/true; size, libraries and memory.

    benches/start.py           (after `make build`)
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from common import PROBE, compile_c, measured, medians, need, row, write_part

ROUNDS = 60


def libraries():
    """Shared libraries besides the loader and the kernel's page."""
    found = subprocess.run(["ldd", PROBE], capture_output=True, text=True).stdout
    return re.findall(r"^\s*(\S+) => ", found, re.M)


def main():
    need(PROBE, "make build")
    work = Path(tempfile.mkdtemp(prefix="lab-probe-start-"))
    try:
        write_part("start", measure(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def measure(work):
    starter = compile_c("measured.c", "bin/measured", "-static")
    (work / "out").mkdir()
    config = work / "lab-probe.toml"
    config.write_text(
        f'[probe]\nstate_dir = "{work}/state"\n[output.textfile]\ndirectory = "{work}/out"\n'
        "[worktree]\nrepos = []\n[mcp]\ndiscover = false\n"
    )
    env = {"HOME": str(work), "PATH": os.environ["PATH"]}
    commands = {
        "version": [PROBE, "--version"],
        "empty": [PROBE, "-q", "--config", str(config)],
        "true": ["/bin/true"],
    }
    runs = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, args in commands.items():
            runs[name].append(measured(starter, args, env))
    version, empty, true = (medians(runs[name]) for name in commands)
    shared = libraries()
    return [
        row("--version, wall", version[0], true[0], "/bin/true", "s"),
        row("a pass without targets, wall", empty[0], true[0], "/bin/true", "s", note=f"{empty[1] * 1e3:.1f} ms of CPU"),
        row("a pass without targets, resident memory", empty[2], true[2], "/bin/true", "B"),
        row("size of the binary", os.path.getsize(PROBE), unit="B"),
        row("shared libraries", len(shared), unit="", note=", ".join(shared)),
    ]


main()
