"""The line to a server: who answers, what answers, and what it says first."""

import os
import signal
import time

import pytest


@pytest.mark.san
def test_a_changed_host_key_is_refused(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    before = shop.place().snapshot()
    shop.sshd["web1"].new_host_key()
    shop.repo.write("new.txt", "new").commit("New")
    result = shop.run("deploy", "dev")
    assert result.code in (3, 4), str(result)
    assert "host key" in result.err.lower()
    assert "web1" in result.err
    assert shop.place().snapshot() == before


def test_an_unknown_host_key_is_refused_without_a_question(shop):
    shop.environment("dev", "web1")
    shop.sshd.known_hosts.write_text("")
    result = shop.run("deploy", "dev")
    assert result.code in (3, 4), str(result)
    assert "host key" in result.err.lower()
    assert shop.place().current is None


def test_a_key_that_may_not_log_in_is_said_so(shop):
    shop.environment("dev", "web1")
    (shop.sshd.dir / "authorized_keys").write_text("")
    result = shop.run("deploy", "dev")
    assert result.code in (3, 4), str(result)
    assert "permission denied" in result.err.lower() or "authent" in result.err.lower()


def test_nobody_listening_is_a_network_error(shop):
    shop.environment("dev", "web1")
    shop.sshd["web1"].stop()
    result = shop.run("deploy", "dev")
    assert result.code == 4, str(result)
    assert "web1" in result.err


@pytest.mark.san
def test_start_up_files_that_print_do_not_matter(shop):
    shop.environment("dev", "web1")
    noise = "echo Welcome to web1; echo 'Have a nice day' >&2; printf '\\x00\\xff binary \\n'\n"
    for name in (".bashrc", ".profile", ".bash_profile"):
        (shop.sshd["web1"].home / name).write_text(noise)
    # sshd runs commands by the user's shell, and Debian's bash then reads .bashrc.
    assert "Welcome" in shop.sshd.on("web1", "true") or os.environ.get("SHELL") != "/bin/bash"
    shop.run.ok("deploy", "dev")
    assert shop.place().tree() == shop.repo.tree()
    shop.run.ok("status")


@pytest.mark.parametrize("how", ["changed", "emptied", "replaced by a script", "replaced by a link"])
def test_an_agent_file_that_was_tampered_with_never_runs(shop, how):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    (agent,) = shop.place().agents
    good = agent.read_bytes()
    ran = shop.work / "ran"
    script = f"#!/bin/sh\ntouch {ran}\n".encode()
    os.chmod(agent, 0o700)
    if how == "changed":
        agent.write_bytes(good[:-100] + bytes(100))
    elif how == "emptied":
        agent.write_bytes(b"")
    elif how == "replaced by a script":
        agent.write_bytes(script)
    else:
        elsewhere = shop.work / "elsewhere"
        elsewhere.write_bytes(script)
        elsewhere.chmod(0o755)
        agent.unlink()
        agent.symlink_to(elsewhere)
    shop.repo.write("new.txt", "new").commit("New")
    result = shop.run("deploy", "dev")
    assert not ran.exists()
    if result.code == 0:
        assert shop.place().tree() == shop.repo.tree()
        assert good in [path.read_bytes() for path in shop.place().agents]
    else:
        assert result.code in (3, 8), str(result)
        assert "agent" in result.err


def test_an_account_without_a_shell_is_said_so(shop):
    shop.environment("dev", "web1")
    shop.sshd["web1"].force = "echo this account is not for you; exit 1"
    shop.sshd["web1"].restart()
    result = shop.run("deploy", "dev")
    assert result.code in (3, 4, 8), str(result)
    assert "web1" in result.err and "this account is not for you" in result.err


def test_a_place_that_is_a_file_is_said_so(shop):
    shop.environment("dev", "web1")
    place = shop.place().path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("precious")
    result = shop.run("deploy", "dev")
    assert result.code == 6, str(result)
    assert "is no folder" in result.err and "move it away" in result.err
    assert place.read_text() == "precious"


def test_nothing_is_left_running_on_the_server(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    shop.run.ok("status")
    until = time.monotonic() + 5
    while shop.sshd["web1"].sessions() and time.monotonic() < until:
        time.sleep(0.02)
    assert shop.sshd["web1"].sessions() == []


def wait_for(truth, seconds=30):
    until = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@pytest.mark.san
def test_ctrl_c_goes_back_cleanly(shop):
    shop.config["deploy"]["hooks"] = {"after_activate": [{"run": "touch $HOME/reached; sleep 60"}]}
    shop.environment("dev", "web1", "web2")
    shop.config["deploy"]["hooks"], hooks = {}, shop.config["deploy"]["hooks"]
    shop.save().run.ok("deploy", "dev")
    before = [shop.place(name).live for name in ("web1", "web2")]
    shop.config["deploy"]["hooks"] = hooks
    shop.save().repo.write("new.txt", "new").commit("New")
    process = shop.run.start("deploy", "dev")
    wait_for(lambda: (shop.sshd["web1"].home / "reached").exists())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    assert [shop.place(name).live for name in ("web1", "web2")] == before
    shop.config["deploy"]["hooks"] = {}
    shop.save().run.ok("deploy", "dev")
    assert shop.place("web1").tree() == shop.place("web2").tree() == shop.repo.tree()


def test_a_second_ctrl_c_leaves_at_once_and_the_next_run_finishes(shop):
    shop.config["deploy"]["hooks"] = {"before_activate": [{"run": "touch $HOME/reached; sleep 60"}]}
    shop.environment("dev", "web1")
    process = shop.run.start("deploy", "dev")
    wait_for(lambda: (shop.sshd["web1"].home / "reached").exists())
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two presses that a person can tell apart
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    shop.config["deploy"]["hooks"] = {}
    shop.save().run.ok("deploy", "dev")
    assert shop.place().tree() == shop.repo.tree()


def test_server_check_is_content_with_a_good_server_and_names_what_is_bad(shop):
    shop.environment("dev", "web1", "web2")
    shop.run.ok("server", "check")
    shop.sshd["web2"].stop()
    result = shop.run("server", "check")
    assert result.code != 0
    assert "web2" in result.text and "web1" in result.text
