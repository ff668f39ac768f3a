"""`thermal-perception benchmark`: checks what is asked for, measures, prints and writes."""

from __future__ import annotations

from contextlib import ExitStack
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.benchmark.bench import Bench
from thermal_perception.cli.benchmark.commands import Commands
from thermal_perception.cli.benchmark.listener import benchmark_listener
from thermal_perception.cli.benchmark.machine import machine_text
from thermal_perception.cli.benchmark.plot import check_plot, draw
from thermal_perception.cli.benchmark.tables import all_tables
from thermal_perception.cli.node_kinds import node_kind
from thermal_perception.cli.processes import Children
from thermal_perception.cli.ros import private_environment
from thermal_perception.errors import ConfigError
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from thermal_perception.cli.benchmark.options import BenchmarkOptions


def benchmark(options: BenchmarkOptions) -> None:
    """Measure, print, write the JSON file and draw the picture.

    Raises:
        ChildDied: if a process ended that should not have.
        ThermalPerceptionError: if a node never answered, or an option is not acceptable.
    """
    console.check_writable(options.json)
    console.check_writable(options.plot)
    check_plot(options.plot)
    path = (options.checkpoint or shipped_weights(options.model)).resolve()
    checkpoint = load_checkpoint(path)
    kind = node_kind(checkpoint.info, path)
    if options.naive and len(kind.cameras) > 1:
        raise ConfigError(
            f'--against naive: found {path}, a model of {" and ".join(kind.cameras)} images, '
            'expected one of thermal images alone'
        )
    if options.only and options.only not in set(kind.pictures) - {'overlay'}:
        raise ConfigError(
            f'--only: found {options.only!r}, expected an image of the network of {kind.name}'
        )
    environment = private_environment()
    os.environ.update(environment)  # our own listener joins the same domain
    with ExitStack() as stack:
        logs = Path(stack.enter_context(TemporaryDirectory()))
        listener = stack.enter_context(benchmark_listener())
        children = stack.enter_context(Children(environment, logs))
        bench = Bench(Commands(options, kind, path), listener, children, stack)
        result = bench.run({'name': checkpoint.info.model, 'fingerprint': checkpoint.fingerprint})
        for complaint in children.stop():
            console.err.print(f'benchmark: {complaint}', style='dim')
    console.out.print(machine_text(result.machine))
    for table in all_tables(result):
        console.out.print(table)
    if options.json:
        console.write_json(options.json, result.to_json())
    if options.plot:
        draw(result, options.plot)
