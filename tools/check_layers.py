#!/usr/bin/python3
"""The architecture, checked: a module includes only itself and modules above it in
the list of meson.build, its tests likewise, and each third-party library is included
by its one owner alone. Prints TAP, one test a module."""

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
    "mysql/": "db",
    "mariadb/": "db",
    "pg_query": "migrate",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def module_list():
    text = (ROOT / "meson.build").read_text()
    listed = re.search(r"^modules = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"'(\w+)'", listed[1])


def problems(module, allowed):
    folders = [ROOT / "src" / module, ROOT / "tests" / "unit" / module, ROOT / "tests" / "fuzz" / module]
    for path in sorted(path for folder in folders for path in folder.rglob("*.[ch]")):
        where = path.relative_to(ROOT)
        for kind, name in INCLUDE.findall(path.read_text()):
            if kind == "<":
                owner = next((owner for start, owner in OWNERS.items() if name.startswith(start)), module)
                if owner != module:
                    yield f"{where} includes <{name}>, which only {owner} may"
            elif "/" not in name:
                # A header beside the file: generated ones and those of a test's own.
                if where.parts[0] == "src" and not (path.parent / name).exists():
                    yield f"{where} includes \"{name}\": write the module in front"
            elif (above := name.split("/")[0]) not in allowed and not (path.parent / name).exists():
                yield f"{where} includes \"{name}\", which {module} may not use"


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
