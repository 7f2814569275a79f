"""The parts the other tests stand on do what they claim."""

import os
import urllib.error
import urllib.request

import pytest
from testbed.place import Place


def test_servers_are_reached_by_name_and_have_homes_of_their_own(sshd):
    web1, web2 = sshd.add_all("web1", "web2")
    assert sshd.on("web1", "pwd; echo $HOME").split() == [str(web1.home)] * 2
    assert sshd.on("web2", "pwd").strip() == str(web2.home)
    assert sshd.on("web1", "echo $SSH_CONNECTION").split()[2] == web1.address
    assert web1.address != web2.address


def test_a_command_keeps_its_exit_status_and_quoting(sshd):
    sshd.add("web1")
    assert sshd.on("web1", "printf '%s|' 'a  b' \"c\\$d\"") == "a  b|c$d|"
    with pytest.raises(RuntimeError, match=": 7\n"):
        sshd.on("web1", "exit 7")


def test_a_changed_host_key_is_refused_by_ssh(sshd):
    web1 = sshd.add("web1")
    sshd.on("web1", "true")
    web1.new_host_key()
    with pytest.raises(RuntimeError, match=": 255\n"):
        sshd.on("web1", "true")


def test_a_stopped_server_leaves_no_process(sshd):
    web1 = sshd.add("web1")
    pid = web1.process.pid
    web1.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    web1.restart()
    sshd.on("web1", "true")


def test_a_site_tells_which_activation_answers(sshd):
    web1 = sshd.add("web1")
    site = web1.serve()
    url = f"http://{web1.address}:{sshd.web_port}"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/up")
    activation = web1.place() / "releases" / "000001-abc"
    activation.mkdir(parents=True)
    (web1.place() / "current").symlink_to("releases/000001-abc")
    with urllib.request.urlopen(f"{url}/up") as answer:
        assert answer.headers["X-Activation"] == "000001-abc"
    site.broken = 503
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{url}/up")


def test_the_repository_has_history_and_the_tree_is_read_in_bytes(app_repo):
    assert app_repo.git("log", "--format=%s", "main").splitlines()[-1] == "Start the shop"
    assert sorted(app_repo.git("tag").split()) == ["v1.0", "v1.1"]
    app_repo.write(b"odd/\xff\nname", b"\x00\x01").commit("Odd")
    tree = app_repo.tree()
    assert tree[b"odd/\xff\nname"] == ("file", False, b"\x00\x01")
    assert tree[b"bin/console"][1] is True
    assert tree[b"public/uploads"] == ("link", False, b"../storage/uploads")


def test_a_snapshot_sees_every_kind_of_change(work):
    folder = work / "place"
    (folder / "releases" / "1").mkdir(parents=True)
    (folder / "releases" / "1" / "a").write_text("a")
    (folder / "current").symlink_to("releases/1")
    place = Place(folder)
    assert (place.live, place.activations) == ("1", ["1"])
    seen = [place.snapshot()]
    for change in (
        lambda: (folder / "releases" / "1" / "a").write_text("b"),
        lambda: (folder / "releases" / "1" / "a").chmod(0o755),
        lambda: (folder / "releases" / "1" / "b").mkdir(),
    ):
        change()
        seen.append(place.snapshot())
    assert all(seen[i] != seen[i + 1] for i in range(3))
