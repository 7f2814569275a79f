"""A real git repository of a small web application, with history, made on the spot.
Dates and authors are fixed, so the same calls give the same commits."""

import json
import os
import subprocess
from pathlib import Path

FIRST_COMMIT_TIME = 1_700_000_000

INDEX_PHP = """<?php
require __DIR__ . '/../app/Shop.php';
echo (new Shop('Lock & Step'))->greeting(), "\\n";
"""
SHOP_PHP = """<?php
final class Shop
{
	public function __construct(private string $name) {}

	public function greeting(): string
	{
		return "Welcome to {$this->name}";
	}
}
"""


class AppRepo:
    def __init__(self, folder):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True)
        self.time = FIRST_COMMIT_TIME
        self.git("init", "-q", "-b", "main")

    def git(self, *args, input=None):
        stamp = f"{self.time} +0000"
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ada Author",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada Author",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_DATE": stamp,
        }
        done = subprocess.run(
            ["git", "-C", str(self.dir), *args],
            env=env,
            stdin=subprocess.DEVNULL if input is None else None,
            input=input,
            capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="surrogateescape").strip()

    def write(self, path, content="", mode=None):
        """`path` and `content` may be text or bytes."""
        target = os.path.join(os.fsencode(self.dir), os.fsencode(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            os.chmod(target, mode)
        return self

    def link(self, path, target):
        link = os.path.join(os.fsencode(self.dir), os.fsencode(path))
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(os.fsencode(target), link)
        return self

    def remove(self, path):
        os.unlink(os.path.join(os.fsencode(self.dir), os.fsencode(path)))
        return self

    def commit(self, subject):
        """Everything in the folder, as a new commit; its full id."""
        self.time += 3600
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def import_files(self, files, subject="Import"):
        """A commit on main that adds these files ({path: text}) without writing them
        one by one: for trees of many files. The working tree is left behind."""
        self.time += 3600
        who = f"Ada Author <ada@example.org> {self.time} +0000"
        stream = [f"commit refs/heads/main\ncommitter {who}\ndata {len(subject)}\n{subject}\nfrom refs/heads/main^0\n"]
        for path, text in files.items():
            stream.append(f"M 644 inline {path}\ndata {len(text.encode())}\n{text}\n")
        self.git("fast-import", "--quiet", input="".join(stream).encode())

    def tag(self, name, *more):
        self.git("tag", name, *more)

    def head(self):
        return self.git("rev-parse", "HEAD")

    def tree(self, ref="HEAD"):
        """What a release of this commit holds: {path: (kind, executable, content)}, in bytes."""
        listing = subprocess.run(
            ["git", "-C", str(self.dir), "ls-tree", "-r", "-z", ref], capture_output=True, check=True
        ).stdout
        tree = {}
        for record in listing.split(b"\0")[:-1]:
            meta, path = record.split(b"\t", 1)
            mode, _, blob = meta.split()
            content = subprocess.run(
                ["git", "-C", str(self.dir), "cat-file", "blob", blob.decode()], capture_output=True, check=True
            ).stdout
            tree[path] = ("link" if mode == b"120000" else "file", mode == b"100755", content)
        return tree

    def with_history(self):
        """A shop with five commits, two branches and two tags; HEAD is main."""
        self.write("public/index.php", INDEX_PHP).write("app/Shop.php", SHOP_PHP)
        self.write("README.md", "# Shop\n").write("up.txt", "ok\n")
        self.commit("Start the shop")
        self.write("public/style.css", "body { margin: 0 }\n").write("public/robots.txt", "User-agent: *\n")
        self.commit("Give it a style")
        self.write("bin/console", "#!/bin/sh\necho console\n", 0o755).link("public/uploads", "../storage/uploads")
        self.write("storage/uploads/.keep").commit("Add a console and uploads")
        self.tag("v1.0")
        self.git("branch", "legacy")
        for number in range(40):
            self.write(f"app/models/Model{number:02}.php", f"<?php\nfinal class Model{number:02} {{}}\n" * 20)
        self.commit("Add forty models")
        self.write("app/Shop.php", SHOP_PHP.replace("Welcome to", "Welcome, this is"))
        self.commit("Say welcome differently")
        self.tag("v1.1", "-a", "-m", "The second one")
        return self


def write_config(folder, config):
    """lockstep.yml from a dict: JSON is YAML, and needs no thought about quoting."""
    path = Path(folder) / "lockstep.yml"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    return path
