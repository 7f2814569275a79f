"""The agent as a file: small, static, for two processors."""

import shutil
import subprocess

import pytest
from conftest import BINARY

AGENTS = {"x86_64": "lockstep-agent", "aarch64": "lockstep-agent-aarch64"}
# A login shell on a machine that says it is aarch64, where agents run by qemu.
FOREIGN_SHELL = """#!/bin/bash
read() { [ "$2" != a ] && builtin read "$@"; }
uname() { if [ "$1" = -sm ]; then echo Linux aarch64; else command uname "$@"; fi; }
exec() { case "$1" in */agent-*) builtin exec qemu-aarch64 "$@" ;; *) builtin exec "$@" ;; esac; }
eval "$2"
"""


def agent(arch):
    path = BINARY.parent / "src" / "agent" / AGENTS[arch]
    if not path.exists():
        pytest.skip(f"no agent for {arch} was built: its compiler or libraries are not installed")
    return path


@pytest.mark.parametrize("arch", AGENTS)
def test_it_is_static_and_below_one_and_a_half_megabytes(arch):
    path = agent(arch)
    assert path.stat().st_size < 1_500_000
    headers = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in headers


def test_a_server_with_another_processor_gets_its_own_agent(shop):
    foreign = agent("aarch64")
    if not shutil.which("qemu-aarch64"):
        pytest.skip("qemu-aarch64 is not installed")
    server = shop.sshd.add("web1")
    shell = server.home / "foreign-shell"
    shell.write_text(FOREIGN_SHELL)
    shell.chmod(0o755)
    server.force = f'cd "$HOME" && eval "$(printf "%s" "$SSH_ORIGINAL_COMMAND" | sed "s,/bin/sh,{shell},")"'
    server.restart()
    shop.environment("dev", "web1").run.ok("deploy", "dev", "--ref", "v1.0")
    assert [path.read_bytes() for path in shop.place().agents] == [foreign.read_bytes()]
    assert shop.place().tree() == shop.repo.tree("v1.0")
    shop.run.ok("deploy", "dev", "--ref", "main")
    assert shop.place().tree() == shop.repo.tree("main")
    shop.run.ok("rollback", "dev")
    assert shop.place().tree() == shop.repo.tree("v1.0")
