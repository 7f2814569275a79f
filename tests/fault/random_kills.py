#!/usr/bin/python3
"""Kills the controller, an agent or an ssh at random moments of deployments, and
checks that every server shows the old or the new release and that the next run
finishes. Prints its seed; the same seed chooses the same victims and moments."""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from testbed.apprepo import AppRepo, write_config  # noqa: E402
from testbed.place import Place  # noqa: E402
from testbed.program import Program  # noqa: E402
from testbed.servers import Fleet, descendants  # noqa: E402

SERVERS = ("web1", "web2")


class Failure(Exception):
    pass


class Check:
    def __init__(self, program, work, seed):
        self.random = random.Random(seed)
        self.fleet = Fleet(work / "fleet")
        self.fleet.add_all(*SERVERS)
        self.repo = AppRepo(work / "repo").with_history()
        self.trees = {}
        # Two commits that go back and forth: enough bytes for a transfer to be hit.
        for name in ("even", "odd"):
            noise = random.Random(name)
            for number in range(30):
                self.repo.write(f"data/{number}.bin", noise.randbytes(100_000))
            self.repo.write("which.txt", name)
            self.repo.commit(name)
            self.repo.git("branch", name)
            self.trees[name] = self.repo.tree(name)
        project = work / "project"
        project.mkdir()
        config = {
            "version": 1, "project": "shop", "source": str(self.repo.dir),
            "deploy": {"path": "srv/shop", "health": {"command": "test -s which.txt", "within": "5s"}, "reload": "none",
                       "keep": 2},
            "environments": {"dev": {"servers": list(SERVERS)}},
        }
        write_config(project, config)
        self.laptop = Program(program, work / "home", project, self.fleet.ssh)
        self.killed = {"controller": 0, "ssh": 0, "agent": 0, "nobody": 0}
        self.laptop.ok("deploy", "dev", "--ref", "even")
        began = time.monotonic()
        self.laptop.ok("deploy", "dev", "--ref", "odd")
        self.usual_seconds = time.monotonic() - began
        self.live = "odd"

    def kills(self):
        """Those that hit something: a moment may lie before or behind the victim's life."""
        return sum(count for kind, count in self.killed.items() if kind != "nobody")

    def victims(self, kind, process):
        if kind == "controller":
            return [process.pid]
        if kind == "ssh":
            return [pid for pid in descendants(process.pid) if b"ssh" in name(pid)]
        return [pid for server in SERVERS for pid in self.fleet[server].sessions() if b"agent-" in name(pid)]

    def shown(self):
        seen = {}
        for server in SERVERS:
            tree = Place(self.fleet[server].place()).tree()
            match = [which for which, wanted in self.trees.items() if tree == wanted]
            if not match:
                raise Failure(f"{server} shows neither release")
            seen[server] = match[0]
        return seen

    def round(self):
        target = "even" if self.live == "odd" else "odd"
        kind = self.random.choice(("controller", "controller", "ssh", "agent"))
        moment = self.random.uniform(0, self.usual_seconds * 1.1)
        verb = self.random.choice((("deploy", "dev", "--ref", target), ("rollback", "dev")))
        process = self.laptop.start(*verb)
        began = time.monotonic()
        try:
            process.wait(moment)
            # Moments are chosen within what a run takes now, on a machine that may be busier or not.
            self.usual_seconds += (time.monotonic() - began - self.usual_seconds) / 2
        except subprocess.TimeoutExpired:  # it still runs: that is the point
            pass
        pids = self.victims(kind, process) if process.poll() is None else []
        if pids:
            try:
                os.kill(self.random.choice(pids), signal.SIGKILL)
                self.killed[kind] += 1
            except ProcessLookupError:
                self.killed["nobody"] += 1
        else:
            self.killed["nobody"] += 1
        out, err = process.communicate(timeout=120)
        told = f"{' '.join(verb)}, {kind} killed after {moment:.3f} s, exit {process.returncode}\n{err.decode(errors='replace')}"
        seen = self.shown()
        if process.returncode == 0 and len(set(seen.values())) != 1:
            raise Failure(f"it claims success but shows {seen}: {told}")
        if process.returncode == 8 and set(seen.values()) != {self.live}:
            raise Failure(f"it claims to be restored but shows {seen}: {told}")
        again = self.laptop("deploy", "dev", "--ref", target)
        if again.code != 0:
            raise Failure(f"running again did not finish:\n{again}\nafter: {told}")
        if set(self.shown().values()) != {target}:
            raise Failure(f"running again did not bring {target}: {self.shown()}\nafter: {told}")
        self.live = target


def name(pid):
    try:
        return os.fsencode(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return b""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "build" / "lockstep"))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("kills", type=int, nargs="?", default=200)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    work = Path(tempfile.mkdtemp(prefix="lockstep-kills-"))
    check = None
    done = 0
    try:
        check = Check(options.program, work, options.seed)
        told = 0
        while check.kills() < options.kills:
            done += 1
            check.round()
            if check.kills() >= told + 10:
                told = check.kills()
                print(f"{told} of {options.kills}: {check.killed}", flush=True)
        print(f"{done} deployments, killed: {check.killed}; every server always showed the old or the new release")
        return 0
    except Failure as failure:
        print(f"deployment {done}: {failure}", file=sys.stderr)
        return 1
    finally:
        if check:
            check.fleet.end()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
