#!/usr/bin/python3
"""No two modules may define a function or variable of one name: in static libraries
the linker takes the first one it meets and says nothing. TAP on standard output."""

import subprocess
import sys
from pathlib import Path

owners = {}
libraries = sorted(Path(sys.argv[1], "src").rglob("lib*.a"))
for library in libraries:
    listing = subprocess.run(["nm", "--defined-only", "--extern-only", str(library)], capture_output=True, text=True,
                             check=True).stdout
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "TDRB":
            owners.setdefault(words[2], set()).add(library.name)
twice = {name: sorted(found) for name, found in owners.items() if len(found) > 1 and not name.startswith("__")}
print("1..1")
for name, found in sorted(twice.items()):
    print(f"# {name} is defined in {' and '.join(found)}")
if len(owners) < 200:
    print(f"# only {len(owners)} names found in {len(libraries)} libraries: is this a build folder?")
print("not ok 1 - names are defined once" if twice or len(owners) < 200 else "ok 1 - names are defined once")
