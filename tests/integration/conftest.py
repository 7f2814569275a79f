"""Fixtures: real servers, a real repository, the real program. What they are made of
stands in tools/testbed."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from testbed.apprepo import AppRepo, write_config  # noqa: E402
from testbed.place import Place  # noqa: E402
from testbed.program import Program  # noqa: E402
from testbed.servers import Fleet  # noqa: E402

BINARY = Path(os.environ.get("LOCKSTEP_BIN", ROOT / "build" / "lockstep"))
SANITIZED = "build-san" in BINARY.parts


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def folder_for_much():
    """Where tests marked slow put their many or large files: in memory when there is
    plenty, since a disk may need a millisecond for each small file."""
    memory = Path("/dev/shm")
    if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 12 << 30:
        return memory
    return None


@pytest.fixture
def work(request):
    """A folder of the test's own, removed afterwards. Short: unix sockets live in it."""
    much = folder_for_much() if request.node.get_closest_marker("slow") else None
    folder = Path(tempfile.mkdtemp(prefix="lockstep-", dir=much))
    yield folder
    shutil.rmtree(folder, onerror=make_writable)


def make_writable(function, path, _):
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path, onerror=make_writable)
    elif os.path.lexists(path):
        function(path)


@pytest.fixture
def sshd(work):
    """A fleet without servers: `web1 = sshd.add("web1")`, `sshd.add_all("web1", "web2")`."""
    with Fleet(work / "fleet") as fleet:
        yield fleet


@pytest.fixture
def app_repo(work):
    """A shop with five commits, the branches main and legacy, the tags v1.0 and v1.1."""
    return AppRepo(work / "shop.git-work").with_history()


@pytest.fixture
def laptop(work):
    """`laptop(folder, ssh=…, name=…)`: a Program with a home of its own."""
    if not BINARY.exists():
        pytest.fail(f"there is no program at {BINARY}: run ./dev build")

    def make(folder, ssh=None, name="home"):
        return Program(BINARY, work / name, folder, ssh)

    return make


@pytest.fixture
def lockstep(work, laptop):
    """The program in an empty folder, without servers: for what needs none."""
    folder = work / "folder"
    folder.mkdir()
    return laptop(folder)


class Shop:
    """The ordinary case put together: servers, a repository, lockstep.yml, a laptop."""

    def __init__(self, work, sshd, repo, laptop):
        self.work = work
        self.sshd = sshd
        self.repo = repo
        self.laptop = laptop
        self.folder = work / "project"
        self.folder.mkdir()
        self.config = {
            "version": 1,
            "project": "shop",
            "source": str(repo.dir),
            "deploy": {"path": "srv/shop", "health": "none", "reload": "none"},
            "environments": {},
        }
        self.run = laptop(self.folder, sshd.ssh)

    def environment(self, name, *servers, **keys):
        """Starts the servers that are not there yet."""
        for server in servers:
            if server not in self.sshd.servers:
                self.sshd.add(server)
        self.config["environments"][name] = {"servers": list(servers), **keys}
        return self.save()

    def save(self):
        write_config(self.folder, self.config)
        return self

    def serve_all(self):
        """A web server for every server, and a health check that asks it."""
        for server in self.sshd.servers.values():
            if not server.site:
                server.serve()
        self.config["deploy"]["health"] = {"url": f"http://127.0.0.1:{self.sshd.web_port}/up", "within": "5s"}
        return self.save()

    def place(self, server="web1"):
        return Place(self.sshd[server].place())

    def another_laptop(self, name="other"):
        return self.laptop(self.folder, self.sshd.ssh, name)


@pytest.fixture
def shop(work, sshd, app_repo, laptop):
    return Shop(work, sshd, app_repo, laptop)
