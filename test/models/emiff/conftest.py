"""EMIFF networks: small ones with random weights, the published one without any."""

from __future__ import annotations

import pytest
from tiny import small_backbones
import torch

from thermal_perception.models.emiff.config import CompressionLevel, EmiffConfig, GridConfig
from thermal_perception.models.emiff.lifting import View
from thermal_perception.models.emiff.network import Emiff

LEVELS = (CompressionLevel(4, 0), CompressionLevel(4, 1))
GRID = GridConfig(low_m=(0.0, -8.0, -3.0), high_m=(16.0, 8.0, 0.6), counts=(8, 10, 12))
IMAGE = (64, 96)
# Along x of the lidar: camera x = -y, y = -z, z = x.
FORWARD = torch.tensor(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


@pytest.fixture(scope='session')
def make_network():
    """Return a function that builds a small network as if trained, not training."""

    def make(**changes):
        torch.manual_seed(0)
        options = {
            'backbone': 'efficientnet_lite0',
            'width': 16,
            'compression': LEVELS,
            'grid': GRID,
            'neck_widths': (16, 16, 24),
        }
        with small_backbones():
            network = Emiff(EmiffConfig(**{**options, **changes}))
        return lively(network).eval()

    return make


@pytest.fixture(scope='session')
def published():
    """Return the published network on the meta device: shapes and counts, no numbers."""
    with torch.device('meta'):
        return Emiff(EmiffConfig()).eval()


@pytest.fixture
def views():
    """Return views of the vehicle's and of an infrastructure camera for two images."""
    K = torch.tensor([[40.0, 0.0, 48.0], [0.0, 40.0, 32.0], [0.0, 0.0, 1.0]]).expand(2, 3, 3)
    ego = View(K, FORWARD.expand(2, 4, 4))
    # At (14, 0, 3), looking back along -x: camera x = y, y = -z, z = -x.
    back = torch.tensor(
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 3.0], [-1.0, 0.0, 0.0, 14.0], [0.0, 0.0, 0.0, 1.0]]
    )
    return ego, View(K, back.expand(2, 4, 4))


@pytest.fixture
def images():
    """Return the vehicle's and the infrastructure's images, two each."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(2, 3, *IMAGE, generator=generator) for _ in range(2))


def lively(network):
    """Give norms and biases values that show when they are left out."""
    generator = torch.Generator().manual_seed(2)
    for name, tensor in network.state_dict().items():
        if name.endswith('running_var'):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(('running_mean', 'bias')) and 'head' not in name:
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network
