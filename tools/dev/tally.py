"""Counts the tests of all runners: meson's test logs (with the subtests of TAP
programs), pytest's junit files, and steps that could not be carried out. Names what
failed and what was skipped; the last line is "N passed, N failed, N skipped"."""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TAP_LINE = re.compile(r"^(not )?ok\b[ \t]*(\d+)?[ \t]*(?:- )?(.*?)(?:#[ \t]*(skip|todo)\b[ \t]*(.*))?$", re.IGNORECASE)
TAP_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*skip\b\s*(.*))?$", re.IGNORECASE)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add_meson_log(self, path):
        build = path.stem.removeprefix("meson-")
        for line in path.read_text(errors="replace").splitlines():
            if line.strip():
                self.add_meson_test(build, json.loads(line))

    def add_meson_test(self, build, test):
        name = f"{build}: {test['name']}"
        result = test["result"]
        before = len(self.failed)
        if not self.add_tap(name, test.get("stdout") or ""):
            if result in ("OK", "EXPECTEDFAIL"):
                self.passed += 1
            elif result == "SKIP":
                self.skipped.append(name)
        # A program that died after its last "ok" line has failed all the same.
        if result not in ("OK", "EXPECTEDFAIL", "SKIP") and len(self.failed) == before:
            self.failed.append(f"{name} ({result.lower()})")

    def add_tap(self, name, text):
        """True when the text was a TAP report with at least one test in it."""
        seen = 0
        planned = None
        for line in text.splitlines():
            if plan := TAP_PLAN.match(line):
                planned = int(plan[1])
                if planned == 0 and plan[2] is not None:
                    self.skipped.append(f"{name}: {plan[2]}")
                    return True
                continue
            match = TAP_LINE.match(line)
            if not match:
                continue
            seen += 1
            subtest = f"{name}: {match[3].strip() or match[2]}"
            if match[4] and match[4].lower() == "skip":
                self.skipped.append(f"{subtest} ({match[5].strip()})" if match[5] else subtest)
            elif match[1]:
                self.failed.append(subtest)
            else:
                self.passed += 1
        if seen and planned is not None and seen < planned:
            self.failed.append(f"{name}: only {seen} of {planned} tests ran")
        return seen > 0

    def add_junit(self, path):
        build = path.stem.removeprefix("pytest-")
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            name = f"{build}: {case.get('classname')}.{case.get('name')}"
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(name)
            elif skip is not None:
                self.skipped.append(f"{name} ({skip.get('message')})")
            else:
                self.passed += 1


def main(folder):
    tally = Tally()
    for path in sorted(folder.glob("meson-*.json")):
        tally.add_meson_log(path)
    for path in sorted(folder.glob("pytest-*.xml")):
        tally.add_junit(path)
    steps = folder / "failed-steps"
    if steps.exists():
        tally.failed += steps.read_text().splitlines()
    print()
    for name in tally.skipped:
        print(f"skipped: {name}")
    for name in tally.failed:
        print(f"failed:  {name}")
    ran = tally.passed + len(tally.failed)
    if ran == 0:
        print("no test ran")
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped")
    return 1 if tally.failed or ran == 0 else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
