"""Against a real systemd: staging and production are machines that booted it, with the
application as a unit of www-data's and a deploy user without root. What a deployment may do
there and how its reload is proved; that looking changes nothing; and the causes of drift that
only such a machine has, each made for real, found, explained, put right, and gone."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import BINARY, ROOT, Shop
from test_causes import Story

from testbed.apprepo import AppRepo
from testbed.machines import CannotBoot, machines, system_forbids_machines
from testbed.program import Program
from testbed.servers import Fleet

pytestmark = pytest.mark.root

UNIT = """[Unit]
Description=The shop
[Service]
User=www-data
WorkingDirectory=/srv/shop/current
EnvironmentFile=/srv/shop/current/.env
ExecStart=/usr/bin/python3 -m http.server 8080
[Install]
WantedBy=multi-user.target
"""
HELPER = ROOT / "src/probe/lockstep-facts"
HELPER_PAGE = (ROOT / "docs/parity-helper.md").read_text()


def write(path, text):
    return f"mkdir -p $(dirname {path})\ncat > {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE\n"


class Pair:
    """Both machines with the unit installed, the sudoers line that `server check` prints, and
    the same release live. Kept for all tests of this file that leave them as they were."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lockstep-machines-"))
        self.fleet = Fleet(self.folder / "fleet")
        self.running = machines(self.fleet, "stg", "prod")
        self.machines = self.running.__enter__()
        try:
            self.install()
        except BaseException:
            self.end()
            raise

    def install(self):
        repo = AppRepo(self.folder / "shop.git-work").with_history()
        self.shop = shop = Shop(self.folder, self.fleet, repo,
                                lambda folder, ssh=None, name="home": Program(BINARY, self.folder / name, folder, ssh))
        shop.config["env"] = {"CACHE_TTL": {"default": "60"}}
        shop.config["files"] = [{"env": "systemd", "path": ".env"}]
        shop.config["deploy"] = {"path": "/srv/shop", "user": "www-data", "reload": "systemd:shop",
                                 "health": {"url": "http://127.0.0.1:8080/up.txt", "within": "20s"}}
        shop.environment("staging", "stg")
        shop.environment("production", "prod", promote_from="staging")
        for machine in self.machines:
            machine.root(write("/etc/systemd/system/shop.service", UNIT) + "systemctl daemon-reload; systemctl enable shop")
            assert machine.root("systemctl is-system-running").strip() == "running"
            allow(machine, check(shop, machine)["reload systemd:shop"])
        shop.run.ok("deploy", "staging")
        shop.run.ok("promote", "staging", "production")

    def end(self):
        self.running.__exit__(None, None, None)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def kept():
    pairs = []
    yield pairs
    for pair in pairs:
        pair.end()


@pytest.fixture
def story(kept):
    why = system_forbids_machines()
    if why:
        pytest.skip(f"no machines with systemd: {why}")
    if not kept:
        try:
            kept.append(Pair())
        except CannotBoot as error:
            # What continuous integration needs and lacks is a failure.
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no machines with systemd: {error}")
    pair = kept[0]
    told = Told(pair)
    yield told
    if not told.put_right:
        kept.remove(pair)
        pair.end()


class Told(Story):
    def __init__(self, pair):
        super().__init__(pair.shop)
        self.stg, self.prod = pair.machines
        self.put_right = False

    def gone(self):
        """The last word of every test: what it does not say, a failed test left in a mess."""
        super().gone()
        self.put_right = True

    def look(self, *args):
        self.put_right = False
        return super().look(*args)

    def gaps(self, *args):
        """{key: why} of what was not looked at."""
        return {gap["key"]: gap["why"] for gap in self.shop.run(*args, "--json").json["not_checked"]}


def check(shop, machine):
    """{what is wrong: the line for sudoers that is printed}"""
    result = shop.run("server", "check", "--json")
    row = next(row for row in result.json["servers"] if row["server"] == machine.name)
    return {problem["what"]: problem["hint"] for problem in row["problems"] if problem["severity"] != "ok"}


def allow(machine, hint, file="lockstep"):
    line = hint.split(": ", 1)[1]
    machine.root(write(f"/etc/sudoers.d/{file}", line) + f"chmod 440 /etc/sudoers.d/{file} && visudo -c -q")
    return line


def show(machine, unit, name):
    return machine.root(f"systemctl show -p {name} --value {unit}").strip()


