"""The pages in docs/reference are what the program prints.

After a change of a row: LOCKSTEP_UPDATE_DOCS=1 ./dev test integration -k reference
(lockstep.yml.md and the schema have a unit test of their own)."""

import os
import re

import pytest
from conftest import ROOT

REFERENCE = ROOT / "docs" / "reference"
PAGES = [("cli.md", ["help", "reference"]), ("exit-codes.md", ["help", "exit-codes"])]


@pytest.mark.san
@pytest.mark.parametrize("page, argv", PAGES)
def test_the_page_is_what_the_program_prints(lockstep, page, argv):
    printed = lockstep.ok(*argv).out
    if os.environ.get("LOCKSTEP_UPDATE_DOCS"):
        (REFERENCE / page).write_text(printed)
    assert (REFERENCE / page).read_text() == printed


@pytest.mark.parametrize(
    "argv, page",
    [(["config", "reference"], "lockstep.yml.md"), (["config", "schema"], "lockstep.schema.json")],
)
def test_the_program_prints_the_pages_of_the_project_file(lockstep, argv, page):
    assert lockstep.ok(*argv).out.strip() == (REFERENCE / page).read_text().strip()


def test_links_between_the_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("src/*/README.md")]
    dead = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


def test_files_that_the_pages_name_exist():
    """`src/...`, `docs/...`, `tests/...` and `tools/...` in backticks, unless a word in capitals is a blank to fill in."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("src/*/README.md")]
    gone = []
    for page in pages:
        for name in re.findall(r"`((?:src|docs|tests|tools|bench)/[\w./-]+)`", page.read_text()):
            if not re.search(r"[A-Z]{2}", name.replace("README", "")) and not (ROOT / name).exists():
                gone.append(f"{page.relative_to(ROOT)}: {name}")
    assert gone == []


def test_readmes_of_modules_are_short():
    long = [str(path) for path in ROOT.glob("src/*/README.md") if len(path.read_text().splitlines()) > 20]
    modules = {path.parent for path in ROOT.glob("src/*/meson.build")}
    assert long == []
    assert [str(m) for m in modules if not (m / "README.md").exists()] == []


def test_the_project_file_in_the_readme_is_valid(lockstep):
    text = re.search(r"```yaml\n(version: 1\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    (lockstep.folder / "lockstep.yml").write_text(text[1])
    assert "lockstep.yml is valid: project shop" in lockstep.ok("config", "validate").out


def test_the_readme_names_only_verbs_there_are(lockstep):
    blocks = re.findall(r"^```(?:\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    verbs = [verb for block in blocks for verb in re.findall(r"^(?:\$ )?lockstep ((?:server|config|secret|store) [a-z]+|[a-z]+)", block, re.M)]
    assert "deploy" in verbs
    for verb in verbs:
        lockstep.ok("help", *verb.split())


def test_every_exit_code_stands_on_its_page():
    header = (ROOT / "src/base/err.h").read_text()
    codes = re.findall(r"ERR_[A-Z_]+ = (\d+),", re.search(r"enum err_code \{(.*?)\};", header, re.S)[1])
    page = (REFERENCE / "exit-codes.md").read_text()
    assert len(codes) >= 12
    assert [code for code in codes if f"\n| {code} | " not in page] == []
