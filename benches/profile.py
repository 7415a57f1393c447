#!/usr/bin/env python3
"""What each choice of the release profile buys: the binary built without it, all of them measured in turn in one run.

    benches/profile.py                (after `make deps`; three minutes for each build, no part of `make bench`)
    benches/profile.py measure        measures again what has been built

Prints the table that docs/costs.md quotes. There is no panic=abort among the variants: a panic in one check has to stay that
target's error.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import OUT, ROOT, compile_c, measured, medians

VARIANTS = {
    'as it is: `opt-level = "s"`, LTO, one codegen unit, stripped': [],
    "without LTO": ['profile.release.lto="off"'],
    "thin LTO": ['profile.release.lto="thin"'],
    "16 codegen units": ["profile.release.codegen-units=16"],
    "not stripped": ["profile.release.strip=false"],
    '`opt-level = "z"`': ['profile.release.opt-level="z"'],
    "`opt-level = 2`": ["profile.release.opt-level=2"],
    "`opt-level = 3`": ["profile.release.opt-level=3"],
}
BUILT = OUT / "variants"
ROUNDS = 31
SERVERS = 18
STARTED = 200
EVENT = b'{"timestamp": "2026-07-01T10:00:00.000250", "event": "ORDER_PLACED", "venue": "binance", "order_type": "MARKET", "side": "BUY", "latency_ms": 84.0, "symbol": "BTCUSDT"}\n'
LINES = 600_000


def binary(number):
    return BUILT / f"lab-probe-{number}"


def build():
    """Every variant, each kept beside the others."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for number, (name, settings) in enumerate(VARIANTS.items()):
        print(f"building {name}", file=sys.stderr, flush=True)
        options = [part for setting in settings for part in ("--config", setting)]
        target = ["--target-dir", str(BUILT / "target")]
        subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *target, *options], cwd=ROOT, check=True)
        shutil.copy(BUILT / "target/release/lab-probe", binary(number))


def config(work, name, more):
    """A configuration with a state and a textfile of its own."""
    for directory in ("state", "out"):
        (work / name / directory).mkdir(parents=True)
    file = work / f"{name}.toml"
    file.write_text(
        f'[probe]\nstate_dir = "{work}/{name}/state"\n[output.textfile]\ndirectory = "{work}/{name}/out"\n'
        f"[worktree]\nrepos = []\n[mcp]\ndiscover = false\n{more}"
    )
    return file


class Scene:
    """What is measured, and where: every variant in the same files, in memory."""

    def __init__(self, work):
        self.work = work
        self.env = {"HOME": str(work), "PATH": "/usr/bin:/bin"}
        self.starter = compile_c("measured.c", "bin/measured", "-static")
        server = compile_c("scale/stdio_server.c", "bin/stdio_server", "-static")
        servers = lambda count: "".join(f'[[mcp.server]]\nname = "s{n}"\ncommand = "{server}"\n' for n in range(count))
        self.tick = config(work, "tick", servers(SERVERS))
        self.fleet = config(work, "fleet", servers(STARTED))
        thunes = f'[[thunes]]\nenvironment = "bench"\nroot = "{work}"\njournals = ["events.jsonl"]\nlogs = []\n'
        self.journal = config(work, "journal", thunes)
        (work / "events.jsonl").write_bytes(EVENT * LINES)

    def args(self, number, file, *more):
        return [str(binary(number)), "-q", "--config", str(file), *more]

    def cpu(self, args):
        """Seconds."""
        return measured(self.starter, args, self.env)[1]

    def instructions(self, number):
        """Of a tick, by callgrind."""
        self.cpu(self.args(number, self.tick))
        with tempfile.TemporaryDirectory() as scratch:
            tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out"]
            subprocess.run([*tool, *self.args(number, self.tick)], env=self.env, check=True, capture_output=True)
            return int(re.search(r"^(?:summary|totals): (\d+)", Path(f"{scratch}/out").read_text(), re.M).group(1))

    def quick(self, number):
        """A tick's CPU and the wall time of `--version`, in seconds."""
        self.cpu(self.args(number, self.tick))
        tick = self.cpu(self.args(number, self.tick))
        return tick, measured(self.starter, [str(binary(number)), "--version"], self.env)[0]

    def slow(self, number):
        """CPU of a journal read from its beginning and of a fleet that is all started, in seconds."""
        shutil.rmtree(self.work / "journal/state")
        return self.cpu(self.args(number, self.journal)), self.cpu(self.args(number, self.fleet, "--fresh"))


def table(scene):
    numbers = range(len(VARIANTS))
    quick, slow = [[[] for _ in numbers] for _ in range(2)]
    for round_number in range(ROUNDS):
        for number in numbers:
            quick[number].append(scene.quick(number))
            if round_number % 5 == 0:
                slow[number].append(scene.slow(number))
    megabytes = LINES * len(EVENT) / 2**20
    yield f"| release profile | binary | a tick: instructions | a tick | `--version` | {megabytes:.0f} MiB of journal | {STARTED} servers started |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for number, name in enumerate(VARIANTS):
        tick, version = medians(quick[number])
        journal, fleet = medians(slow[number])
        size = binary(number).stat().st_size / 2**20
        count = scene.instructions(number) / 1e6
        yield f"| {name} | {size:.1f} MiB | {count:.1f} million | {tick * 1e3:.2f} ms | {version * 1e3:.2f} ms | {journal * 1e3:.0f} ms | {fleet * 1e3:.0f} ms |"


def main():
    if sys.argv[1:] != ["measure"]:
        build()
    with tempfile.TemporaryDirectory(prefix="lab-probe-bench-", dir="/dev/shm") as work:
        for line in table(Scene(Path(work))):
            print(line, flush=True)


main()
