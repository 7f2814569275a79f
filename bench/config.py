#!/usr/bin/python3
"""One value of a configuration changes: how long until every server has the file
rendered with it. Beside Ansible's template module, which writes that one file in place,
and bare ssh, which does nothing."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import run  # noqa: E402
from contenders import BareSsh, Contender, Lockstep  # noqa: E402
from run import NEW, ROOT, Bench, fetch_trees  # noqa: E402
from testbed.servers import Fleet  # noqa: E402

ONE, MANY = "one server", "many servers"
TEMPLATE = "level {}\nname bench\n"
BEYOND_MAX = 1.0  # seconds that a configuration may take beyond the connection


class Value:
    """The value that changes: another one for each run."""

    def __init__(self):
        self.number = 0

    def change(self):
        self.number += 1

    def __str__(self):
        return f"level-{self.number}"


class Ansible(Contender):
    name = "ansible -m template"

    def __init__(self, bench):
        super().__init__(bench)
        self.value = Value()
        self.folder = bench.work / "ansible"
        self.sockets = Path(tempfile.mkdtemp(prefix="ls-cp-", dir="/tmp"))  # their paths have a small limit

    def absent(self):
        return None if shutil.which("ansible") else "ansible is not installed"

    def prepare(self):
        self.folder.mkdir()
        (self.folder / "app.j2").write_text(TEMPLATE.format("{{ level }}"))
        (self.folder / "hosts").write_text(
            "".join(f"{server.name} file={server.home}/app.conf\n" for server in self.bench.servers)
        )
        # Its own defaults, pipelining besides: the first of a run's connections is kept for the others.
        (self.folder / "ansible.cfg").write_text(
            f"""[defaults]
inventory = {self.folder}/hosts
forks = 20
interpreter_python = /usr/bin/python3
local_tmp = {self.folder}/local
remote_tmp = {self.folder}/remote
[ssh_connection]
ssh_args = -F {self.bench.fleet.config} -C -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = {self.sockets}
pipelining = True
"""
        )

    def reset(self, servers, live):
        self.value.change()
        self.end()

    def end(self):
        """Ends the connections that a run has kept."""
        for socket in self.sockets.iterdir():
            subprocess.run(
                ["ssh", "-F", self.bench.fleet.config, "-o", f"ControlPath={socket}", "-O", "exit", "any"],
                capture_output=True,
            )

    def command(self, servers, version):
        names = ",".join(server.name for server in servers)
        arguments = f"src={self.folder}/app.j2 dest={{{{ file }}}} mode=0640"
        return (
            f"ANSIBLE_CONFIG={self.folder}/ansible.cfg ansible {names} -m template "
            f"-a '{arguments}' -e level={self.value}"
        )

    def check(self, server, version):
        check_file(self, server.home / "app.conf")


class LockstepConfig(Lockstep):
    """The value stands in lockstep.yml, and that file is all that changes."""

    name = "lockstep --config-only"
    flags = "--config-only"
    # Shared with the one below: both change the same places.
    value = Value()
    live = {}

    def __init__(self, bench):
        super().__init__(bench)
        self.live = type(self).live

    def write_project(self):
        names = [server.name for server in self.bench.servers]
        folder = self.folder / "project"
        (folder / "lockstep.yml").write_text(
            f"""version: 1
project: bench
source: {self.bench.repo}
env: {{ LEVEL: {{}} }}
files: [{{ template: app.tpl, path: app.conf, permissions: "0640" }}]
deploy: {{ path: peers/Lockstep, health: none, reload: none, keep: 3 }}
environments:
  one: {{ values: {{ LEVEL: {self.value} }}, servers: [{names[0]}] }}
  many: {{ values: {{ LEVEL: {self.value} }}, servers: [{", ".join(f"{name}:peers/Many" for name in names)}] }}
