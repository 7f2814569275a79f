"""lockstep.yml: every mistake in one go, with its place; nothing of a refused file
takes effect."""

import time

import pytest

GOOD = """\
version: 1
project: shop
source: git@example.org:acme/shop.git
deploy:
  path: /var/www/shop
  keep: 5
environments:
  dev: { servers: [deploy@dev.example.org], deploy_on: { push: main } }
  staging: { servers: [deploy@stg.example.org], promote_from: dev }
"""


def validate(lockstep, text):
    data = text if isinstance(text, bytes) else text.encode()
    (lockstep.folder / "lockstep.yml").write_bytes(data)
    return lockstep("config", "validate", timeout=30)


@pytest.mark.san
def test_a_good_file_is_accepted(lockstep):
    result = validate(lockstep, GOOD)
    assert result.code == 0, str(result)


@pytest.mark.san
def test_all_mistakes_are_told_at_once_with_their_place(lockstep):
    text = GOOD.replace("  keep: 5\n", "  keeep: 5\n  shared_dirs: 7\n").replace("promote_from: dev", "promote_from: dve")
    result = validate(lockstep, text)
    assert result.code == 1
    assert "lockstep.yml:6:3" in result.err and "`keep`" in result.err
    assert "lockstep.yml:7:16" in result.err and "shared_dirs" in result.err
    assert "lockstep.yml:10:" in result.err and "dve" in result.err
    assert "keeep: 5" in result.err, "the line itself is shown"


@pytest.mark.san
@pytest.mark.parametrize(
    "name, change, words",
    [
        ("unknown key at the top", ("version: 1", "version: 1\nbuld: {}"), ["2:1", "`build`"]),
        ("wrong version", ("version: 1", "version: 9"), ["1:10", "9"]),
        ("duplicate key", ("  keep: 5", "  keep: 5\n  keep: 6"), ["7:3", "keep"]),
        ("out of range", ("keep: 5", "keep: 0"), ["6:9", "keep"]),
        ("not a number", ("keep: 5", "keep: five"), ["6:9", "keep"]),
        ("cycle", ("push: main }", "push: main }, promote_from: staging"), ["promote_from"]),
        ("same place twice", ("deploy@stg.example.org", "deploy@dev.example.org"), ["dev.example.org"]),
        ("no servers", ("servers: [deploy@stg.example.org], ", ""), ["9:", "servers"]),
        ("a host that is an option", ("deploy@stg.example.org", '"-oProxyCommand=touch /tmp/x"'), ["9:"]),
        ("unclosed bracket", ("[deploy@stg.example.org]", "[deploy@stg.example.org"), ["lockstep.yml:"]),
        ("tab for indentation", ("  keep: 5", "\tkeep: 5"), ["6:"]),
        ("a list instead of a map", ("deploy:\n", "deploy: []\nx:\n"), ["4:9"]),
    ],
)
def test_a_mistake_is_located(lockstep, name, change, words):
    assert change[0] in GOOD
    result = validate(lockstep, GOOD.replace(change[0], change[1], 1))
    assert result.code == 1, str(result)
    assert [word for word in words if word not in result.err] == [], str(result)


GARBAGE = {
    "empty": b"",
    "control characters": b"\x00\x01\x02",
    "not UTF-8": b"\xff\xfe\xfd: 1\n",
    "a list": b"- just\n- a list\n",
    "open braces": b"{" * 5000,
    "open brackets": b"[" * 100_000,
    "a long scalar": b"a: " + b"x" * (1 << 20),
    "unknown YAML": b"%YAML 9.9\n---\n",
    "question marks": b"? ? ? ?\n",
    "a tag": b"!!python/object:os.system x\n",
    "unknown alias": b"a: *unknown\n",
    "two documents": b"--- a\n--- b\n",
}


@pytest.mark.san
@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_in_words(lockstep, data):
    result = validate(lockstep, data)
    assert result.code == 1, str(result)[:2000]
    assert "lockstep.yml" in result.err
    assert "\x00" not in result.err


@pytest.mark.san
def test_an_alias_bomb_is_refused_quickly(lockstep):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    began = time.monotonic()
    result = validate(lockstep, "\n".join(levels) + "\n")
    assert result.code == 1
    assert time.monotonic() - began < 5


def test_twenty_thousand_keys_are_read_quickly(lockstep):
    values = "".join(f"      KEY_{i}: value {i}\n" for i in range(20_000))
    text = GOOD + "  production:\n    servers: [deploy@prod.example.org]\n    values:\n" + values
    began = time.monotonic()
    result = validate(lockstep, text)
    assert time.monotonic() - began < 5
    assert "Traceback" not in result.err and result.code in (0, 1)


def test_a_refused_file_starts_nothing(lockstep):
    (lockstep.folder / "lockstep.yml").write_text(GOOD.replace("keep: 5", "keep: []"))
    for verb in (["deploy", "dev"], ["plan", "dev"], ["status"], ["build"], ["server", "check"]):
        result = lockstep(*verb)
        assert result.code == 1, str(result)
        assert "lockstep.yml:6:9" in result.err
    assert not (lockstep.home / "mirrors").exists() or list((lockstep.home / "mirrors").iterdir()) == []


def test_an_unknown_environment_names_the_nearest(lockstep):
    (lockstep.folder / "lockstep.yml").write_text(GOOD)
    result = lockstep("deploy", "stagign")
    assert result.code in (1, 5)
    assert "staging" in result.err


def test_the_file_is_found_from_below_and_named_with_options(lockstep, work):
    (lockstep.folder / "lockstep.yml").write_text(GOOD)
    below = lockstep.folder / "app" / "models"
    below.mkdir(parents=True)
    lockstep.ok("-C", below, "config", "validate")
    lockstep.ok("-C", "/", "--file", lockstep.folder / "lockstep.yml", "config", "validate")
    assert lockstep("-C", "/", "config", "validate").code in (1, 5)
