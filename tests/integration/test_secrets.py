"""Sealed values through the command line: set, get, list, edit, rotate, keys; what is
noticed in the file, what git makes of it, and that no value is where it must not be."""

import json
import os
import pty
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

def need_memory():
    """Editing wants a folder that never reaches a disk."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    if not any(kind == "tmpfs" and (point == "/dev/shm" or (folder and folder.startswith(point))) for point, kind in mounts):
        pytest.skip("no tmpfs at /dev/shm or XDG_RUNTIME_DIR")


CANARY = "canary-hunter2-Zq8"


class Secrets:
    def __init__(self, work, laptop):
        self.work = work
        self.folder = work / "project"
        self.folder.mkdir()
        self.run = laptop(self.folder)
        self.laptop = laptop
        self.config = {
            "version": 1,
            "project": "shop",
            "source": str(self.folder),
            "env": {"DB_PASSWORD": {"secret": True}},
            "deploy": {"path": "srv/shop", "health": "none", "reload": "none"},
            "environments": {
                "staging": {"servers": ["stg"], "values_from": ["sealed:deploy/staging.sealed"]},
                "production": {"servers": ["prod"]},
            },
        }
        self.save()
        self.file = self.folder / "deploy/staging.sealed"

    def save(self):
        (self.folder / "lockstep.yml").write_text(json.dumps(self.config))

    def feed(self, text, *args, run=None, env=None):
        """Like run(...), with `text` on standard input."""
        process = (run or self.run).start(*args, env=env, stdin=subprocess.PIPE)
        out, err = process.communicate(text.encode(), timeout=60)
        return process.returncode, out.decode(), err.decode()

    def set(self, name, value, environment="staging", run=None, env=None):
        code, out, err = self.feed(value, "secret", "set", environment, name, run=run, env=env)
        assert code == 0, err
        return out

    def get(self, name, environment="staging", run=None, env=None):
        result = (run or self.run)("secret", "get", environment, name, env=env)
        assert result.code == 0, result
        return result.out

    def edit(self, script, environment="staging", **env):
        """`script` is a shell script that is given the file as $1."""
        editor = self.work / "editor"
        editor.write_text("#!/bin/sh\n" + script)
        editor.chmod(0o755)
        need_memory()
        return self.run("secret", "edit", environment, env={"EDITOR": str(editor)} | env)


@pytest.fixture
def secrets(work, laptop):
    return Secrets(work, laptop)


def test_values_come_back_as_they_were(secrets):
    out = secrets.set("DB_PASSWORD", CANARY)
    assert "DB_PASSWORD is sealed as version 1 in deploy/staging.sealed" in out and "A key was made" in out
    assert CANARY not in out
    assert secrets.get("DB_PASSWORD") == CANARY
    # One newline behind a single line is not part of it; those of a text are.
    assert "version 2" in secrets.set("DB_PASSWORD", "next one\n")
    assert secrets.get("DB_PASSWORD") == "next one"
    pem = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    assert "not declared yet" in secrets.set("TLS_KEY", pem)
    assert secrets.get("TLS_KEY") == pem
    assert "has that value already (version 1)" in secrets.set("TLS_KEY", pem)
    listed = secrets.run("secret", "list", "staging", "--json").json
    assert [(v["name"], v["version"], v["declared"]) for v in listed["values"]] == [
        ("DB_PASSWORD", 2, True),
        ("TLS_KEY", 1, False),
    ]
    text = secrets.file.read_text()
    assert CANARY not in text and "\nDB_PASSWORD 2 20" in text


def test_nobody_needs_a_key_for_the_names(secrets):
    secrets.set("DB_PASSWORD", CANARY)
    mate = secrets.laptop(secrets.folder, name="mate")
    assert "DB_PASSWORD  version 1" in mate("secret", "list", "staging").out
    refused = mate("secret", "get", "staging", "DB_PASSWORD")
    assert refused.code == 5 and "there is no key of shop/staging here" in refused.err
    # The key is handed on.
    key = secrets.run("secret", "key", "staging", "--export").out
    assert key.startswith("lockstep-key-1.")
    code, out, err = secrets.feed(key, "secret", "key", "staging", "--import", run=mate)
    assert code == 0, err
    assert key not in out + err
    assert secrets.get("DB_PASSWORD", run=mate) == CANARY
    code, _, err = secrets.feed(key[:-3] + "abc", "secret", "key", "staging", "--import", run=mate)
    assert code == 1 and "a letter of it is wrong" in err


def test_ci_gets_the_key_by_file_descriptor_or_variable(secrets):
    secrets.set("DB_PASSWORD", CANARY)
    ci = secrets.laptop(secrets.folder, name="ci")
    key = secrets.run("secret", "key", "staging", "--export").out
    path = secrets.work / "key"
    path.write_text(key)
    path.chmod(0o644)
    refused = ci("secret", "get", "staging", "DB_PASSWORD", env={"LOCKSTEP_KEY_STAGING": path})
    assert refused.code == 3 and "others can read the key file" in refused.err
    path.chmod(0o600)
    assert secrets.get("DB_PASSWORD", run=ci, env={"LOCKSTEP_KEY_STAGING": path}) == CANARY
    assert secrets.get("DB_PASSWORD", run=ci, env={"LOCKSTEP_KEY_STAGING": key}) == CANARY
    with path.open() as file:
        process = ci.start(
            "secret", "get", "staging", "DB_PASSWORD",
            env={"LOCKSTEP_KEY_STAGING": f"fd:{file.fileno()}"}, pass_fds=[file.fileno()],
        )
        assert process.communicate(timeout=60)[0].decode() == CANARY


def test_programs_we_start_get_no_key_from_the_environment(secrets):
    """Also not one of another environment, which this command has no use for."""
    secrets.set("DB_PASSWORD", CANARY)
    key = secrets.run("secret", "key", "staging", "--export").out.strip()
    (secrets.work / "secret-file").write_text("canary-of-a-descriptor")
    with (secrets.work / "secret-file").open() as file:
        editor = secrets.work / "editor"
        editor.write_text("#!/bin/sh\nenv > environment; ls -l /proc/self/fd > descriptors\n")
        editor.chmod(0o755)
        process = secrets.run.start(
            "secret", "edit", "staging", pass_fds=[file.fileno()],
            env={"EDITOR": str(editor), "LOCKSTEP_KEY_STAGING": key, "LOCKSTEP_KEY_PRODUCTION": key,
                 "LOCKSTEP_KEY_QA": f"fd:{file.fileno()}"},
        )
        process.communicate(timeout=60)
        assert process.returncode == 0
    environment = (secrets.folder / "environment").read_text()
    assert "LOCKSTEP_KEY_QA=fd:" in environment
    assert "lockstep-key-1." not in environment
    assert "secret-file" not in (secrets.folder / "descriptors").read_text()


def test_a_plain_secret_is_refused_without_showing_it(secrets):
    secrets.config["environments"]["staging"]["values"] = {"DB_PASSWORD": CANARY}
    (secrets.folder / "lockstep.yml").write_text(json.dumps(secrets.config))
    for arguments in (["config", "validate"], ["config", "validate", "--json"], ["secret", "list", "staging"]):
        refused = secrets.run(*arguments)
        assert refused.code == 1
        assert "DB_PASSWORD" in refused.out + refused.err
        assert "canary" not in refused.out + refused.err


def test_what_was_done_to_the_file_is_said_with_its_line(secrets):
    secrets.set("DB_PASSWORD", CANARY)
    secrets.set("STRIPE_SECRET", "sk_live_x")
    secrets.set("DB_PASSWORD", "other", environment="production")
    text = secrets.file.read_text()
    lines = {line.split()[0]: line for line in text.splitlines() if re.match(r"[A-Z_]+ \d", line)}
    number = 1 + text.splitlines().index(lines["DB_PASSWORD"])

    def refusal(changed):
        secrets.file.write_text(changed)
        result = secrets.run("secret", "get", "staging", "DB_PASSWORD")
        assert result.code == 3, result
        assert f"deploy/staging.sealed:{number}: the value of DB_PASSWORD does not open" in result.err
        return result.err

    db, stripe = (lines[name].split()[3] for name in ("DB_PASSWORD", "STRIPE_SECRET"))
    swapped = text.replace(db, "\0").replace(stripe, db).replace("\0", stripe)
    assert "it was sealed for STRIPE_SECRET version 1: lines were swapped" in refusal(swapped)
    assert "it was sealed as version 1" in refusal(text.replace("DB_PASSWORD 1 ", "DB_PASSWORD 2 "))
    production = re.search(r"^DB_PASSWORD .*$", (secrets.folder / "deploy/production.sealed").read_text(), re.M)[0]
    assert "copied from elsewhere" in refusal(text.replace(lines["DB_PASSWORD"], production))
    # The whole file of another environment.
    shutil.copy(secrets.folder / "deploy/production.sealed", secrets.file)
    result = secrets.run("secret", "list", "staging")
    assert result.code == 1 and "holds the values of shop/production, not of shop/staging" in result.err


def test_rotation_names_what_history_keeps(secrets):
    secrets.set("DB_PASSWORD", CANARY)
    secrets.set("STRIPE_SECRET", "sk_live_x")
    before = secrets.file.read_text()
    mate = secrets.laptop(secrets.folder, name="mate")
    secrets.feed(secrets.run("secret", "key", "staging", "--export").out, "secret", "key", "staging", "--import", run=mate)
    result = secrets.run("secret", "rotate", "staging")
    assert result.code == 0, result
    assert "change each where it comes from" in result.out
    assert "DB_PASSWORD" in result.out and "STRIPE_SECRET" in result.out
    assert secrets.get("DB_PASSWORD") == CANARY
    after = secrets.file.read_text()
    assert before.split("\nkey ")[1][:16] not in after
    # Who has only the earlier key is out; who rotated still reads earlier commits.
    refused = mate("secret", "get", "staging", "DB_PASSWORD")
    assert refused.code == 5 and "is not here (there is" in refused.err
    secrets.file.write_text(before)
    assert secrets.get("STRIPE_SECRET") == "sk_live_x"


def test_editor_changes_adds_and_removes(secrets):
    multi = "line one\n  it's \"two\" $HOME `x` \\n\n"
    secrets.set("A", "1 'quoted'")
    secrets.set("B", "drop me")
    secrets.set("MULTI", multi)
    before = secrets.file.read_text()
    unchanged = secrets.edit("exit 0\n")
    assert unchanged.code == 0 and "nothing was changed" in unchanged.out
    assert secrets.file.read_text() == before
    # Only touched: read and found the same.
    assert "nothing was changed" in secrets.edit('echo "# a comment" >> "$1"\n').out
    assert secrets.file.read_text() == before
    result = secrets.edit("""stat -c %a "$1" "$(dirname "$1")" > seen; echo "$1" >> seen
