"""Why environments drift apart, where the cause needs a machine's own root: packages, runtimes,
the system's release and limits, the firewall, cron. Each made for real, over ssh, on one of
two hosts made alike; found, explained, put right, and gone."""

import os
import shutil
import subprocess

import pytest

from testbed.hosts import add_host, can_have_hosts
from test_causes import Story

pytestmark = pytest.mark.root


@pytest.fixture
def hosts(shop):
    """staging and production with the same release, each on a host of its own."""
    why = can_have_hosts()
    if why:
        pytest.skip(f"no hosts of their own: {why}")
    for name in ("stg", "prod"):
        add_host(shop.sshd, name)
    shop.environment("staging", "stg")
    shop.environment("production", "prod", promote_from="staging")
    shop.run.ok("deploy", "staging")
    shop.run.ok("promote", "staging", "production")
    return Story(shop)


def on(story, name, command):
    return story.shop.sshd.on(name, command)


def test_two_hosts_made_alike_have_no_difference_in_ten_runs(hosts):
    for _ in range(10):
        result = hosts.shop.run("parity", "--json")
        assert result.code == 0, str(result)
        assert result.json["findings"] == [] and result.json["totals"]["same"] > 100


def test_another_version_of_the_system(hosts):
    on(hosts, "stg", "sed -i -e 's/VERSION_ID=.*/VERSION_ID=\"11\"/' -e s/bookworm/bullseye/ /usr/lib/os-release "
                     "&& echo 11.7 > /etc/debian_version")
    finding = hosts.found("os/release/version", "high", only=["os/release/", "pkg/base-files/"])
    assert {"11", "12"} <= {cell["text"].split(".")[0] for cell in finding["cells"]}
    assert "rebuild staging" in finding["advice"]
    answers = hosts.shop.run("checklist", "--json").text
    assert "os/release/version" in answers, "the checklist's first question is answered from it"
    on(hosts, "stg", "cat /etc/os-release >/dev/null; sed -i -e 's/VERSION_ID=.*/VERSION_ID=\"12\"/' -e "
                     "s/bullseye/bookworm/ /usr/lib/os-release")
    shutil.copy("/etc/debian_version", hosts.shop.sshd["stg"].home / "v")
    on(hosts, "stg", "cp v /etc/debian_version; rm v")
    hosts.gone()


def test_a_library_that_was_upgraded_on_one_side(hosts, work):
    """The package manager's own packages, installed by it."""
    for version in ("2.1", "2.3"):
        folder = work / f"deb-{version}"
        (folder / "DEBIAN").mkdir(parents=True)
        (folder / "usr/share/libpay").mkdir(parents=True)
        (folder / "usr/share/libpay/version").write_text(version)
        (folder / "DEBIAN/control").write_text(
            f"Package: libpay\nVersion: {version}\nArchitecture: all\nMaintainer: Ada <ada@example.org>\nDescription: pays\n")
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder, work / f"libpay-{version}.deb"], check=True,
                       capture_output=True)
    for name in ("stg", "prod"):
        on(hosts, name, f"dpkg -i {work}/libpay-2.1.deb")
    hosts.gone()
    on(hosts, "prod", f"dpkg -i {work}/libpay-2.3.deb")
    finding = hosts.found("pkg/libpay/version", "low", "medium")
    assert [cell["text"] for cell in finding["cells"]] == ["2.1", "2.3"]
    assert "upgrade libpay on staging" in finding["advice"]
    assert "2.1" in finding["cause"] and "upgrade" in finding["cause"], finding
    on(hosts, "stg", f"dpkg -i {work}/libpay-2.3.deb")
    hosts.gone()


def test_a_php_extension_that_is_loaded_on_one_side_only(hosts):
    on(hosts, "stg", "rm /etc/php/*/cli/conf.d/*-ctype.ini")
    finding = hosts.found("runtime/php/ext/ctype", "high", only=["runtime/php/"])
    assert "staging lacks" in finding["text"] and "install the extension" in finding["advice"]
    on(hosts, "stg", "cd /etc/php/*/cli/conf.d && ln -s /etc/php/*/mods-available/ctype.ini 20-ctype.ini")
    hosts.gone()


def test_another_runtime_and_a_process_that_still_runs_the_old_one(hosts):
    """The same interpreter twice: one copy is replaced by a newer one under a running process."""
    assert shutil.which("python3", path="/usr/bin")
    for name in ("stg", "prod"):
        on(hosts, name, "cd srv/shop/current && (setsid /usr/bin/python3 -c 'import time; time.sleep(600)' "
                        ">/dev/null 2>&1 </dev/null &) && sleep 0.2")
    hosts.gone()
    on(hosts, "prod", "p=$(readlink -f /usr/bin/python3) && cp $p $p.new && mv $p.new $p")
    finding = hosts.found("runtime/python/running_program", "high", only=["runtime/python/", "pkg/"])
    assert "replaced since it started" in str(finding["cells"]) and "restart" in finding["advice"]


