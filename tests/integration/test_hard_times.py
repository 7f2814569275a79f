"""What servers and lines do to a deployment at the worst moment: the disk is full, the line is
gone, the application moves its folders about. A fault point stops the agent or the controller
there, the test does what the world would do, and lets it go on."""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time

import pytest


def wait_for(truth, seconds=30):
    until = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


def is_stopped(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return False
    return text[text.rindex(")") + 2] == "T"


def stopped_agents(server):
    return [pid for pid in server.sessions() if is_stopped(pid)]


def ssh_of(process):
    """The ssh programs a controller has started."""
    from testbed.servers import descendants

    found = []
    for pid in descendants(process.pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.path.basename(file.read().split(b"\0")[0]) == b"ssh":
                    found.append(pid)
        except OSError:
            pass
    return found


@pytest.fixture
def ready(shop):
    """Two servers with a first release live, a second one committed."""
    shop.config["deploy"]["health"] = {"command": "test -e README.md", "within": "2s"}
    shop.environment("dev", "web1", "web2").run.ok("deploy", "dev")
    shop.old = shop.repo.tree()
    shop.repo.write("app/Shop.php", "<?php // second\n").write("second.bin", os.urandom(300_000)).commit("Second")
    shop.new = shop.repo.tree()
    return shop


def seen(shop):
    trees = [shop.place(name).tree() for name in ("web1", "web2")]
    assert all(tree in (shop.old, shop.new) for tree in trees), "neither the old nor the new release"
    return ["new" if tree == shop.new else "old" for tree in trees]


# --- the disk -------------------------------------------------------------------------------------

DISK_STAGES = [
    "agent.lease.before_epoch", "agent.prepare.begun", "agent.prepare.before_tree", "agent.receive.object",
    "agent.prepare.before_sync", "agent.prepare.before_rename", "agent.prepare.after_rename", "agent.decide.before",
    "agent.activate.before", "agent.switch.before_rename", "agent.activate.after_switch", "agent.record.before",
]


def fill(folder):
    """Not one more block, nor one more file."""
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    (folder / "fillers").mkdir(exist_ok=True)
    try:
        for number in range(10_000):
            (folder / "fillers" / str(number)).touch()
    except OSError:
        pass


def empty(folder):
    (folder / "filler").unlink()
    for file in (folder / "fillers").iterdir():
        file.unlink()
    (folder / "fillers").rmdir()


@pytest.mark.root
@pytest.mark.parametrize("stage", DISK_STAGES)
def test_a_disk_that_fills_up_leaves_old_or_new_and_the_next_run_finishes(ready, stage):
    """web1's, the decision server's; every append and every rename of its journal may fail."""
    ready.config["deploy"]["keep"] = 1
    ready.save()
    place = ready.sshd["web1"].place()
    disk = place.parent
    saved = ready.work / "saved"
    subprocess.run(["cp", "-a", disk, saved], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=2000", "tmpfs", disk], check=True)
    try:
        subprocess.run(["cp", "-a", f"{saved}/.", disk], check=True)
        process = ready.run.start("deploy", "dev", env={"LOCKSTEP_FAULT_AGENT": f"{stage}=hang"})
        wait_for(lambda: process.poll() is not None or stopped_agents(ready.sshd["web1"]))
        assert process.poll() is None, f"{stage} was not passed: {process.communicate()}"
        fill(disk)
        # The fault counts on both servers.
        wait_for(lambda: process.poll() is not None or resume(ready), 60)
        out, err = (text.decode() for text in process.communicate(timeout=60))
        what = f"{stage}: exit {process.returncode}\n{err}"
        assert process.returncode in (0, 2, 3, 6, 8, 10), what
        now = seen(ready)
        if process.returncode == 0:
            assert now == ["new", "new"], what
        elif process.returncode == 10:
            assert "web1" in err, what
        else:
            assert now == ["old", "old"], what
        if process.returncode != 0:
            assert re.search(r"no space|full|are free|too many|quota", err, re.IGNORECASE), what
        empty(disk)
        ready.run.ok("deploy", "dev")
        assert seen(ready) == ["new", "new"]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def resume(shop):
    """Lets go on who is stopped; true when nobody is left to be."""
    for name in ("web1", "web2"):
        for pid in stopped_agents(shop.sshd[name]):
            os.kill(pid, signal.SIGCONT)
    return False


def test_a_way_back_that_could_not_be_written_down_is_not_called_one(ready):
    """All servers are as before, but the commit stands alone: the next run goes forward."""
    twice = "target.decide.before=fail:2"
    result = ready.run("deploy", "dev", env={"LOCKSTEP_FAULT": f"engine.before_activate=fail,{twice},{twice}"})
    assert result.code == 10, str(result)
    assert "the servers now: all are as before, and that it is to go back could not be written down" in result.err
    assert "run the same command again" in result.err
    assert seen(ready) == ["old", "old"]
    assert ready.run.ok("log", "--json").json["deployments"][0]["outcome"] == "unknown"
    result = ready.run.ok("deploy", "dev")
    assert "it was decided: finishing it" in result.err
    assert seen(ready) == ["new", "new"]


def test_a_single_server_that_could_not_decide_is_untouched(ready):
    """Neither line can be written, as on a full disk: the commit is not there, so nothing was done."""
    ready.config["environments"]["dev"]["servers"] = ["web1"]
    fails = "agent.decide.before=fail"
    result = ready.save().run("deploy", "dev", env={"LOCKSTEP_FAULT_AGENT": f"{fails},{fails}"})
    assert result.code == 8, str(result)
    assert "all servers are back on what was live before" in result.err
    assert ready.place("web1").tree() == ready.old
    result = ready.run.ok("deploy", "dev")
    assert "was interrupted; taking it back" in result.err
    assert ready.place("web1").tree() == ready.new


# --- who finished first ----------------------------------------------------------------------------

def test_a_server_that_fails_after_the_others_finished_is_no_dead_end(ready):
    """Nobody can take back for web2 what web1, which knows the decision, has closed."""
    picky = ready.sshd["web2"].home / "picky"
    ready.config["deploy"]["health"] = {"command": "test ! -e second.bin || test ! -e $HOME/picky", "within": "1s"}
    ready.save().run("deploy", "dev", env={"LOCKSTEP_FAULT": "engine.before_verify=kill"})
    assert seen(ready) == ["new", "new"]
    ready.config["environments"]["dev"]["servers"] = ["web1"]
    ready.save().run.ok("deploy", "dev")
    ready.config["environments"]["dev"]["servers"] = ["web1", "web2"]
    ready.save()
    picky.touch()
    result = ready.run("deploy", "dev")
    assert result.code == 8, str(result)
    assert "was finished before on other servers, so it stays live, not verified: web2 failed its health check" in result.err
    assert seen(ready) == ["new", "new"]
    status = ready.run("status", "--json").json["environments"][0]
    assert [server["verdict"] for server in status["servers"]] == ["verified", "live"]
    ready.run.ok("rollback", "dev")
    assert seen(ready) == ["old", "old"]
    picky.unlink()
    ready.run.ok("deploy", "dev")
    assert seen(ready) == ["new", "new"]
    assert ready.run.ok("status", "--json").json["environments"][0]["state"] == "verified"


def test_a_server_that_cannot_reload_after_the_others_finished_is_not_taken_for_done(ready):
    """Without a health check what is live counts as good: the reload that failed must not be forgotten."""
    deaf = ready.sshd["web2"].home / "deaf"
    del ready.config["deploy"]["health"]
    ready.config["deploy"]["reload"] = "command:test ! -e $HOME/deaf"
    ready.save().run("deploy", "dev", env={"LOCKSTEP_FAULT": "engine.before_reload=kill"})
    assert seen(ready) == ["new", "new"]
    ready.config["environments"]["dev"]["servers"] = ["web1"]
    ready.save().run.ok("deploy", "dev")
    ready.config["environments"]["dev"]["servers"] = ["web1", "web2"]
    ready.save()
    deaf.touch()
    result = ready.run("deploy", "dev")
    assert "was finished before on other servers, so it stays live, not verified" in result.err, str(result)
    assert result.code == 8, "the deployment that was asked for reloads, too, and goes back"
    deaf.unlink()
    result = ready.run.ok("deploy", "dev", "--again")
    assert "unchanged" not in result.out
    assert seen(ready) == ["new", "new"]


# --- the line ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("point", ["agent.switch.before_rename", "agent.switch.after_rename", "agent.decide.before",
                                   "agent.decide.after", "agent.record.before", "agent.record.after"])
def test_a_line_lost_around_the_switch_is_asked_again_not_guessed(ready, point):
    """ssh dies while the agent stands there; it learns that only when it goes on."""
    process = ready.run.start("deploy", "dev", env={"LOCKSTEP_FAULT_AGENT": f"{point}=hang"})
    wait_for(lambda: process.poll() is not None or stopped_agents(ready.sshd["web1"]))
    assert process.poll() is None, process.communicate()
    stopped = [pid for name in ("web1", "web2") for pid in stopped_agents(ready.sshd[name])]
    victims = ssh_of(process)
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not stopped_agents(ready.sshd["web1"]), 10)  # sshd has given them up
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    # Those it starts anew meet the same fault: they go on, too.
    wait_for(lambda: process.poll() is not None or resume(ready), 90)
    err = process.communicate()[1].decode()
    now = seen(ready)
    if process.returncode == 0:
        assert now == ["new", "new"], err
    elif process.returncode == 10:
        assert "web1" in err and "the servers now" in err, err
    else:
        assert process.returncode in (4, 8) and now == ["old", "old"], f"{process.returncode}: {err}"
    ready.run.ok("deploy", "dev")
    assert seen(ready) == ["new", "new"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["connect", "lease", "prepare", "decide", "activate", "run", "record"])
