"""What the parts of `make bench` share: running a process and measuring it, and handing rows to table.py.

A part measures lab-probe and its peers in one run and writes target/bench/NAME.json. Times on a shared machine wander;
ratios taken in one run, round by round, wander much less.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "target/bench"
PROBE = os.environ.get("LAB_PROBE", str(ROOT / "target/release/lab-probe"))
RUNS = int(os.environ.get("RUNS", "5"))
CORES = len(os.sched_getaffinity(0))


def need(path, how):
    if not Path(path).exists():
        sys.exit(f"{path} is missing: {how}")
    return path


class Usage:
    """Of one process that has run to its end: seconds. `own` is the process with its threads, `total` with its children."""

    def __init__(self, wall, own, total, faults):
        self.wall, self.own, self.total, self.faults = wall, own, total, faults
        self.children = total - own


def run(args, env=None, expect=(0,), cwd=None):
    begun = time.perf_counter()
    process = subprocess.Popen(args, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    # Ended but not yet reaped: its clock (clock_getcpuclockid(3)) still tells what it used itself, to the nanosecond.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter() - begun
    own = time.clock_gettime(~process.pid << 3 | 2)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if expect and process.returncode not in expect:
        sys.exit(f"{args} ended with {process.returncode}: {error.decode(errors='replace')}")
    return Usage(wall, own, usage.ru_utime + usage.ru_stime, usage.ru_minflt)


def middle(usages, what):
    return statistics.median(getattr(usage, what) for usage in usages)


def compile_c(source, output, *flags):
    """Builds one C file below target/bench/."""
    output = OUT / output
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-Wall", *flags, "-o", str(output), str(ROOT / "benches" / source)], check=True)
    return str(output)


def measured(starter, args, env):
    """Runs to the end under benches/measured.c: wall seconds, CPU seconds with children, largest resident set in bytes."""
    found = subprocess.run([starter, *args], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"{args} ended with {found.returncode}")
    wall, cpu, resident = found.stdout.split()
    return float(wall), float(cpu), int(resident)


def medians(rows):
    """Of each column of equally long rows."""
    return [statistics.median(column) for column in zip(*rows)]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def row(what, ours, peer=None, peer_name="", unit="", target="", note=""):
    """One line of the table. `target` is a bound on ours ÷ peer, "≤ 1.1" or "≥ 2", or empty."""
    ratio = ours / peer if peer else None
    met = holds(ratio, target)
    return dict(what=what, ours=ours, peer=peer, peer_name=peer_name, unit=unit, ratio=ratio, target=target, met=met, note=note)


def holds(ratio, target):
    if ratio is None or not target:
        return None
    sign, bound = target.split()
    return ratio <= float(bound) if sign == "≤" else ratio >= float(bound)


def write_part(name, rows):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps({"rows": rows}, ensure_ascii=False, indent=1) + "\n")
    for line in rows:
        ratio = "" if line["ratio"] is None else f"{line['ratio']:.3g} × {line['peer_name']}"
        print(f"{line['what']}: {line['ours']:.4g} {line['unit']}  {ratio}  {line['target']} {'' if line['met'] is None else line['met']}", flush=True)
