"""What `benchmark` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

from thermal_perception.backends import BACKENDS
from thermal_perception.cli.benchmark.scene import SIZE
from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Way(NamedTuple):
    """A way to run the network: a backend and its precision."""

    backend: str = 'torch'
    precision: str = 'auto'

    @property
    def name(self) -> str:
        """What tells it from the others, also in names of nodes."""
        return f'{self.backend}_{self.precision}'


def parse_ways(texts: Sequence[str], precision: str = 'auto') -> tuple[Way, ...]:
    """Read `torch,openvino:fp32`, or a list of such texts.

    Args:
        texts: backends, each perhaps with a precision behind a colon.
        precision: of those that name none.

    Raises:
        ConfigError: if a backend is unknown, or named twice.
    """
    ways = []
    for text in (part.strip() for several in texts for part in several.split(',')):
        backend, _, own = text.partition(':')
        if backend not in BACKENDS:
            raise ConfigError(
                f'--backend: found {backend!r}, expected one of {", ".join(BACKENDS)}, '
                'or several with commas'
            )
        way = Way(backend, own or precision)
        if way in ways:
            raise ConfigError(f'--backend: found {text} twice, expected it once')
        ways.append(way)
    return tuple(ways)


@dataclass(frozen=True)
class BenchmarkOptions:
    """What `benchmark` was asked for; the fields are its options.

    Attributes:
        ways: to run the network, side by side; the first is what the others are compared with.
        frames: frames per turn at full input rate.
        runs: turns of each network, node and straightforward node.
        rate_hz: full input rate; more where a network is faster than two thirds of it.
        size: (height, width) of the images, pixels.
        only: output that somebody listens to, instead of what answers every image.
        naive: also run the straightforward node, which looks through one camera.
        sweep: also send rising rates until a node no longer answers all.
        overload: also send twice the rate that a node reaches.
        plot: picture to draw.
    """

    model: str = 'fusion_detr_lite'
    checkpoint: Path | None = None
    device: str = 'auto'
    ways: tuple[Way, ...] = (Way(),)
    only: str = ''
    frames: int = 10
    runs: int = 20
    rate_hz: float = 30.0
    size: tuple[int, int] = SIZE
    naive: bool = False
    sweep: bool = False
    overload: bool = False
    json: Path | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.frames < 5:
            raise ConfigError(f'--frames {self.frames}: expected at least 5')
        if self.runs < 1:
            raise ConfigError(f'--runs {self.runs}: expected at least 1')
        if not 0 < self.rate_hz <= 500:
            raise ConfigError(f'--rate {self.rate_hz}: expected more than 0, at most 500 Hz')
