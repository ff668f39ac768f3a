"""Networks that a CUDA graph can hold: all they make while they run, they make on the device.

With their preprocessing or without.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import traceback

import pytest

pytest.importorskip('torch')

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive.system import black_frames, Limits
from thermal_perception.perceive.systems import make_system

WEIGHTS = Path(__file__).parents[1] / 'weights'


class HostMemory(TorchDispatchMode):
    """Notes where tensors lie in host memory; the device of the network is `meta`."""

    def __init__(self):
        """Begin with nothing found."""
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        if any(x.device.type == 'cpu' and x.dim() for x in tensors):
            self.found.append(place())
        return result


class Copies(TorchFunctionMode):
    """Notes where numbers are made tensors, which goes through host memory."""

    def __init__(self):
        """Begin with nothing found."""
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor):
            self.found.append(place())
        return function(*args, **(kwargs or {}))


def place():
    """Return the line of our networks that is being run."""
    frames = traceback.extract_stack()
    ours = (
        f for f in reversed(frames) if '/models/' in f.filename or '/preprocess/' in f.filename
    )
    return next(f'{f.filename}:{f.lineno}' for f in ours)


@pytest.mark.parametrize('name', ['fusion_detr_lite', 'e2e_mfd_lite', 'rgbt_lite'])
@pytest.mark.parametrize('prepare_on', ['host', 'device'])
def test_networks_make_no_tensors_in_host_memory(name, prepare_on):
    checkpoint = load_checkpoint(WEIGHTS / f'{name}.safetensors')
    settings = {**checkpoint.info.preprocess, 'short_side': 240}  # something to be resized
    checkpoint = replace(checkpoint, info=replace(checkpoint.info, preprocess=settings))
    system = make_system(checkpoint, Limits(), raw=prepare_on == 'device')
    network = system.network(checkpoint.make_model()).eval().to('meta')
    for wanted in system.warm_ups:
        call = system.prepare(black_frames(system.cameras, (256, 320)), wanted)
        inputs = [None if x is None else x.to('meta') for x in call.inputs]
        with torch.no_grad(), HostMemory() as memory, Copies() as copies:
            network(*inputs, **call.options)
        assert memory.found + copies.found == []
