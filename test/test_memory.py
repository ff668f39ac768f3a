"""Freed tensors stay with the process: the same work again costs no page faults."""

from __future__ import annotations

import subprocess
import sys

_CHURN = """
import resource, sys, threading
import torch
from thermal_perception.memory import keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
def work():
    for _ in range(3):
        torch.ones(16, 1024, 1024).add(1)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    for _ in range(6):
        torch.ones(16, 1024, 1024).add(1)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
faults = []
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(faults[1] - faults[0])
"""


def faults(argument: str) -> int:
    """Return the page faults of 12 tensors of 64 MiB on a thread that has made such before."""
    command = [sys.executable, '-c', _CHURN, argument]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_tensors_are_made_from_memory_that_was_freed_before():
    # Some kernels take back what lies idle, now and then: a part of it may come anew.
    assert faults('keep') < 0.5 * faults('return')
