"""What a person sees of a place on a server with ls, readlink and sha256sum. Written
against the layout in src/agent/place.h, not against the program."""

import hashlib
import os
import stat
from pathlib import Path


class Place:
    def __init__(self, path):
        self.path = Path(path)

    @property
    def current(self):
        """Text of the `current` link; None when there is none."""
        try:
            return os.readlink(self.path / "current")
        except FileNotFoundError:
            return None

    @property
    def live(self):
        """Name of the live activation; None when nothing is live."""
        return os.path.basename(self.current) if self.current else None

    @property
    def live_dir(self):
        return self.path / "releases" / self.live

    @property
    def activations(self):
        folder = self.path / "releases"
        return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []

    @property
    def journal(self):
        path = self.path / ".lockstep" / "journal"
        return path.read_bytes() if path.exists() else b""

    @property
    def state(self):
        path = self.path / ".lockstep" / "state"
        return path.read_bytes() if path.exists() else b""

    @property
    def agents(self):
        folder = self.path / ".lockstep"
        return sorted(folder.glob("agent-*")) if folder.exists() else []

    def tree(self, folder=None):
        """{path: (kind, executable, content)} in bytes, as AppRepo.tree: folders left out."""
        return read_tree(folder or self.live_dir)

    def digest(self, folder=None):
        """One hash over names, kinds, modes and contents of what is live."""
        total = hashlib.sha256()
        for path, (kind, executable, content) in sorted(self.tree(folder).items()):
            total.update(b"%s\0%s\0%d\0%s\n" % (path, kind.encode(), executable, hashlib.sha256(content).digest()))
        return total.hexdigest()

    def snapshot(self):
        """Everything there is, with modes, to tell that nothing changed."""
        seen = {}
        root = os.fsencode(self.path)
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                what = os.readlink(path) if stat.S_ISLNK(info.st_mode) else b""
                if stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as file:
                        what = hashlib.sha256(file.read()).digest()
                seen[os.path.relpath(path, root)] = (info.st_mode, what)
        return seen


def read_tree(folder):
    tree = {}
    root = os.fsencode(folder)
    for parent, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(parent, name)
            info = os.lstat(path)
            relative = os.path.relpath(path, root)
            if stat.S_ISLNK(info.st_mode):
                tree[relative] = ("link", False, os.readlink(path))
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    tree[relative] = ("file", bool(info.st_mode & 0o111), file.read())
    return tree
