#!/usr/bin/python3
"""Facts of many servers: `lockstep facts` with nothing kept, and looks over kept connections,
beside `ansible -m setup` and bare ssh. Ratios count: all share this machine's processors."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import run  # noqa: E402
from contenders import together  # noqa: E402
from testbed.servers import Fleet  # noqa: E402

COLD_MAX, KEPT_MIN = 1.3, 50
DIMENSIONS = ("env", "file", "hw", "net", "os", "pkg", "runtime", "unit", "container")


def seconds(argv, **options):
    began = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    taken = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: exit {done.returncode}\n{done.stderr[-3000:]}{done.stdout[-1000:]}")
    return taken


def median(runs, measure):
    return statistics.median(measure() for _ in range(runs))


def measure(count, options, work):
    names = [f"web{i + 1}" for i in range(count)]
    with Fleet(work / "fleet") as fleet:
        fleet.add_all(*names)
        fleet.write_client_files()
        for name in names:
            fleet[name].place().mkdir(parents=True)
            (fleet[name].place() / "index.php").write_text("<?php\n")
        env = os.environ | {"LOCKSTEP_SSH": fleet.ssh, "LC_ALL": "C.UTF-8"}

        def bare():
            return seconds(["bash", "-c", together(f"{fleet.ssh} {name} true" for name in names)])

        def ansible():
            folder = Path(tempfile.mkdtemp(dir=work))
            (folder / "hosts").write_text("\n".join(names) + "\n")
            (folder / "ansible.cfg").write_text(
                f"[defaults]\ninventory = {folder}/hosts\nforks = {count}\ninterpreter_python = /usr/bin/python3\n"
                f"local_tmp = {folder}/local\nremote_tmp = {folder}/remote\n"
                f"[ssh_connection]\nssh_args = -F {fleet.config}\npipelining = True\n"
            )
            return seconds(["ansible", "all", "-m", "setup"], env=env | {"ANSIBLE_CONFIG": f"{folder}/ansible.cfg"})

        def cold(*flags):
            def once():
                home = tempfile.mkdtemp(dir=work)
                places = [f"{name}:srv/shop" for name in names]
                return seconds([options.program, "facts", *places, "--no-databases", *flags],
                               env=env | {"LOCKSTEP_HOME": home})
            return once

        def kept(*only):
            tool = options.program.parent / "bench" / "bench_parity"
            done = subprocess.run([tool, str(options.looks + 1), "srv/shop", *only, "--", *names],
                                  env=env, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            return statistics.median(json.loads(done.stdout)["look_ms"][1:]) / 1000

        floor = median(options.runs, bare)
        found = {"ssh true": floor}
        if shutil.which("ansible"):
            found["ansible -m setup"] = median(min(options.runs, 2), ansible)
        found["lockstep facts"] = median(options.runs, cold())
        found["lockstep facts --offline"] = median(options.runs, cold("--offline"))
        found["over kept connections"] = kept()
        if options.dimensions:
            for name in DIMENSIONS:
                found[f"kept, --only {name}"] = kept(name)
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "build" / "lockstep"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--looks", type=int, default=10)
    parser.add_argument("--full", action="store_true", help="a hundred servers too")
    parser.add_argument("--dimensions", action="store_true", help="each dimension alone too")
    options = parser.parse_args()
    options.program = Path(options.program).resolve()
    run.allow_files()
    missed = 0
    for count in (20, 100) if options.full else (20,):
        work = Path(tempfile.mkdtemp(prefix="lockstep-parity-"))
        try:
            found = measure(count, options, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        floor, theirs = found["ssh true"], found.get("ansible -m setup")
        print(f"{count} servers; load {os.getloadavg()[0]:.1f}")
        for name, taken in found.items():
            beside = f"  Ansible × {theirs / taken:7.1f}" if theirs else ""
            print(f"  {name:28}{taken:8.3f} s  bare ssh × {taken / floor:6.2f}{beside}")
        goals = [("cold ≤ 1.3 × bare ssh", found["lockstep facts"] / floor, found["lockstep facts"] <= COLD_MAX * floor)]
        if theirs:
            ratio = theirs / found["over kept connections"]
            goals.append(("kept ≥ 50 × faster than Ansible", ratio, ratio >= KEPT_MIN))
        for text, value, met in goals:
            print(f"  {'met   ' if met else 'MISSED'}  {text}: {value:.2f}")
            missed += not met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
