"""Peak memory of a process. Not from wait4: its ru_maxrss counts what the process
that started it had in memory."""

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
                lines = self.status.read_text().splitlines()
            except (OSError, ProcessLookupError):
                return
            for line in lines:
                if line.startswith("VmHWM:"):
                    self.peak = max(self.peak, int(line.split()[1]) << 10)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
