"""What Linux says of a process."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from thermal_perception.cli.benchmark.process_use import peak_mib, ProcessUse


def test_cores_are_processor_time_by_time():
    assert ProcessUse(7.0, 104.0).cores_since(ProcessUse(1.0, 100.0)) == 1.5


def test_processor_time_of_this_process_is_read():
    before = ProcessUse.of(os.getpid())
    while time.process_time() < before.cpu_s + 0.05:
        pass
    after = ProcessUse.of(os.getpid())
    assert after.cpu_s == pytest.approx(time.process_time(), abs=0.1)
    assert after.at_s > before.at_s


def test_peak_of_memory_stays_when_it_is_given_back():
    before = peak_mib(os.getpid())
    np.ones(2**24)  # 128 MiB
    assert peak_mib(os.getpid()) > max(128, before - 1)
