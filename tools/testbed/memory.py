"""Peak memory of a process. Not from wait4: its ru_maxrss counts what the process
that started it had in memory."""

import os
import threading
from pathlib import Path


class PeakMemory(threading.Thread):
    """Looks at VmHWM until the process ends; `peak` is in bytes."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{pid}/status")
        self.over = threading.Event()
        self.peak = 0

    def run(self):
        while not self.over.wait(0.02):
            try:
                self.look(self.status)
            except (OSError, ProcessLookupError):
                return

    def look(self, status):
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.peak = max(self.peak, int(line.split()[1]) << 10)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class PeakMemoryOfAgent(PeakMemory):
    """The same of whatever agents work at a place, started by whomever."""

    def __init__(self, place):
        super().__init__(0)
        self.prefix = f"{place}/.lockstep/agent-"

    def run(self):
        known = {}
        while not self.over.wait(0.02):
            pids = {entry for entry in os.listdir("/proc") if entry.isdigit()}
            known = {pid: known.get(pid) or self.is_agent(pid) for pid in pids}
            for pid in pids:
                try:
                    if known[pid]:
                        self.look(Path(f"/proc/{pid}/status"))
                except (OSError, ProcessLookupError):
                    pass

    def is_agent(self, pid):
        try:
            return os.readlink(f"/proc/{pid}/exe").startswith(self.prefix)
        except OSError:
            return False
