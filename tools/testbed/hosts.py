"""Servers with a root of their own: what this machine has, with a writable layer over it, an
own network, own processes and an own name. Packages, /etc and firewall of one can be changed
as on a machine of its own. Needs root.

Not for: services under a running systemd; a host here runs sshd alone."""

import contextlib
import os
import subprocess

from .servers import SSHD, Server

ENTER = """
set -e
mount --make-rprivate /
mkdir -p "$1/layer"
mount -t tmpfs -o mode=755 layer "$1/layer"
cd "$1/layer"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mkdir -p run/sshd ".$2"
mount --bind "$2" ".$2"
ip link set lo up
hostname "$3"
pivot_root . mnt
umount -l /mnt
exec "$4" -D -e -f "$5"
"""


def can_have_hosts():
    """None, or why not."""
    if os.getuid() != 0:
        return "needs root"
    probe = ("set -e; mount --make-rprivate /; mount -t tmpfs t /mnt; cd /mnt; mkdir u w r; "
             "mount -t overlay o -o lowerdir=/,upperdir=u,workdir=w r")
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", probe], capture_output=True, text=True)
    return None if done.returncode == 0 else "no overlay or name spaces here: " + done.stderr.strip()


class Host(Server):
    """`fleet.on(name, command)` changes it; its home is on this machine, so Place() reads it."""

    def start(self):
        self.port = 22  # its network is its own
        if not self.launch():
            raise RuntimeError(f"sshd of {self.name} did not start:\n{self.log()}")
        self.fleet.write_client_files()
        return self

    def argv(self, config):
        return ["unshare", "--mount", "--uts", "--pid", "--net", "--fork", "--kill-child", "--propagation", "unchanged",
                "sh", "-c", ENTER, "sh", str(self.dir), str(self.fleet.dir.parent), self.name, SSHD, str(config)]

    @property
    def net(self):
        return f"/proc/{self.process.pid}/ns/net"

    @property
    def client_options(self):
        """The way in is through its network's name, as nothing is routed there."""
        return f"  ProxyCommand nsenter --net={self.net} busybox nc {self.address} {self.port}\n" if self.process else ""

    def answers(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(["nsenter", f"--net={self.net}", "busybox", "nc", self.address, str(self.port)],
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=2)
            return done.stdout.startswith(b"SSH-")
        return False


def add_host(fleet, name):
    server = Host(fleet, name, f"{fleet.network}.{len(fleet.servers) + 1}")
    fleet.servers[name] = server
    return server.start()