def until(condition):
    """Looks until it holds; at most ten seconds."""
    for _ in range(1000):
        if condition():
            return True
        signal.sigtimedwait([], 0.01)
    return False


# --- deployments ------------------------------------------------------------------------


def test_a_unit_is_restarted_with_exactly_the_line_that_server_check_prints(story):
    shop, stg = story.shop, story.stg
    stg.root("mv /etc/sudoers.d/lockstep /root")
    before = story.places[0].live
    problems = check(shop, stg)
    line = "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl reload-or-restart shop"
    assert problems["reload systemd:shop"] == f"a line for sudoers: {line}"
    refused = shop.run("deploy", "staging", "--ref", "legacy")
    assert refused.code == 8, str(refused)
    assert line in refused.err and "all servers are back on what was live before" in refused.err, refused.err
    assert story.places[0].live == before
    assert allow(stg, problems["reload systemd:shop"]) == line
    assert "reload systemd:shop" not in check(shop, stg)
    # Nothing but this one command: neither another verb nor another unit.
    for command in ("systemctl stop shop", "systemctl reload-or-restart ssh", "systemctl reload-or-restart shop ssh"):
        assert shop.sshd.on("stg", f"sudo -n {command} 2>&1 || echo refused").endswith("refused\n")
    shop.run.ok("deploy", "staging", "--ref", "legacy")
    shop.run.ok("deploy", "staging")
    story.gone()


def test_a_reload_is_proved_by_the_processes_of_the_units_control_group(story):
    shop, stg = story.shop, story.stg
    before = show(stg, "shop", "MainPID")
    result = shop.run.ok("deploy", "staging", "--ref", "legacy")
    assert "draining" not in result.text and "not_checked" not in result.text, str(result)
    after = show(stg, "shop", "MainPID")
    assert after not in ("0", before)
    group = stg.root(f"cat /proc/{after}/cgroup")
    assert "/shop.service" in group
    assert stg.root(f"readlink /proc/{after}/cwd").strip().endswith("/" + story.places[0].live)
    assert shop.run.ok("status").out.count("verified") == 2, "both servers"
    shop.run.ok("deploy", "staging")
    story.gone()


def test_a_unit_whose_name_has_escapes_is_meant_exactly(story):
    """As systemd-escape makes them of paths and host names."""
    shop, name = story.shop, r"shop-a\x2db"
    unit = "[Service]\nUser=deploy\nWorkingDirectory=/srv/shop/current\nExecStart=/bin/sleep infinity\n"
    for machine in (story.stg, story.prod):
        machine.root(write(f"'/etc/systemd/system/{name}.service'", unit) + f"systemctl daemon-reload; systemctl start '{name}'")
    shop.config["deploy"]["reload"] = f"systemd:{name}"
    shop.save()
    allow(story.stg, check(shop, story.stg)[f"reload systemd:{name}"], "escaped")
    before = show(story.stg, f"'{name}'", "MainPID")
    result = shop.run.ok("deploy", "staging", "--ref", "legacy")
    assert "draining" not in result.text and "not_checked" not in result.text, str(result)
    assert show(story.stg, f"'{name}'", "MainPID") not in ("0", before)
    shop.config["deploy"]["reload"] = "systemd:shop"
    shop.save()
    for machine in (story.stg, story.prod):
        machine.root(f"systemctl stop '{name}'; rm '/etc/systemd/system/{name}.service' -f /etc/sudoers.d/escaped; systemctl daemon-reload")
    shop.run.ok("deploy", "staging")
    story.gone()


def reloading_in_place(story, main):
    """The unit's own reload does nothing; `main` is what runs in it."""
    story.stg.root(write("/etc/systemd/system/shop.service.d/reload.conf",
                         f"[Service]\nExecStart=\nExecStart={main}\nExecReload=/bin/true\n")
                   + "systemctl daemon-reload && systemctl restart shop")


def test_a_process_that_outlives_the_reload_is_draining(story):
    shop, stg = story.shop, story.stg
    reloading_in_place(story, "/bin/sh -c 'sleep infinity & exec /usr/bin/python3 -m http.server 8080'")
    result = shop.run("deploy", "staging", "--ref", "legacy")
    assert "reload draining: process" in result.text and "older than the reload" in result.text, str(result)
    stg.root("rm -r /etc/systemd/system/shop.service.d && systemctl daemon-reload && systemctl restart shop")
    shop.run.ok("deploy", "staging")
    story.gone()


