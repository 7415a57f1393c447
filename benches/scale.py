#!/usr/bin/env python3
"""Ten to five thousand targets: instant servers on standard streams and an instant HTTP server.

    benches/scale.py           (after `make build` and `make deps`; LAB_PROBE names another binary)

Process checks stand beside a C program that starts and talks to the same server with as many workers, HTTP checks
beside blackbox_exporter with as many probes under way. What a pass costs without any target is taken off where the cost
of one check is compared over the counts, and nowhere else.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ingest
from common import CORES, PROBE, compile_c, free_port, measured, medians, need, row, wait_for, write_part

COUNTS = [10, 100, 1000, 5000]
# How often each count is tried: a short pass wanders more.
RUNS = {0: 9, 10: 9, 100: 5, 1000: 3, 5000: 1}
ENVIRONMENTS = 20
# Beside a peer, and how often.
BESIDE, ROUNDS = 1000, 3
# Threads of the probe's network class.
CONCURRENCY = 256
WORKERS = 4 * CORES
TOOLS = {}
BLACKBOX = shutil.which("prometheus-blackbox-exporter")
UP = re.compile(r"^lab_(?:mcp_server_health|service_up)\{[^}]*\} 1$", re.M)


def config(work, name, targets):
    text = f'[probe]\nstate_dir = "{work}/state"\ndeadline = "2m"\nmax_starts = {WORKERS}\n'
    text += f'[output.textfile]\ndirectory = "{work}/out"\n[worktree]\nrepos = []\n[mcp]\ndiscover = false\n'
    path = work / f"{name}.toml"
    path.write_text(text + "".join(targets))
    return path


def processes(work, count):
    return config(work, f"process-{count}", (f'[[mcp.server]]\nname = "s{n}"\ncommand = "{TOOLS["stdio_server"]}"\n' for n in range(count)))


def urls(work, count, port):
    return config(work, f"http-{count}", (f'[[service]]\nname = "s{n}"\nurl = "http://127.0.0.1:{port}/{n}"\n' for n in range(count)))


class Passes:
    """Passes over instant targets. Each begins with nothing remembered, and every target has to be up."""

    def __init__(self, work):
        self.work = work
        self.env = {"HOME": str(work), "PATH": os.environ["PATH"]}

    def once(self, path, count):
        """Wall seconds, CPU seconds with all children, largest resident set in bytes."""
        shutil.rmtree(self.work / "state", ignore_errors=True)
        figures = measured(TOOLS["measured"], [PROBE, "-q", "--config", path], self.env)
        up = len(UP.findall((self.work / "out/lab-probe.prom").read_text()))
        if up != count:
            sys.exit(f"{path}: {up} of {count} are up")
        return figures

    def median(self, path, count, runs):
        return medians([self.once(path, count) for _ in range(runs)])


def by_count(passes, config_of):
    """Figures of one pass for every count, and of one without targets."""
    return {count: passes.median(config_of(count), count, RUNS[count]) for count in [0, *COUNTS]}


def per_check(figures, column):
    empty = figures[0][column]
    return {count: (figures[count][column] - empty) / count for count in COUNTS}


def growth(what, figures):
    """Rows that say how the cost of one check grows from a hundred targets to five thousand."""
    cpu, wall = per_check(figures, 1), per_check(figures, 0)
    shown = ", ".join(f"{count:,}: {cpu[count] * 1e3:.2f}" for count in COUNTS)
    rss = (figures[5000][2] - figures[100][2]) / (5000 - 100)
    return [
        row(f"CPU of one {what}, 5,000 targets", cpu[5000], cpu[100], "100 targets", "s", "≤ 1.2", f"ms by count: {shown}"),
        row(f"wall time of one {what}, 5,000 targets", wall[5000], wall[100], "100 targets", "s", "≤ 1.2"),
        row(f"memory of one more {what}", rss, unit="B", note=f"{figures[5000][2] / 2**20:.1f} MiB resident at 5,000 targets"),
    ]


def beside_spawner(passes, work):
    """Rounds of both, one after the other, so that what else the machine does meets both."""
    file = processes(work, BESIDE)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(passes.once(file, BESIDE)[:2])
        spawner = subprocess.run([TOOLS["spawner"], str(BESIDE), str(WORKERS), TOOLS["stdio_server"]], check=True, capture_output=True)
        wall, own, servers = map(float, spawner.stdout.split())
        theirs.append((wall, own + servers))
    (our_wall, our_cpu), (wall, cpu) = medians(ours), medians(theirs)
    peer = f"C program, {WORKERS} workers"
    return [
        row(f"pass over {BESIDE:,} servers on standard streams, wall", our_wall, wall, peer, "s", "≤ 1.3"),
        row(f"pass over {BESIDE:,} servers on standard streams, CPU with the servers", our_cpu, cpu, peer, "s", "≤ 1.3"),
    ]


def beside_blackbox(passes, work, port):
    if not BLACKBOX:
        print("no prometheus-blackbox-exporter: make deps", file=sys.stderr)
        return []
    exporter_port = free_port()
    (work / "blackbox.yml").write_text("modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}\n")
    command = [BLACKBOX, f"--config.file={work}/blackbox.yml", f"--web.listen-address=127.0.0.1:{exporter_port}"]
    exporter = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(exporter_port)
        file, path = urls(work, BESIDE, port), f"/probe?module=http_2xx&target=http://127.0.0.1:{port}/"
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append((passes.once(file, BESIDE)[0],))
            driver = [TOOLS["http_driver"], str(BESIDE), str(CONCURRENCY), str(exporter_port), path]
            theirs.append((float(subprocess.run(driver, check=True, capture_output=True).stdout),))
    finally:
        exporter.kill()
        exporter.wait()
    ours, theirs = (BESIDE / medians(walls)[0] for walls in (ours, theirs))
    note = f"{BESIDE:,} targets, {CONCURRENCY} at a time"
    return [row("HTTP checks a second, whole pass", ours, theirs, "blackbox_exporter", "/s", "≥ 2", note)]


def environments(work, count):
    """Trading environments whose journals, logs and databases are read from where the last tick ended."""
    blocks = []
    for number in range(count):
        root = work / f"thunes-{number}"
        shutil.rmtree(root, ignore_errors=True)
        (root / "logs").mkdir(parents=True)
        ingest.write_positions(root / "data/positions.db", 1000)
        (root / "logs/audit_trail.jsonl").write_bytes(ingest.lines(1000))
        blocks.append(f'[[thunes]]\nenvironment = "e{number}"\nroot = "{root}"\n')
    return config(work, f"thunes-{count}", blocks)


def beside_one_environment(passes, work):
    """A tick over twenty environments, each with ten more lines in its journal, beside one over one; less one over none."""
    ticks = {}
    for count in (0, 1, ENVIRONMENTS):
        file = environments(work, count)
        shutil.rmtree(work / "state", ignore_errors=True)
        tick = [TOOLS["measured"], [PROBE, "-q", "--config", file], passes.env]
        measured(*tick)
        figures = []
        for _ in range(11):
            for journal in work.glob("thunes-*/logs/audit_trail.jsonl"):
                with journal.open("ab") as end:
                    end.write(ingest.lines(10))
            figures.append(measured(*tick))
        ticks[count] = medians(figures)
    none, one, twenty = (cpu for _, cpu, _ in ticks.values())
    what = f"CPU of a tick for one of {ENVIRONMENTS} environments, 1,000 positions and ten more lines in each"
    return [row(what, (twenty - none) / ENVIRONMENTS, one - none, "one environment alone", "s", "≤ 1.2")]


def main():
    need(PROBE, "make build")
    for source in ("measured.c", *(f"scale/{name}.c" for name in ("stdio_server", "spawner", "http_server", "http_driver"))):
        TOOLS[Path(source).stem] = compile_c(source, f"bin/{Path(source).stem}", "-static", "-pthread")
    work = Path(tempfile.mkdtemp(prefix="lab-probe-scale-"))
    (work / "out").mkdir()
    passes = Passes(work)
    server = subprocess.Popen([TOOLS["http_server"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        figures = by_count(passes, lambda count: processes(work, count))
        rows = growth("process check", figures) + beside_spawner(passes, work)
        figures = by_count(passes, lambda count: urls(work, count, port))
        rows += growth("HTTP check", figures) + beside_blackbox(passes, work, port)
        rows += beside_one_environment(passes, work)
        write_part("scale", rows)
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(work, ignore_errors=True)


main()
