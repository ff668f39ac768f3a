"""Where a run works: one CPU, one GPU, many of them, many machines; through Lightning Fabric.

Fabric, not Lightning's Trainer: the loop stays ours, because exact resume and the normaliser of
DETR's box losses hang on it, while devices, precision, processes and the averaging of gradients
are the library's.
"""

from __future__ import annotations

from contextlib import contextmanager
import gc
import logging
import os
from typing import Literal, TYPE_CHECKING

from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.strategies import DDPStrategy
import torch

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

PRECISIONS = ('fp32', 'bf16', 'fp16')


def make_fabric(
    device: str = 'cpu',
    *,
    precision: Literal['fp32', 'bf16', 'fp16'] = 'fp32',
    devices: int = 0,
    nodes: int = 0,
) -> Fabric:
    """Return the Fabric of a run, to be used within `launched`.

    Args:
        device: `cpu`, `cuda` or `auto`, the GPU if there is one.
        precision: of the forward and backward pass; weights stay float32.
        devices: processes on this machine, each with its own device; 0 takes what `torchrun`
            says, else one. Fabric starts the others itself if nobody else did.
        nodes: machines; 0 takes what `torchrun` says, else one.

    Raises:
        ConfigError: if this machine lacks the device or cannot train in that precision on it.
    """
    kind = _kind(device)
    if kind == 'cpu' and precision == 'fp16':
        raise ConfigError('precision: found fp16 on the CPU, expected bf16 or fp32')
    here = devices or int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    machines = nodes or max(1, int(os.environ.get('WORLD_SIZE', '1')) // here)
    if kind == 'cuda' and here > torch.cuda.device_count():
        raise ConfigError(f'devices: found {torch.cuda.device_count()} GPUs, expected {here}')
    logging.getLogger('lightning_fabric').setLevel(logging.WARNING)
    alone = here * machines == 1
    return Fabric(
        accelerator=kind,
        devices=here,
        num_nodes=machines,
        # Without objects in a batch there are no denoising queries and no gradients from them.
        strategy='auto' if alone else DDPStrategy(find_unused_parameters=True),
        plugins=[_precision(precision, kind)],
    )


@contextmanager
def launched(fabric: Fabric) -> Iterator[Fabric]:
    """Start the processes of a run; after a run that ended well, end the group they formed.

    A group left to the end of the interpreter may abort the process: its threads are still running
    when their owner goes. What averaged gradients goes first, because it holds the group.
    """
    fabric.launch()
    yield fabric
    gc.collect()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _kind(device: str) -> Literal['cpu', 'cuda']:
    if device not in ('auto', 'cpu', 'cuda'):
        raise ConfigError(f'--device: found {device!r}, expected auto, cpu or cuda')
    if device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError('--device cuda: this machine, or this build of torch, has no CUDA GPU')
    return 'cuda' if device != 'cpu' and torch.cuda.is_available() else 'cpu'


def _precision(name: str, kind: str) -> Precision:
    if name not in PRECISIONS:
        raise ConfigError(f'precision: found {name!r}, expected one of {", ".join(PRECISIONS)}')
    if name == 'fp32':
        return Precision()
    return MixedPrecision('bf16-mixed' if name == 'bf16' else '16-mixed', kind)
