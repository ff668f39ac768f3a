"""The models of config/models are what their comments say."""

from __future__ import annotations

import pytest
import torch

from thermal_perception.config import from_mapping, read_yaml
from thermal_perception.models.build import make_model
from thermal_perception.models.emiff.config import EmiffConfig
from thermal_perception.models.emiff.lifting import View
from thermal_perception.resources import share_path


def settings_of(name):
    return read_yaml(share_path('config', 'models', f'{name}.yaml'))


def test_r50_is_the_published_network():
    config = from_mapping(EmiffConfig, settings_of('emiff_r50')['config'], where='x')
    assert config == EmiffConfig()


def test_lite_is_small():
    settings = settings_of('emiff_lite')
    with torch.device('meta'):
        network = make_model(settings['architecture'], settings['config'], where='lite').eval()
        image = torch.empty(1, 3, *settings['input_size'])
        view = View(torch.empty(1, 3, 3), torch.empty(1, 4, 4))
        levels = network.config.compression
        assert [level.name for level in levels] == ['64x', '256x', '1024x']
        shapes = [tuple(network.infrastructure(image, level)[0].shape[1:]) for level in levels]
        head = network(image, view, image, view).head
    assert shapes == [(2, 36, 64), (2, 18, 32), (2, 9, 16)]
    assert head.class_logits.shape == (1, 4, 80, 96)  # of two sizes, along and across
    assert network.config.grid.step_m == pytest.approx((0.8, 0.8, 0.32))
    # In float16 a weight is two bytes; 24 MB may be shipped.
    assert 2 * sum(p.numel() for p in network.parameters()) < 24e6
