"""Every fault point, failed once and killed once: afterwards each server shows exactly
the old or the new release, nothing claims otherwise, and running again finishes."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import BINARY, ROOT
from testbed.apprepo import AppRepo, write_config
from testbed.place import Place
from testbed.program import Program
from testbed.servers import Fleet

POINT = re.compile(r'\bfault_(?:point|mark)\(\s*"([a-z0-9_.]+)"')


# src/target/link.c puts these names together.
STEPS = ("connect", "scan", "journal", "lease", "prepare", "decide", "activate", "run", "record", "prune")


def points():
    """All that stand in the sources, so that a new one is tested without being listed."""
    found = {f"target.{step}.{when}" for step in STEPS for when in ("before", "after")} | {"target.prepare.send"}
    for path in sorted((ROOT / "src").rglob("*.c")):
        if path.parts[-2] != "base":
            found |= set(POINT.findall(path.read_text()))
    return sorted(found)


# What a deployment to a single server passes, most of it sent at once and answered later.
ALONE = re.compile(
    r"target\.(connect|scan|lease|prepare|activate|record)\.|engine\.(before_(prepare|decide|activate|record)|decided|recorded)$"
    r"|agent\.(lease|prepare|receive|decide|activate|record)\."
)


def fault(point, action):
    name = "LOCKSTEP_FAULT_AGENT" if point.startswith("agent.") else "LOCKSTEP_FAULT"
    return {name: f"{point}={action}"}


def check_sound(bed, servers=("web1", "web2")):
    """Nothing but the two releases is ever seen; returns what each server shows."""
    seen = []
    for name in servers:
        place = bed.place(name)
        assert place.current is not None
        tree = place.tree()
        assert tree in (bed.old, bed.new), f"{name} shows neither the old nor the new release"
        seen.append("new" if tree == bed.new else "old")
    return seen


class Bed:
    """Two servers and a laptop for all fault points: each test gets a place of its
    own with the old release live. What is built and connected once stays."""

    CHECK = {"command": "test -e README.md", "within": "2s"}

    def __init__(self, folder):
        self.work = folder
        self.fleet = Fleet(folder / "fleet")
        self.fleet.add_all("web1", "web2")
        repo = AppRepo(folder / "repo").with_history()
        repo.git("branch", "old")
        self.old = repo.tree()
        repo.write("app/Shop.php", "<?php // second\n").write("second.txt", "second").commit("Second")
        repo.git("branch", "new")
        self.new = repo.tree()
        (folder / "project").mkdir()
        self.config = {
            "version": 1,
            "project": "shop",
            "source": str(repo.dir),
            "deploy": {"path": "", "health": self.CHECK, "reload": "none"},
            "environments": {"dev": {"servers": []}},
        }
        self.run = Program(BINARY, folder / "home", folder / "project", self.fleet.ssh)
        self.count = 0

    def begin(self, servers=("web1", "web2"), health=CHECK):
        self.count += 1
        self.config["deploy"].update(path=f"srv/{self.count}", health=health)
        self.config["environments"]["dev"]["servers"] = list(servers)
        write_config(self.work / "project", self.config)
        self.deploy("old", check=True)
        return self

    def deploy(self, ref, check=False, **env):
        return (self.run.ok if check else self.run)("deploy", "dev", "--ref", ref, env=env)

    def place(self, server):
        return Place(self.fleet[server].place(f"srv/{self.count}"))


@pytest.fixture(scope="module")
def shared_bed():
    folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
    bed = Bed(folder)
    yield bed
    bed.fleet.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bed(shared_bed):
    return shared_bed.begin()


@pytest.fixture
def ready(shop):
    """Two servers with a first release live, a second one committed."""
    shop.environment("dev", "web1", "web2").run.ok("deploy", "dev")
    shop.old = shop.repo.tree()
    shop.repo.write("app/Shop.php", "<?php // second\n").write("second.txt", "second").commit("Second")
    shop.new = shop.repo.tree()
    return shop


def test_a_deployment_passes_fault_points_at_both_ends(bed):
    listed = bed.work / "points"
    bed.deploy("new", check=True, LOCKSTEP_FAULT_LIST=listed)
    passed = set(listed.read_text().split())
    assert len(points()) >= 20
    assert passed - {point for point in passed if point.startswith("agent.")} != set()
    unknown = {point for point in passed - set(points()) if not point.startswith("base.")}
    assert unknown == set()


@pytest.mark.parametrize("action", ["fail", "kill"])
@pytest.mark.parametrize("point", points())
def test_a_fault_leaves_old_or_new_and_running_again_finishes(bed, point, action):
    result = bed.deploy("new", **fault(point, action))
    seen = check_sound(bed)
    if result.code == 0:
        # The point was not passed, or its failure did not matter.
        assert seen == ["new", "new"], str(result)
    elif result.code == 8:
        assert seen == ["old", "old"], str(result)
    elif result.code > 0:
        assert result.code in (1, 2, 3, 4, 6, 10), str(result)
        assert len(set(seen)) == 1 or result.code == 10, str(result)
    again = bed.deploy("new")
    assert again.code == 0, f"{result}\n\nagain:\n{again}"
    assert check_sound(bed) == ["new", "new"], f"{result}\n\nagain:\n{again}"


@pytest.mark.parametrize("action", ["fail", "kill"])
@pytest.mark.parametrize("point", filter(ALONE.match, points()))
@pytest.mark.parametrize("health", ["none", Bed.CHECK], ids=["unchecked", "checked"])
def test_so_it_is_with_a_single_server(shared_bed, health, point, action):
    bed = shared_bed.begin(("web1",), health)
    result = bed.deploy("new", **fault(point, action))
    seen = check_sound(bed, ("web1",))
    assert result.code != -signal.SIGABRT, str(result)
    if result.code == 0:
        assert seen == ["new"], str(result)
    elif result.code == 8:
        assert seen == ["old"], str(result)
    elif result.code > 0:
        assert result.code in (1, 2, 3, 4, 6, 10), str(result)
    again = bed.deploy("new")
    assert again.code == 0, f"{result}\n\nagain:\n{again}"
    assert check_sound(bed, ("web1",)) == ["new"]


@pytest.mark.san
def test_a_lost_answer_to_the_receipt_is_asked_for_again(bed):
    bed.deploy("new", check=True, **fault("agent.record.after", "kill"))
    assert check_sound(bed) == ["new", "new"]


@pytest.mark.parametrize("point", [point for point in points() if point.startswith("agent.")])
def test_a_kill_during_a_rollback_is_survived(bed, point):
    bed.deploy("new", check=True)
    bed.run("rollback", "dev", env=fault(point, "kill"))
    check_sound(bed)
    bed.deploy("new", check=True)
    assert check_sound(bed) == ["new", "new"]


def wait_for(truth, seconds=30):
    until = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


def children(pid, word):
    from testbed.servers import descendants

    found = []
    for child in descendants(pid):
        try:
            with open(f"/proc/{child}/cmdline", "rb") as file:
                if word in file.read():
                    found.append(child)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("victim", ["controller", "ssh", "agent"])
def test_a_kill_in_the_middle_of_a_transfer(ready, victim):
    ready.repo.write("large.bin", os.urandom(60 << 20)).commit("Something large")
    ready.new = ready.repo.tree()
    process = ready.run.start("deploy", "dev")
    prepare = ready.place("web1").path / ".lockstep" / "prepare"
    # Something of the new activation is there: the transfer has begun.
    wait_for(lambda: process.poll() is not None or (prepare.exists() and any(prepare.iterdir())), 60)
    assert process.poll() is None, process.communicate()
    if victim == "controller":
        pids = [process.pid]
    elif victim == "ssh":
        pids = children(process.pid, b"web1")[:1]
    else:
        pids = [pid for pid in ready.sshd["web1"].sessions() if b"agent-" in exe(pid)]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=90)
    assert process.returncode != 0
    assert check_sound(ready) == ["old", "old"]
    ready.run.ok("deploy", "dev")
    assert check_sound(ready) == ["new", "new"]


def exe(pid):
    try:
        return os.fsencode(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return b""


@pytest.mark.root
def test_a_full_disk_leaves_the_old_release_live_and_says_so(ready):
    place = ready.place("web2").path
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=True)
    try:
        ready.run.ok("deploy", "dev", "--ref", "v1.0")
        live = ready.place("web2").live
        ready.repo.write("large.bin", os.urandom(8 << 20)).commit("Too large")
        result = ready.run("deploy", "dev")
        assert result.code == 8, str(result)
        assert "web2" in result.err
        assert re.search(r"no space|full|free", result.err, re.IGNORECASE), str(result)
        assert ready.place("web2").live == live
        assert ready.place("web2").tree() == ready.place("web1").tree() == ready.repo.tree("v1.0")
        ready.repo.remove("large.bin").write("small.txt", "small").commit("Small again")
        ready.run.ok("deploy", "dev")
        assert ready.place("web2").tree() == ready.repo.tree()
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_folder_of_the_application_that_becomes_a_link_is_not_followed(ready):
    """The application's user owns shared/ and may swap folders for links."""
    outside = ready.work / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    ready.config["deploy"]["shared_dirs"] = ["storage"]
    ready.save()
    for name in ("web1", "web2"):
        shared = ready.place(name).path / "shared"
        shared.mkdir(exist_ok=True)
        (shared / "storage").symlink_to(outside)
    ready.run("deploy", "dev")
    assert sorted(path.name for path in outside.iterdir()) == ["precious.txt"]
    assert (outside / "precious.txt").read_text() == "precious"


def test_an_old_epoch_changes_nothing(ready):
    """A controller that was stopped while another deployed wakes up: its lease is gone."""
    ready.config["deploy"]["hooks"] = {"before_activate": [{"run": "touch $HOME/reached; sleep 2"}]}
    ready.save()
    process = ready.run.start("deploy", "dev")
    wait_for(lambda: (ready.sshd["web1"].home / "reached").exists())
    process.send_signal(signal.SIGSTOP)
    for name in ("web1", "web2"):
        for pid in ready.sshd[name].sessions():
            if b"agent-" in exe(pid):
                os.kill(pid, signal.SIGKILL)
    ready.config["deploy"]["hooks"] = {}
    ready.save()
    ready.repo.write("third.txt", "third").commit("Third")
    third = ready.repo.tree()
    ready.another_laptop().ok("deploy", "dev")
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert ready.place("web1").tree() == ready.place("web2").tree() == third