def test_a_unit_whose_only_process_stayed_and_is_closed_to_us_is_not_called_proved(story):
    shop, stg = story.shop, story.stg
    reloading_in_place(story, "/usr/bin/python3 -m http.server 8080")
    before = show(stg, "shop", "MainPID")
    result = shop.run("deploy", "staging", "--ref", "legacy")
    assert show(stg, "shop", "MainPID") == before, "it was reloaded in place, and did nothing"
    assert "reload not_checked: process" in result.text, str(result)
    stg.root("rm -r /etc/systemd/system/shop.service.d && systemctl daemon-reload && systemctl restart shop")
    shop.run.ok("deploy", "staging")
    story.gone()


@contextlib.contextmanager
def supervised(story, name, more=""):
    """Both machines run the program under supervisord, and a deployment reloads it."""
    program = ("[program:shop-worker]\ncommand=/usr/bin/python3 -c 'import time; time.sleep(1e6)'\n"
               f"directory=/srv/shop/current\nuser=www-data\n{more}")
    for machine in (story.stg, story.prod):
        machine.root(write("/etc/supervisor/conf.d/shop.conf", program) + "supervisorctl update")
    story.shop.config["deploy"]["reload"] = f"supervisor:{name}"
    story.shop.save()
    yield
    story.shop.config["deploy"]["reload"] = "systemd:shop"
    story.shop.save()
    for machine in (story.stg, story.prod):
        machine.root("rm -f /etc/supervisor/conf.d/shop.conf /etc/sudoers.d/supervisor; supervisorctl update")


TWO = "numprocs=2\nprocess_name=%(process_num)02d\n"


@pytest.mark.parametrize("name, more", [("shop-worker", ""), ("shop-worker:*", TWO)], ids=["program", "group"])
def test_what_supervisord_runs_is_restarted_and_proved_with_the_printed_line(story, name, more):
    shop, stg = story.shop, story.stg
    pids = f"supervisorctl status '{name}' | sed 's/.* pid //; s/,.*//'"
    with supervised(story, name, more):
        hint = check(shop, stg)[f"reload supervisor:{name}"]
        refused = shop.run("deploy", "staging", "--ref", "legacy")
        assert refused.code == 8 and hint.split(": ", 1)[1] in refused.err, str(refused)
        allow(stg, hint, "supervisor")
        assert f"reload supervisor:{name}" not in check(shop, stg)
        assert shop.sshd.on("stg", "sudo -n supervisorctl restart shop-worker:x 2>&1 || echo refused").endswith("refused\n")
        before = stg.root(pids).split()
        result = shop.run.ok("deploy", "staging", "--ref", "legacy")
        assert "draining" not in result.text and "not_checked" not in result.text, str(result)
        after = stg.root(pids).split()
        assert len(after) == len(before) == (2 if more else 1) and not set(after) & set(before)
        for pid in after:
            assert stg.root(f"readlink /proc/{pid}/cwd").strip().endswith("/" + story.places[0].live)
        # Without the second command it still restarts, and says that nothing proves it.
        stg.root("sed -i 's/, .*//' /etc/sudoers.d/supervisor")
        assert check(shop, stg)[f"reload supervisor:{name}"] == hint
        assert "reload not_checked" in shop.run.ok("deploy", "staging").text
    stg.root("systemctl restart shop")
    story.gone()


def test_a_program_that_supervisord_does_not_run_on_one_side(story):
    key, conf = "unit/supervisor:shop-worker/active", "/etc/supervisor/supervisord.conf"
    with supervised(story, "shop-worker"):
        assert "supervisord's socket may be root's alone" in story.gaps("parity")[key]
        for machine in (story.stg, story.prod):
            machine.root(f"cp {conf} /root; sed -i 's/^chmod=0700.*/chmod=0770\\nchown=root:deploy/' {conf}; systemctl restart supervisor")
            assert until(lambda: "RUNNING" in machine.root("supervisorctl status shop-worker", check=False))
        story.gone()
        story.stg.root("supervisorctl stop shop-worker")
        finding = story.found(key, "high", only=[key, "runtime/", "os/limit/"])
        assert {"STOPPED", "RUNNING"} == {cell["text"] for cell in finding["cells"]} and "staging" in finding["advice"]
        story.stg.root("supervisorctl start shop-worker")
        story.gone()
        story.stg.root("rm /etc/supervisor/conf.d/shop.conf; supervisorctl update")
        assert "supervisord has no program of this name" in story.gaps("parity")[key]
        for machine in (story.stg, story.prod):
            machine.root(f"cp /root/supervisord.conf {conf}; systemctl restart supervisor")
    story.gone()