def test_a_file_of_a_package_and_the_hosts_limits_and_settings(hosts):
    on(hosts, "prod", "echo 10.1.2.3 db.internal >> /etc/hosts && ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime "
                      "&& echo Asia/Tokyo > /etc/timezone")
    keys = ["net/hosts/db.internal/", "os/timezone/name"]
    zone = hosts.found("os/timezone/name", "high", only=keys)
    assert "Asia/Tokyo" in str(zone["cells"]) and "timedatectl" in zone["advice"]
    assert any(k.startswith(keys[0]) for k in hosts.look("parity"))


def test_less_memory(hosts):
    """A control group's limit: a quarter of a gigabyte on one side."""
    group = "/sys/fs/cgroup/memory/lockstep-causes"
    try:
        os.mkdir(group)
    except OSError as error:
        pytest.skip(f"no control group of memory can be made here: {error}")
    pid = hosts.shop.sshd["stg"].process.pid
    child = open(f"/proc/{pid}/task/{pid}/children").read().split()[0]
    try:
        with open(f"{group}/memory.limit_in_bytes", "w") as file:
            file.write(str(256 << 20))
        with open(f"{group}/cgroup.procs", "w") as file:
            file.write(child)
        finding = hosts.found("hw/memory/limit", "low", "medium", "high", only=["hw/memory"])
        assert "staging" in finding["advice"] or "staging" in finding["text"], finding
    finally:
        hosts.shop.sshd["stg"].stop()
        os.rmdir(group)


def test_a_changed_firewall_rule(hosts):
    """Through the read-only helper, which the administrator installed on both."""
    source = os.path.join(os.path.dirname(__file__), "../../src/probe/lockstep-facts")
    shutil.copy(source, hosts.shop.sshd.dir / "helper")
    for name in ("stg", "prod"):
        on(hosts, name, f"install -D -m 755 {hosts.shop.sshd.dir}/helper /usr/local/lib/lockstep/lockstep-facts && "
                        "PATH=$PATH:/usr/sbin:/sbin nft -f - <<'END'\ntable inet shop { chain in { "
                        "type filter hook input priority 0; tcp dport 25 drop; }\n}\nEND")
    hosts.gone()
    on(hosts, "prod", "PATH=$PATH:/usr/sbin:/sbin nft add rule inet shop in tcp dport 5432 drop")
    found = hosts.look("parity")
    key = next((k for k in found if k.startswith("net/firewall/")), None)
    assert key and len(found) == 1, sorted(found)
    finding = found[key]
    assert finding["severity"] == "high" and "5432" in str(finding["cells"]), finding
    assert "rules" in finding["advice"]
    on(hosts, "prod", "PATH=$PATH:/usr/sbin:/sbin; nft flush chain inet shop in && nft add rule inet shop in tcp dport 25 drop")
    hosts.gone()


def test_a_cron_entry_on_one_side_only(hosts):
    for name in ("stg", "prod"):
        on(hosts, name, f"echo 'PING_TOKEN=0123456789abcdef-{name}' > /etc/cron.d/ping; echo '*/5 * * * * root curl -s "
                        f"https://ping.example/?token=0123456789abcdef{name}' >> /etc/cron.d/ping")
    hosts.gone()
    on(hosts, "prod", "echo '*/5 * * * * root /srv/shop/bin/console prune' > /etc/cron.d/shop")
    found = hosts.look("parity")
    key = next((k for k in found if k.startswith("unit/cron:")), None)
    assert key and len(found) == 1, sorted(found)
    assert found[key]["severity"] == "medium" and "crontab" in found[key]["advice"], found[key]
    assert "staging lacks" in found[key]["text"], found[key]
    on(hosts, "prod", "rm /etc/cron.d/shop")
    hosts.gone()


def test_a_drop_in_and_a_disabled_unit(hosts):
    """As their files say it: no systemd runs on these hosts."""
    for name in ("stg", "prod"):
        on(hosts, name, "printf '[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' "
                        "> /etc/systemd/system/shop-worker.service && systemctl enable shop-worker")
    hosts.gone()
    on(hosts, "prod", "mkdir /etc/systemd/system/shop-worker.service.d && printf '[Service]\\nLimitNOFILE=9\\n' "
                      "> /etc/systemd/system/shop-worker.service.d/limits.conf")
    on(hosts, "stg", "systemctl disable shop-worker")
    found = hosts.look("parity")
    units = [k for k in found if k.startswith("unit/shop-worker.service/")]
    assert len(units) == len(found) == 2, sorted(found)
    enabled = found["unit/shop-worker.service/enabled"]
    assert enabled["severity"] == "medium" and "systemctl enable" in enabled["advice"]
    dropin = next(f for k, f in found.items() if "/dropin/" in k)
    assert "drop-in" in dropin["advice"], dropin
    on(hosts, "stg", "systemctl enable shop-worker")
    on(hosts, "prod", "rm -r /etc/systemd/system/shop-worker.service.d")
    hosts.gone()
