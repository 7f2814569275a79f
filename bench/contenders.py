"""The contenders: how each would bring a folder live on servers. All keep releases
beside each other and switch a link, so that they do the same work.

Each says with `command` what a person would type; what is measured is that command
and nothing else. `reset` puts servers into the state before, unmeasured."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Contender:
    name = ""
    scenarios = ("first", "incremental", "nothing new", "twenty servers")

    def __init__(self, bench):
        self.bench = bench
        self.ssh = f"ssh -F {bench.fleet.config}"

    def absent(self):
        """Why it cannot take part here; None when it can."""
        return None

    def reset(self, servers, live):
        """Servers without anything (`live` None), or with that version live."""

    def command(self, servers, version):
        raise NotImplementedError

    def check(self, server, version):
        """Raises unless the server now shows exactly that version."""


class BareSsh(Contender):
    name = "ssh true"

    def command(self, servers, version):
        return together(f"{self.ssh} {server.name} true" for server in servers)


class Folders(Contender):
    """Peers whose place is releases/VERSION and a link."""

    def root(self, server):
        return server.home / "peers" / type(self).__name__

    def reset(self, servers, live):
        for server in servers:
            root = self.root(server)
            if live is None:
                self.bench.put_away(root)
            for folder in (root / "releases").glob("*"):
                if folder.name != live:
                    self.bench.put_away(folder)
            root.mkdir(parents=True, exist_ok=True)
            (root / "releases").mkdir(exist_ok=True)
            if live and not (root / "releases" / live).exists():
                subprocess.run(["cp", "-a", self.bench.trees[live], root / "releases" / live], check=True)
            (root / "current").unlink(missing_ok=True)
            if live:
                (root / "current").symlink_to(f"releases/{live}")

    def check(self, server, version):
        same = subprocess.run(
            ["diff", "-r", "-q", "--no-dereference", self.bench.trees[version], (self.root(server) / "current").resolve()],
            capture_output=True,
        )
        if same.returncode != 0:
            raise RuntimeError(f"{self.name}: {server.name} does not show {version}: {(same.stdout + same.stderr)[:500]!r}")


def switch(root, version):
    return f"ln -sfn releases/{version} {root}/current.new && mv -T {root}/current.new {root}/current"


class Rsync(Folders):
    name = "rsync -az --link-dest"

    def command(self, servers, version):
        def one(server):
            root = self.root(server)
            link_dest = f"--link-dest={root}/current/" if (root / "current").exists() else ""
            return (
                f"rsync -az --delete {link_dest} -e {shlex.quote(self.ssh)} "
                f"{self.bench.trees[version]}/ {server.name}:{root}/releases/{version}/ && "
                f"{self.ssh} {server.name} {shlex.quote(switch(root, version))}"
            )

        return together(one(server) for server in servers)


class Tar(Folders):
    name = "tar | zstd | ssh"
    scenarios = ("first", "incremental", "twenty servers")

    def command(self, servers, version):
        def one(server):
            root = self.root(server)
            there = (
                f"mkdir -p {root}/releases/{version} && zstd -q -dc | tar -x -C {root}/releases/{version} && "
                + switch(root, version)
            )
            return (
                f"tar -C {self.bench.trees[version]} -c . | zstd -q -3 -T0 | "
                f"{self.ssh} {server.name} {shlex.quote(there)}"
            )

        return together(one(server) for server in servers)


class Ansible(Folders):
    name = "Ansible synchronize"

    def absent(self):
        if not shutil.which("ansible-playbook"):
            return "ansible is not installed"
        described = subprocess.run(
            ["ansible-doc", "-j", "ansible.posix.synchronize"], capture_output=True, text=True
        ).stdout
        if "synchronize" not in described:
            return "the collection ansible.posix is not installed"
        return None

    def command(self, servers, version):
        folder = self.bench.work / "ansible"
        folder.mkdir(exist_ok=True)
        root = "{{ root }}"
        (folder / "play.yml").write_text(
            f"""- hosts: all
  gather_facts: false
  tasks:
    - ansible.posix.synchronize:
        src: {self.bench.trees[version]}/
        dest: "{root}/releases/{version}/"
        delete: true
        link_dest: ["{root}/current/"]
        use_ssh_args: true
    - ansible.builtin.shell: "{switch(root, version)}"
