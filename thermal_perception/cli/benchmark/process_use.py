"""What a process takes of the machine, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path
import time
from typing import NamedTuple


class ProcessUse(NamedTuple):
    """Processor time of a process up to a moment.

    Attributes:
        cpu_s: seconds of all its threads.
        at_s: seconds of a steady clock.
    """

    cpu_s: float
    at_s: float

    @classmethod
    def of(cls, pid: int) -> ProcessUse:
        """Look at a process now."""
        # The name, in brackets, may hold blanks; fields 14 and 15 are user and system time.
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return cls(ticks / os.sysconf('SC_CLK_TCK'), time.monotonic())

    def cores_since(self, before: ProcessUse) -> float:
        """Return how many processor cores were busy with it on average."""
        return (self.cpu_s - before.cpu_s) / (self.at_s - before.at_s)


def peak_mib(pid: int) -> float:
    """Return the most memory that a process had resident, MiB."""
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) / 1024
    return 0.0  # it has ended