sed -i '/^B=/d; s/^A=.*/A="it'"'"'s new"/' "$1"; echo "C=see" >> "$1"\n""")
    assert result.code == 0, result
    assert "sealed   A" in result.out and "sealed   C" in result.out and "removed  B" in result.out
    assert "MULTI" not in result.out
    assert secrets.get("A") == "it's new" and secrets.get("C") == "see" and secrets.get("MULTI") == multi
    assert secrets.run("secret", "get", "staging", "B").code == 5
    assert secrets.file.read_text().splitlines()[-1] == before.splitlines()[-1]
    seen = (secrets.folder / "seen").read_text().split()
    assert seen[:2] == ["600", "700"]
    assert not Path(seen[2]).parent.exists()


def test_editor_is_asked_again_about_a_mistake(secrets):
    secrets.set("A", "1")
    script = """n=$(cat count 2>/dev/null || echo 0); echo $((n + 1)) > count
if [ "$n" = 0 ]; then echo 'B=canary#x' >> "$1"; else cp "$1" second; sed -i 's/canary#x/fine/' "$1"; fi\n"""
    result = secrets.edit(script)
    assert result.code == 0, result
    assert "#! values:5:9: `#` without a blank" in (secrets.folder / "second").read_text()
    assert secrets.get("B") == "fine"
    # Left as it is: given up.
    result = secrets.edit("""grep -q '^#!' "$1" || echo 'D="open' >> "$1"\n""")
    assert result.code == 1 and "this quote is never closed" in result.err
    assert secrets.edit("exit 3\n").code == 8


def test_what_is_edited_goes_even_when_we_are_killed(secrets):
    secrets.set("A", CANARY)
    editor = secrets.work / "editor"
    editor.write_text('#!/bin/sh\necho "$1" > seen.new; mv seen.new seen; exec sleep 60\n')
    editor.chmod(0o755)
    need_memory()
    process = secrets.run.start("secret", "edit", "staging", env={"EDITOR": editor})
    seen = secrets.folder / "seen"
    deadline = time.monotonic() + 20
    while not seen.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    path = Path(seen.read_text().strip())
    assert CANARY in path.read_text()
    process.kill()
    while path.parent.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, 9)
    process.communicate()


def test_terminal_is_asked_without_showing_it(secrets):
    def answer(*lines):
        leader, follower = pty.openpty()
        process = secrets.run.start("secret", "set", "staging", "DB_PASSWORD", stdin=follower)
        os.close(follower)
        shown = b""
        for line, prompt in zip(lines, (b"(not shown): ", b"once more: ")):
            while not shown.endswith(prompt):
                byte = os.read(process.stderr.fileno(), 1)
                assert byte, shown
                shown += byte
            os.write(leader, line)
        out, err = process.communicate(timeout=20)
        os.set_blocking(leader, False)
        try:
            echoed = os.read(leader, 4096)
        except (BlockingIOError, OSError):
            echoed = b""
        os.close(leader)
        assert CANARY.encode() not in echoed + out + shown + err
        return process.returncode, (out + err).decode()

    code, text = answer(b"gone\x15" + CANARY.encode() + b"\n", CANARY.encode() + b"x\x7f\n")
    assert code == 0, text
    assert secrets.get("DB_PASSWORD") == CANARY
    code, text = answer(b"one\n", b"two\n")
    assert code == 1 and "not the same" in text
    code, text = answer(b"typed\x7f\x03")
    assert code == 130


def test_no_value_is_taken_from_the_command_line(secrets):
    result = secrets.run("secret", "set", "staging", "DB_PASSWORD", CANARY)
    assert result.code == 1 and "takes no value from the command line" in result.err
    assert CANARY not in result.text
    assert secrets.run("secret", "set", "staging", "DB_PASSWORD", "--value", CANARY).code == 1
    empty = secrets.run("secret", "set", "staging", "DB_PASSWORD")
    assert empty.code == 1 and "--empty" in empty.err
    assert secrets.run("secret", "set", "staging", "DB_PASSWORD", "--empty").code == 0
    assert secrets.get("DB_PASSWORD") == ""
    code, _, err = secrets.feed("x", "secret", "set", "staging", "1A")
    assert code == 1 and "cannot be the name of a variable" in err


def test_git_merges_changes_of_neighbours(secrets):
    def git(*args):
        subprocess.run(
            ["git", "-C", secrets.folder, "-c", "user.name=a", "-c", "user.email=a@b", *args], check=True, capture_output=True
        )

    for name in "ABCD":
        secrets.set(name, name)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "side")
    secrets.set("B", "side")
    secrets.set("AA", "added")
    git("commit", "-qam", "side")
    git("checkout", "-q", "main")
    secrets.set("C", "main")
    git("commit", "-qam", "main")
    git("merge", "-q", "side", "-m", "merged")
    assert [secrets.get(name) for name in ("A", "AA", "B", "C", "D")] == ["A", "added", "side", "main", "D"]
    # The same one on both sides is a conflict, which lockstep says.
    git("checkout", "-qb", "other")
    secrets.set("D", "other")
    git("commit", "-qam", "other")
    git("checkout", "-q", "main")
    secrets.set("D", "main")
    git("commit", "-qam", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git("merge", "-q", "other", "-m", "merged")
    result = secrets.run("secret", "list", "staging")
    assert result.code == 1 and "a merge conflict that nobody resolved" in result.err


def test_values_stand_nowhere_in_clear(secrets):
    """Every byte of project, state and temporary files, and what /proc shows of us."""
    secrets.set("DB_PASSWORD", CANARY)
    editor = secrets.work / "editor"
    editor.write_text("#!/bin/sh\ncat /proc/$PPID/cmdline /proc/$PPID/environ > proc 2>/dev/null; exit 0\n")
    editor.chmod(0o755)
    need_memory()
    secrets.run("secret", "edit", "staging", env={"EDITOR": editor})
    secrets.run("secret", "rotate", "staging")
    secrets.get("DB_PASSWORD")
    canary = CANARY.encode()
    import base64

    forms = [canary, canary.hex().encode(), base64.b64encode(canary)[:-4], canary.replace(b"-", b"%2D")]
    looked_at = 0
    for folder in (secrets.folder, secrets.run.home, secrets.run.person):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                looked_at += 1
                content = path.read_bytes()
                assert not any(form in content for form in forms), path
    assert looked_at > 5


def test_two_at_once_lose_nothing(secrets):
    secrets.set("A", "0")
    processes = [
        secrets.run.start("secret", "set", "staging", f"KEY_{i}", stdin=subprocess.PIPE) for i in range(6)
    ]
    for i, process in enumerate(processes):
        process.stdin.write(f"value {i}".encode())
        process.stdin.close()
    assert [process.wait(timeout=60) for process in processes] == [0] * 6
    for process in processes:
        process.stdout.close()
        process.stderr.close()
    listed = secrets.run("secret", "list", "staging", "--json").json
    assert len(listed["values"]) == 7


# What npm's dotenv and we must read alike, and where we refuse instead (docs/secrets.md).
ALIKE = """# a comment
BASIC=basic

