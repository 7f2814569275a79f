"""What is seen of an environment from beside it: real web servers, certificates of an own
authority, ports behind real packet filters. The collectors run in a program of their own
(collect_read.c)."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from certificates import Authority
from conftest import BINARY
from testbed.servers import free_port

READER = BINARY.parent / "tests" / "collect_read"
DAY_MS = 86400000

pytestmark = pytest.mark.san


def collect(*args, prefix=(), env=None):
    """All facts, key → {kind, value}; none may hold what a test calls secret."""
    done = subprocess.run(
        [*prefix, str(READER), *map(str, args)],
        capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"], **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    assert "hush" not in done.stdout + done.stderr
    return json.loads(done.stdout)


def values(facts, start):
    """What stands below a key, evidence apart."""
    return {key[len(start):]: fact["value"] for key, fact in facts.items()
            if key.startswith(start) and "evidence" not in fact}


class Web:
    """An HTTP or HTTPS server; `answer(handler)` is a GET or HEAD."""

    def __init__(self, answer, certificate=None, versions=None):
        self.requests = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                web.requests.append((self.command, self.path, dict(self.headers)))
                answer(self)

            do_HEAD = do_GET

            def reply(self, status=200, *headers):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                if self.command == "GET":
                    with contextlib.suppress(OSError):
                        self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

            def get_request(self):
                raw, address = self.socket.accept()
                if not certificate:
                    return raw, address
                return context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            if versions:
                context.minimum_version = context.maximum_version = versions
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if certificate else 'http'}://{self.host}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@contextlib.contextmanager
def raw_server(talk):
    """One that says bytes as it likes to whoever connects."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                talk(connection, ended)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def wait_port(port, process):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert process.poll() is None, "it ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("it does not listen")


