"""Machines: servers that are a minimal Debian each, booted by systemd, with packages, users,
units and an address of their own, on a network that only their fleet sees. Podman and runc
carry them; one root for all is made once (tools/machine-image), and each writes into a layer
of its own. One logs in as `deploy`; `machine.root(COMMAND)` is its administrator's console.

Not for: hosts that need no systemd, which hosts.py has sooner."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
from pathlib import Path

from .servers import Server, run

BOOTED_WITHIN = 60.0
IMAGE = Path(__file__).resolve().parents[1] / "machine-image"
PROGRAMS = ("podman", "conmon", "runc", "debootstrap", "ip", "nsenter", "busybox")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# Limits stay below this machine's own, and cgroups are used as they are found.
# The process beside each machine has another name than podman gives it: who looks at this
# machine meanwhile, as other tests do, shall not find containers that come and go.
CONTAINERS_CONF = """[containers]
default_ulimits=["nofile=4096:4096", "nproc=4096:4096"]
log_driver="k8s-file"
[engine]
conmon_path=["{monitor}"]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
"""

# What an installation gives a machine, and the key that lets us in.
INSTALL = """set -e
printf '127.0.0.1 localhost\\n127.0.1.1 %s\\n' "$(hostname)" > /etc/hosts
hostname > /etc/hostname
echo nameserver {gateway} > /etc/resolv.conf
install -d -m 700 -o deploy -g deploy /home/deploy/.ssh
cat > /home/deploy/.ssh/authorized_keys <<'END'
{authorized}END
rm -f /etc/ssh/ssh_host_*
install -m 600 /dev/stdin /etc/ssh/ssh_host_ed25519_key <<'END'
{host_key}END
chown deploy:deploy /home/deploy/.ssh/authorized_keys
systemctl restart ssh
"""


class CannotBoot(RuntimeError):
    """Something of ours is missing or failed, where the system would allow machines."""


def system_forbids_machines():
    """None, or why no machine can boot here, whatever is installed."""
    if os.getuid() != 0:
        return "needs root"
    mounts = Path("/proc/mounts").read_text()
    if " cgroup" not in mounts:
        return "no control groups are mounted here"
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else "no name spaces here: " + done.stderr.strip()


def find_image():
    """The folder of the machines' root; it is made when it is not there yet."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if missing:
        raise CannotBoot(f"not installed: {', '.join(missing)}")
    done = subprocess.run([str(IMAGE)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotBoot(f"there is no root to boot from: {done.stderr.strip()}")
    return Path(done.stdout.strip())


class Network:
    """A bridge in a name space of its own: whoever steps in reaches all its machines."""

    def __init__(self):
        self.name = f"lockstep-{os.getpid()}-{random.randrange(1 << 20):05x}"
        self.prefix = f"10.{random.randrange(64, 128)}.{random.randrange(256)}"
        self.gateway = f"{self.prefix}.1"
        self.members = 0
        run(["ip", "netns", "add", self.name])
        try:
            self.ip("link", "add", "lan", "type", "bridge")
            self.ip("addr", "add", f"{self.gateway}/24", "dev", "lan")
            self.ip("link", "set", "lan", "up")
        except BaseException:
            self.end()
            raise

    def ip(self, *args):
        run(["ip", "-n", self.name, *args])

    def join(self, pid, address):
        self.members += 1
        port = f"port{self.members}"
        self.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self.ip("link", "set", port, "master", "lan", "up")
        for args in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                     ["route", "add", "default", "via", self.gateway]):
            run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *args])

    def end(self):
        run(["ip", "netns", "del", self.name])


class Machine(Server):
    """`fleet.on(name, command)` is what the deploy user does there, `root(command)` what its
    administrator does."""

    def __init__(self, fleet, name, number, network, image):
        super().__init__(fleet, name, f"{network.prefix}.{number + 1}")
        self.network = network
        self.image = image
        self.container = f"{network.name}-{name}"
        self.pid = None
        self.podman_env = {"PATH": PATH, "HOME": str(self.dir), "CONTAINERS_CONF": str(self.dir / "containers.conf"),
                           "XDG_RUNTIME_DIR": str(self.dir)}
        monitor = self.dir / "machine-monitor"
        monitor.symlink_to(shutil.which("conmon", path=PATH))
        (self.dir / "containers.conf").write_text(CONTAINERS_CONF.format(monitor=monitor))

    def podman(self, *args, **options):
        return subprocess.run(["podman", *args], env=self.podman_env, capture_output=True, text=True, **options)

    @property
    def client_options(self):
        """The way in is through the fleet's network, as nothing is routed there."""
        return (f"  User deploy\n"
                f"  ProxyCommand nsenter --net=/run/netns/{self.network.name} busybox nc {self.address} {self.port}\n")

    def start(self):
        self.port = 22
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise
        self.fleet.write_client_files()
        return self

    def boot(self):
        """systemd itself says when it has booted, to a socket (sd_notify(3)), and ssh.service
        has started only when sshd listens."""
        notices = self.dir / "notices"
        notices.mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notice:
            (notices / "socket").unlink(missing_ok=True)
            notice.bind(str(notices / "socket"))
            notice.settimeout(BOOTED_WITHIN)
            done = self.podman(
                "run", "--detach", "--name", self.container, "--hostname", self.name, "--systemd=always",
                "--network=none", "--no-hosts", "--cap-add=NET_ADMIN,AUDIT_WRITE,SYS_PTRACE",
                "--env", "NOTIFY_SOCKET=/run/notices/socket", "--volume", f"{notices}:/run/notices",
                "--rootfs", f"{self.image}:O", "/sbin/init", stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise CannotBoot(f"podman does not run {self.name}: {done.stderr.strip()}")
            with contextlib.suppress(TimeoutError):
                while b"READY=1" not in notice.recv(4096).split(b"\n"):
                    pass
                self.pid = int(self.podman("inspect", "--format={{.State.Pid}}", self.container).stdout)
        if not self.pid:
            raise CannotBoot(f"{self.name} did not boot:\n{self.podman('logs', self.container).stdout}")
        self.network.join(self.pid, self.address)
        self.root(INSTALL.format(gateway=self.network.gateway, host_key=(self.dir / "host_key").read_text(),
                                 authorized=(self.fleet.dir / "authorized_keys").read_text()))

    def root(self, command, check=True):
        """What it prints on standard output."""
        done = self.podman("exec", "--interactive", self.container, "sh", input=command)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    @property
    def files(self):
        """Its root folder, as this machine sees it."""
        return Path(f"/proc/{self.pid}/root")

    def place(self, folder="srv/shop"):
        return self.files / folder

    def stop(self):
        self.podman("rm", "--force", "--time=0", self.container)
        self.pid = None


@contextlib.contextmanager
def machines(fleet, *names):
    """Machines made alike, named in the fleet; gone at the end."""
    image, network, started = find_image(), Network(), []
    try:
        for number, name in enumerate(names, 1):
            machine = fleet.servers[name] = Machine(fleet, name, number, network, image)
            started.append(machine.start())
        yield started
    finally:
        for machine in started:
            machine.stop()
        network.end()