AFTER_LINE=after_line
EMPTY=
EMPTY_SINGLE=''
EMPTY_DOUBLE=""
EMPTY_BACKTICK=``
SINGLE='single_quotes'
SINGLE_SPACED='    single quotes    '
DOUBLE="double_quotes"
DOUBLE_SPACED="    double quotes    "
DOUBLE_INSIDE_SINGLE='double "quotes" work inside single quotes'
SINGLE_INSIDE_DOUBLE="single 'quotes' work inside double quotes"
BACKTICKS_INSIDE_SINGLE='`backticks` work inside single quotes'
ALL_INSIDE_BACKTICKS=`double "quotes" and single 'quotes' work`
EXPAND_NEWLINES="expand\\nnew\\nlines"
DONT_EXPAND_UNQUOTED=dontexpand\\nnewlines
DONT_EXPAND_SINGLE='dontexpand\\nnewlines'
INLINE_COMMENT=inline comments # work #very #well
INLINE_COMMENT_SINGLE='comments outside of #singlequotes' # work
INLINE_COMMENT_DOUBLE="comments outside of #doublequotes" # work
EQUAL_SIGNS=equals==
RETAIN_INNER_QUOTES={"foo": "bar"}
RETAIN_INNER_QUOTES_AS_STRING='{"foo": "bar"}'
TRIM_SPACE_FROM_UNQUOTED=    some spaced out string
EMAIL=therealnerdybeast@example.tld
    SPACED_KEY = parsed
