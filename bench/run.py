#!/usr/bin/python3
"""Measures the contenders side by side and says which goals are met."""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from contenders import CONTENDERS, Lockstep, Rsync  # noqa: E402
from testbed.delay import Delay  # noqa: E402
from testbed.servers import Fleet, descendants  # noqa: E402

OLD, NEW = "14.2.3", "14.2.4"
SCENARIOS = {
    "first": (None, NEW, 1),
    "incremental": (OLD, NEW, 1),
    "nothing new": (NEW, NEW, 1),
    "twenty servers": (OLD, NEW, 20),
}
MB = 1 << 20


def fetch_trees(cache):
    """The two versions as folders a release tool would find: unchanged files keep
    their time, so that rsync's quick check works as well as it ever does."""
    trees = {version: cache / f"next-{version}" for version in (OLD, NEW)}
    for version, folder in trees.items():
        if folder.exists():
            continue
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            subprocess.run(
                ["npm", "pack", "--silent", f"next@{version}"], cwd=work, check=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            subprocess.run(["tar", "-xf", f"next-{version}.tgz"], cwd=work, check=True)
            for path in Path(work, "package").rglob("*"):
                executable = path.is_dir() or path.stat().st_mode & 0o111
                path.chmod(0o755 if executable else 0o644)
            os.rename(Path(work, "package"), folder)
    began = 1_700_000_000
    changed = total = size = changed_size = 0
    for path in sorted(trees[NEW].rglob("*")):
        if path.is_dir():
            continue
        before = trees[OLD] / path.relative_to(trees[NEW])
        same = before.is_file() and before.read_bytes() == path.read_bytes()
        os.utime(path, (began, began) if same else (began + 86400, began + 86400))
        total, size = total + 1, size + path.stat().st_size
        if not same:
            changed, changed_size = changed + 1, changed_size + path.stat().st_size
    for path in trees[OLD].rglob("*"):
        if not path.is_dir():
            os.utime(path, (began, began))
    print(f"next {OLD} → {NEW}: {total} files, {size / 1e6:.0f} MB; {changed} changed, {changed_size / 1e6:.0f} MB")
    return trees


def make_repo(folder, trees):
    def git(*args):
        subprocess.run(
            ["git", "-C", folder, "-c", "user.name=Bench", "-c", "user.email=bench@example.org",
             "-c", "core.autocrlf=false", *args],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )

    folder.mkdir()
    git("init", "-q", "-b", "main")
    for version, tree in trees.items():
        subprocess.run(["rsync", "-a", "--delete", "--exclude=.git", f"{tree}/", f"{folder}/"], check=True)
        git("add", "-A", "-f")
        git("commit", "-q", "-m", f"next {version}")
        git("tag", version)
    return folder


class AgentWatch(threading.Thread):
    """Peak memory of agents below sshd, looked at 50 times a second: too much work
    for runs whose time counts."""

    def __init__(self, servers):
        super().__init__(daemon=True)
        self.servers = servers
        self.over = threading.Event()
        self.peak = 0

    def run(self):
        while not self.over.wait(0.02):
            for server in self.servers:
                for pid in descendants(server.process.pid):
                    try:
                        if "agent-" not in os.readlink(f"/proc/{pid}/exe"):
                            continue
                        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                            if line.startswith("VmHWM:"):
                                self.peak = max(self.peak, int(line.split()[1]) * 1024)
                    except (OSError, ProcessLookupError):
                        pass


class Bench:
    def __init__(self, options, fleet, trees, work):
        self.options = options
        self.fleet = fleet
        self.trees = trees
        self.work = work
        self.program = Path(options.program).resolve()
        self.rtt = 0
        self.now = []
        self.servers = fleet.add_all(*[f"web{i + 1}" for i in range(options.servers)])
        proxy = self.program.parent / "bench" / "delay_proxy"
        self.delay = Delay(proxy, 0, [f"{server.address}:{server.port}" for server in self.servers])
        for server, reach in zip(self.servers, self.delay.listening):
            server.reach = reach
        fleet.write_client_files()
        self.repo = make_repo(work / "repo", trees)
        self.away = work / "away"
        self.away.mkdir()

    def put_away(self, path):
        """Out of the way; deleted when all is measured. ext4 without a journal looks at every inode that
        was freed in the last minutes when it makes a file: deleting 6,303 files before each run cost
        the run after it up to a second, whoever ran."""
        if os.path.lexists(path):
            os.rename(path, self.away / str(len(os.listdir(self.away))))

    def measure(self, contender, servers, version):
        """One run: seconds, bytes on the wire, peak memory of the largest process."""
        env = os.environ | {"LC_ALL": "C.UTF-8"}
        if isinstance(contender, Lockstep):
            env |= contender.env()
        script = contender.command(servers, version)
        self.delay.reset()
        with tempfile.TemporaryFile() as output:
            began = time.monotonic()
            process = subprocess.Popen(
                ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise RuntimeError(f"{contender.name} failed ({process.returncode}):\n{script}\n{text[-3000:]}")
        stats = self.delay.stats()
        return {"seconds": seconds, "bytes": stats["up"] + stats["down"], "rss": usage.ru_maxrss * 1024}

    def run_scenario(self, contender, scenario, runs):
        before, after, count = SCENARIOS[scenario]
        servers = self.now = self.servers[: min(count, len(self.servers))]
        samples = []
        for _ in range(runs):
            contender.reset(servers, before)
            samples.append(self.measure(contender, servers, after))
            contender.check(servers[-1], after)
        return {
            "seconds": statistics.median(sample["seconds"] for sample in samples),
            "bytes": statistics.median(sample["bytes"] for sample in samples),
            "rss": max(sample["rss"] for sample in samples),
            "samples": [sample["seconds"] for sample in samples],
        }

    def agent_peak(self, lockstep):
        """Of the largest agent in a first and an incremental deployment."""
        peaks = []
        for scenario in ("first", "incremental"):
            before, after, _ = SCENARIOS[scenario]
            servers = self.now = self.servers[:1]
            lockstep.reset(servers, before)
            watch = AgentWatch(servers)
            watch.start()
            self.measure(lockstep, servers, after)
            watch.over.set()
            watch.join()
            peaks.append(watch.peak)
        return max(peaks)


def goals(results, rtts, agent_peak):
    """[(text, value, limit, met)]; only those for which both sides were measured."""

    def get(contender, scenario, rtt, what="seconds"):
        return results.get(scenario, {}).get(str(rtt), {}).get(contender, {}).get(what)

    found = []

    def goal(text, value, limit):
        if value is not None and limit is not None:
            found.append((text, value, limit, value <= limit))

    def part(value, factor):
        return value * factor if value is not None else None

    for rtt in rtts:
        at = f"at {rtt} ms"
        goal(f"incremental ≤ 1/3 of rsync's time {at} (s)", get("lockstep", "incremental", rtt),
             part(get(Rsync.name, "incremental", rtt), 1 / 3))
        goal(f"incremental ≤ 1/3 of rsync's bytes {at} (MB)", part(get("lockstep", "incremental", rtt, "bytes"), 1 / MB),
             part(get(Rsync.name, "incremental", rtt, "bytes"), 1 / 3 / MB))
        floor = get("ssh true", "nothing new", rtt)
        goal(f"nothing new ≤ 1.15 × bare ssh + one round trip {at} (s)", get("lockstep", "nothing new", rtt),
             None if floor is None else 1.15 * floor + rtt / 1000)
        goal(f"first ≤ tar | zstd | ssh {at} (s)", get("lockstep", "first", rtt), get("tar | zstd | ssh", "first", rtt))
        goal(f"twenty servers ≤ 1/3 of parallel rsync {at} (s)", get("lockstep", "twenty servers", rtt),
             part(get(Rsync.name, "twenty servers", rtt), 1 / 3))
    controller = [entry["lockstep"]["rss"] for scenario in results.values() for entry in scenario.values()
                  if "lockstep" in entry]
    if controller:
        goal("controller's peak memory (MB)", max(controller) / MB, 64)
    if agent_peak:
        goal("agent's peak memory (MB)", agent_peak / MB, 32)
    return found


def print_table(results, rtts, ours_name=Lockstep.name):
    """Ratios are of each one's time to that of `ours_name`."""
    for scenario, by_rtt in results.items():
        print(f"\n{scenario}")
        print(f"  {'':24}" + "".join(f"{f'{rtt} ms round trip':>34}" for rtt in rtts))
        for name in dict.fromkeys(name for entry in by_rtt.values() for name in entry):
            cells = []
            for rtt in rtts:
                entry = by_rtt.get(str(rtt), {}).get(name)
                if entry is None:
                    cells.append(f"{'–':>34}")
                    continue
                ours = by_rtt[str(rtt)].get(ours_name)
                ratio = f"×{entry['seconds'] / ours['seconds']:.2f}" if ours else ""
                cells.append(f"{entry['seconds']:9.2f} s {ratio:>7} {entry['bytes'] / MB:9.2f} MB  ")
            print(f"  {name:24}" + "".join(f"{cell:>34}" for cell in cells))


def print_goals(reached, absent):
    print("\ngoals")
    for text, value, limit, met in reached:
        print(f"  {'met   ' if met else 'MISSED'}  {text}: {value:.2f}, limit {limit:.2f}")
    for name, why in absent.items():
        print(f"  absent: {name} ({why})")


def options_parser(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--program", default=str(ROOT / "build" / "lockstep"))
    parser.add_argument("--quick", action="store_true", help="one run each, 20 ms only, four servers instead of twenty")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--rtt", type=int, action="append", help="round trip in ms; may be given again")
    parser.add_argument("--only", action="append", help="a contender, by name; may be given again")
    return parser


def allow_files():
    """Twenty servers, their proxies and clients need more descriptors than usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


def main():
    parser = options_parser(__doc__)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    options = parser.parse_args()
    if options.quick:
        options.runs, options.servers = 1, 4
    rtts = options.rtt or ([20] if options.quick else [0, 20, 100])
    trees = fetch_trees(ROOT / "build" / "bench-cache")
    work = Path(tempfile.mkdtemp(prefix="lockstep-bench-"))
    results, absent, agent_peak = {}, {}, 0
    allow_files()
    try:
        with Fleet(work / "fleet") as fleet:
            bench = Bench(options, fleet, trees, work)
            contenders = []
            for kind in CONTENDERS:
                if options.only and kind.name not in options.only:
                    continue
                contender = kind(bench)
                why = contender.absent()
                if why:
                    absent[kind.name] = why
                    print(f"absent: {kind.name}: {why}")
                    continue
                contenders.append(contender)
                if isinstance(contender, Lockstep):
                    contender.prepare()
            for scenario in options.scenario or SCENARIOS:
                for rtt in rtts:
                    bench.rtt = rtt
                    bench.delay.set_rtt(rtt)
                    for contender in contenders:
                        if scenario not in contender.scenarios:
                            continue
                        runs = options.runs if scenario != "twenty servers" else min(options.runs, 2)
                        entry = bench.run_scenario(contender, scenario, runs)
                        results.setdefault(scenario, {}).setdefault(str(rtt), {})[contender.name] = entry
                        print(f"  {scenario}, {rtt} ms, {contender.name}: {entry['seconds']:.2f} s", file=sys.stderr)
            for contender in contenders:
                if isinstance(contender, Lockstep):
                    bench.delay.set_rtt(0)
                    agent_peak = bench.agent_peak(contender)
            bench.delay.end()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print_table(results, rtts)
    reached = goals(results, rtts, agent_peak)
    print_goals(reached, absent)
    out = ROOT / "build" / "bench-results.json"
    out.write_text(json.dumps({
        "old": OLD, "new": NEW, "servers": options.servers, "runs": options.runs, "rtts": rtts,
        "results": results, "agent_peak": agent_peak, "absent": absent,
        "goals": [{"goal": text, "value": value, "limit": limit, "met": met} for text, value, limit, met in reached],
    }, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