"""
        )

    def prepare(self):
        folder = self.folder / "project"
        if folder.exists():
            return
        folder.mkdir(parents=True)
        (folder / "app.tpl").write_text(TEMPLATE.format("${LEVEL}"))
        self.write_project()
        self.call("build", NEW)

    def reset(self, servers, live):
        environment = self.environment(servers)
        if environment not in self.live:
            self.bench.delay.set_rtt(0)
            self.call("deploy", environment, "--ref", NEW)
            self.bench.delay.set_rtt(self.bench.rtt)
            self.live[environment] = True
        self.value.change()
        self.write_project()

    def command(self, servers, version):
        return f"cd {self.folder}/project && exec {self.bench.program} deploy {self.environment(servers)} {self.flags}"

    def check(self, server, version):
        current = (self.root(self.bench.now, server) / "current").resolve()
        check_file(self, current / "app.conf")
        if (current / "package.json").read_bytes() != (self.bench.trees[NEW] / "package.json").read_bytes():
            raise RuntimeError(f"{self.name}: {server.name} does not show {NEW}")


class LockstepAlone(LockstepConfig):
    """The same, found out by the program itself."""

    name = "lockstep deploy"
    flags = f"--ref {NEW}"


def check_file(contender, file):
    expected = f"level {contender.value}\nname bench\n"
    if file.read_text() != expected:
        raise RuntimeError(f"{contender.name}: {file} holds {file.read_text()!r} instead of {expected!r}")


KINDS = (BareSsh, Ansible, LockstepAlone, LockstepConfig)


def measure_all(bench, contenders, options):
    results = {}
    for scenario, count in ((ONE, 1), (MANY, options.servers)):
        runs = options.runs if count == 1 else min(options.runs, 3)
        run.SCENARIOS[scenario] = (NEW, NEW, count)
        for rtt in options.rtt:
            bench.rtt = rtt
            bench.delay.set_rtt(rtt)
            for contender in contenders:
                entry = bench.run_scenario(contender, scenario, runs)
                results.setdefault(scenario, {}).setdefault(str(rtt), {})[contender.name] = entry
                print(f"  {scenario}, {rtt} ms, {contender.name}: {entry['seconds']:.2f} s", file=sys.stderr)
    return results


def goals(results, options):
    """A second beyond the connection for one server. For many, a third of Ansible's time,
    as of the other peers' (run.py)."""
    found = []
    for scenario, by_rtt in results.items():
        for rtt in options.rtt:
            entry = by_rtt[str(rtt)]
            for kind in (LockstepAlone, LockstepConfig):
                peer = entry.get((BareSsh if scenario == ONE else Ansible).name)
                if kind.name not in entry or not peer:
                    continue
                seconds, text = entry[kind.name]["seconds"], f"{kind.name}, {scenario}, {rtt} ms"
                if scenario == ONE:
                    seconds, limit, text = seconds - peer["seconds"], BEYOND_MAX, f"{text}: beyond bare ssh (s)"
                else:
                    limit, text = peer["seconds"] / 3, f"{text}: ≤ 1/3 of Ansible's time (s)"
                found.append((text, seconds, limit, seconds <= limit))
    return found


def main():
    # Ended from outside, it still takes its servers along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    parser = run.options_parser(__doc__)
    options = parser.parse_args()
    if options.quick:
        options.runs, options.servers = 1, 4
    options.rtt = options.rtt or ([20] if options.quick else [0, 20])
    trees = fetch_trees(ROOT / "build" / "bench-cache")
    trees = {NEW: trees[NEW]}
    work = Path(tempfile.mkdtemp(prefix="lockstep-bench-"))
    contenders, absent = [], {}
    run.allow_files()
    try:
        with Fleet(work / "fleet") as fleet:
            bench = Bench(options, fleet, trees, work)
            for kind in KINDS:
                if options.only and kind.name not in options.only:
                    continue
                contender = kind(bench)
                why = contender.absent()
                if why:
                    absent[kind.name] = why
                    continue
                contenders.append(contender)
                if kind is not BareSsh:
                    contender.prepare()
            results = measure_all(bench, contenders, options)
            bench.delay.end()
    finally:
        for contender in contenders:
            if isinstance(contender, Ansible):
                contender.end()
                shutil.rmtree(contender.sockets, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
    run.print_table(results, options.rtt, LockstepConfig.name)
    reached = goals(results, options)
    run.print_goals(reached, absent)
    out = ROOT / "build" / "bench-config-results.json"
    out.write_text(json.dumps({
        "servers": options.servers, "runs": options.runs, "rtts": options.rtt, "results": results, "absent": absent,
        "goals": [{"goal": text, "value": value, "limit": limit, "met": met} for text, value, limit, met in reached],
    }, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
