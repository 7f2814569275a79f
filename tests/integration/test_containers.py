"""Running containers under the real engines, podman and Debian's dockerd, each on two hosts made
alike: what runs there is known by its image's id, whatever its tag says; looking leaves the
engine as it was, and starts none."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from test_causes_hosts import hosts, on  # noqa: F401

from testbed.machines import system_forbids_machines

pytestmark = pytest.mark.root

CONF = r"""[containers]\ndefault_ulimits=["nofile=1024:1024", "nproc=1024:1024"]
[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n"""
# Their storage cannot lie on a host's own writable layer.
BEGIN = {
    "podman": "mkdir -p /etc/containers /var/lib/containers; mount -t tmpfs tmpfs /var/lib/containers\n"
              f"printf '{CONF}' > /etc/containers/containers.conf",
    # It says that it is there by a file; systemctl would wait for its notice.
    "docker": "mkdir -p /var/lib/docker; mount -t tmpfs tmpfs /var/lib/docker\n"
              "(setsid dockerd --bridge=none --iptables=false --default-ulimit nofile=1024:1024 --default-ulimit nproc=1024:1024 "
              ">/run/dockerd.log 2>&1 </dev/null &)\n"
              "timeout 30 tail -n +1 -F /run/dockerd.log 2>/dev/null | grep -q 'API listen on'",
}
ENGINES = ("conmon", "dockerd")
PROGRAM = {"podman": "podman", "docker": "dockerd"}
IMAGE = "localhost/web:1.2"
STORAGE = {"podman": "/var/lib/containers", "docker": "/var/lib/docker"}
SEEN = ("find {} /run /root -printf '%p %y %i %s %m %U %T@\\n' 2>/dev/null | sort; "
        "for p in /proc/[0-9]*; do echo $p $(cut -d' ' -f22 $p/stat) $(cat $p/comm); done 2>/dev/null | "
        "grep -v -E ' (sshd|sh|bash|find|sort|grep|cut|cat)$'")


class Engine:
    """One engine on all hosts; ended with its containers."""

    def __init__(self, story, name, work):
        self.story, self.name, self.folder = story, name, work
        for host in ("stg", "prod"):
            self.run(host, BEGIN[name])

    def run(self, host, command):
        return on(self.story, host, f"export PATH=/usr/sbin:/sbin:$PATH\n{command}")

    def __call__(self, host, command):
        return self.run(host, f"{self.name} {command}").strip()

    def build(self, host, content):
        """An image of one program and one file, under the same tag as ever."""
        folder = self.folder / f"{host}-image"
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(shutil.which("busybox"), folder / "bin/busybox")
        (folder / "content").write_text(content)
        self.run(host, f"tar -C {folder} -c . | {self.name} import - {IMAGE}")

    def carry(self):
        """The very image of staging, to production."""
        file = self.folder / "image.tar"
        file.unlink(missing_ok=True)
        self("stg", f"save -o {file} {IMAGE}")
        self("prod", f"load -i {file}")

    def start(self, host, image=IMAGE):
        self.remove(host)
        self(host, f"run -d --name web --network=none {image} /bin/busybox sleep 1000000")

    def remove(self, host):
        self(host, f"kill web >/dev/null 2>&1; {self.name} rm -f web >/dev/null 2>&1 || true")

    def end(self):
        for host in ("stg", "prod"):
            self.remove(host)


@pytest.fixture(params=["podman", "docker"])
def engine(request, hosts, work):  # noqa: F811
    program = PROGRAM[request.param]
    why = system_forbids_machines()
    if why:
        pytest.skip(f"no containers: {why}")
    if not shutil.which(program, path="/usr/sbin:/usr/bin"):
        if os.environ.get("CI"):
            pytest.fail(f"{program} belongs to the packages of the tests")
        pytest.skip(f"{program} is not installed")
    hosts.shop.config["parity"] = {"only": ["container"]}
    hosts.shop.save()
    engine = Engine(hosts, request.param, work)
    engine.build("stg", "one\n")
    engine.carry()
    for host in ("stg", "prod"):
        engine.start(host)
    yield engine
    engine.end()


def test_the_same_image_runs_on_both_and_looking_leaves_the_engine_as_it_was(engine):
    seen = SEEN.format(STORAGE[engine.name])
    before = engine.run("stg", seen).splitlines()
    engine.story.gone()
    assert set(engine.run("stg", seen).splitlines()) ^ set(before) == set()
    facts = {fact["key"]: fact["value"] for fact in
             engine.story.shop.run.ok("facts", "staging", "--only", "container", "--json").json["servers"][0]["facts"]}
    assert facts["container/web/image"] == IMAGE
    assert facts["container/web/image_id"].split(":")[-1] == engine("stg", "inspect --format '{{.Image}}' web").split(":")[-1]
    assert facts[f"container/{engine.name}/version"] in engine("stg", "--version")


def test_a_tag_that_was_built_again_is_another_image(engine):
    engine.build("prod", "two\n")
    assert engine.story.look("parity") == {}, "nothing runs from it yet"
    engine.start("prod")
    finding = engine.story.found("container/web/image_id", "high")
    assert finding["advice"] and "Another image runs, whatever its tag says" in finding["text"], finding
    engine.carry()
    engine.start("prod")
    engine.story.gone()


def test_another_tag_or_the_image_by_its_digest_is_another_wish_for_the_same(engine):
    engine("prod", f"tag {IMAGE} localhost/web:latest")
    wishes = ["localhost/web:latest"]
    if engine.name == "podman":
        wishes.append("localhost/web@" + engine("prod", "inspect --format '{{.ImageDigest}}' web"))
    for wish in wishes:
        engine.start("prod", wish)
        finding = engine.story.found("container/web/image", "high")
        assert wish in str(finding["cells"]) and finding["advice"], finding
    engine.start("prod")
    engine.story.gone()


def test_a_container_that_runs_on_one_side_only(engine):
    engine("stg", "stop -t 0 web")
    finding = engine.story.found("container/web/", "high")
    assert "staging lacks" in finding["text"] and finding["advice"], finding
    engine("stg", "start web")
    engine.story.gone()


def test_an_engine_inside_of_a_container_is_not_this_machines(engine, work):
    """The hosts' own processes are seen from here, with their names."""
    spaces = set()
    for process in Path("/proc").glob("[0-9]*"):
        # Others come and go meanwhile.
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() in ENGINES:
                spaces.add(os.readlink(process / "ns/pid"))
    assert spaces, "the eyes are open"
    if os.readlink("/proc/self/ns/pid") in spaces:
        pytest.skip("this machine has containers itself")
    for name in ("a", "b"):
        (work / name).mkdir()
    result = engine.story.shop.run("diff", work / "a", work / "b", "--only", "container", "--json")
    assert result.code == 0 and result.json["not_checked"] == [], str(result)


def test_containers_of_others_are_not_checked_with_the_reason(engine, work):
    os.chmod(work, 0o755)
    for host in ("stg", "prod"):
        engine.run(host, "useradd -m deploy && usermod -p '*' deploy")
    result = engine.story.shop.run("diff", "deploy@stg:/var/tmp", "deploy@prod:/var/tmp", "--only", "container", "--json")
    gaps = {gap["key"]: gap["why"] for gap in result.json["not_checked"]}
    why = {"podman": "containers of other users run in podman; only they and root see them",
           "docker": "/var/run/docker.sock is root's and the group docker's"}[engine.name]
    assert why in gaps.get("container/", ""), str(result)
    assert result.json["findings"] == [] and "container/web/image" not in str(result.json)