def test_ssh_killed_at_a_step_leaves_old_or_new_and_the_next_run_finishes(ready, step, when):
    process = ready.run.start("deploy", "dev", env={"LOCKSTEP_FAULT": f"target.{step}.{when}=hang"})
    wait_for(lambda: process.poll() is not None or is_stopped(process.pid))
    if process.poll() is None:
        for pid in ssh_of(process):
            os.kill(pid, signal.SIGKILL)
        os.kill(process.pid, signal.SIGCONT)
    err = process.communicate(timeout=90)[1].decode()
    now = seen(ready)
    what = f"exit {process.returncode}\n{err}"
    assert process.returncode in (0, 4, 8, 10), what
    assert (process.returncode == 0) == (now == ["new", "new"]) or process.returncode == 10, what
    ready.run.ok("deploy", "dev")
    assert seen(ready) == ["new", "new"]


# --- the application's own folders ----------------------------------------------------------------------

def exchange(one, other):
    """Both names at once (renameat2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)


def test_folders_that_are_swapped_for_links_meanwhile_lead_nowhere(ready):
    """The application owns shared/ and what is generated: it may put links there at any moment,
    to a folder that the deploy user may write and the application must not."""
    outside = ready.work / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "precious.txt").write_text("precious")
    (outside / "deep" / "more.txt").write_text("more")
    before = {path: (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
              for path in [outside, *outside.rglob("*")]}
    ready.config["deploy"] |= {"shared_dirs": ["storage/logs"], "generated": ["cache"],
                               "keep": 1}
    ready.repo.write("cache/keep.txt", "kept").write("storage/logs/first.log", "first").commit("With folders")
    ready.new = ready.repo.tree()
    ready.save().run.ok("deploy", "dev")
    done = threading.Event()
    swapped = [0]

    def attack():
        names = []
        for name in ("web1", "web2"):
            place = ready.place(name).path
            for folder in ("shared/storage", "shared/storage/logs", "shared"):
                bait = place / ".." / f"bait-{name}-{folder.replace('/', '-')}"
                os.symlink(outside, bait)
                names.append((place / folder, bait))
        while not done.is_set():
            for folder, bait in names:
                if exchange(folder, bait) == 0:
                    swapped[0] += 1
            for name in ("web1", "web2"):
                for activation in (ready.place(name).path / "releases").glob("*/cache"):
                    bait = ready.place(name).path / ".." / "bait-cache"
                    if not os.path.lexists(bait):
                        os.symlink(outside, bait)
                    swapped[0] += exchange(activation, bait) == 0

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for number in range(6):
            ready.repo.write("number.txt", str(number)).commit(f"Number {number}")
            ready.run("deploy", "dev")
            ready.run("status")
    finally:
        done.set()
        attacker.join()
    assert swapped[0] > 100
    after = {path: (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
             for path in [outside, *outside.rglob("*")]}
    assert after == before
    assert (outside / "precious.txt").read_text() == "precious"
