#!/usr/bin/python3
"""The architecture, checked: a module includes only itself and modules above it in
the list of meson.build, its tests likewise, each third-party library is included by its one
owner alone, and each module that is built opens with a short README.md. Prints TAP, one
test a module."""

import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
if ROOT.is_file():
    ROOT = ROOT.parents[1]

# The beginning of a system header's name → the module that may include it.
OWNERS = {
    "openssl/": "codec",
    "zstd": "codec",
    "jansson": "doc",
    "libfyaml": "doc",
    "sodium": "seal",
    "uv.h": "net",
    "curl/": "net",
    "microhttpd": "net",
    "sqlite3": "db",
    "libpq-fe": "db",
    "mysql": "db",
    "mariadb/": "db",
    "pg_query": "migrate",
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)
README_LINES_MAX = 20


def module_list():
    text = (ROOT / "meson.build").read_text()
    listed = re.search(r"^modules = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"'(\w+)'", listed[1])


def include_problem(path, module, allowed, kind, name):
    if kind == "<":
        owner = next((owner for start, owner in OWNERS.items() if name.startswith(start)), module)
        return f"includes <{name}>, which only {owner} may" if owner != module else None
    beside = (path.parent / name).exists()
    if "/" not in name:
        # A header beside the file: generated ones and those of a test's own.
        in_src = path.is_relative_to(ROOT / "src")
        return f'includes "{name}": write the module in front' if in_src and not beside else None
    if name.split("/")[0] not in allowed and not beside:
        return f'includes "{name}", which {module} may not use'
    return None


def readme_problems(module):
    readme = ROOT / "src" / module / "README.md"
    if not (ROOT / "src" / module / "meson.build").exists():
        return
    if not readme.exists():
        yield f"src/{module}/README.md: missing; say what the module is for, not for, where to start"
    elif (lines := len(readme.read_text().splitlines())) > README_LINES_MAX:
        yield f"src/{module}/README.md:{README_LINES_MAX + 1}: has {lines} lines, more than {README_LINES_MAX}"


def problems(module, allowed):
    folders = [ROOT / "src" / module]
    folders += [ROOT / "tests" / kind / module for kind in ("unit", "contract", "fuzz")]
    for path in sorted(path for folder in folders for path in folder.rglob("*.[ch]")):
        text = path.read_text()
        for include in INCLUDE.finditer(text):
            if problem := include_problem(path, module, allowed, include[1], include[2]):
                line = text.count("\n", 0, include.start()) + 1
                yield f"{path.relative_to(ROOT)}:{line}: {problem}"
    yield from readme_problems(module)


def main():
    modules = module_list()
    unlisted = sorted(
        folder.name for folder in (ROOT / "src").iterdir() if folder.is_dir() and folder.name not in modules
    )
    print(f"1..{len(modules) + 1}")
    failed = 0
    for number, module in enumerate(modules, 1):
        found = list(problems(module, modules[:number]))
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - {module} uses only what stands above it")
        for problem in found:
            print(f"# {problem}")
    failed += bool(unlisted)
    print(f"{'not ok' if unlisted else 'ok'} {len(modules) + 1} - every folder of src is listed in meson.build")
    for name in unlisted:
        print(f"# src/{name} is not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