@contextlib.contextmanager
def nginx(folder, servers):
    """The web server most use, with what stands in its `http` block."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{servers}\n}}\n"
    )
    ports = re.findall(r"listen 127\.0\.0\.1:(\d+)", servers)
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(folder / "nginx.conf"),
                                "-p", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports:
            wait_port(int(port), process)
        yield process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def authority(work):
    return Authority(work / "ca")


# --- http ------------------------------------------------------------------------------


def test_two_environments_answering_alike_have_equal_facts():
    def answer(handler):
        handler.reply(
            200,
            ("Cache-Control", "max-age=60, public"),
            ("Content-Security-Policy", f"default-src 'self' http://{handler.headers['Host']}; "
                                        f"script-src 'nonce-{os.urandom(9).hex()}'"),
            ("Set-Cookie", f"sid=hush{os.urandom(8).hex()}; Path=/; HttpOnly; SameSite=Lax"),
            ("Vary", "Cookie"), ("Vary", "Accept-Encoding"),
            ("ETag", os.urandom(8).hex()), ("X-Request-Id", os.urandom(8).hex()), ("Age", "7"),
            ("Server-Timing", "db;dur=53"),
        )

    with Web(answer) as staging, Web(answer) as production:
        one, two = (collect("--url", f"http://user:hush@{web.host}/up?token=hush", "--own", web.host)
                    for web in (staging, production))
        sent = staging.requests[0]
    assert values(one, "http/") == values(two, "http/")
    up = values(one, "http/http://{host}/up?token=*/")
    assert up.pop("server").startswith("BaseHTTP/")
    assert up == {
        "status": "200", "protocol": "HTTP/1.1", "cdn": [],
        "header/cache-control": ["max-age=60", "public"],
        "header/content-security-policy": ["default-src 'self' http://{host}", "script-src 'nonce-{nonce}'"],
        "header/vary": ["accept-encoding", "cookie"],
        "cookie/sid": "httponly; path=/; samesite=lax",
    }
    assert sent[0] == "GET" and not {"Authorization", "Cookie"} & set(sent[2])


def test_a_header_that_differs_is_one_fact_that_differs():
    with Web(lambda h: h.reply(200, ("X-Frame-Options", "DENY"))) as one, Web(lambda h: h.reply(503)) as two:
        a, b = (values(collect("--url", web.url, "--own", web.host), "http/") for web in (one, two))
    assert {key for key in a | b if a.get(key) != b.get(key)} == {
        "http://{host}//header/x-frame-options", "http://{host}//status"}


def test_redirects_are_followed_within_the_environment_only():
    def inside(handler):
        steps = {"/": "/login?session=hush", "/login?session=hush": f"http://localhost:{foreign.port}/oauth?state=hush"}
        handler.reply(302, ("Location", steps[handler.path]))

    def around(handler):
        handler.reply(301, ("Location", handler.path + "x"))

    with Web(lambda h: h.reply()) as foreign, Web(inside) as web, Web(around) as endless:
        facts = collect("--url", web.url, "--own", web.host)
        many = collect("--url", endless.url + "/", "--own", endless.host)
        assert foreign.requests == []
        assert len(endless.requests) == 6
    found = values(facts, "http/http://{host}//")
    assert found["location"] == "http://{host}/login?session=*"
    assert found["redirects"] == (
        f"302 http://{{host}}/login?session=* > 302 http://localhost:{foreign.port}/oauth?state=*")
    chain = many["http/http://{host}//redirects"]["value"]
    assert chain.startswith("301 http://{host}/x > 301 http://{host}/xx") and chain.endswith("…")


def test_a_cdn_in_front_is_recognised(work):
    port = free_port()
    with Web(lambda h: h.reply(200, ("Cache-Control", "no-store"))) as origin:
        front = f"""server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {origin.url};
            add_header CF-Ray 8f2a1b-LHR; add_header CF-Cache-Status HIT; add_header Via '1.1 google';
            add_header X-Cache HIT; }} }}"""
        with nginx(work / "nginx", front):
            behind = collect("--url", f"http://127.0.0.1:{port}/", "--own", f"127.0.0.1:{port}", "--server", "127.0.0.2")
        bare = collect("--url", origin.url, "--own", origin.host, "--server", "127.0.0.1")
    seen, plain = (values(facts, "http/http://{host}//") for facts in (behind, bare))
    assert (seen["cdn"], seen["proxy"], seen["cache"]) == (["Cloudflare"], ["Google Cloud"], ["a cache"])
    assert plain["cdn"] == [] and "proxy" not in plain and not any("cf-ray" in key for key in seen)
    assert seen["server"].startswith("nginx/")
    assert values(behind, "shape/front/") == {
        "cdn": ["Cloudflare"], "balancer": ["Google Cloud"], "direct": "no", "addresses": "1"}
    assert values(bare, "shape/front/") == {"cdn": [], "balancer": [], "direct": "yes", "addresses": "1"}


def test_a_slow_server_is_not_checked_within_its_time():
    def talk(connection, ended):
        connection.recv(4096)
        ended.wait(30)

    with raw_server(talk) as port:
        begun = time.monotonic()
        facts = collect("--url", f"http://127.0.0.1:{port}/", "--time", "400", "--own", f"127.0.0.1:{port}")
        assert time.monotonic() - begun < 5
    assert facts["http/http://{host}//"] == {"kind": "not_checked", "value": "no answer in time"}


def test_ten_megabytes_of_headers_are_not_read():
    sent = []

    def talk(connection, _):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for at in range(1250):
            connection.sendall(f"X-Filler-{at}: ".encode() + b"a" * 8192 + b"\r\n")
            sent.append(at)

    with raw_server(talk) as port:
        facts = collect("--url", f"http://127.0.0.1:{port}/", "--own", f"127.0.0.1:{port}")
    assert facts["http/http://{host}//"]["kind"] == "not_checked"
    assert "headers are longer" in facts["http/http://{host}//"]["value"]
    assert len(sent) < 1250


def test_a_refusal_is_seen_and_a_broken_answer_too():
    def talk(connection, _):
        connection.recv(4096)

    gone = free_port()
    with raw_server(talk) as port:
        facts = collect("--url", f"http://127.0.0.1:{gone}/", "--url", f"http://127.0.0.1:{port}/")
    assert facts[f"http/http://127.0.0.1:{gone}//status"]["value"] == "the connection was refused"
    assert facts[f"http/http://127.0.0.1:{port}//status"]["value"] == "the connection was closed before the answer"


def test_an_address_that_is_none_is_said_to_be():
    facts = collect("--url", "http://a b/", "--url", "ftp://a.test/x", "--url", "https://user:hush/x")
    assert {fact["value"] for key, fact in facts.items() if key.startswith("http/")} == {
        "the address or the answer is malformed"}


def test_many_urls_are_looked_at_side_by_side():
    def slow(handler):
        time.sleep(0.3)
        handler.reply()

    with Web(slow) as web:
        urls = [part for at in range(20) for part in ("--url", f"{web.url}/{at}")]
        begun = time.monotonic()
        facts = collect(*urls, "--own", web.host)
        took = time.monotonic() - begun
    assert sum(key.endswith("/status") for key in facts) == 20
    assert took < 20 * 0.3


# --- tls --------------------------------------------------------------------------------


def test_http2_and_the_certificate_of_a_trusted_server(work, authority):
    chain, key = authority.issue("shop", "shop.test", "127.0.0.1", end="20270101000000Z")
    port, old = free_port(), free_port()
    keys = f"ssl_certificate {chain}; ssl_certificate_key {key}; location / {{ return 204; }}"
    config = f"""server {{ listen 127.0.0.1:{port} ssl http2; ssl_protocols TLSv1.3; {keys} }}
        server {{ listen 127.0.0.1:{old} ssl; ssl_protocols TLSv1.2; {keys} }}"""
    with nginx(work / "nginx", config):
        now_ms = 1798675200000  # 2026-12-31
        facts = collect("--url", f"https://127.0.0.1:{port}/", "--own", f"127.0.0.1:{port}", "--ca", authority.file,
                        "--tls", f"127.0.0.1:{old}", "--now", now_ms)
    assert values(facts, "http/https://{host}//")["protocol"] == "HTTP/2"
    tls = values(facts, "tls/{host}/")
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain.read_text())).hexdigest()
    assert fingerprint.startswith(tls.pop("fingerprint").rstrip("…."))
    assert tls == {
        "protocol": "TLSv1.3", "trusted": "yes", "chain": "complete", "subject": "CN = shop.test",
        "issuer": "CN = Test Authority", "issuers": "CN = Test Authority", "names": ["127.0.0.1", "shop.test"],
        "days_left": "1 d", "expires_soon": "yes",
    }
    assert facts["tls/{host}/not_after"] == {"kind": "text", "value": "2027-01-01T00:00:00Z", "evidence": True}
    assert facts[f"tls/127.0.0.1:{old}/protocol"]["value"] == "TLSv1.2"
    assert facts[f"tls/127.0.0.1:{old}/trusted"]["value"] == "yes"


@pytest.mark.parametrize("fault, chain, why", [
    ("expired", "expired", "expired"),
    ("stranger", "incomplete or unknown authority", "local issuer"),
    ("self", "self-signed", "self-signed"),
    ("other name", "complete", "subject name"),
])
def test_a_certificate_that_is_not_trusted_is_shown_all_the_same(work, authority, fault, chain, why):
    certificate = {
        "expired": lambda: authority.issue("old", "127.0.0.1", end="20200601000000Z"),
        "stranger": lambda: Authority(work / "other").issue("shop", "127.0.0.1"),
        "self": lambda: authority.self_signed("own", "127.0.0.1"),
        "other name": lambda: authority.issue("other", "other.test", "127.0.0.9"),
    }[fault]()
    with Web(lambda h: h.reply(), certificate) as web:
        facts = collect("--url", web.url, "--own", web.host, "--ca", authority.file)
    tls = values(facts, "tls/{host}/")
    assert (tls["trusted"], tls["chain"], tls["protocol"]) == ("no", chain, "TLSv1.3")
    assert why in facts["tls/{host}/trusted_why"]["value"]
    assert tls["subject"].startswith("CN = ")
    assert tls["expires_soon"] == ("yes" if fault == "expired" else "no")
    assert int(tls["days_left"].split()[0]) < 0 or fault != "expired"
    assert facts["http/https://{host}//status"]["value"] == "200"


def test_an_old_protocol_differs_from_a_new_one(authority):
    certificate = authority.issue("shop", "127.0.0.1")
    answer = lambda h: h.reply()  # noqa: E731
    with Web(answer, certificate, ssl.TLSVersion.TLSv1_2) as one, Web(answer, certificate) as two:
        a, b = (values(collect("--url", web.url, "--own", web.host, "--ca", authority.file), "") for web in (one, two))
    assert {key for key in a | b if a.get(key) != b.get(key)} == {"tls/{host}/protocol"}


def test_what_speaks_no_tls_has_no_protocol():
    with Web(lambda h: h.reply()) as plain:
        facts = collect("--tls", plain.host)
    assert values(facts, f"tls/{plain.host}/") == {"protocol": "none"}


# --- endpoint ---------------------------------------------------------------------------


def test_a_service_outside_is_knocked_at_without_its_credentials(authority):
    limits = [("X-RateLimit-Limit", "100"), ("X-RateLimit-Remaining", "37"), ("RateLimit-Policy", "100;w=60"),
              ("RateLimit", "limit=100, remaining=37, reset=5"), ("Retry-After", "30")]
    with Web(lambda h: h.reply(401, *limits), authority.issue("api", "127.0.0.1")) as api:
        facts = collect("--secret", f"PAY_URL=https://key:hush@{api.host}/v1/hush?token=hush", "--ca", authority.file,
                        "--server", "127.0.0.1")
        (method, path, headers), = api.requests
    assert (method, path) == ("HEAD", "/") and "Authorization" not in headers
    assert values(facts, "endpoint/PAY_URL/") == {
        "host": f"{{server}}:{api.port}", "reachable": "yes", "tls": "TLSv1.3", "trusted": "yes",
        "rate_limit/x-ratelimit-limit": "100", "rate_limit/ratelimit-policy": "100; w=60",
        "rate_limit/ratelimit": "limit=100",
    }
    assert facts["endpoint/PAY_URL/rate_limit/x-ratelimit-remaining"]["evidence"]
    assert facts["endpoint/PAY_URL/rate_limit/retry-after"]["evidence"]


def test_a_lower_rate_is_one_fact_that_differs():
    def facts_of(limit):
        with Web(lambda h: h.reply(200, ("X-RateLimit-Limit", limit))) as api:
            return values(collect("--endpoint", f"API={api.url}", "--own", api.host, "--server", "127.0.0.1"), "")

    a, b = facts_of("1000"), facts_of("100")
    assert {key for key in a if a[key] != b[key]} == {"endpoint/API/rate_limit/x-ratelimit-limit"}


def test_variables_say_host_mode_and_service_and_nothing_secret():
    variables = {
        "STRIPE_SECRET": "sk_live_hush0123456789abcdefgh",
        "STRIPE_TEST": "sk_test_hush0123456789abcdefgh",
        "PAYPAL_URL": "https://api.sandbox.paypal.com/hush",
        "DATABASE_URL": "postgres://app:hush@db.acme.io/hush?sslmode=require",
        "JDBC": "jdbc:mysql://db.acme.io:3307/hush",
        "GO_DSN": "app:hush@tcp(db.acme.io:3306)/hush",
        "PQ_DSN": "host=db.acme.io user=app password=hush dbname=hush",
        "REDIS_URL": "rediss://:hush@cache.acme.io",
        "MONGO": "mongodb://app:hush@m1.acme.io:27018,m2.acme.io:27018/hush",
        "ODD_PASSWORD_URL": "postgres://app:hu/sh@db.acme.io/x",
        "SESSION_KEY": "hush.acme.io",
        "TOKEN_HOST": "hush.acme.io",
    }
    plain = {"MAIL_HOST": "smtp.acme.io", "MAIL_PORT": "587", "APP_VERSION": "8.3.6", "LOG_LEVEL": "info"}
    args = [part for name, value in variables.items() for part in ("--secret", f"{name}={value}")]
    args += [part for name, value in plain.items() for part in ("--endpoint", f"{name}={value}")]
    facts = collect(*args, "--offline")
    found = {key[9:]: fact["value"] for key, fact in facts.items()
             if key.startswith("endpoint/") and fact["kind"] == "text"}
    assert found == {
        "STRIPE_SECRET/host": "api.stripe.com:443", "STRIPE_SECRET/mode": "live", "STRIPE_SECRET/service": "Stripe",
        "STRIPE_TEST/host": "api.stripe.com:443", "STRIPE_TEST/mode": "test", "STRIPE_TEST/service": "Stripe",
        "PAYPAL_URL/host": "api.sandbox.paypal.com:443", "PAYPAL_URL/mode": "sandbox", "PAYPAL_URL/service": "PayPal",
        "DATABASE_URL/host": "db.acme.io:5432", "JDBC/host": "db.acme.io:3307", "GO_DSN/host": "db.acme.io:3306",
        "PQ_DSN/host": "db.acme.io:5432", "REDIS_URL/host": "cache.acme.io:6379", "MONGO/host": "m1.acme.io:27018",
        "MAIL_HOST/host": "smtp.acme.io:587",
    }
    assert {fact["value"] for fact in facts.values() if fact["kind"] == "not_checked"} == {"offline"}


def test_localhost_of_a_server_elsewhere_is_not_ours():
    with raw_server(lambda connection, _: None) as port:
        far = collect("--endpoint", f"DB=postgres://localhost:{port}/x", "--server", "web1.acme.io")
        near = collect("--endpoint", f"DB=postgres://localhost:{port}/x", "--server", "127.0.0.1")
    gone = collect("--endpoint", f"DB=postgres://localhost:{free_port()}/x", "--server", "127.0.0.1")
    assert far["endpoint/DB/reachable"]["kind"] == "not_checked"
    assert near["endpoint/DB/reachable"]["value"] == "yes"
    assert gone["endpoint/DB/reachable"]["value"] == "no"
    assert "refused" in gone["endpoint/DB/reachable_why"]["value"]


# --- dns, shape, all -----------------------------------------------------------------------


def test_ports_are_open_or_closed_and_all_servers_are_one_fact():
    closed = free_port()
    with raw_server(lambda connection, _: None) as port:
        facts = collect("--server", "127.0.0.1", "--server", "127.0.0.2", "--group", "web=2", "--group", "worker=1",
                        "--port", f"127.0.0.1:{port}", "--port", f"127.0.0.2:{port}", "--port", f"127.0.0.1:{closed}")
    assert values(facts, "shape/") == {
        "web/servers": "2", "worker/servers": "1", f"port/{{server}}:{port}/open": "mixed",
        f"port/{{server}}:{closed}/open": "closed",
    }
    assert facts[f"shape/port/{{server}}:{port}/hosts"]["value"] == f"127.0.0.1:{port} open, 127.0.0.2:{port} closed"


@pytest.fixture
def netns(work):
    """A network of its own: `netns("nft", …)` runs there."""
    process = subprocess.Popen(["unshare", "-n", "-m", "--", sys.executable, "-c",
                                "import sys; print('ready', flush=True); sys.stdin.read()"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    prefix = ["nsenter", "-t", str(process.pid), "-n", "-m", "--"]

    def run(*argv):
        subprocess.run([*prefix, *map(str, argv)], check=True, timeout=30, capture_output=True)

    run.prefix = prefix
    run("ip", "link", "set", "lo", "up")
    yield run
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("nft"), reason="needs nft")
def test_a_firewall_that_drops_is_told_from_one_that_refuses(netns):
    listen = ("import socket; s = [socket.create_server(('127.0.0.1', p)) for p in (7001, 7002, 7003)]; "
              "print('ready', flush=True); input()")
    listener = subprocess.Popen([*netns.prefix, sys.executable, "-c", listen], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
    assert listener.stdout.readline() == b"ready\n"
    netns("nft", "add table inet filter")
    netns("nft", "add chain inet filter input { type filter hook input priority 0; }")
    netns("nft", "add rule inet filter input tcp dport 7002 drop")
    netns("nft", "add rule inet filter input tcp dport 7003 reject with tcp reset")
    ports = [part for port in (7001, 7002, 7003) for part in ("--port", f"127.0.0.1:{port}")]
    facts = collect(*ports, "--server", "127.0.0.1", "--time", "700", "--endpoint", "DB=postgres://127.0.0.1:7002/x",
                    prefix=netns.prefix)
    listener.communicate(b"\n", 20)
    assert values(facts, "shape/port/{server}:") == {"7001/open": "open", "7002/open": "filtered", "7003/open": "closed"}
    assert facts["endpoint/DB/reachable"] == {"kind": "not_checked", "value": "no answer in time"}


@pytest.mark.root
def test_names_are_resolved_and_own_ones_are_one_fact(work, netns):
    (work / "hosts").write_text("127.0.0.1 localhost\n10.9.9.9 shop.acme.test\n10.9.9.8 shop.acme.test\n")
    (work / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    netns("mount", "--bind", work / "hosts", "/etc/hosts")
    netns("mount", "--bind", work / "resolv.conf", "/etc/resolv.conf")
    facts = collect("--name", "shop.acme.test", "--name", "unknown.acme.test", "--name", "10.1.2.3",
                    "--own", "shop.acme.test", prefix=netns.prefix)
    assert facts["dns/{host}/addresses"] == {"kind": "set", "value": ["10.9.9.8", "10.9.9.9"]}
    assert facts["dns/10.1.2.3/addresses"]["value"] == ["10.1.2.3"]
    assert facts["dns/unknown.acme.test/"]["kind"] == "not_checked"


def test_offline_makes_no_connection_and_says_so():
    with Web(lambda h: h.reply()) as web:
        facts = collect("--url", web.url, "--tls", web.host, "--name", "localhost", "--endpoint", f"API={web.url}",
                        "--port", web.host, "--group", "web=3", "--offline")
        assert web.requests == []
    known = {key for key, fact in facts.items() if fact["kind"] != "not_checked"}
    assert known == {"shape/web/servers", "endpoint/API/host"}
    assert {fact["value"] for key, fact in facts.items() if key not in known} == {"offline"}
    assert {key.split("/")[0] for key in set(facts) - known} == {"dns", "endpoint", "http", "shape", "tls"}


def test_more_than_is_looked_at_is_said():
    urls = [part for at in range(205) for part in ("--url", f"http://a{at}.test/")]
    facts = collect(*urls, "--offline")
    assert facts["http/"] == {"kind": "not_checked", "value": "205 are listed, 200 are looked at"}
    assert sum(key.startswith("http/http") for key in facts) == 200


def test_the_reference_lists_every_kind_of_fact():
    text = subprocess.run([str(READER), "--reference"], capture_output=True, text=True, check=True).stdout
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == ["dns", "endpoint", "http", "shape", "tls"]
    for key in ("http/URL/status", "tls/HOST:PORT/days_left", "endpoint/VARIABLE/mode", "shape/port/HOST:PORT/open"):
        assert f"| `{key}` |" in text
