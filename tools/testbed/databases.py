"""Throwaway database servers: PostgreSQL and MariaDB as an ordinary user, on loopback and a
socket in a folder of their own. Started once for many tests, a database each.

Responsible for starting, readiness and ending by process id."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .servers import READY_WITHIN, free_port

SETTINGS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=50"


class Folder:
    """A folder that whoever runs the server owns: PostgreSQL refuses to run as root."""

    def __init__(self, prefix):
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
        self.as_user = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.path, nobody.pw_uid, nobody.pw_gid)
            self.as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.path.chmod(0o755)

    def run(self, argv, **options):
        done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              cwd=self.path, env=self.env, **self.as_user, **options)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def env(self):
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.path)}

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Postgresql:
    """`programs`: the folder of initdb and postgres."""

    scheme = "postgresql"

    def __init__(self, programs, settings=""):
        self.folder = Folder("ls-pg-")
        self.socket = self.folder.path
        self.port = free_port()
        self.user = "owner"
        self.folder.run([f"{programs}/initdb", "-D", "data", "-A", "scram-sha-256", "--auth-local=trust", "-U", self.user,
                         "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"])
        with open(self.folder.path / "log", "w", encoding="utf-8") as log:
            words = f"{SETTINGS} {settings} -c listen_addresses=127.0.0.1".split()
            self.process = subprocess.Popen(
                [f"{programs}/postgres", "-D", str(self.folder.path / "data"), "-k", str(self.socket), "-p", str(self.port),
                 *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.folder.env, **self.folder.as_user)
        wait_until(lambda: self.answers("postgres"), self.process, self.folder.path / "log")

    def psql(self, database, sql, check=True):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.socket), "-p",
                               str(self.port), "-U", self.user, "-d", database], input=sql, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip() if check else done.returncode

    def answers(self, database):
        return self.psql(database, "select 1", check=False) == 0

    def create(self, name, sql=""):
        self.psql("postgres", f'drop database if exists "{name}"')
        self.psql("postgres", f'create database "{name}"')
        self.psql(name, sql)
        return f"postgresql://{self.user}@/{name}?host={self.socket}&port={self.port}"

    def stop(self):
        self.process.terminate()
        self.process.send_signal(2)  # do not wait for clients
        self.process.wait(20)
        self.folder.remove()


class Mariadb:
    scheme = "mysql"

    def __init__(self):
        self.folder = Folder("ls-my-")
        self.socket = self.folder.path / "s"
        self.port = free_port()
        data = self.folder.path / "data"
        self.folder.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}",
                         "--auth-root-authentication-method=normal", "--skip-test-db"])
        with open(self.folder.path / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin"), "--no-defaults", f"--datadir={data}",
                 f"--socket={self.socket}", "--bind-address=127.0.0.1", f"--port={self.port}",
                 f"--pid-file={self.folder.path}/pid", "--innodb-flush-log-at-trx-commit=0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.folder.env, **self.folder.as_user)
        wait_until(lambda: self.sql("", "select 1", check=False) == 0, self.process, self.folder.path / "log")

    def sql(self, database, sql, check=True):
        done = subprocess.run(["mariadb", "--no-defaults", "-N", "-B", "-S", str(self.socket), "-u", "root", database],
                              input=sql, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip() if check else done.returncode

    def create(self, name, sql=""):
        self.sql("", f"drop database if exists `{name}`; create database `{name}` character set utf8mb4 collate "
                     "utf8mb4_general_ci")
        self.sql(name, sql)
        return f"mysql://root@localhost/{name}?socket={self.socket}"

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.folder.remove()


def wait_until(answers, process, log):
    until = time.monotonic() + 4 * READY_WITHIN
    while not answers():
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.02)