# --- looking ----------------------------------------------------------------------------


def test_two_machines_made_alike_have_no_difference_in_ten_runs(story):
    for _ in range(10):
        result = story.shop.run("parity", "--json")
        assert result.code == 0, str(result)
        assert result.json["findings"] == [] and result.json["totals"]["same"] > 300
    story.gone()


def everything_of(machine):
    """{path: its inode's numbers} of the whole machine but /proc, /sys and /dev."""
    seen = {}
    for folder, folders, files in os.walk(machine.files):
        if Path(folder) == machine.files:
            folders[:] = [name for name in folders if name not in ("proc", "sys", "dev")]
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            key = os.path.relpath(path, machine.files)
            seen[key] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_ino, st.st_mtime_ns, st.st_ctime_ns)
    return seen


def processes_of(machine):
    """Every process of the machine with when it started: none came, none went, none is new."""
    space, seen = os.readlink(f"/proc/{machine.pid}/ns/pid"), set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "ns/pid") == space:
                stat = (entry / "stat").read_text()
                seen.add((entry.name, (entry / "comm").read_text().strip(), stat[stat.rindex(")"):].split()[20]))
    return seen


def changed(before, after):
    """What logind keeps of sessions counts up, and goes some time after them; what sshd says at
    the end of a login stands in several journals: each is one."""
    paths = (path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return {next((many for many in ("run/systemd", "var/log/journal") if path.startswith(many + "/")), path) for path in paths}


def test_looking_changes_no_file_no_process_and_no_unit_of_the_machine(story):
    shop, stg = story.shop, story.stg
    units = "systemctl show '*.service' '*.timer' '*.socket' -p Id,ActiveState,InvocationID,NRestarts,MainPID | grep -v session"
    # Somebody stays logged in, so that no session's manager comes and goes with ours.
    stays = subprocess.Popen(["ssh", "-F", str(shop.sshd.config), "stg", "echo in; exec cat"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert stays.stdout.readline() == b"in\n"
        first, at_first = everything_of(stg), processes_of(stg)
        shop.sshd.on("stg", "true")
        second = everything_of(stg)
        login = changed(first, second)
        assert login, "the eyes are open"
        states, sudo = stg.root(units), stg.root("journalctl -q -t sudo")
        assert until(lambda: not any("sshd" in p[1] for p in processes_of(stg) - at_first)), "the login has ended"
        before = processes_of(stg)
        for verb in (["parity"], ["drift", "staging"], ["facts", "staging"], ["diff", "stg:/srv/shop", "prod:/srv/shop"]):
            assert shop.run(*verb).code == 0
        assert until(lambda: processes_of(stg) == before), processes_of(stg) ^ before
        assert stg.root(units) == states
        assert stg.root("journalctl -q -t sudo") == sudo, "sudo is not asked in vain"
        # A login writes what it writes; the agent's temporary folder came and went.
        assert changed(second, everything_of(stg)) <= login | {"tmp"}
    finally:
        stays.stdin.close()
        stays.wait()
    story.gone()


# --- causes -----------------------------------------------------------------------------


def test_a_unit_that_is_not_enabled_or_does_not_run(story):
    story.stg.root("systemctl disable shop")
    finding = story.found("unit/shop.service/enabled", "medium")
    assert "systemctl enable" in finding["advice"] and "disabled" in str(finding["cells"])
    story.stg.root("systemctl enable shop")
    story.gone()
    story.stg.root("systemctl stop shop")
    finding = story.found("unit/shop.service/active", "high",
                          only=["unit/shop.service/", "net/listen/tcp:8080/", "env/", "runtime/", "os/limit/"])
    assert "inactive" in str(finding["cells"]), finding
    story.stg.root("systemctl start shop")
    story.gone()


def test_a_unit_that_is_masked(story):
    story.stg.root("systemctl mask cron")
    finding = story.found("unit/cron.service/enabled", "medium")
    assert "masked" in str(finding["cells"])
    story.stg.root("systemctl unmask cron")
    story.gone()


def test_a_drop_in_and_the_limit_it_sets(story):
    story.prod.root(write("/etc/systemd/system/shop.service.d/limits.conf", "[Service]\nLimitNOFILE=512\n")
                    + "systemctl daemon-reload && systemctl restart shop")
    dropin = "unit/shop.service/dropin/limits.conf"
    finding = story.found(dropin, "medium", only=[dropin, "os/limit/open-files/"])
    assert "drop-in" in finding["advice"], finding
    limit = story.found("os/limit/open-files/soft", "medium", only=[dropin, "os/limit/open-files/"])
    assert "512" in str(limit["cells"]) and limit["advice"]
    story.prod.root("rm -r /etc/systemd/system/shop.service.d; systemctl daemon-reload; systemctl restart shop")
    story.gone()


def test_a_drop_in_that_systemctl_set_until_the_next_boot(story):
    story.prod.root("systemctl set-property --runtime shop.service CPUWeight=50")
    found = story.look("parity")
    keys = [key for key in found if key.startswith("unit/shop.service/dropin/")]
    assert keys and len(found) == len(keys), sorted(found)
    assert found[keys[0]]["severity"] == "medium" and "drop-in" in found[keys[0]]["advice"]
    story.prod.root("rm -r /run/systemd/system.control/shop.service.d; systemctl daemon-reload")
    story.gone()


def test_a_timer_and_a_cron_job_on_one_side(story):
    for machine in (story.stg, story.prod):
        machine.root(write("/etc/systemd/system/shop-prune.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n"))
    story.prod.root(write("/etc/systemd/system/shop-prune.timer",
                          "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
                    + "systemctl daemon-reload && systemctl enable --now shop-prune.timer")
    timer = story.found("unit/shop-prune.timer/", "high")
    assert "staging lacks unit/shop-prune.timer" in timer["text"] and timer["advice"].startswith("install"), timer
    story.prod.root("systemctl disable --now shop-prune.timer; rm /etc/systemd/system/shop-prune.timer; systemctl daemon-reload")
    story.gone()
    for machine in (story.stg, story.prod):
        machine.root("rm /etc/systemd/system/shop-prune.service; systemctl daemon-reload")
    story.prod.root("echo '*/5 * * * * www-data /srv/shop/current/bin/console prune' > /etc/cron.d/shop")
    found = story.look("parity")
    key = next((k for k in found if k.startswith("unit/cron:/etc/cron.d/shop/")), None)
    assert key and len(found) == 1, sorted(found)
    assert found[key]["severity"] == "medium" and "crontab" in found[key]["advice"]
    story.prod.root("rm /etc/cron.d/shop")
    story.gone()


def test_a_time_zone_that_timedatectl_set(story):
    story.stg.root("timedatectl set-timezone Asia/Tokyo")
    finding = story.found("os/timezone/name", "high")
    assert "Asia/Tokyo" in str(finding["cells"]) and "timedatectl" in finding["advice"]
    story.stg.root("timedatectl set-timezone Etc/UTC")
    story.gone()


def test_a_kernel_setting(story):
    """By the kernel's administrator: a machine in a container may not write it itself."""
    net = f"--net=/proc/{story.prod.pid}/ns/net"
    setting = "net.core.somaxconn"
    before = subprocess.run(["nsenter", net, "sysctl", "-n", setting], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["nsenter", net, "sysctl", "-q", f"{setting}=257"], check=True)
    finding = story.found(f"os/sysctl/{setting}/value", "low")
    assert "257" in str(finding["cells"]) and finding["advice"]
    subprocess.run(["nsenter", net, "sysctl", "-q", f"{setting}={before}"], check=True)
    story.gone()


def install(machine, name, version, folder):
    """A package of our own, built and installed by dpkg."""
    root = folder / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Ada <ada@example.org>\nDescription: pays\n")
    deb = folder / f"{name}-{version}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", root, deb], check=True, capture_output=True)
    shutil.copy(deb, machine.files / "root")
    machine.root(f"dpkg -i /root/{deb.name}")


def test_a_package_that_was_upgraded_on_one_side(story, work):
    for machine in (story.stg, story.prod):
        install(machine, "libpay", "2.1", work)
    story.gone()
    install(story.prod, "libpay", "2.3", work)
    finding = story.found("pkg/libpay/version", "low", "medium")
    assert [cell["text"] for cell in finding["cells"]] == ["2.1", "2.3"]
    assert "upgrade libpay on staging" in finding["advice"]
    install(story.stg, "libpay", "2.3", work)
    story.gone()
    for machine in (story.stg, story.prod):
        machine.root("dpkg --purge libpay")
    story.gone()


def install_helper(machine):
    """With the very commands of docs/parity-helper.md."""
    shutil.copy(HELPER, machine.files / "root")
    machine.root("set -e; cd /root\n" + HELPER_PAGE.split("```\n")[1])


def remove_helper(machine):
    machine.root(HELPER_PAGE.split("To remove all of it: `")[1].split("`")[0])


def test_a_firewall_rule_is_not_checked_without_the_helper_and_found_with_it(story):
    rules = "table inet shop { chain in { type filter hook input priority 0; tcp dport 25 drop; }\n}"
    for machine in (story.stg, story.prod):
        machine.root(f"nft -f - <<'END'\n{rules}\nEND")
    story.prod.root("nft add rule inet shop in tcp dport 5432 drop")
    line = 'deploy ALL=(root) NOPASSWD: /usr/local/lib/lockstep/lockstep-facts ""'
    why = story.gaps("parity")["net/firewall/"]
    assert why.startswith("needs root: install the read-only helper") and line in why, why
    assert story.look("parity") == {}, "what was not looked at is no finding"
    for machine in (story.stg, story.prod):
        install_helper(machine)
    assert "net/firewall/" not in story.gaps("parity")
    finding = story.found("net/firewall/nft inet shop in/rules", "high", only=["net/firewall/"])
    assert "5432" in str(finding["cells"]) and "rules" in finding["advice"]
    # The helper takes no arguments, and sudo lets it have none.
    assert story.shop.sshd.on("stg", "sudo -n /usr/local/lib/lockstep/lockstep-facts x 2>&1 || echo refused").endswith("refused\n")
    story.prod.root(f"nft flush ruleset; nft -f - <<'END'\n{rules}\nEND")
    story.gone()
    story.stg.root("echo '@daily /srv/shop/current/bin/console report' | crontab -u www-data -")
    found = story.look("parity")
    assert found and all(key.startswith("unit/cron:crontabs/") for key in found), sorted(found)
    story.stg.root("crontab -u www-data -r")
    story.gone()
    for machine in (story.stg, story.prod):
        machine.root("nft flush ruleset")
        remove_helper(machine)
    story.gone()


def test_a_service_that_runs_with_other_variables_than_its_file_has_now(story):
    """Another user's: the helper's second line opens exactly this."""
    line = next(line for line in HELPER_PAGE.splitlines() if line.endswith("environ$"))
    why = story.gaps("parity")["env/CACHE_TTL/running"]
    assert "the environment of www-data's processes may not be read" in why and line in why, why
    for machine in (story.stg, story.prod):
        install_helper(machine)
        machine.root(write("/etc/sudoers.d/lockstep-environ", line) + "chmod 440 /etc/sudoers.d/lockstep-environ; visudo -c")
    story.gone()
    assert "env/CACHE_TTL/running" not in story.gaps("parity")
    story.prod.root("sed -i 's/CACHE_TTL=.*/CACHE_TTL=5/' /srv/shop/current/.env")
    finding = story.found("env/CACHE_TTL/running", "high", only=["env/CACHE_TTL/", "file/.env/"])
    assert "differs from the file" in str(finding["cells"]) and "restart" in finding["advice"], finding
    edit = next(f for key, f in story.look("drift", "production").items() if key.startswith(("env/CACHE_TTL", "file/.env")))
    story.shop.run.ok("revert", edit["id"])
    story.gone()
    for machine in (story.stg, story.prod):
        machine.root("rm /etc/sudoers.d/lockstep-environ")
        remove_helper(machine)
    story.gone()


def test_a_service_that_still_runs_the_program_from_before_an_upgrade(story):
    """dpkg replaces the interpreter; the unit was not restarted."""
    # The machine's root is an overlay: the first change of a file there copies it.
    story.prod.root("chmod 755 /usr/bin/python3.11; systemctl restart shop")
    age = f"ps -o etimes= -p {show(story.prod, 'shop', 'MainPID')}"
    assert until(lambda: int(story.prod.root(age)) >= 4), "times of processes and files are told apart by seconds"
    story.prod.root("chmod 755 /usr/bin/python3.11")
    story.gone()  # it is the same program still
    story.prod.root("dpkg -i /root/python3.11-minimal_*.deb")
    finding = story.found("runtime/python/running_program", "high", only=["runtime/python/", "pkg/"])
    assert "replaced since it started" in str(finding["cells"]) and "restart" in finding["advice"]
    story.prod.root("systemctl restart shop")
    story.gone()
