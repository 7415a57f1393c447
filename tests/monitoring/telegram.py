#!/usr/bin/env python3
"""A stand-in for Telegram's Bot API on loopback: takes sendMessage, and refuses what the real one refuses.

Usage: telegram.py LOG TOKEN CHAT_ID

Prints the port it listens on. Appends one JSON object a line to LOG for each request: {"status": 200, "text": …,
"silent": …} for a message, {"status": 400, "description": …} for one refused, with the body that was sent.
"""

import html
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

LOG, TOKEN, CHAT = sys.argv[1:4]
LONGEST = 4096
PER_MINUTE = 20  # to one group

# core.telegram.org/bots/api, "HTML style"
TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler", "tg-emoji", "a", "code", "pre",
        "blockquote"}
NAMED = {"lt", "gt", "amp", "quot"}
sent = []


class Refused(Exception):
    def __init__(self, status, description, **parameters):
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters


def plain(text):
    """The text that is left when entities are parsed; refuses what Telegram's parser refuses."""
    stack, out, at = [], [], 0
    for match in re.finditer(r"<[^>]*>?|&[^;\s<]*;?", text):
        out.append(text[at:match.start()])
        at = match.end()
        token = match.group()
        if token.startswith("&"):
            entity = re.fullmatch(r"&(#x[0-9a-fA-F]+|#[0-9]+|[a-z]+);", token)
            if entity and (entity[1].startswith("#") or entity[1] in NAMED):
                out.append(html.unescape(token))
            else:
                out.append(token)  # an unknown entity stays as it is written
            continue
        tag = re.fullmatch(r"<(/?)([a-z-]+)((?:\s+[a-z-]+(?:=\"[^\"<>]*\")?)*)\s*>", token)
        if not tag:
            raise Refused(400, f"Bad Request: can't parse entities: Unexpected character in tag at byte offset {match.start()}")
        closing, name, _ = tag.groups()
        if name not in TAGS:
            raise Refused(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{name}" at byte offset {match.start()}')
        if not closing:
            stack.append(name)
        elif not stack or stack.pop() != name:
            raise Refused(400, f"Bad Request: can't parse entities: Unmatched end tag at byte offset {match.start()}")
    out.append(text[at:])
    if stack:
        raise Refused(400, f"Bad Request: can't parse entities: Can't find end tag corresponding to start tag {stack[-1]}")
    return "".join(out)


def accept(path, body):
    match = re.fullmatch(r"/bot([^/]+)/(\w+)", path)
    if not match or not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", match[1]):
        raise Refused(404, "Not Found")
    if match[1] != TOKEN:
        raise Refused(401, "Unauthorized")
    if match[2] != "sendMessage":
        raise Refused(404, "Not Found: method not found")
    if str(body.get("chat_id", "")) != CHAT:
        raise Refused(400, "Bad Request: chat not found")
    text = body.get("text", "")
    mode = body.get("parse_mode", "")
    if mode not in ("", "HTML"):
        raise Refused(400, "Bad Request: unsupported parse_mode")
    shown = plain(text) if mode == "HTML" else text
    if not shown.strip():
        raise Refused(400, "Bad Request: message text is empty")
    # Telegram counts UTF-16 units.
    if len(shown.encode("utf-16-le")) // 2 > LONGEST:
        raise Refused(400, "Bad Request: message is too long")
    now = time.monotonic()
    sent[:] = [t for t in sent if now - t < 60]
    if CHAT.startswith("-") and len(sent) >= PER_MINUTE:
        raise Refused(429, "Too Many Requests: retry after 30", retry_after=30)
    sent.append(now)
    return shown


class Bot(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Type", "").startswith("application/json"):
            body = json.loads(raw)
        else:
            body = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        line = {"at": time.time(), "body": body}
        try:
            shown = accept(self.path, body)
            line.update(status=200, text=shown, silent=bool(body.get("disable_notification")))
            chat = {"id": int(CHAT), "type": "group"}
            answer = {"ok": True, "result": {"message_id": len(sent), "date": int(time.time()), "chat": chat, "text": shown}}
        except Refused as refused:
            line.update(status=refused.status, description=refused.description)
            answer = {"ok": False, "error_code": refused.status, "description": refused.description}
            if refused.parameters:
                answer["parameters"] = refused.parameters
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line, ensure_ascii=False) + "\n")
        payload = json.dumps(answer).encode()
        self.send_response(line["status"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Bot)
print(server.server_port, flush=True)
server.serve_forever()
