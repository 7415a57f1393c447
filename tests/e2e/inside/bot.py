"""A stand-in for Telegram's Bot API: takes every message, writes path and body down."""

import http.server


class Bot(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/results/bot", "a", encoding="utf-8") as record:
            record.write(f"{self.path} {body.decode()}\n")
        self.answer(b'{"ok":true,"result":{"message_id":1}}')


http.server.HTTPServer(("127.0.0.1", 8081), Bot).serve_forever()
