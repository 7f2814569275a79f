"""The probes os, hw, pkg and runtime, and what holds for all probes: over real ssh, within
their time, leaving nothing behind and changing nothing (their system calls are watched)."""

import ctypes
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, SANITIZED
from test_probe_files import PROBE_READ, Facts, differences, put

PR_SET_CHILD_SUBREAPER = 36
DIMENSIONS = {"container", "env", "file", "hw", "net", "os", "pkg", "runtime", "unit"}


def look(place, *args, env=None, wrapper=()):
    argv = [*wrapper, str(PROBE_READ), str(place), *args]
    done = subprocess.run(
        argv, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    facts = Facts(done.stdout)
    facts.messages = done.stderr
    return facts


def output(*argv):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def place(work):
    folder = work / "shop"
    put(folder / "releases/1/index.php", "<?php\n")
    os.symlink("releases/1", folder / "current")
    return folder


@pytest.fixture
def system_path():
    """Without what a developer put before it: shims are scripts that run dozens of programs."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_two_servers_of_one_machine_are_equal_over_ssh(sshd):
    sshd.add_all("stg", "prod")
    seen = []
    for name in ("stg", "prod"):
        put(sshd[name].place("www/shop") / "current.php", "<?php\n")
        seen.append(look(f"{name}:0:www/shop", "--only", "os", "--only", "hw", "--only", "pkg", "--only", "runtime",
                         env={"LOCKSTEP_SSH": sshd.ssh}))
    # One machine: what differs would differ between any two.
    assert differences(*seen) == set()
    assert {key.split("/")[0] for key in seen[0]} == {"os", "hw", "pkg", "runtime"}
    for facts in seen:
        assert facts["os/clock/offset/state"] == "right"
        clock = re.search(r"clock (-?\d+) ms", facts.messages)
        assert abs(int(clock[1])) < 2000


def test_what_is_said_is_what_the_system_says(place, system_path):
    facts = look(place, env=system_path)
    assert {key.split("/")[0] for key in facts} <= DIMENSIONS
    assert facts["os/kernel/version"] == platform.release()
    assert facts["os/arch/machine"] == platform.machine()
    assert facts["hw/cpu/count"] == str(os.cpu_count())
    assert facts["hw/mount//type"] == output("findmnt", "-no", "FSTYPE", "/").splitlines()[0]
    installed = dict(
        line.split("\t")[:2]
        for line in output("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Status}\n").splitlines()
        if line.endswith("\tinstalled")
    )
    assert len(installed) > 100
    ours = {key.split("/")[1].split(":")[0]: value for key, value in facts.items() if re.match(r"pkg/[^/]+/version$", key)}
    assert ours == installed
    for program, key in (("node", "runtime/node/version"), ("php", "runtime/php/version")):
        if shutil.which(program, path=system_path["PATH"]):
            assert facts[key] in output(program, "--version")
    if shutil.which("php", path=system_path["PATH"]):
        said = {key.split("/")[3] for key in facts if key.startswith("runtime/php/ext/")}
        loaded = {line.lower().replace(" ", "-") for line in output("php", "-m").splitlines() if line and line[0] != "["}
        assert said == loaded
        assert facts["runtime/php/ini/memory_limit"] == output("php", "-r", "echo ini_get('memory_limit');")


def test_a_configuration_file_that_was_edited_is_named_with_its_package(place, system_path):
    facts = look(place, "--only", "pkg", env=system_path)
    changed = {
        name.removesuffix(" (removed)")
        for key, value in facts.items()
        if key.endswith("/changed_files") and value != "none"
        for name in value.split(", ")
    }
    # The same by dpkg's own words, file by file.
    expected, unread = set(), set()
    for line in output("dpkg-query", "-W", "-f", "${db:Status-Status}\n${Conffiles}\n").splitlines():
        words = line.split()
        if len(words) != 2 or not re.fullmatch("[0-9a-f]{32}", words[1]):
            continue
        try:
            content = Path(words[0]).read_bytes()
        except FileNotFoundError:
            expected.add(words[0])
        except PermissionError:
            unread.add(words[0])
        else:
            if hashlib.md5(content).hexdigest() != words[1]:
                expected.add(words[0])
    assert changed == expected
    assert bool(unread) == any(key.endswith("/unread_files") for key in facts)


def test_pins_and_locks_of_the_release_are_read(place, system_path):
    node = output("node", "--version").lstrip("v")
    live = place / "releases/1"
    put(live / ".nvmrc", f"v{node}\n")
    put(live / ".tool-versions", "nodejs 4.2.1\nruby 3.2.2\n")
    put(live / "package.json", '{"name": "shop", "engines": {"npm": "9", "node": ">=18"}}')
    put(live / "composer.lock", '{"packages": [{"name": "a/b"}], "platform": {"php": "^8.2", "ext-intl": "*"}}')
    put(live / "Gemfile.lock", "GEM\n\nRUBY VERSION\n   ruby 3.2.2p53\n")
    put(live / "poetry.lock", '[[package]]\nname = "x"\n\n[metadata]\npython-versions = "^3.11"\n')
    facts = look(place, "--only", "runtime", env=system_path)
    assert facts["runtime/node/pin/.nvmrc"] == node
    assert facts["runtime/node/pin/.tool-versions"] == "4.2.1"
    assert facts["runtime/node/pin/package.json"] == ">=18"
    assert facts["runtime/php/pin/composer.lock"] == "^8.2"
    assert facts["runtime/ruby/pin/Gemfile.lock"] == "3.2.2"
    assert facts["runtime/ruby/pin/.tool-versions"] == "3.2.2"
    assert facts["runtime/python/pin/poetry.lock"] == "^3.11"
    assert facts["runtime/node/pinned"] == f"not met: .tool-versions asks for 4.2.1, {node} is installed"
    assert facts.kinds["runtime/php/lock/composer.lock"] == "digest"
    before = facts["runtime/php/lock/composer.lock"]
    put(live / "composer.lock", '{"platform": {"php": "^8.3"}}')
    put(live / ".tool-versions", f"nodejs {node.split('.')[0]}\n")
    facts = look(place, "--only", "runtime", env=system_path)
    assert facts["runtime/node/pinned"] == "met"
    assert facts["runtime/php/lock/composer.lock"] != before


def test_a_pin_outside_of_the_release_is_not_followed(place, system_path, work):
    put(work / "elsewhere", "20\n")
    os.symlink(work / "elsewhere", place / "releases/1/.nvmrc")
    facts = look(place, "--only", "runtime", env=system_path)
    assert facts.kinds["runtime/node/pin/.nvmrc"] == "not_checked"


def test_the_version_that_really_runs_is_told_apart_from_the_installed_one(place, system_path):
    program = place / "releases/1/node"
    shutil.copy(Path(shutil.which("node", path=system_path["PATH"])).resolve(), program)
    running = subprocess.Popen(
        [str(program), "-e", "console.log('up'); setInterval(() => {}, 1000)"], cwd=place / "releases/1",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    try:
        assert running.stdout.readline() == "up\n"
        facts = look(place, "--only", "runtime", env=system_path)
        assert facts["runtime/node/running"] == facts["runtime/node/version"]
        assert facts["runtime/node/running_program"] == "as installed"
        # Upgraded under the running process: what is on disk now says nothing of it.
        program.unlink()
        put(program, "#!/bin/sh\necho v99.0.0\n", 0o755)
        facts = look(place, "--only", "runtime", env=system_path)
        assert facts["runtime/node/running"] == facts["runtime/node/version"]
        assert facts["runtime/node/running_program"] == "replaced since it started"
        assert facts["runtime/node/processes"].startswith("1, ")
    finally:
        running.kill()
        running.wait()
    assert "runtime/node/running" not in look(place, "--only", "runtime", env=system_path)


def is_alive(pid):
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_what_hangs_costs_itself_alone(place, system_path, work):
    left = work / "left"
    put(work / "bin/node", f"#!/bin/sh\nsleep 1000 & echo $! > {left}\nsleep 1000\n", 0o755)
    os.mkfifo(work / "fifo")
    os.mkfifo(place / "releases/1/.nvmrc")
    facts = look(place, "--path", str(work / "fifo"), env={"PATH": f"{work}/bin:{system_path['PATH']}"})
    assert facts.kinds["runtime/node/version"] == "not_checked"
    assert "took longer than 4.0 s" in facts["runtime/node/version"]
    assert facts.kinds["runtime/node/pin/.nvmrc"] == "not_checked"
    # The others, and the rest of this one, are there.
    assert {key.split("/")[0] for key in facts} == DIMENSIONS
    assert "os/kernel/version" in facts and "file/index.php/content" in facts
    # The place has no file of variables, and no process.
    whole = {key for key, kind in facts.kinds.items() if kind == "not_checked" and key.endswith("/")}
    assert not whole & {f"{dimension}/" for dimension in DIMENSIONS - {"env"}}
    if shutil.which("php", path=system_path["PATH"]):
        assert "runtime/php/version" in facts
    # What the program started in turn is gone with it.
    for _ in range(500):
        if not is_alive(int(left.read_text())):
            break
        signal.sigtimedwait([], 0.01)
    assert not is_alive(int(left.read_text()))


def tree(*folders):
    found = {}
    for folder in folders:
        for path in [folder, *sorted(folder.rglob("*"))]:
            st = os.lstat(path)
            found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)
    return found


def children():
    return set(Path("/proc/self/task").joinpath(str(os.getpid()), "children").read_text().split())


CHANGING = re.compile(
    r"(?:unlink|rename|mkdir|rmdir|f?chmod|[fl]?chown|link|symlink|f?truncate|[fl]?setxattr|[fl]?removexattr|utime|"
    r"futimes|mknod|u?mount|pivot_root|chroot|ptrace|fallocate|sethostname|setdomainname|settimeofday|clock_settime|"
    r"(?:init|finit|delete)_module|swapon|swapoff|reboot|bpf|perf_event|keyctl|add_key|ioprio_set|setpriority|"
    r"prlimit|creat)[a-z0-9]*\("
)


def calls(folder):
    """pid → the lines of strace -ff; and who started whom."""
    lines, parents = {}, {}
    for file in folder.iterdir():
        pid = int(file.suffix[1:])
        lines[pid] = file.read_text(errors="replace").splitlines()
        for line in lines[pid]:
            started = re.match(r"(?:clone3?|v?fork)\(.*\)\s+= (\d+)", line)
            if started:
                parents[int(started[1])] = pid
    return lines, parents


def descends(pid, ancestor, parents):
    while pid != ancestor and pid in parents:
        pid = parents[pid]
    return pid == ancestor


def changes(line, is_ours):
    """Whether a system call that went well changes anything outside of the process."""
    if re.search(r"= -1 E[A-Z]+ ", line):
        return False
    opened = re.match(r'(?:open|openat|openat2)\((?:[^,"]*, )?"((?:[^"\\]|\\.)*)"', line)
    if opened:
        writes = re.search(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)", line)
        return bool(writes) and opened[1] not in ("/dev/null", "/dev/tty")
    killed = re.match(r"(?:kill|tkill|tgkill|pidfd_send_signal)\((-?\d+)", line)
    if killed:
        return ", 0)" not in line and not is_ours(abs(int(killed[1])))
    limits = re.match(r"prlimit64\((\d+), \w+, (NULL|\{)", line)
    if limits:
        return limits[2] != "NULL" and limits[1] != "0"
    return bool(CHANGING.match(line))


@pytest.mark.skipif(SANITIZED, reason="the sanitizers themselves use what is watched for")
def test_nothing_changes(place, system_path, work):
    strace = shutil.which("strace")
    assert strace, "strace belongs to the packages of the tests"
    put(place / "releases/1/.env", "APP_KEY=0123456789abcdef\n")
    put(place / "releases/1/composer.lock", "{}")
    put(place / "shared/uploads/a.jpg", "a")
    home, trace = work / "home", work / "trace"
    put(home / ".profile", "")
    trace.mkdir()
    temporary = work / "tmp"
    temporary.mkdir()
    # Whoever loses its parent becomes our child: what is left behind shows.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before_children, before = children(), tree(place, home)
    facts = look(
        place, "--path", "/etc/hosts", "--env-file", ".env", "--name", "localhost", "--times", "2",
        env={**system_path, "HOME": str(home), "TMPDIR": str(temporary)},
        wrapper=(strace, "-ff", "-qq", "-s", "300", "-o", str(trace / "t")),
    )
    assert {key.split("/")[0] for key in facts} == DIMENSIONS
    assert tree(place, home) == before
    assert list(temporary.iterdir()) == []
    assert children() == before_children
    lines, parents = calls(trace)
    agents = [pid for pid, said in lines.items()
              if any(re.match(r'execve\(".*", \["[^"]*", "observe", ', line) and line.endswith("= 0") for line in said)]
    assert len(agents) == 1
    (agent,) = agents
    begun = next(i for i, line in enumerate(lines[agent]) if '"observe", ' in line and line.startswith("execve("))
    lines[agent] = lines[agent][begun:]
    ours = {pid for pid in lines if descends(pid, agent, parents)}
    later = {int(m[1]) for line in lines[agent] if (m := re.match(r"(?:clone3?|v?fork)\(.*\)\s+= (\d+)", line))}
    ours = {agent} | {pid for pid in ours if any(descends(pid, one, parents) for one in later)}
    assert len(ours) > 2 * len(DIMENSIONS)
    wrong = [(pid, line) for pid in ours for line in lines[pid] if changes(line, lambda p: p in ours)]
    assert wrong == []
    # The eyes are open: how the agent came here, before it was started, did write.
    assert any(changes(line, lambda p: p in lines) for pid in lines if pid not in ours for line in lines[pid])
    # Asked twice over one line, a program is run once.
    started = [line for pid in ours for line in lines[pid] if re.match(r'execve\("[^"]*/node", .*= 0', line)]
    assert len(started) == 1
