"""What every test may use."""

from __future__ import annotations

import faulthandler
import fcntl
import functools
import gc
import os
from pathlib import Path
import signal
import sys
import tempfile

import hypothesis
import pytest

# Above 101 the ports of a DDS domain run into those that Linux hands out to clients.
_LAST_DOMAIN = 101

# Later than the time limit of pytest-timeout, which asks Python to stop a test: one that is stuck
# in C with the interpreter's lock does not hear it.
_STUCK_S = float(os.environ.get('STUCK_S', '330'))
_STUCK_FOLDER = 'STUCK_FOLDER'
_RUNNERS = ('_pytest', 'execnet', 'pluggy', 'xdist')
_stacks = pytest.StashKey()

_NO_SHORT_CUT = """<dds xmlns="http://www.eprosima.com">
  <library_settings><intraprocess_delivery>OFF</intraprocess_delivery></library_settings>
</dds>"""

# The same examples on every run; `pytest --hypothesis-profile=default` looks for others.
hypothesis.settings.register_profile('repeatable', derandomize=True, deadline=None)
hypothesis.settings.load_profile('repeatable')


def pytest_configure(config):
    """Take Ctrl-C in the ordinary way, also in a shell's background job.

    A shell starts those with SIGINT ignored, and the processes that tests start and interrupt
    would inherit that.

    Where a test is stuck goes to stderr, or to a file whose name the first process of several
    gives: it prints them with the results, where they are not lost.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, 'workerinput'):
        path = Path(os.environ[_STUCK_FOLDER], config.workerinput['workerid'])
        config.stash[_stacks] = path.open('a', encoding='utf-8')  # follows one that was stuck
        return
    config.stash[_stacks] = os.fdopen(os.dup(sys.__stderr__.fileno()), 'w')  # tests capture it
    folder = tempfile.TemporaryDirectory(prefix='stuck')
    config.add_cleanup(folder.cleanup)
    os.environ[_STUCK_FOLDER] = folder.name


def pytest_unconfigure(config):
    """Close the file for stacks."""
    config.stash[_stacks].close()


def pytest_collection_finish():
    """Spare the garbage collector what stays: thousands of tests and all that they import.

    It went through all of that for a quarter of a second whenever a test of nodes ended.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Print where tests of other processes were stuck."""
    for path in sorted(Path(os.environ[_STUCK_FOLDER]).iterdir()):
        lines = path.read_text(encoding='utf-8').splitlines()
        if lines:
            terminalreporter.section(f'stuck in {path.name}')
        for line in lines:
            if not any(f'site-packages/{name}' in line for name in _RUNNERS):
                terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Show where a test is stuck and end its process, which pytest-xdist replaces and reports."""
    marker = item.get_closest_marker('timeout')
    limit_s = _STUCK_S + (marker.args[0] if marker else 0)
    faulthandler.dump_traceback_later(limit_s, exit=True, file=item.config.stash[_stacks])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def one_thread_and_seed():
    """Make PyTorch's results the same on every run, and fast where they are small."""
    import torch  # most tests do without it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def small_backbones():
    """Make the smallest backbones smaller still for a module of tests; see `tiny`."""
    import tiny

    with tiny.small_backbones():
        yield


@pytest.fixture(scope='session')
def real_data():
    """Give the folder of real frames and calibrations, which are not ours to ship.

    `docs/evaluation.md` says what is in it.
    """
    folder = os.environ.get('THERMAL_PERCEPTION_DATA')
    if not folder:
        pytest.skip('THERMAL_PERCEPTION_DATA names no folder of real frames and calibrations')
    return Path(folder)


@pytest.fixture
def ros_domain(monkeypatch):
    """Give the test a DDS domain of its own, on this machine only.

    The environment carries it, so that processes the test starts are in it too.

    A lock on a file holds the domain: test runs beside each other take different ones.
    """
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    _take_no_short_cut()
    folder = Path(tempfile.gettempdir(), f'thermal_perception_domains_{os.getuid()}')
    folder.mkdir(exist_ok=True)
    for domain in range(1, _LAST_DOMAIN + 1):
        with open(folder / str(domain), 'w', encoding='utf-8') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
            yield domain
            return
    pytest.fail(f'all {_LAST_DOMAIN} DDS domains are taken, see {folder}')


@functools.cache
def _take_no_short_cut():
    """Let nodes of this process talk as those of two do, see fastdds_large_images.xml.

    Fast DDS reads such settings once, when a process makes its first node. They come without that
    file's 64 MiB for each node.
    """
    try:
        import rclpy
    except ModuleNotFoundError:
        return
    context = rclpy.Context()
    with pytest.MonkeyPatch.context() as patch, tempfile.NamedTemporaryFile('w') as file:
        file.write(_NO_SHORT_CUT)
        file.flush()
        patch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', file.name)
        rclpy.init(context=context, args=[])
        rclpy.create_node('first', context=context).destroy_node()
        rclpy.shutdown(context=context)
