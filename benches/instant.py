"""An MCP server over HTTP that answers every request at once, and a page beside it: what is measured is the client alone."""

import http.server
import json
import threading


class Instant(http.server.BaseHTTPRequestHandler):
    """A server of the legacy era."""

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"ready")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in asked:
            return self.answer(202)
        results = {
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "fixed", "version": "1"}},
            "tools/list": {"tools": [{"name": f"tool{n}", "inputSchema": {"type": "object"}} for n in range(10)]},
        }
        result = results.get(asked["method"])
        answer = {"result": result} if result else {"error": {"code": -32601, "message": "Method not found"}}
        self.answer(200, json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}).encode())

    def do_DELETE(self):
        self.answer(405)

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that hangs up is no trouble."""


def serve():
    """Listens on a free port of the loopback until `shutdown`; `server_address` has the port."""
    server = Listener(("127.0.0.1", 0), Instant)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
