"""The command line without any project: help, version, mistakes."""

import os
import pty
import subprocess

import pytest

VERBS = """init plan deploy promote rollback status releases log build version help
config server store""".split()


@pytest.mark.san
def test_help_names_every_verb(lockstep):
    for argv in (["help"], ["--help"], ["-h"]):
        result = lockstep.ok(*argv)
        missing = [verb for verb in VERBS if verb not in result.out]
        assert missing == []
        assert result.err == ""


@pytest.mark.parametrize(
    "verb, words",
    [
        ("deploy", ["--ref", "--release", "--dry-run"]),
        ("rollback", ["--to"]),
        ("promote", ["FROM", "TO"]),
        ("store gc", ["store gc"]),
        ("server check", ["server check"]),
        ("config validate", ["config validate"]),
        ("store verify", ["store verify"]),
    ],
)
def test_help_of_a_verb_shows_its_inputs(lockstep, verb, words):
    by_help = lockstep.ok("help", *verb.split()).out
    assert by_help == lockstep.ok(*verb.split(), "--help").out
    assert [word for word in words if word not in by_help] == []


@pytest.mark.san
def test_version(lockstep):
    assert "0.1.0" in lockstep.ok("version").out
    assert lockstep.ok("--version").out == lockstep.ok("version").out
    assert lockstep.ok("version", "--json").json["version"] == "0.1.0"


def test_the_start_loads_nothing_for_the_network_or_for_databases(lockstep):
    """Each is loaded when it is first used (base/library.h)."""
    listed = lockstep.ok("version", env={"LD_TRACE_LOADED_OBJECTS": "1"}).out
    assert "libc.so" in listed and "libsqlite3" in listed
    assert [name for name in ("libcurl", "libpq", "libmariadb", "libcrypto", "libldap") if name in listed] == []


@pytest.mark.san
@pytest.mark.parametrize("typed, meant", [("depoly", "deploy"), ("stauts", "status"), ("rolback", "rollback")])
def test_an_unknown_verb_is_a_user_error_that_names_the_nearest(lockstep, typed, meant):
    result = lockstep(typed)
    assert result.code == 1
    assert result.out == ""
    assert typed in result.err and meant in result.err


def test_an_unknown_option_names_the_nearest(lockstep):
    result = lockstep("deploy", "staging", "--dry-rum")
    assert result.code == 1
    assert "--dry-run" in result.err


@pytest.mark.parametrize(
    "argv", [["deploy"], ["promote", "dev"], ["deploy", "a", "b"], ["deploy", "--ref"], ["log", "--nonsense=1"], ["store"]]
)
def test_wrong_inputs_are_user_errors_and_reach_nothing(lockstep, argv):
    result = lockstep(*argv)
    assert result.code == 1
    assert result.err.strip() != ""
    assert not lockstep.home.exists()


def test_hostile_arguments_are_refused_in_words(lockstep):
    for word in ("", "\x1b[31m", "x" * 100_000, os.fsdecode(b"\xff\xfe"), "%s%n"):
        result = lockstep(word)
        assert result.code == 1
        assert "\x1b" not in result.text


def test_without_a_project_file_it_says_how_to_begin(lockstep):
    result = lockstep("status")
    assert result.code in (1, 5)
    assert "lockstep.yml" in result.err and "init" in result.err


def test_no_colour_where_there_is_no_terminal(lockstep):
    for argv in (["help"], ["depoly"], ["status"]):
        assert "\x1b" not in lockstep(*argv).text


def test_colour_on_a_terminal_unless_no_color(lockstep):
    def shown(**env):
        master, slave = pty.openpty()
        process = lockstep.start("help", env={"TERM": "xterm"} | env, stdout=slave, stderr=subprocess.DEVNULL)
        os.close(slave)
        text = b""
        try:
            while data := os.read(master, 1 << 16):
                text += data
        except OSError:
            pass  # EIO: the other end is closed
        os.close(master)
        assert process.wait(10) == 0
        return text

    assert b"\x1b[" in shown()
    assert b"\x1b[" not in shown(NO_COLOR="1")
    assert b"\x1b[" not in shown(TERM="dumb")


@pytest.mark.parametrize(
    "files, word",
    [
        ({"artisan": "<?php", "composer.json": '{"require":{"laravel/framework":"^10"}}'}, "storage"),
        ({"Gemfile": "gem 'rails'", "config/application.rb": "", "bin/rails": ""}, "assets:precompile"),
        ({"package.json": '{"scripts":{"build":"x"}}', "package-lock.json": "{}"}, "npm ci"),
        ({"index.html": "<h1>"}, "version: 1"),
        ({}, "version: 1"),
    ],
)
def test_init_writes_a_file_that_validates(lockstep, files, word):
    for name, content in files.items():
        path = lockstep.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    lockstep.ok("init")
    text = (lockstep.folder / "lockstep.yml").read_text()
    assert word in text
    lockstep.ok("config", "validate")
    again = lockstep("init")
    assert again.code != 0, "an existing file is not overwritten"
    assert (lockstep.folder / "lockstep.yml").read_text() == text


def test_a_hundred_places_can_be_named(lockstep):
    result = lockstep("facts", *(f"/nonexistent/{number}" for number in range(100)))
    assert result.code == 5 and "/nonexistent/0: No such file or directory" in result.err
