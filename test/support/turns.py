"""Made-up turns of the benchmark, in milliseconds."""

from __future__ import annotations

from thermal_perception.cli.benchmark.listener import Arrivals
from thermal_perception.cli.benchmark.turn import Turn

MS = 1_000_000


def arrivals(ages_ms, stamps_ms, published_ms=()):
    """Return answers of these ages to images of these stamps."""
    arrived_ns = [round((s + age) * MS) for s, age in zip(stamps_ms, ages_ms)]
    stages_ms = {'age': list(published_ms)} if published_ms else {}
    return Arrivals(arrived_ns, [round(s * MS) for s in stamps_ms], stages_ms)


def turn(ages_ms, *, period_ms=100, cores=1.0, published_ms=()):
    """Return a turn whose images came every `period_ms` and were all answered."""
    stamps_ms = [period_ms * number for number in range(len(ages_ms))]
    answers = arrivals(ages_ms, stamps_ms, published_ms)
    return Turn([s * MS for s in stamps_ms], answers, len(ages_ms), cores)
