"""Runs the launch tests where the ROS package `launch` is installed; says so where it is not."""

from importlib.util import find_spec
from pathlib import Path
import sys

import pytest

TESTS = Path(__file__).parents[1] / 'test' / 'launch'
MISSING = """\
Launch tests not run: the Python packages {} are not installed, and PyPI has none.
Source a ROS 2 distribution (apt-get install ros-jazzy-ros-base) and run make test-launch again."""


def main() -> int:
    """Run the tests; return pytest's exit code, or 0 where they cannot run."""
    missing = [name for name in ('launch', 'launch_ros', 'launch_testing') if not find_spec(name)]
    if missing:
        print(MISSING.format(', '.join(missing)))
        return 0
    return pytest.main(['-v', str(TESTS)])


if __name__ == '__main__':
    sys.exit(main())