export EXPORTED=yes
DOLLAR=$BASIC ${BASIC}
MULTI_DOUBLE="THIS
IS
A
MULTILINE
STRING"
MULTI_SINGLE='one
two'
MULTI_BACKTICK=`one
"two"'s`
"""
REFUSED = ["A=start with a#number sign", "A='it\\'s'", 'A="b"c', 'A="open', "A=1\nA=2", "A", "A: 1"]


@pytest.fixture(scope="session")
def npm_dotenv(tmp_path_factory):
    if not shutil.which("npm"):
        pytest.fail("npm is missing: run ./dev build")
    folder = tmp_path_factory.mktemp("dotenv")
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "dotenv@16.4.7"], cwd=folder, check=True, timeout=300
    )

    def parse(text):
        script = "console.log(JSON.stringify(require('dotenv').parse(require('fs').readFileSync(0))))"
        done = subprocess.run(["node", "-e", script], cwd=folder, input=text.encode(), check=True, capture_output=True)
        return json.loads(done.stdout)

    return parse


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_env_files_are_read_like_npms_dotenv_reads_them(secrets, npm_dotenv, line_end):
    text = ALIKE.replace("\n", line_end)
    (secrets.work / "text").write_bytes(text.encode())
    result = secrets.edit(f'cat "{secrets.work}/text" > "$1"\n')
    assert result.code == 0, result
    expected = npm_dotenv(text)
    assert len(expected) == 31
    listed = secrets.run("secret", "list", "staging", "--json").json["values"]
    assert {value["name"] for value in listed} == set(expected)
    for name, value in expected.items():
        assert secrets.get(name) == value, name


def test_env_files_that_readers_disagree_about_are_refused(secrets, npm_dotenv):
    secrets.set("Z", "1")
    for text in REFUSED:
        npm_dotenv(text)  # which takes them all
        (secrets.work / "text").write_text(text)
        result = secrets.edit(f"""grep -q '^#!' "$1" || cat "{secrets.work}/text" > "$1"\n""")
        assert result.code == 1 and "values:" in result.err, text
