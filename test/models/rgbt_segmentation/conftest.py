"""Networks of the smallest encoder, images, and ways to look at them."""

from __future__ import annotations

import pytest
from tiny import small_backbones
import torch

from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig
from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentation


@pytest.fixture(scope='session')
def make_network():
    """Return a function that builds a small network as if trained, not training."""

    def make(**changes):
        torch.manual_seed(0)
        options = {'class_names': ('ground', 'car', 'person'), 'encoder': 'convnextv2_atto'}
        config = RgbtSegmentationConfig(**{**options, **changes})
        with small_backbones():
            return lively(RgbtSegmentation(config)).eval()

    return make


@pytest.fixture(scope='session')
def network(make_network):
    """Return a small network that nobody changes."""
    return make_network()


@pytest.fixture(scope='session')
def make_meta():
    """Return a function that builds a network as shapes without values."""

    def make(**changes):
        with torch.device('meta'):
            return RgbtSegmentation(RgbtSegmentationConfig(**changes)).eval()

    return make


@pytest.fixture(scope='session')
def lively_copy():
    """Return the function that gives a module statistics as if trained."""
    return lively


def lively(module):
    """Give norms, response norms and biases values that a trained network could have."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 1.5, generator=generator)
            elif name.endswith('running_mean') or '.grn.' in name:
                value.normal_(0, 0.2, generator=generator)
            elif value.dim() == 1:
                value.add_(torch.randn(value.shape, generator=generator) * 0.1)
    return module


@pytest.fixture(scope='session')
def images():
    """Return thermal (2, 1, 64, 96) and RGB (2, 3, 64, 96) images."""
    generator = torch.Generator().manual_seed(1)
    thermal = torch.rand(2, 1, 64, 96, generator=generator)
    return thermal, torch.rand(2, 3, 64, 96, generator=generator)
