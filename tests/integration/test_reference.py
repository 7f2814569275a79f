"""The reference pages say what the program says."""

from conftest import ROOT


def test_the_page_of_the_command_line_is_what_the_program_prints(lockstep):
    printed = lockstep.ok("help", "reference").out
    assert (ROOT / "docs/reference/cli.md").read_text() == printed, (
        "refresh it: build/lockstep help reference > docs/reference/cli.md"
    )


def test_every_exit_code_stands_on_its_page():
    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    header = (ROOT / "src/base/err.h").read_text()
    body = header[header.index("enum err_code {") : header.index("};")]
    codes = [line.split("=")[1].split(",")[0].strip() for line in body.splitlines() if "=" in line]
    assert len(codes) >= 12
    for code in codes:
        assert f"\n| {code} | " in page, f"exit code {code} is missing"
