"""Parameter Store and Secrets Manager against moto, which checks signatures and IAM
policies here; instance metadata, container credentials and throttling against small
servers of our own, which are strict about what they are sent."""

import hashlib
import hmac
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from conftest import BINARY

READ = BINARY.parent / "tests" / "provider_read"
REGION = "eu-west-1"


def mac(value):
    return hmac.new(b"test", value.encode(), hashlib.sha256).hexdigest()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CODES = {"user": 1, "internal": 2, "denied": 3, "network": 4, "not_found": 5}


class Done:
    """How a reading ended: the program's exit code for it, and what it says."""

    def __init__(self, outcome):
        error = outcome.get("error")
        self.returncode = CODES[error["code"]] if error else 0
        self.stderr = f"{error['text']}\nhint: {error['hint']}" if error else ""
        self.entries = {entry["name"]: entry for entry in outcome.get("entries", [])}

    def __repr__(self):
        return f"{self.returncode}: {self.stderr}"


def read(url, env, *arguments):
    """Runs provider_read with nothing of the caller's environment that speaks to AWS."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    clean |= {"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"} | env
    done = subprocess.run([READ, url, *arguments], env=clean, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Done(json.loads(done.stdout))


def entries(done):
    assert done.returncode == 0, done.stderr
    return done.entries


class Moto:
    """moto_server with keys for two users: ada may read, bob may do nothing."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(folder / "moto.log", "wb")
        self.process = subprocess.Popen(
            ["moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
            env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )
        self.wait()

    def wait(self):
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url + "/moto-api/", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None and time.monotonic() < until, "moto_server does not start"
                time.sleep(0.1)

    def close(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(20)
        self.log.close()

    def call(self, service, target, body, **headers):
        scope = f"AWS4-HMAC-SHA256 Credential=setup/20200101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        headers |= {"Authorization": scope}
        if isinstance(body, dict) and target:
            headers |= {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
            data = json.dumps(body).encode()
        else:
            data = urllib.parse.urlencode(body).encode()
        request = urllib.request.Request(self.url + "/", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def put(self, name, value, kind="String", **more):
        self.call("ssm", "AmazonSSM.PutParameter", {"Name": name, "Value": value, "Type": kind, **more})

    def secret(self, action, **body):
        return json.loads(self.call("secretsmanager", f"secretsmanager.{action}", body))

    def user(self, name, *statements):
        version = {"Version": "2010-05-08"}
        self.call("iam", None, {"Action": "CreateUser", "UserName": name} | version)
        text = self.call("iam", None, {"Action": "CreateAccessKey", "UserName": name} | version)
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            self.call("iam", None, {"Action": "PutUserPolicy", "UserName": name, "PolicyName": "it",
                                    "PolicyDocument": json.dumps(policy)} | version)
        pick = lambda tag: text.split(f"<{tag}>")[1].split("<")[0]  # noqa: E731
        return {"AWS_ACCESS_KEY_ID": pick("AccessKeyId"), "AWS_SECRET_ACCESS_KEY": pick("SecretAccessKey")}

    def check_from_now_on(self):
        request = urllib.request.Request(self.url + "/moto-api/reset-auth", data=b"0", method="POST",
                                         headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    if not shutil.which("moto_server"):
        pytest.skip("moto_server is not on this machine: signatures and IAM were not checked by it")
    server = Moto(tmp_path_factory.mktemp("moto"))
    try:
        for number in range(67):
            server.put(f"/shop/production/V{number:02}", f"value {number}", "SecureString" if number % 2 else "String")
        server.put("/shop/production/V01", "changed", "SecureString", Overwrite=True)
        server.put("/nested/db/password", "pä ss\n$x", "SecureString")
        server.put("/nested/APP", "shop")
        server.put("/other/SECRET", "not ours")
        server.json_secret = server.secret(
            "CreateSecret", Name="shop/production",
            SecretString=json.dumps({"DB_PASSWORD": "hush", "PORT": 5432, "DEBUG": False, "LIST": [1, "b"]}))
        server.secret("CreateSecret", Name="shop/API_KEY", SecretString="one value")
        server.secret("CreateSecret", Name="shop/bytes", SecretBinary="AAEC")
        server.secret("CreateSecret", Name="shop/null", SecretString='{"A": null}')
        server.secret("PutSecretValue", SecretId="shop/production", SecretString='{"DB_PASSWORD": "newer"}')
        allowed = ["ssm:GetParametersByPath", "ssm:GetParameters", "secretsmanager:GetSecretValue"]
        server.ada = server.user("ada", {"Effect": "Allow", "Action": allowed, "Resource": "*"})
        server.describer = server.user(
            "dora", {"Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "*"})
        server.bob = server.user("bob")
        for user in (server.ada, server.bob, server.describer):
            user |= {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": server.url}
        server.check_from_now_on()
        yield server
    finally:
        server.close()


# --- Parameter Store ---------------------------------------------------------------


def test_all_pages_are_read_and_types_told(aws):
    found = entries(read("ssm:///shop/production/", aws.ada))
    assert len(found) == 67
    for number in range(67):
        entry = found[f"V{number:02}"]
        assert entry["plain"] == (number % 2 == 0)
        assert entry["place"] == f"ssm:///shop/production/V{number:02}"
        assert entry["changed_ms"]
    assert found["V02"]["hmac"] == mac("value 2") and found["V02"]["version"] == "1"
    assert found["V01"]["hmac"] == mac("changed") and found["V01"]["version"] == "2"


def test_the_endpoint_and_the_region_may_stand_in_the_call(aws):
    env = {k: v for k, v in aws.ada.items() if k.startswith("AWS_") and "KEY" in k}
    found = entries(read(f"ssm:///shop/production?region={REGION}", env, "--endpoint", aws.url + "/"))
    assert len(found) == 67
    missing = read("ssm:///shop/production", env, "--endpoint", aws.url)
    assert missing.returncode == 1 and "region" in missing.stderr


def test_names_come_without_values(aws):
    found = entries(read("ssm:///shop/production/", aws.ada, "--names"))
    assert len(found) == 67 and all("hmac" not in entry for entry in found.values())
    assert found["V01"]["version"] == "2"


def test_an_earlier_version_of_a_parameter(aws):
    found = entries(read("ssm:///shop/production/", aws.ada, "--version", "1", "--map", "OLD=V01"))
    assert found["OLD"]["hmac"] == mac("value 1") and found["OLD"]["version"] == "1"
    gone = read("ssm:///shop/production/", aws.ada, "--version", "9", "--map", "OLD=V01")
    assert gone.returncode == 5 and "/shop/production/V01:9" in gone.stderr
    unclear = read("ssm:///shop/production/", aws.ada, "--version", "1")
    assert unclear.returncode == 1


def test_deeper_folders_need_keys(aws):
    refused = read("ssm:///nested/", aws.ada)
    assert refused.returncode == 1 and "db/password" in refused.stderr
    found = entries(read("ssm:///nested/", aws.ada, "--map", "DB_PASSWORD=db/password"))
    assert list(found) == ["DB_PASSWORD"] and found["DB_PASSWORD"]["hmac"] == mac("pä ss\n$x")


def test_a_path_without_parameters_is_empty(aws):
    assert entries(read("ssm:///shop/nowhere/", aws.ada)) == {}


def test_a_wrong_secret_key_is_told_without_showing_it(aws):
    done = read("ssm:///shop/production/", aws.ada | {"AWS_SECRET_ACCESS_KEY": "wrong-secret-key"})
    assert done.returncode == 3
    assert "the signature does not fit" in done.stderr and "AWS_ variables" in done.stderr
    assert "wrong-secret-key" not in done.stderr


def test_an_unknown_key_is_told(aws):
    done = read("ssm:///shop/production/", aws.ada | {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"})
    assert done.returncode == 3 and "does not know the access key" in done.stderr


@pytest.mark.parametrize(
    "url, action", [("ssm:///shop/production/", "ssm:GetParametersByPath"),
                    ("secretsmanager://shop/production", "secretsmanager:GetSecretValue")])
def test_a_missing_permission_is_named_with_its_path(aws, url, action):
    done = read(url, aws.bob)
    assert done.returncode == 3
    assert f"{action} of {url.split('//', 1)[1]} is not allowed" in done.stderr
    assert f"it needs {action} on arn:aws:" in done.stderr


# --- Secrets Manager ---------------------------------------------------------------


def test_a_json_secret_is_several_variables(aws):
    first = aws.json_secret["VersionId"]
    found = entries(read("secretsmanager://shop/production", aws.ada, "--version", first))
    assert {name: entry["hmac"] for name, entry in found.items()} == {
        "DB_PASSWORD": mac("hush"), "PORT": mac("5432"), "DEBUG": mac("false"), "LIST": mac('[1,"b"]')}
    assert all(entry["version"] == first and not entry["plain"] for entry in found.values())
    newer = entries(read("secretsmanager://shop/production", aws.ada))
    assert newer["DB_PASSWORD"]["hmac"] == mac("newer") and newer["DB_PASSWORD"]["version"] != first


def test_any_other_secret_is_one_variable(aws):
    found = entries(read("secretsmanager://shop/API_KEY", aws.ada))
    assert list(found) == ["API_KEY"] and found["API_KEY"]["hmac"] == mac("one value")
    named = entries(read("secretsmanager://shop/API_KEY", aws.ada, "--map", "TOKEN=API_KEY"))
    assert list(named) == ["TOKEN"] and named["TOKEN"]["hmac"] == mac("one value")


def test_what_a_variable_cannot_hold_is_refused(aws):
    done = read("secretsmanager://shop/bytes", aws.ada)
    assert done.returncode == 1 and "holds bytes" in done.stderr
    done = read("secretsmanager://shop/null", aws.ada)
    assert done.returncode == 1 and "shop/null#A" in done.stderr


def test_a_secret_that_is_not_there(aws):
    done = read("secretsmanager://shop/nothing", aws.ada)
    assert done.returncode == 5 and "shop/nothing" in done.stderr


def test_listed_names_need_no_right_to_values(aws):
    found = entries(read("secretsmanager://shop/production", aws.describer, "--names", "--map", "PW=DB_PASSWORD"))
    assert list(found) == ["PW"] and "hmac" not in found["PW"] and found["PW"]["version"]
    assert read("secretsmanager://shop/production", aws.describer, "--names").returncode == 3
    names = entries(read("secretsmanager://shop/production", aws.ada, "--names"))
    assert list(names) == ["DB_PASSWORD"] and "hmac" not in names["DB_PASSWORD"]


# --- where keys come from ----------------------------------------------------------


def test_profiles_of_files(aws, work):
    folder = work / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n\n"
        f"[shop]\naws_access_key_id={aws.ada['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {aws.ada['AWS_SECRET_ACCESS_KEY']}\n")
    (folder / "config").write_text(
        f"# regions\n[profile shop]\nregion = {REGION}\ns3 =\n  max_queue = 1\n\n"
        "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = shop\n")
    home = {"HOME": str(work), "AWS_ENDPOINT_URL": aws.url}
    assert len(entries(read("ssm:///shop/production/", home | {"AWS_PROFILE": "shop"}))) == 67
    default = read("ssm:///shop/production/", home | {"AWS_REGION": REGION})
    assert default.returncode == 3 and f"the profile default of {folder}/credentials" in default.stderr
    role = read("ssm:///shop/production/", home | {"AWS_PROFILE": "role", "AWS_REGION": REGION})
    assert role.returncode == 3 and "role_arn" in role.stderr and "export-credentials --profile role" in role.stderr
    none = read("ssm:///shop/production/", home | {"AWS_PROFILE": "nix", "AWS_REGION": REGION})
    assert none.returncode == 3 and "nix" in none.stderr
    elsewhere = work / "elsewhere"
    shutil.move(folder / "credentials", elsewhere)
    moved = home | {"AWS_PROFILE": "shop", "AWS_SHARED_CREDENTIALS_FILE": str(elsewhere)}
    assert len(entries(read("ssm:///shop/production/", moved))) == 67


def test_no_keys_anywhere(aws):
    done = read("ssm:///shop/production/", {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": aws.url})
    assert done.returncode == 3 and "no credentials" in done.stderr and "AWS_PROFILE" in done.stderr


class Small(http.server.ThreadingHTTPServer):
    """A server whose answers are functions: (method, path) → f(headers, body) → (status, body)."""

    daemon_threads = True

    def __init__(self, routes):
        super().__init__(("127.0.0.1", 0), SmallHandler)
        self.routes, self.seen = routes, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *args):
        self.shutdown()
        super().__exit__(*args)


class SmallHandler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = self.server.routes.get((self.command, self.path))
        status, text = route(self.headers, body) if route else (404, "")
        self.server.seen.append((self.command, self.path, status))
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *args):
        pass


def key_document(user):
    return json.dumps({"Code": "Success", "AccessKeyId": user["AWS_ACCESS_KEY_ID"], "Expiration": "2030-01-01T00:00:00Z",
                       "SecretAccessKey": user["AWS_SECRET_ACCESS_KEY"], "Token": ""})


def metadata(user):
    """Version 2 as the EC2 user guide has it: a token by PUT with a time to live, then it in a header."""

    def token(headers, _):
        return (200, "tok-123") if headers["X-aws-ec2-metadata-token-ttl-seconds"] else (400, "")

    def with_token(text):
        return lambda headers, _: (200, text) if headers["X-aws-ec2-metadata-token"] == "tok-123" else (401, "")

    roles = "/latest/meta-data/iam/security-credentials/"
    return Small({
        ("PUT", "/latest/api/token"): token,
        ("GET", roles): with_token("shop-role\n"),
        ("GET", roles + "shop-role"): with_token(key_document(user)),
        ("GET", "/latest/meta-data/placement/region"): with_token(REGION),
    })


def test_instance_metadata_gives_keys_and_region(aws):
    with metadata(aws.ada) as server:
        env = {"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/",
               "AWS_ENDPOINT_URL": aws.url}
        assert len(entries(read("ssm:///shop/production/", env))) == 67
        assert [status for _, _, status in server.seen] == [200] * 4
        server.seen.clear()
        read("ssm:///shop/production/", env | {"AWS_EC2_METADATA_DISABLED": "true"})
        assert server.seen == []
    # The server is gone: quickly told, as on a machine that has none.
    begun = time.monotonic()
    done = read("ssm:///shop/production/", env)
    assert done.returncode == 3 and "no instance metadata" in done.stderr
    assert time.monotonic() - begun < 5


def test_container_credentials(aws, work):
    def keys(headers, _):
        return (200, key_document(aws.ada)) if headers["Authorization"] == "pod-token" else (401, "")

    (work / "token").write_text("pod-token\n")
    with Small({("GET", "/keys"): keys}) as server:
        env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/keys", "AWS_REGION": REGION,
               "AWS_ENDPOINT_URL": aws.url}
        good = env | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(work / "token")}
        assert len(entries(read("ssm:///shop/production/", good))) == 67
        bad = read("ssm:///shop/production/", env | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "other"})
        assert bad.returncode == 3 and "container" in bad.stderr and "other" not in bad.stderr
        remote = read("ssm:///shop/production/", env | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/keys"})
        assert remote.returncode == 1 and "only to this machine" in remote.stderr


# --- how the service behaves under load, and what it may answer ----------------------

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_REGION": REGION,
        "AWS_SESSION_TOKEN": "session-canary"}


def page(names, token=None):
    parameters = [{"Name": "/p/" + n, "Type": "String", "Value": n, "Version": 3} for n in names]
    return 200, json.dumps({"Parameters": parameters} | ({"NextToken": token} if token else {}))


def refusal(code, message="", status=400):
    return status, json.dumps({"__type": code, "message": message})


def service(*answers):
    """Gives these one after the other, the last for ever; the requests are kept."""
    left, asked = list(answers), []

    def answer(headers, body):
        assert headers["X-Amz-Target"] == "AmazonSSM.GetParametersByPath"
        assert headers["X-Amz-Content-Sha256"] == hashlib.sha256(body).hexdigest()
        assert headers["X-Amz-Security-Token"] == "session-canary"
        asked.append((json.loads(body), headers["Authorization"]))
        return left.pop(0) if len(left) > 1 else left[0]

    server = Small({("POST", "/"): answer})
    server.asked = asked
    return server


def test_the_token_ends_the_pages_and_not_their_length():
    with service(page(["A"], "t1"), page([], "t2"), page(["B", "C"], "t3"), page([])) as server:
        found = entries(read("ssm:///p/", KEYS, "--endpoint", server.url))
    assert sorted(found) == ["A", "B", "C"]
    assert [body.get("NextToken") for body, _ in server.asked] == [None, "t1", "t2", "t3"]
    assert all(body["MaxResults"] == 10 and body["Recursive"] for body, _ in server.asked)


def test_throttling_is_waited_out_with_a_signature_of_each_attempt():
    with service(refusal("ThrottlingException", "Rate exceeded"), refusal("com.amazonaws.ssm#TooManyRequestsException"),
                 (503, ""), page(["A"])) as server:
        assert list(entries(read("ssm:///p/", KEYS, "--endpoint", server.url))) == ["A"]
    assert len(server.asked) == 4


def test_an_endpoint_with_a_password_is_refused_without_showing_it():
    done = read("ssm:///p/", KEYS, "--endpoint", "https://user:canary-password@127.0.0.1:1")
    assert done.returncode == 1 and "plain address" in done.stderr
    assert "canary" not in done.stderr


def test_a_token_goes_over_a_plain_connection_to_this_machine_only():
    """Whatever the scheme's letters."""
    for scheme in ("http", "HTTP", "Http"):
        done = read("ssm:///p/", {"AWS_REGION": REGION, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "canary",
                                  "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{scheme}://192.0.2.1/"})
        assert "only to this machine" in done.stderr, scheme


def test_throttling_without_end_is_told():
    with service(refusal("ThrottlingException", "Rate exceeded")) as server:
        done = read("ssm:///p/", KEYS, "--endpoint", server.url, "--timeout", "2000")
    assert done.returncode == 4 and "too many requests" in done.stderr and len(server.asked) > 2


@pytest.mark.parametrize("answer", [
    refusal("InvalidSignatureException", "Signature expired: 20150830T123600Z is now earlier than 20150830T124000Z"),
    refusal("RequestTimeTooSkewed", "", 403),
    (403, "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large</Message></Error>"),
])
def test_a_clock_that_is_off_is_named(answer):
    with service(answer) as server:
        done = read("ssm:///p/", KEYS, "--endpoint", server.url)
    assert done.returncode == 3 and "clock" in done.stderr


def test_what_a_refusal_quotes_of_the_request_is_not_shown():
    """The canonical string in it has the session's token."""
    message = "The request signature we calculated does not match. The Canonical String should have been session-canary"
    with service(refusal("InvalidSignatureException", message, 403)) as server:
        done = read("ssm:///p/", KEYS, "--endpoint", server.url)
    assert done.returncode == 3 and "signature does not fit" in done.stderr and "session-canary" not in done.stderr


def test_a_lapsed_session_is_told():
    with service(refusal("ExpiredTokenException", "The security token included in the request is expired")) as server:
        done = read("ssm:///p/", KEYS, "--endpoint", server.url)
    assert done.returncode == 3 and "has lapsed" in done.stderr


def test_a_key_that_may_not_be_used_is_told():
    with service(refusal("AccessDeniedException", "is not authorized to perform: kms:Decrypt on resource")) as server:
        done = read("ssm:///p/", KEYS, "--endpoint", server.url)
    assert done.returncode == 3 and "kms:Decrypt" in done.stderr.splitlines()[0] and "/p/" in done.stderr


@pytest.mark.parametrize("answer", [
    (200, "not json: canary"), (200, "[]"), (200, '{"Parameters": {}}'), (200, '{"Parameters": [{"Name": "canary"}]}'),
    page(["A"], "same"), (200, '{"Parameters": [{"Name": "/q/A", "Type": "String", "Value": "canary"}]}'),
    (302, ""), (404, "canary"),
])
def test_answers_of_something_else_are_errors_that_quote_nothing(answer):
    with service(answer) as server:
        done = read("ssm:///p/", KEYS, "--endpoint", server.url)
    assert done.returncode in (1, 4) and done.stderr and "canary" not in done.stderr


@pytest.mark.parametrize("url", [
    "ssm:", "ssm://", "ssm://shop/x", "ssm:///a//b", "ssm:///a b", "ssm:///a?region=EU", "ssm:///a?x=1",
    "secretsmanager://", "secretsmanager:x", "secretsmanager://a b", "secretsmanager://a?region=x.evil.example",
])
def test_addresses_are_checked(url):
    done = read(url, KEYS)
    assert done.returncode == 1 and "it is written" in done.stderr


def test_plain_http_goes_nowhere_but_to_this_machine():
    done = read("ssm:///p/", KEYS, "--endpoint", "http://192.0.2.7:80")
    assert done.returncode == 1 and "clear" in done.stderr