"""
        )
        (folder / "hosts").write_text(
            "".join(f"{server.name} root={self.root(server)}\n" for server in servers)
        )
        (folder / "ansible.cfg").write_text(
            f"""[defaults]
inventory = {folder}/hosts
forks = 20
interpreter_python = /usr/bin/python3
local_tmp = {folder}/local
remote_tmp = {folder}/remote
[ssh_connection]
ssh_args = -F {self.bench.fleet.config}
pipelining = True
"""
        )
        return f"ANSIBLE_CONFIG={folder}/ansible.cfg ansible-playbook {folder}/play.yml"


class Lockstep(Contender):
    name = "lockstep"

    def __init__(self, bench):
        super().__init__(bench)
        self.folder = bench.work / "lockstep"
        self.live = {}
        self.places = 0

    def absent(self):
        return None if self.bench.program.exists() else f"there is no {self.bench.program}: run ./dev build"

    def env(self):
        return {"LOCKSTEP_HOME": str(self.folder / "home"), "LOCKSTEP_SSH": self.ssh}

    def prepare(self):
        """The application as a git repository, both versions built into the store."""
        (self.folder / "project").mkdir(parents=True)
        self.configure()
        for version in self.bench.trees:
            self.call("build", version)

    def configure(self):
        names = [server.name for server in self.bench.servers]
        (self.folder / "project" / "lockstep.yml").write_text(
            f"""version: 1
project: bench
source: {self.bench.repo}
deploy: {{ path: peers/{self.place([0])}, health: none, reload: none, keep: 3 }}
environments:
  one: {{ servers: [{names[0]}] }}
  many: {{ servers: [{", ".join(f"{name}:peers/{self.place(names)}" for name in names)}] }}
"""
        )

    def call(self, *args):
        done = subprocess.run(
            [self.bench.program, *args], cwd=self.folder / "project", env=os.environ | self.env(), capture_output=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"lockstep {args}: exit {done.returncode}\n{done.stderr.decode(errors='replace')}")

    def environment(self, servers):
        return "one" if len(servers) == 1 else "many"

    def place(self, servers):
        """A place where nobody deployed to yet has a new name: else this machine would remember it."""
        return f"{'Lockstep' if len(servers) == 1 else 'Many'}{self.places}"

    def root(self, servers, server):
        return server.home / "peers" / self.place(servers)

    def reset(self, servers, live):
        # A place that had the other version could take files from it: begin anew.
        if live and self.live.get(len(servers)) == live:
            return
        self.places += 1
        self.live = {}
        self.configure()
        if live:
            self.bench.delay.set_rtt(0)
            self.call("deploy", self.environment(servers), "--ref", live)
            self.bench.delay.set_rtt(self.bench.rtt)
        self.live[len(servers)] = live

    def command(self, servers, version):
        self.live[len(servers)] = version
        return (
            f"cd {self.folder}/project && exec {self.bench.program} deploy {self.environment(servers)} --ref {version}"
        )

    def check(self, server, version):
        current = self.root(self.bench.now, server) / "current"
        same = subprocess.run(
            ["diff", "-r", "-q", "--no-dereference", self.bench.trees[version], current.resolve()], capture_output=True
        )
        if same.returncode != 0:
            raise RuntimeError(f"lockstep: {server.name} does not show {version}: {(same.stdout + same.stderr)[:500]!r}")


def together(commands):
    """All at once; fails when one of them fails."""
    commands = list(commands)
    if len(commands) == 1:
        return commands[0]
    lines = [f"( {command} ) & pids+=($!)" for command in commands]
    return "\n".join(["pids=()", *lines, 'for pid in "${pids[@]}"; do wait "$pid" || exit 1; done'])


CONTENDERS = (BareSsh, Rsync, Tar, Ansible, Lockstep)
