"""The probes file, env, net, unit and container over real ssh, on places lockstep deployed
to and places it never saw: what is caused on one server by hand is told, and nothing else."""

import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import BINARY

PROBE_READ = BINARY.parent / "tests" / "probe_read"
SECRET = "hunter2-0123456789"


class Facts(dict):
    """key → value; `kinds` says the kind, "evidence …" of what is not compared."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.kinds = {}
        for line in text.splitlines():
            key, kind, value = line.split("\t", 2)
            self[key] = value
            self.kinds[key] = kind

    def compared(self):
        return {k: (self.kinds[k], v) for k, v in self.items() if not self.kinds[k].startswith("evidence")}


@pytest.fixture
def facts(sshd):
    def look(server, place, *only, **lists):
        argv = [str(PROBE_READ), f"{server}:0:{place}"]
        for dimension in only:
            argv += ["--only", dimension]
        for key, values in lists.items():
            for value in values:
                argv += ["--" + key.replace("_", "-"), value]
        env = {**os.environ, "LOCKSTEP_SSH": sshd.ssh}
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return Facts(done.stdout)

    return look


def put(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def twins(sshd):
    """Two servers with the same application, put there by nobody in particular."""
    places = {}
    for name in ("stg", "prod"):
        sshd.add(name)
        place = sshd[name].place("www/shop")
        live = place / "releases" / "20260101000000"
        put(live / "index.php", "<?php echo 1;\n")
        put(live / "app/Pay.php", "<?php // pay\n")
        put(live / "bin/worker", "#!/bin/sh\n", 0o755)
        put(live / "compose.yaml", "services:\n  db:\n    image: postgres:15\n")
        put(place / "shared/.env", f"APP_ENV=x\nAPP_KEY={SECRET}\n")
        os.symlink("../../shared/.env", live / ".env")
        os.symlink("releases/20260101000000", place / "current")
        places[name] = place
    return places


def differences(a, b):
    a, b = a.compared(), b.compared()
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}


def test_two_servers_made_alike_have_no_difference(twins, facts):
    seen = [facts(name, place, "file", "env", "container") for name, place in twins.items()]
    assert differences(*seen) == set()
    assert len(seen[0]) > 20
    assert "file/app/Pay.php/content" in seen[0]
    assert seen[0]["env/APP_KEY/present"] == "yes"
    assert SECRET not in seen[0].text


def test_each_change_by_hand_is_found_and_nothing_else(twins, facts, sshd):
    live = "www/shop/current"
    sshd.on("prod", f"echo '// fix' >> {live}/app/Pay.php && chmod 600 {live}/index.php && touch {live}/dump.sql "
            f"&& sed -i s/postgres:15/postgres:16/ {live}/compose.yaml && sed -i s/APP_ENV=x/APP_ENV=y/ www/shop/shared/.env")
    stg, prod = (facts(name, place, "file", "env", "container") for name, place in twins.items())
    assert differences(stg, prod) == {
        "file/app/Pay.php/content",
        "file/index.php/mode",
        "file/dump.sql/content",
        "file/dump.sql/mode",
        "file/dump.sql/owner",
        "file/compose.yaml/content",
        "container/compose:compose.yaml:db/image",
        "env/APP_ENV/value",
        "file/shared/.env/content",
    }
    assert prod["file/index.php/mode"] == "0600"
    assert prod.kinds["file/shared/.env/content"].endswith("hmac")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", prod["file/app/Pay.php/modified"])


@pytest.mark.root
def test_owner_and_capabilities_are_found(twins, facts):
    live = twins["prod"] / "releases/20260101000000"
    os.chown(live / "index.php", 33, 33)
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin")
    assert setcap, "setcap belongs to the packages of the tests"
    subprocess.run([setcap, "cap_net_bind_service=+ep", str(live / "bin/worker")], check=True)
    stg, prod = (facts(name, place, "file") for name, place in twins.items())
    assert differences(stg, prod) == {"file/index.php/owner", "file/bin/worker/caps"}
    assert prod["file/index.php/owner"] == "www-data:www-data"
    assert prod["file/bin/worker/caps"] == "net_bind_service=ep"


def test_a_file_edited_after_a_deployment_is_told_with_time_and_owner(shop, facts):
    shop.environment("dev", "web1")
    assert shop.run("deploy", "dev").code == 0
    place = shop.sshd["web1"].place()
    before = facts("web1", place, "file")
    assert [key for key in before if key.endswith("/edited")] == []
    live = shop.place().live_dir
    edited = sorted(path for path in live.rglob("*") if path.is_file() and not path.is_symlink())[0]
    edited.chmod(0o644)
    edited.write_text("changed by hand\n")
    (live / "left-behind.txt").write_text("x")
    after = facts("web1", place, "file")
    told = {key: after[key] for key in after if key.endswith("/edited")}
    name = f"file/{edited.relative_to(live)}/edited"
    assert set(told) == {name, "file/left-behind.txt/edited"}
    assert re.match(r"edited \d+ \w{3} \d\d:\d\d UTC, owner \S+", told[name])
    assert told["file/left-behind.txt/edited"].startswith("added ")
    assert all(after.kinds[key] == "evidence text" for key in told)


def test_the_environment_file_is_held_against_the_running_process(twins, facts):
    place = twins["prod"]
    env = {"PATH": "/usr/bin:/bin", "APP_ENV": "other", "APP_KEY": SECRET, "ONLY_HERE": SECRET}
    worker = subprocess.Popen(["/bin/sh", "-c", "echo ready; exec sleep 600"], cwd=place / "current", env=env,
                              stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert worker.stdout.readline() == b"ready\n"
        seen = facts("prod", place, "env")
    finally:
        worker.kill()
        worker.wait()
    assert seen["env/APP_ENV/running"] == "differs from the file"
    assert seen["env/APP_KEY/running"] == "as in the file"
    assert seen["env/ONLY_HERE/running"] == "only in the process"
    assert SECRET not in seen.text


def test_a_port_that_listens_is_found(twins, facts):
    with socket.socket() as listener:
        for port in range(21000, 32000):
            try:
                listener.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        listener.listen()
        seen = facts("prod", twins["prod"], "net")
    assert seen[f"net/listen/tcp:{port}/address"] == "loopback"
    assert f"net/listen/tcp:{port}/address" not in facts("prod", twins["prod"], "net")


def test_names_resolve_as_the_server_does(twins, facts):
    seen = facts("prod", twins["prod"], "net", name=["localhost"])
    assert "1" in seen["net/dns/localhost/addresses"]


def test_units_and_listed_paths_are_looked_at(twins, facts):
    """Drop-ins need /etc/systemd/system and are tested where hosts with systemd are booted."""
    seen = facts("prod", twins["prod"], "unit", "file", reload=["systemd:no-such-unit"], path=["/etc/passwd"])
    assert seen["unit/no-such-unit.service/enabled"] == "not installed"
    assert len(seen["file//etc/passwd/content"]) == 64


def test_what_only_root_may_read_is_not_checked_with_what_to_do(twins, facts):
    if os.getuid() == 0:
        seen = facts("prod", twins["prod"], "net")
        assert not any(seen.kinds[key] == "not_checked" for key in seen if key.startswith("net/listen"))
        return
    seen = facts("prod", twins["prod"], "net")
    assert seen.kinds["net/firewall/"] == "not_checked"
    assert "NOPASSWD: /usr/local/lib/lockstep/lockstep-facts" in seen["net/firewall/"]
