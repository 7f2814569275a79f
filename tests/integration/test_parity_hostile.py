"""Looking at environments whose servers, databases and web sites mean ill, or never answer."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from test_parity import alike, keys


class Deaf:
    """A port that takes connections and says nothing."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.taken = []
        self.heard = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except OSError:
                return
            self.heard.set()

    def __exit__(self, *_):
        self.socket.close()
        for line in self.taken:
            line.close()


def children_of(pid):
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"\nPPid:\t{pid}\n" in status.read_text():
                found.append(int(status.parent.name))
        except OSError:
            pass
    return found


@pytest.mark.san
@pytest.mark.parametrize("deaf", ["database", "site"])
def test_an_interrupt_does_not_wait_for_who_never_answers(shop, tmp_path, deaf):
    shop.config["parity"] = {"only": ["os", "db", "http"]}
    shop.environment("dev", "dev1")
    with Deaf() as port:
        if deaf == "database":
            shop.config["environments"]["dev"]["values"] = {"DATABASE_URL": f"postgresql://u@127.0.0.1:{port.port}/d"}
            shop.config["env"] = {"DATABASE_URL": {}}
        else:
            shop.config["environments"]["dev"]["parity"] = {"urls": [f"http://127.0.0.1:{port.port}/"]}
        shop.save()
        process = shop.run.start("facts", "dev", env={"TMPDIR": tmp_path})
        assert port.heard.wait(30), "it was never asked"
        time_of_signal = time.monotonic()
        started = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130, out + err
        assert time.monotonic() - time_of_signal < 4
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists() and children_of(os.getpid()).count(pid)]
        assert list(tmp_path.iterdir()) == []
