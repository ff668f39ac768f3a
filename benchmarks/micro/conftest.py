"""Compares the times of a run with `ratios.json`, as multiples of two references of the same run.

`--ratios check` fails if a step takes more than `--slack` times the multiple that is written
there; `--ratios write` writes the file anew. A multiple hardly depends on the machine, and both
references are measured beside the steps, so that a busy machine slows all of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import pytest

RATIOS = Path(__file__).with_name('ratios.json')
REFERENCES = ('array', 'objects')


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what to do with the multiples."""
    parser.addoption('--ratios', choices=('check', 'write'), help='compare with ratios.json')
    parser.addoption('--slack', type=float, default=3.0, help='how much slower is too slow')


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare or write, once all were timed."""
    todo = session.config.getoption('--ratios')
    if todo is None:
        return
    measured = ratios(session.config._benchmarksession.benchmarks)  # type: ignore[attr-defined]
    if not measured:  # pytest-benchmark times nothing beside pytest-xdist
        print('', 'nothing was timed', sep='\n')
        session.exitstatus = 1
        return
    if todo == 'write':
        RATIOS.write_text(json.dumps(measured, indent=1, sort_keys=True) + '\n')
        return
    slow = too_slow(measured, json.loads(RATIOS.read_text()), session.config.getoption('--slack'))
    if slow:
        print('', *slow, sep='\n')
        session.exitstatus = 1


def ratios(benchmarks: Sequence[Any]) -> dict[str, float]:
    """Return the least time of each step as a multiple of its group's reference."""
    least = {bench.name: bench.stats.min for bench in benchmarks}
    return {
        bench.name: round(least[bench.name] / least[f'test_reference_{bench.group}'], 3)
        for bench in benchmarks
        if bench.group in REFERENCES and not bench.name.startswith('test_reference_')
    }


def too_slow(
    measured: Mapping[str, float], written: Mapping[str, float], slack: float
) -> list[str]:
    """Return a sentence for each step that is too slow, or that is not written."""
    unknown = [
        f'{name}: not in {RATIOS.name}, write it anew' for name in measured.keys() - written
    ]
    slow = [
        f'{name}: found {measured[name]:.2f} times its reference, expected at most '
        f'{slack:g} x {written[name]:.2f}'
        for name in measured.keys() & written.keys()
        if measured[name] > slack * written[name]
    ]
    return sorted(unknown + slow)
