"""The tools that judge: the layer check finds what it should, the tally counts right."""

import json
import subprocess

import pytest
from conftest import ROOT


def check_layers(folder):
    done = subprocess.run(
        ["/usr/bin/python3", ROOT / "tools" / "check_layers.py", folder], capture_output=True, text=True
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "path, line, complaint",
    [
        ("src/base/a.c", '#include "store/store.h"', "base may not use"),
        ("src/base/a.c", '  #  include "store/store.h"', "base may not use"),
        ("src/store/a.c", "#include <jansson.h>", "only doc may"),
        ("tests/unit/base/a.c", '#include "store/store.h"', "base may not use"),
        ("src/other/a.c", "", "src/other is not"),
        ("src/store/a.c", '#include "a.h"', "write the module in front"),
        ("src/store/a.c", '#include "base/base.h"', None),
        ("src/store/a.c", '#include "store/store.h"', None),
        ("src/doc/a.c", "#include <jansson.h>", None),
        ("src/base/a.c", "int a;\n\n#include <mysql.h>", "src/base/a.c:3: includes <mysql.h>, which only db may"),
        ("tests/contract/base/a.c", '#include "doc/json.h"', "base may not use"),
        ("src/base/meson.build", "", "src/base/README.md: missing"),
        ("src/base/README.md", "one\n" * 21, None),
    ],
)
def test_the_layer_check_finds_what_it_should(work, path, line, complaint):
    (work / "meson.build").write_text("modules = [\n  'base', 'store',\n  'doc',\n]\n")
    for module in ("base", "store", "doc"):
        (work / "src" / module).mkdir(parents=True)
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).write_text(line + "\n")
    code, out = check_layers(work)
    assert (code, "not ok" in out) == ((1, True) if complaint else (0, False)), out
    assert complaint is None or complaint in out


@pytest.mark.parametrize("lines, complaint", [(20, None), (21, "src/doc/README.md:21: has 21 lines")])
def test_a_module_opens_with_a_short_readme(work, lines, complaint):
    (work / "meson.build").write_text("modules = [\n  'doc',\n]\n")
    (work / "src" / "doc").mkdir(parents=True)
    (work / "src" / "doc" / "meson.build").write_text("")
    (work / "src" / "doc" / "README.md").write_text("a line\n" * lines)
    code, out = check_layers(work)
    assert code == (1 if complaint else 0), out
    assert complaint is None or complaint in out


def tally(folder):
    done = subprocess.run(
        ["/usr/bin/python3", ROOT / "tools" / "dev" / "tally.py", folder], capture_output=True, text=True
    )
    return done.returncode, done.stdout.splitlines()


def meson(name, result, stdout):
    return json.dumps({"name": name, "result": result, "stdout": stdout}) + "\n"


def test_the_tally_sums_all_runners_and_names_what_did_not_pass(work):
    (work / "meson-build.json").write_text(
        meson("good", "OK", "1..3\nok 1 - a\nok 2 - b # SKIP no disk\nok 3 - c\n")
        + meson("bad", "FAIL", "1..2\nnot ok 1 - a\nok 2 - b\n")
        + meson("plain", "OK", "no tap here\n")
        + meson("left out", "SKIP", "")
    )
    (work / "pytest-build.xml").write_text(
        '<testsuites><testsuite><testcase classname="m" name="p"/>'
        '<testcase classname="m" name="f"><failure/></testcase>'
        '<testcase classname="m" name="e"><error/></testcase>'
        '<testcase classname="m" name="s"><skipped message="needs root"/></testcase></testsuite></testsuites>'
    )
    code, lines = tally(work)
    assert code == 1
    assert lines[-1] == "5 passed, 3 failed, 3 skipped"
    assert "skipped: build: m.s (needs root)" in lines
    assert "skipped: build: good: b (no disk)" in lines
    assert "failed:  build: bad: a" in lines


@pytest.mark.parametrize(
    "result, stdout, expected",
    [
        ("FAIL", "1..2\nok 1 - a\nok 2 - b\n", "2 passed, 1 failed, 0 skipped"),
        ("ERROR", "1..3\nok 1 - a\n", "1 passed, 1 failed, 0 skipped"),
        ("TIMEOUT", "", "0 passed, 1 failed, 0 skipped"),
        ("OK", "1..3\nok 1 - a\n", "1 passed, 1 failed, 0 skipped"),
    ],
)
def test_a_program_that_died_counts_as_failed(work, result, stdout, expected):
    (work / "meson-build.json").write_text(meson("x", result, stdout))
    code, lines = tally(work)
    assert (code, lines[-1]) == (1, expected)


def test_no_test_at_all_is_a_failure(work):
    assert tally(work) == (1, ["", "no test ran", "0 passed, 0 failed, 0 skipped"])


def test_a_step_that_could_not_be_done_is_a_failure(work):
    (work / "failed-steps").write_text("build (gcc)\n")
    code, lines = tally(work)
    assert (code, lines[-1]) == (1, "0 passed, 1 failed, 0 skipped")
    assert "failed:  build (gcc)" in lines
