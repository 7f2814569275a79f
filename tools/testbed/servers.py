"""Throwaway servers: real sshd processes on loopback addresses, with home folders of
their own, and a small web server each that serves what is live there. An ssh
configuration lets the user's `ssh` reach them as web1, web2, …

Responsible for starting, readiness and ending everything by process id."""

import contextlib
import errno
import getpass
import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

READY_WITHIN = 15.0
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or "/usr/sbin/sshd"


def run(argv, **options):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


def make_key(path, comment):
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])


def port_is_free(address, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port(address="127.0.0.1"):
    # Below the range the kernel takes ports for outgoing connections from.
    while True:
        port = random.randrange(12000, 32000)
        if port_is_free(address, port):
            return port


def descendants(pid):
    """Process ids below `pid`, children before grandchildren."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parent = int(stat[stat.rindex(")") + 2 :].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def end_tree(process):
    """Ends a child of ours and everything below it."""
    pids = descendants(process.pid) if process.poll() is None else []
    if process.poll() is None:
        process.terminate()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Site(http.server.ThreadingHTTPServer):
    """Serves a place's live activation. GET /up tells which activation answers: 200
    when its folder holds up.txt with "ok" (or has none), 500 otherwise; other paths
    are files of the activation. `broken` set: every answer is that status;
    `only_well_with` set: so is every answer of another activation than this one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address, port, place):
        self.place = Path(place)
        self.broken = None
        self.only_well_with = None
        self.asked = []
        super().__init__((address, port), SiteHandler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def end(self):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def handle_error(self, request, client_address):
        pass  # a client that goes away is no news


class SiteHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        site.asked.append(self.path)
        live = ""
        status, body = 404, b"nothing is live here\n"
        try:
            live = os.path.basename(os.readlink(site.place / "current"))
            folder = site.place / "releases" / live
            if site.broken or site.only_well_with not in (None, live):
                status, body = site.broken or 500, b"broken on purpose\n"
            elif self.path == "/up":
                sign = folder / "up.txt"
                good = not sign.exists() or sign.read_text().strip() == "ok"
                status, body = (200, f"up {live}\n".encode()) if good else (500, b"this release is not well\n")
            else:
                status, body = 200, (folder / self.path.lstrip("/")).read_bytes()
        except OSError:
            pass
        self.send_response(status)
        self.send_header("X-Activation", live)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server:
    """One sshd. `home` is what its users find as $HOME; `place()` is a folder on it."""

    def __init__(self, fleet, name, address):
        self.fleet = fleet
        self.name = name
        self.address = address
        self.dir = fleet.dir / "servers" / name
        self.home = self.dir / "home"
        self.port = None
        self.reach = None  # (address, port) in front of this server, such as a delay proxy's
        self.process = None
        self.site = None
        # Every session begins in the server's own home folder.
        self.force = 'cd "$HOME" && if [ -n "$SSH_ORIGINAL_COMMAND" ]; then eval "$SSH_ORIGINAL_COMMAND"; else exec "$SHELL"; fi'
        self.home.mkdir(parents=True)
        make_key(self.dir / "host_key", name)

    def place(self, folder="srv/shop"):
        return self.home / folder

    def start(self):
        for _ in range(10):
            self.port = free_port(self.address)
            if self.launch():
                self.fleet.write_client_files()
                return self
        raise RuntimeError(f"sshd of {self.name} did not start:\n{self.log()}")

    client_options = ""  # more lines of its Host in ssh_config

    def argv(self, config):
        return [SSHD, "-D", "-e", "-f", str(config)]

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1) as line:
            return line.recv(4) == b"SSH-"
        return False

    def launch(self):
        config = self.dir / "sshd_config"
        config.write_text(
            f"""Port {self.port}
ListenAddress {self.address}
HostKey {self.dir}/host_key
PidFile {self.dir}/pid
AuthorizedKeysFile {self.fleet.dir}/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
MaxSessions 50
PrintMotd no
Subsystem sftp internal-sftp
SetEnv HOME={self.home}
ForceCommand {self.force}
"""
        )
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.argv(config),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until and self.process.poll() is None:
            if self.answers():
                return True
            # sshd gives no sign of its own that it listens.
            time.sleep(0.01)
        self.stop()
        return False

    def stop(self):
        """As if the machine were gone: the listener and every session end."""
        if self.process:
            end_tree(self.process)
            self.process = None

    def restart(self):
        """The same machine again: same address, port and host key."""
        self.stop()
        if not self.launch():
            raise RuntimeError(f"sshd of {self.name} did not start again:\n{self.log()}")

    def new_host_key(self):
        """As if another machine answered. The client's known_hosts stays as it was."""
        self.stop()
        for suffix in ("", ".pub"):
            (self.dir / f"host_key{suffix}").unlink()
        make_key(self.dir / "host_key", self.name)
        if not self.launch():
            raise RuntimeError(self.log())

    def log(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def sessions(self):
        """Process ids of everything that runs on this server now."""
        return descendants(self.process.pid) if self.process else []

    def serve(self, folder="srv/shop"):
        """A web server for a place of this machine, on the fleet's web port."""
        self.site = Site(self.address, self.fleet.web_port, self.place(folder))
        return self.site


class Fleet:
    """Servers, and the client files that make them reachable by name."""

    def __init__(self, folder):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.servers = {}
        self.config = self.dir / "ssh_config"
        self.known_hosts = self.dir / "known_hosts"
        self.user = getpass.getuser()
        self.extra_config = ""
        make_key(self.dir / "id", "testbed")
        shutil.copy(self.dir / "id.pub", self.dir / "authorized_keys")
        # One port for all web servers, free on the whole loopback network.
        self.web_port = free_port("0.0.0.0")
        # Each fleet has a small network of its own, so that fleets do not meet.
        self.network = f"127.{random.randrange(1, 255)}.{random.randrange(0, 255)}"
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)

    @property
    def ssh(self):
        """The value of LOCKSTEP_SSH."""
        return f"ssh -F {self.config}"

    def add(self, name):
        server = Server(self, name, f"{self.network}.{len(self.servers) + 1}")
        self.servers[name] = server
        server.start()
        return server

    def add_all(self, *names):
        return [self.add(name) for name in names]

    def __getitem__(self, name):
        return self.servers[name]

    def write_client_files(self):
        """Called whenever a server was added; known_hosts tells only what was true then."""
        hosts, known = [], []
        for server in self.servers.values():
            key = (server.dir / "host_key.pub").read_text().split()
            address, port = server.reach or (server.address, server.port)
            name = address if port == 22 else f"[{address}]:{port}"
            known.append(f"{name} {key[0]} {key[1]}\n")
            hosts.append(f"Host {server.name}\n  HostName {address}\n  Port {port}\n{server.client_options}")
        self.known_hosts.write_text("".join(known))
        self.config.write_text(
            "".join(hosts)
            + f"""Host *
  User {self.user}
  IdentityFile {self.dir}/id
  IdentitiesOnly yes
  UserKnownHostsFile {self.known_hosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
{self.extra_config}"""
        )

    def on(self, name, command, check=True):
        """What a person would do: ssh NAME COMMAND."""
        done = subprocess.run(
            ["ssh", "-F", str(self.config), name, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"ssh {name} {command}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def end(self):
        for server in self.servers.values():
            if server.site:
                server.site.end()
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
