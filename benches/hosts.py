#!/usr/bin/env python3
"""What a hundred LAB hosts cost one Prometheus with this project's rules, and the VictoriaMetrics behind it.

    benches/hosts.py             (after `make build` and `make deps`; half an hour; LAB_PROBE names another binary)

A real textfile (18 servers, 5 worktrees, one environment) is served once for each host, as node_exporter would, with values
that move as they do in life. In the middle of the run the kill switch of one host is active: exactly this must be alerted.
HOSTS (100), HOSTS_MINUTES (30; at least 10, the alert waits for 5). Not part of `make bench`: it takes too long.
"""

import http.server
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from common import PROBE, ROOT, free_port, need, row, run, wait_for, write_part
from lab import QUIET, Lab
from tick import CACHED, repository

HOSTS = int(os.environ.get("HOSTS", "100"))
SECONDS = 60 * float(os.environ.get("HOSTS_MINUTES", "30"))
HALTED = f"lab{HOSTS // 2}"
SAMPLE = re.compile(r"^(?P<name>\w+)(?P<labels>\{.*\})? (?P<value>\S+)$")
MOVING = ("_seconds", "_bytes", "_ms", "_ratio")


def a_textfile(lab):
    """What a pass over a LAB of ordinary size delivers."""
    thunes = lab.work / "thunes-lab"
    subprocess.run([ROOT / "examples/lab.sh", thunes, PROBE], check=True, **QUIET)
    config = Path(lab.probe_config("hosts", CACHED, repos=[str(repository(lab.work))]))
    config.write_text(config.read_text() + f'[[thunes]]\nenvironment = "paper"\nroot = "{thunes}/thunes"\n')
    for _ in range(2):
        run([PROBE, "-q", "--config", str(config), "--once", "--format", "none"], lab.env)
    return (lab.work / "out-hosts/lab-probe.prom").read_text().splitlines()


class Hosts:
    """The textfile as each host has it now."""

    def __init__(self, lines):
        self.lines, self.begun = lines, time.time()

    def halted(self, host):
        return host == HALTED and time.time() - self.begun > SECONDS / 3

    def page(self, host):
        passes = int((time.time() - self.begun) / 30)
        chance = random.Random(f"{host} {passes}")
        return "\n".join(self.line(line, host, passes, chance) for line in self.lines) + "\n"

    def line(self, line, host, passes, chance):
        if not (found := SAMPLE.match(line)):
            return line
        name, value = found["name"], float(found["value"])
        if name.endswith("_timestamp_seconds"):
            value += passes * 30
        elif name.endswith(("_total", "_count", "_bucket", "_sum")):
            value += passes
        elif name.endswith(MOVING):
            value *= chance.uniform(0.9, 1.1)
        elif name == "thunes_kill_switch_active" and self.halted(host):
            value = 1
        return f"{name}{found['labels'] or ''} {value:.17g}"


def serve(hosts):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = hosts.page(self.path.strip("/")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.read().decode()


def own(port, name):
    """A value of a daemon's own metrics; the sum where it has labels."""
    values = [float(line.rsplit(" ", 1)[1]) for line in ask(port, "/metrics").splitlines() if re.match(rf"{name}[ {{]", line)]
    return sum(values) if values else None


def configure(work, serving, victoria):
    """The project's own configuration; only addresses differ."""
    shutil.copytree(ROOT / "monitoring/prometheus/rules", work / "rules")
    text = (ROOT / "monitoring/prometheus/prometheus.yml").read_text()
    (work / "prometheus.yml").write_text(text.replace("http://victoria-metrics:8428", f"http://127.0.0.1:{victoria}"))
    (work / "targets").mkdir()
    entry = lambda host: {"targets": [f"127.0.0.1:{serving}"], "labels": {"instance": f"{host}:9100", "__metrics_path__": f"/{host}"}}
    (work / "targets/node.yml").write_text(json.dumps([entry(f"lab{number}") for number in range(HOSTS)]))


def measure(prometheus):
    """Until the time is over: how long one evaluation of all rules took, what was alerted, rules that failed."""
    took, alerted, failed = [], set(), set()
    end = time.time() + SECONDS
    while time.time() < end:
        time.sleep(15)
        groups = json.loads(ask(prometheus, "/api/v1/rules"))["data"]["groups"]
        took.append(sum(group["evaluationTime"] for group in groups))
        for rule in (rule for group in groups for rule in group["rules"]):
            if rule["health"] == "err":
                failed.add(f"{rule['name']}: {rule['lastError']}")
            for alert in rule.get("alerts", ()):
                if alert["state"] == "firing" and "Kill" in rule["name"]:
                    alerted.add(alert["labels"].get("host"))
    return took, alerted, failed


def size(directory):
    return sum(file.stat().st_size for file in Path(directory).rglob("*") if file.is_file())


def rows(lab, work):
    lines = a_textfile(lab)
    server = serve(Hosts(lines))
    prometheus, victoria = free_port(), free_port()
    configure(work, server.server_address[1], victoria)
    daemons = [
        ["victoria-metrics", f"-storageDataPath={work}/victoria", f"-httpListenAddr=127.0.0.1:{victoria}"],
        ["prometheus", f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/prometheus", f"--web.listen-address=127.0.0.1:{prometheus}"],
    ]
    running = [subprocess.Popen(daemon, **QUIET) for daemon in daemons]
    try:
        wait_for(victoria), wait_for(prometheus)
        took, alerted, failed = measure(prometheus)
        if failed or alerted != {HALTED}:
            sys.exit(f"rules that failed: {sorted(failed)}; kill switch alerted for {alerted}, active on {HALTED}")
        each = sum(bool(SAMPLE.match(line)) for line in lines)
        series, samples = own(prometheus, "prometheus_tsdb_head_series"), own(prometheus, "prometheus_tsdb_head_samples_appended_total")
        what = f"{HOSTS} hosts for {SECONDS / 60:.0f} min"
        yield row(f"{what}: series in Prometheus", series, HOSTS * each, "the textfiles'", "", "", f"{each} a host")
        for name, port, directory in (("Prometheus", prometheus, "prometheus"), ("VictoriaMetrics", victoria, "victoria")):
            resident = own(port, "process_resident_memory_bytes")
            yield row(f"{what}: memory of {name}", resident, unit="B", note=f"{resident / HOSTS / 1024:.0f} KiB a host")
            yield row(f"{what}: CPU of {name}", own(port, "process_cpu_seconds_total") / SECONDS, unit="cores")
            yield row(f"{what}: disk of {name}", size(work / directory), unit="B", note=f"{samples:,.0f} samples in Prometheus")
        yield row(f"{what}: one evaluation of all rules, the longest", max(took), 15, "the interval", "s", "", f"{sum(took) / len(took) * 1000:.0f} ms in the mean")
        yield row(f"{what}: hosts alerted while the kill switch of one is active", len(alerted), 1, "that one")
    finally:
        for process in running:
            process.terminate()
            process.wait()
        server.shutdown()


def main():
    need(PROBE, "make build")
    with Lab() as lab, tempfile.TemporaryDirectory(prefix="lab-probe-bench-") as work:
        write_part("hosts", list(rows(lab, Path(work))))


if __name__ == "__main__":
    main()
