"""What guards the tests themselves."""

from __future__ import annotations

import gc
import os
from pathlib import Path
import subprocess
import sys

STUCK = """
import ctypes

def test_stuck():
    ctypes.PyDLL(None).pause()  # keeps the interpreter's lock

def test_after():
    pass
"""


def test_a_test_stuck_in_c_is_shown_and_counted_and_the_others_run(tmp_path):
    tmp_path.joinpath('conftest.py').write_text(
        Path(__file__).with_name('conftest.py').read_text()
    )
    tmp_path.joinpath('test_stuck.py').write_text(STUCK)
    command = [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider']
    command += ['-p', 'xdist', '--numprocesses', '1']  # other plugins take seconds to load
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, 'STUCK_S': '1', 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "crashed while running 'test_stuck.py::test_stuck'" in done.stdout
    assert 'stuck in gw0' in done.stdout
    assert 'test_stuck.py", line 5 in test_stuck' in done.stdout
    assert '1 failed, 1 passed' in done.stdout


def test_the_garbage_collector_is_spared_what_tests_import():
    assert gc.get_freeze_count() > len(sys.modules)  # each is many objects
