"""Distance between the client and its servers: bench/delay_proxy in front of sshd."""

import subprocess
from pathlib import Path


class Delay:
    """`Delay(program, rtt_ms, ["ADDRESS:PORT", ...])`: `.listening` has one (address,
    port) for each target, in order."""

    def __init__(self, program, rtt_ms, targets):
        self.process = subprocess.Popen(
            [str(Path(program).resolve()), str(rtt_ms), *[f"127.0.0.1:0={target}" for target in targets]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.listening = []
        for _ in targets:
            word, where = self.process.stdout.readline().split()
            assert word == "listening", where
            address, port = where.rsplit(":", 1)
            self.listening.append((address, int(port)))

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().strip()

    def set_rtt(self, ms):
        assert self.ask(f"rtt {ms}") == "ok"

    def reset(self):
        assert self.ask("reset") == "ok"

    def stats(self):
        words = self.ask("stats").split()
        return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}

    def end(self):
        self.process.stdin.close()
        self.process.wait(5)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
