#!/usr/bin/env python3
"""Times a pass over the real MCP servers that the tests pin, beside what no pass can beat; then the cheap passes.

    benches/pass.py            (after `make build` and `make deps`; LAB_PROBE names another binary)

Prints medians of RUNS runs (default 5) as whole-process figures: wall and CPU (user and system, the probe with everything
it started, from wait4). The limit of a full pass is the larger of the slowest
server alone and the sum of all CPU time divided by the cores.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = os.environ.get("LAB_PROBE", str(ROOT / "target/release/lab-probe"))
RUNS = int(os.environ.get("RUNS", "5"))
SERVERS = ROOT / "target/servers"
NPM = SERVERS / "npm/node_modules/@modelcontextprotocol"


def run(args, env, expect=(0,)):
    """Runs to the end: wall seconds and CPU seconds."""
    begun = time.perf_counter()
    process = subprocess.Popen(args, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in expect:
        sys.exit(f"{args} ended with {process.returncode}: {error.decode(errors='replace')}")
    return wall, usage.ru_utime + usage.ru_stime


def median(args, env, expect=(0,), before=None):
    runs = []
    for _ in range(RUNS):
        if before:
            before()
        runs.append(run(args, env, expect))
    return [statistics.median(column) for column in zip(*runs)]


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


def main():
    if not os.access(PROBE, os.X_OK):
        sys.exit("build first: make build")
    if not NPM.is_dir():
        sys.exit("install the servers first: make deps")
    work = Path(tempfile.mkdtemp(prefix="lab-probe-bench-"))
    remote = []
    try:
        measure(work, remote)
    finally:
        for process in remote:
            process.send_signal(signal.SIGKILL)
            process.wait()
        shutil.rmtree(work, ignore_errors=True)


def stdio_servers(work):
    python = {"PYTHONPATH": str(SERVERS / "python")}
    repository = work / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    node = lambda name, *rest: ("node", [str(NPM / name / "dist/index.js"), *rest], {})
    return {
        "filesystem": node("server-filesystem", str(work)),
        "everything": node("server-everything", "stdio"),
        "sequential-thinking": node("server-sequential-thinking"),
        "github": node("server-github"),
        "fetch": ("python3", ["-m", "mcp_server_fetch"], python),
        "git": ("python3", ["-m", "mcp_server_git", "--repository", str(repository)], python),
    }


def remote_servers(remote):
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    urls = {}
    everything = str(NPM / "server-everything/dist/index.js")
    for name, path in (("streamableHttp", "mcp"), ("sse", "sse")):
        port = free_port()
        remote.append(subprocess.Popen(["node", everything, name], env={**os.environ, "PORT": str(port)}, **quiet))
        urls[f"everything-{name}"] = f"http://127.0.0.1:{port}/{path}"
        wait_for(port)
    port = free_port()
    fast = [sys.executable, str(ROOT / "tests/servers/fastmcp_http.py"), str(port)]
    remote.append(subprocess.Popen(fast, env={**os.environ, "PYTHONPATH": str(SERVERS / "python")}, **quiet))
    urls["fastmcp"] = f"http://127.0.0.1:{port}/mcp"
    wait_for(port)
    return urls


def config(work, name, stdio, urls, extra=""):
    text = f'[probe]\nstate_dir = "{work}/state-{name}"\n[output.textfile]\ndirectory = "{work}/out"\n{extra}'
    text += "[worktree]\nrepos = []\n[mcp]\ndiscover = false\n"
    for server, (command, args, variables) in stdio.items():
        text += f"[[mcp.server]]\nname = {json.dumps(server)}\ncommand = {json.dumps(command)}\nargs = {json.dumps(args)}\n"
        if variables:
            text += "env = { " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in variables.items()) + " }\n"
    for server, url in urls.items():
        text += f"[[mcp.server]]\nname = {json.dumps(server)}\nurl = {json.dumps(url)}\n"
    path = work / f"{name}.toml"
    path.write_text(text)
    return str(path)


def measure(work, remote):
    (work / "out").mkdir()
    (work / "home").mkdir()
    env = {"HOME": str(work / "home"), "PATH": os.environ["PATH"]}
    stdio, urls = stdio_servers(work), remote_servers(remote)
    pass_of = lambda file, *rest: [PROBE, "-q", "--config", file, "--once", "--format", "none", *rest]
    every = config(work, "all", stdio, urls)
    run(pass_of(every, "--fresh"), env)  # remembers the era of each, as every pass but the first does
    document = json.loads(subprocess.run([PROBE, "-q", "--config", every, "--format", "json"], env=env, check=True, capture_output=True).stdout)
    down = [target["name"] for target in document["targets"] if target["verdict"] != "up"]
    if down:
        sys.exit(f"not up: {', '.join(down)}")

    alone = {}
    for server in [*stdio, *urls]:
        one = config(work, f"one-{server}", {k: v for k, v in stdio.items() if k == server}, {k: v for k, v in urls.items() if k == server})
        run(pass_of(one, "--fresh"), env)
        alone[server] = median(pass_of(one, "--fresh"), env)
    slowest = max(alone, key=lambda server: alone[server][0])
    cores = len(os.sched_getaffinity(0))
    share = sum(figures[1] for figures in alone.values()) / cores
    limit = max(alone[slowest][0], share)
    whole = median(pass_of(every, "--fresh"), env)
    first = median(pass_of(every), env, before=lambda: shutil.rmtree(work / "state-all", ignore_errors=True))
    cached = median(pass_of(every), env)
    version = median([PROBE, "--version"], env)
    nothing = median(["/bin/true"], env)

    rows = [
        (f"pass over {len(alone)} real servers, eras remembered", whole, f"{whole[0] / limit:.2f} × the limit"),
        ("the first pass, nothing remembered", first, f"{first[0] / limit:.2f} × the limit"),
        (f"slowest server alone ({slowest})", alone[slowest], ""),
        (f"sum of all CPU ÷ {cores} cores", (share, share * cores), ""),
        ("pass in which all is remembered", cached, f"{cached[1] / max(nothing[1], 1e-6):.1f} × the CPU of /bin/true"),
        ("lab-probe --version", version, f"{version[0] / nothing[0]:.1f} × the wall time of /bin/true"),
        ("/bin/true", nothing, ""),
    ]
    print(f"| {'what':48} | wall ms |  CPU ms | ratio |\n|{'-' * 50}|--------:|--------:|:------|")
    for what, (wall, cpu), ratio in rows:
        print(f"| {what:48} | {wall * 1e3:7.1f} | {cpu * 1e3:7.1f} | {ratio} |")
    print(f"\nbinary: {os.path.getsize(PROBE) / 1e6:.2f} MB; {RUNS} runs each, medians; {cores} cores")


main()
