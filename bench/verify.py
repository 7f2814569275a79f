#!/usr/bin/python3
"""How fast a release that lies on a server is verified: the agent's scan that hashes every file,
and its facts of files, beside SHA-256 on one buffer, and beside opening, reading and closing the
same files without looking at them."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from run import NEW, ROOT, fetch_trees, make_repo  # noqa: E402

SPEED_MIN = 0.8
TEXTS = {
    "one_buffer": "SHA-256 of all bytes, one buffer",
    "pieces": "SHA-256 of each file's bytes, from memory",
    "read": "open, read, close each file",
    "read_and_hash": "both: what cannot be left out",
    "scan": "the agent's scan that hashes",
    "facts": "the agent's facts of files",
}


def deploy(program, work, trees):
    repo, project, place = make_repo(work / "repo", {NEW: trees[NEW]}), work / "project", work / "place"
    project.mkdir()
    (project / "lockstep.yml").write_text(
        f"""version: 1
project: bench
source: {repo}
deploy: {{ health: none, reload: none }}
environments:
  here: {{ servers: ["local://{place}"] }}
"""
    )
    done = subprocess.run([program, "deploy", "here"], cwd=project, env=os.environ | {"LOCKSTEP_HOME": str(work / "home")},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return place


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "build" / "lockstep"))
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    program = Path(options.program).resolve()
    trees = fetch_trees(ROOT / "build" / "bench-cache")
    work = Path(tempfile.mkdtemp(prefix="lockstep-verify-"))
    try:
        place = deploy(program, work, trees)
        # One processor: what is a process of its own is not to run beside.
        done = subprocess.run(
            [program.parent / "bench" / "bench_verify", str(options.rounds), place],
            check=True, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {0}),
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = json.loads(done.stdout)
    floor = found["ms"]["one_buffer"]
    print(f"{found['files']} files, {found['bytes'] / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}")
    for name, text in TEXTS.items():
        taken = found["ms"][name]
        print(f"  {text:44}{taken:8.1f} ms  {found['bytes'] / taken / 1e6:6.2f} GB/s  {100 * floor / taken:4.0f} %")
    speed = floor / found["ms"]["scan"]
    met = speed >= SPEED_MIN
    print(f"  {'met   ' if met else 'MISSED'}  verified at ≥ 80 % of the speed of SHA-256: {100 * speed:.0f} %")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
