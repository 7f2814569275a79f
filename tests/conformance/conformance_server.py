"""What the conformance servers share: an HTTP server on a free port of loopback that
reads a plan of faults, keeps a log of requests, and refuses what it does not know.

A server is started as a program, prints "READY http://127.0.0.1:PORT" and serves until it
is ended. What it holds is a JSON file given as its argument. Beside the API there is one
route of our own, /_control, which no vendor has:

    GET  /_control/log      [{"method", "path", "query", "headers"}, …] since it was last read
    POST /_control/faults   [{"match": "/v1/kv", "status": 503, "times": 1, …}, …]

A fault: `match` (a part of the path), `times` (how often; default 1), and what happens:
`status` with `headers` and `body`; `truncate` (bytes of the body after which the
connection is closed); `slow_ms` (a wait in the middle of the body); `close` (no answer at
all); `garbage` (a body that is no JSON).
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qsl, urlsplit


class Answer(Exception):
    """Raised by a route to end it."""

    def __init__(self, status, body=None, headers=None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "conformance"
    sys_version = ""

    def log_message(self, *_):
        pass

    def answer_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        parts = urlsplit(self.path)
        self.url_path, self.query = parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
        if self.url_path.startswith("/_control/"):
            return self.control()
        service = self.server.service
        with service.lock:
            service.log.append(
                {"method": self.command, "path": self.url_path, "query": self.query, "headers": dict(self.headers)}
            )
            fault = service.fault_take(self.url_path)
        if fault and "status" in fault:
            return self.send(fault["status"], fault.get("body"), fault.get("headers", {}), fault)
        if fault and fault.get("close"):
            self.close_connection = True
            return None
        try:
            with service.lock:
                status, body, headers = service.route(self)
        except Answer as answer:
            status, body, headers = answer.status, answer.body, answer.headers
        return self.send(status, body, headers, fault or {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_LIST = do_HEAD = answer_any

    def send(self, status, body, headers, fault):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if fault.get("garbage"):
            data = b"<html>a page of some proxy</html>"
        self.send_response(status)
        if data and "Content-Type" not in headers:
            self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if "truncate" in fault:
            self.wfile.write(data[: fault["truncate"]])
            self.close_connection = True
            return
        if "slow_ms" in fault:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            time.sleep(fault["slow_ms"] / 1000)
            data = data[len(data) // 2 :]
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def control(self):
        service = self.server.service
        with service.lock:
            if self.url_path == "/_control/faults":
                service.faults = json.loads(self.body)
                return self.send(200, {}, {}, {})
            log, service.log = service.log, []
            return self.send(200, log, {}, {})


class Service:
    """Subclasses have route(request) → (status, body, headers)."""

    def __init__(self, content):
        self.content = content
        self.lock = Lock()
        self.log = []
        self.faults = []

    def fault_take(self, path):
        for fault in self.faults:
            if fault["match"] in path and fault.get("times", 1) > 0:
                fault["times"] = fault.get("times", 1) - 1
                return fault
        return None


def json_body(request, refuse):
    """The request's JSON object; `refuse` is called without one."""
    if not (request.headers.get("Content-Type") or "").startswith("application/json"):
        refuse("the Content-Type is not application/json")
    try:
        body = json.loads(request.body)
    except ValueError:
        refuse("the body is not JSON")
    if not isinstance(body, dict):
        refuse("the body is not an object")
    return body


def main(service_class):
    with open(sys.argv[1], encoding="utf-8") as file:
        service = service_class(json.load(file))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.service = service
    print(f"READY http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
