#!/usr/bin/env python3
"""The way of the script that lab-probe replaces: check the servers of a list, one after another or with threads.

    benches/peers/original.py LIST [THREADS]

LIST is a JSON file with `mcpServers`. Each server is asked `initialize` and `tools/list`, has five seconds in all, and
is ended. Prints one line a server and the Prometheus sample.
"""

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 5
OPENING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "health", "version": "1"}},
}
OPENED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


class Down(Exception):
    pass


def over_stdio(server):
    end = time.monotonic() + TIMEOUT
    process = subprocess.Popen(
        [server["command"], *server["args"]],
        env={**os.environ, **server.get("env", {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()

    def send(message):
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()

    def answer(number):
        while True:
            try:
                line = lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise Down("timeout") from None
            if line is None:
                raise Down("exited")
            message = json.loads(line)
            if message.get("id") == number and "method" not in message:
                return message

    try:
        send(OPENING)
        answer(1)
        send(OPENED)
        send(TOOLS)
        return len(answer(2)["result"]["tools"])
    finally:
        process.kill()
        process.wait()


def events(response):
    """The data of each server-sent event."""
    kind, data = "message", []
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield kind, "\n".join(data)
            kind, data = "message", []


def over_http(server):
    url = urllib.parse.urlsplit(server["url"])
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

    def post(path, message):
        connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT)
        connection.request("POST", path, json.dumps(message), headers)
        response = connection.getresponse()
        if response.status >= 300:
            raise Down(f"HTTP {response.status}")
        headers.setdefault("Mcp-Session-Id", response.headers.get("Mcp-Session-Id", ""))
        if "id" not in message:
            return None
        if "event-stream" in response.headers.get("Content-Type", ""):
            return next(json.loads(data) for _, data in events(response) if data.startswith("{"))
        text = response.read()
        return json.loads(text) if text.startswith(b"{") else None

    if server.get("type") == "sse":
        connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT)
        connection.request("GET", url.path, headers={"Accept": "text/event-stream"})
        stream = events(connection.getresponse())
        path = next(data for kind, data in stream if kind == "endpoint")
        answer = lambda number: next(m for m in (json.loads(data) for _, data in stream) if m.get("id") == number)
        post(path, OPENING)
        answer(1)
        post(path, OPENED)
        post(path, TOOLS)
        return len(answer(2)["result"]["tools"])
    post(url.path, OPENING)
    post(url.path, OPENED)
    return len(post(url.path, TOOLS)["result"]["tools"])


def check(item):
    name, server = item
    try:
        tools = over_http(server) if "url" in server else over_stdio(server)
        return name, 1, f"{tools} tools"
    except (Down, OSError, ValueError, KeyError, StopIteration) as error:
        return name, 0, f"{type(error).__name__} {error}"


def main():
    with open(sys.argv[1]) as file:
        servers = json.load(file)["mcpServers"]
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if threads == 1:
        results = [check(item) for item in servers.items()]
    else:
        with ThreadPoolExecutor(threads) as pool:
            results = list(pool.map(check, servers.items()))
    for name, health, what in results:
        print(f'lab_mcp_server_health{{server_name="{name}"}} {health}  # {what}')


main()
