"""Runs the program as a person on a laptop would, with a state folder, a home folder
and an environment of its own."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Result:
    argv: list
    code: int
    out: str
    err: str

    @property
    def events(self):
        """With --json: standard output as JSON documents, one a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    @property
    def json(self):
        """With --json: the result, which is the last line."""
        return self.events[-1]

    @property
    def text(self):
        return self.out + self.err

    def __str__(self):
        return f"$ {' '.join(self.argv)}\nexit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Program:
    """One laptop. `home` is its LOCKSTEP_HOME; `folder` where commands are typed."""

    def __init__(self, binary, home, folder, ssh=None):
        self.binary = Path(binary).resolve()
        self.home = Path(home)
        self.folder = Path(folder)
        self.person = self.home.with_name(self.home.name + "-person")
        self.person.mkdir(parents=True, exist_ok=True)
        self.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.person),
            "LANG": "C.UTF-8",
            "LOCKSTEP_HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        for name in ("TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "USER", "LOGNAME"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        if ssh:
            self.env["LOCKSTEP_SSH"] = ssh

    def start(self, *args, env=None, **options):
        """Only starts it; standard output and error are pipes unless told otherwise."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(
            [str(self.binary), *map(os.fspath, args)],
            cwd=self.folder,
            env=self.env | {name: str(value) for name, value in (env or {}).items()},
            start_new_session=True,
            **options,
        )

    def __call__(self, *args, env=None, timeout=120):
        process = self.start(*args, env=env)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # Its own process group: the ssh it started is meant too.
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(
                f"lockstep {' '.join(map(str, args))} did not end within {timeout} s\n"
                f"{out.decode(errors='replace')}\n{err.decode(errors='replace')}"
            ) from None
        return Result(
            ["lockstep", *map(str, args)],
            process.returncode,
            out.decode(errors="surrogateescape"),
            err.decode(errors="surrogateescape"),
        )

    def ok(self, *args, **options):
        """Runs it and insists on exit 0."""
        result = self(*args, **options)
        assert result.code == 0, str(result)
        return result
