"""Looks again and again over one line: the agent remembers what did not change, and what did
change is seen. Whatever it remembers, it answers as one that was never asked before."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from testbed.hosts import add_host, can_have_hosts
from test_probe_files import PROBE_READ, Facts, put

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What moves by itself from one moment to the next, and ports of other tests.
MOVING = re.compile(r"os/clock/offset/measured|hw/cpu/load|hw/memory/available|hw/mount.*/free(_files)?|net/listen/.*")


class Line:
    """An agent that is asked for each look; `fresh` asks another one the same."""

    def __init__(self, place, *args, env=None):
        self.argv = [str(PROBE_READ), str(place), *args]
        self.env = {**os.environ, "PATH": SYSTEM_PATH, **(env or {})}
        self.process = subprocess.Popen([*self.argv, "--on-request"], env=self.env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def look(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) not in ("", "\n"):
            lines.append(line)
        if not line:
            raise AssertionError(self.process.communicate()[1])
        return Facts("".join(lines))

    def fresh(self):
        done = subprocess.run(self.argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return Facts(done.stdout)

    def settle(self):
        """Until nothing is looked at alone that need not be, nor asked that is known."""
        for _ in range(3):
            facts = self.look()
        return facts

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def ask():
    lines = []

    def begin(*args, **options):
        lines.append(Line(*args, **options))
        return lines[-1]

    yield begin
    for line in lines:
        line.close()


def settled(facts):
    return {key: (facts.kinds[key], value) for key, value in facts.items() if not MOVING.fullmatch(key)}


@pytest.fixture
def place(work):
    folder = work / "shop"
    put(folder / "releases/1/index.php", "<?php\n")
    put(folder / "releases/1/.env", "APP_KEY=0123456789abcdef\n")
    os.symlink("releases/1", folder / "current")
    return folder


def program(path, says, *flags):
    """One that is no script, under a name that is there or not: in one step, as packages do."""
    source = path.with_suffix(".c")
    put(source, says)
    subprocess.run(["cc", "-o", f"{path}.new", str(source), *flags], check=True)
    source.unlink()
    os.replace(f"{path}.new", path)


def said(version):
    return f'#include <stdio.h>\nint main(void) {{ return puts("v{version}") < 0; }}\n'


def test_asked_again_it_says_what_one_never_asked_says(place, ask):
    line = ask(place, "--path", "/etc/hosts", "--name", "localhost")
    for _ in range(4):
        before, seen, after = settled(line.fresh()), settled(line.look()), settled(line.fresh())
        # Other tests mount and start things on this machine meanwhile.
        still = {key: value for key, value in before.items() if after.get(key) == value}
        assert {key: seen.get(key) for key in still} == still
        assert {key for key in seen.keys() - before.keys() - after.keys() if "lockstep-" not in key} == set()
        assert len(still) > len(before) * 0.9
    assert {key.split("/")[0] for key in seen} == {
        "container", "env", "file", "hw", "net", "os", "pkg", "runtime", "unit"}


def test_a_program_that_is_replaced_says_its_new_version(place, ask, work):
    (work / "bin").mkdir()
    line = ask(place, "--only", "runtime", env={"PATH": f"{work}/bin:{SYSTEM_PATH}"})
    before = line.settle()
    for version in ("18.0.1", "18.0.2", "20.1.0"):
        program(work / "bin/node", said(version))
        for _ in range(3):
            facts = line.look()
            assert facts["runtime/node/version"] == version
        assert settled(facts) == settled(line.fresh())
    (work / "bin/node").unlink()
    assert settled(line.look()) == settled(before)


def test_a_program_whose_bytes_are_changed_in_place_says_its_new_version(place, ask, work):
    """Its number and size are the same."""
    (work / "bin").mkdir()
    program(work / "bin/node", said("18.0.1"))
    program(work / "next", said("18.0.2"))
    first, second = (work / "bin/node").read_bytes(), (work / "next").read_bytes()
    assert len(first) == len(second) and first != second
    line = ask(place, "--only", "runtime", env={"PATH": f"{work}/bin:{SYSTEM_PATH}"})
    for content, version in 3 * [(first, "18.0.1"), (second, "18.0.2")]:
        with open(work / "bin/node", "r+b") as file:
            file.write(content)
        assert line.look()["runtime/node/version"] == version


def test_a_program_whose_library_is_replaced_says_its_new_version(place, ask, work):
    (work / "bin").mkdir()
    (work / "lib").mkdir()

    def library(version):
        program(work / "lib/libnode.so", f'const char *version(void) {{ return "v{version}"; }}\n', "-shared", "-fPIC")

    library("18.0.1")
    program(work / "bin/node", '#include <stdio.h>\nconst char *version(void);\nint main(void) { puts(version()); }\n',
            f"-L{work}/lib", "-lnode", "-Wl,-rpath,$ORIGIN/../lib")
    os.utime(work / "lib")
    line = ask(place, "--only", "runtime", env={"PATH": f"{work}/bin:{SYSTEM_PATH}"})
    assert line.settle()["runtime/node/version"] == "18.0.1"
    library("18.0.2")
    assert line.look()["runtime/node/version"] == "18.0.2"


def test_variables_files_and_processes_that_come_and_go_are_seen(place, ask):
    line = ask(place, "--only", "env", "--only", "file", "--only", "net", "--only", "os", "--only", "runtime")
    before = settled(line.settle())
    put(place / "releases/1/.env", "APP_KEY=fedcba9876543210\nNEW=1\n")
    put(place / "releases/1/index.php", "<?php //\n")
    facts = line.look()
    assert facts["env/NEW/present"] == "yes" and settled(facts) == settled(line.fresh())
    assert {key for key, value in settled(facts).items() if key in before and before[key] != value} >= {
        "env/APP_KEY/value", "file/index.php/content"}

    with socket.create_server(("127.0.0.1", 0)) as server:
        process = subprocess.Popen(
            ["/usr/bin/python3", "-c", "import sys; print(flush=True); sys.stdin.read()"], cwd=place / "releases/1",
            env={"APP_KEY": "fedcba9876543210"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        port = f"net/listen/tcp:{server.getsockname()[1]}/process"
        facts = line.look()
        assert facts["env/APP_KEY/running"] == "as in the file" and facts["env/NEW/running"] == "missing in the process"
        assert "runtime/python/running" in facts and "python" in facts["os/limit/whose"]
        assert port in facts
        assert settled(facts) == settled(line.fresh())
        process.communicate()
    facts = line.look()
    assert port not in facts and "runtime/python/running" not in facts and "os/limit/whose" in facts
    assert settled(facts) == settled(line.fresh())


def test_a_port_of_ipv6_that_opens_is_seen(place, ask):
    line = ask(place, "--only", "net")
    before = line.settle()
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    port = f"net/listen/tcp:{server.getsockname()[1]}/process"
    with server:
        facts = line.look()
        assert port not in before and "python" in facts[port]
        assert settled(facts) == settled(line.fresh())
    assert port not in line.look()


def test_what_an_agent_ran_for_last_time_and_hangs_now_costs_itself_alone(place, ask, work):
    """What was quick shares a process; a file of variables turned into one that never answers."""
    (work / "bin").mkdir()
    put(work / "bin/node", "#!/bin/sh\necho v1.2.3\n", 0o755)
    line = ask(place, "--only", "env", "--only", "os", "--only", "runtime", env={"PATH": f"{work}/bin:{SYSTEM_PATH}"})
    assert line.settle()["runtime/node/version"] == "1.2.3"
    put(work / "bin/node", "#!/bin/sh\nkill -9 $PPID\n", 0o755)
    facts = line.look()
    assert facts.kinds["runtime/"] == "not_checked" and "signal 9" in facts["runtime/"]
    assert facts["env/APP_KEY/present"] == "yes" and "os/kernel/version" in facts


@pytest.fixture
def host(sshd):
    why = can_have_hosts()
    if why:
        pytest.skip(f"no hosts of their own: {why}")
    add_host(sshd, "web")
    put(sshd["web"].place("www/shop") / "index.php", "<?php\n")
    return sshd


@pytest.mark.root
def test_what_root_changes_on_a_host_is_seen(host, ask, work):
    """Packages and their files, settings of PHP, units, cron, users, the firewall, names."""
    folder = work / "deb"
    put(folder / "DEBIAN/control", "Package: libpay\nVersion: 2.1\nArchitecture: all\nMaintainer: Ada <ada@example.org>\n"
                                   "Description: pays\n")
    put(folder / "DEBIAN/conffiles", "/etc/libpay.conf\n")
    put(folder / "etc/libpay.conf", "a=1\n")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder, work / "libpay.deb"], check=True, capture_output=True)
    shutil.rmtree(folder)
    line = ask("web:0:www/shop", env={"LOCKSTEP_SSH": host.ssh})
    before = settled(line.settle())
    seen = before
    steps = (
        (f"dpkg -i {work}/libpay.deb", "pkg/libpay/version"),
        ("echo a=2 > /etc/libpay.conf", "pkg/libpay/changed_files"),
        ("rm /etc/libpay.conf", "pkg/libpay/changed_files"),
        ("dpkg --purge libpay", "pkg/libpay/version"),
        ("rm /etc/php/*/cli/conf.d/*-ctype.ini", "runtime/php/ext/ctype"),
        ("cd /etc/php/*/cli/conf.d && echo memory_limit=77M > 99-shop.ini", "runtime/php/ini/memory_limit"),
        ("echo memory_limit=78M > $(ls /etc/php/*/cli/conf.d/99-shop.ini)", "runtime/php/ini/memory_limit"),
        ("mkdir -p /etc/systemd/system && echo [Service] > /etc/systemd/system/pay.service", "unit/pay.service/fragment"),
        ("echo '[Install]' >> /etc/systemd/system/pay.service", "unit/pay.service/enabled"),
        ("echo '* * * * * root pay' > /etc/cron.d/pay", "unit/cron:/etc/cron.d/pay/"),
        ("echo 10.1.2.3 db.internal >> /etc/hosts", "net/hosts/db.internal/addresses"),
        ("nft add table ip pay && nft add chain ip pay in '{ type filter hook input priority 0; }'", "net/firewall/nft ip pay"),
        ("nft delete table ip pay", "net/firewall/nft ip pay"),
        ("echo Asia/Tokyo > /etc/timezone && ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime", "os/timezone/name"),
        ("sysctl -qw net.ipv4.tcp_fin_timeout=33", "os/sysctl/net.ipv4.tcp_fin_timeout/value"),
        ("mkdir /m && mount -t tmpfs shop /m", "hw/mount/m/"),
        ("p=$(readlink -f /usr/bin/python3) && cp $p $p.new && mv $p.new $p", None),
        ("usermod -l ada games", None),
    )
    for command, key in steps:
        host.on("web", command)
        now = settled(line.look())
        changed = {k for k in now.keys() | seen.keys() if now.get(k) != seen.get(k)}
        assert key is None or any(k.startswith(key) for k in changed), (command, changed)
        assert now == settled(line.fresh()), command
        # And remembered, it is the same.
        assert settled(line.look()) == now, command
        seen = now
