from __future__ import annotations

import pytest
import torch

from thermal_perception.config import from_mapping, read_yaml
from thermal_perception.errors import ConfigError
from thermal_perception.models.build import make_model
from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig
from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentation
from thermal_perception.resources import share_path


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'class_names': ('car',)}, r"class_names: found \('car',\), expected at least two"),
        ({'decoder_width': 31}, 'decoder_width: found 31, expected an even number, 2 or more'),
        ({'reduction': 0}, 'reduction: found 0, expected at least 1'),
        ({'dropout': 1.0}, 'dropout: found 1.0, expected 0 or more, below 1'),
        ({'thermal_std': 0.0}, 'thermal_std: found 0.0, expected above 0'),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        RgbtSegmentationConfig(**changes)


def test_a_misspelt_switch_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="unknown key 'fine_fuson', did you mean 'fine_fusion'"):
        make_model('rgbt_segmentation', {'fine_fuson': 'addition'}, where='test')


def test_the_architecture_is_built_by_its_name():
    config = {'encoder': 'convnextv2_atto', 'class_names': ['ground', 'car']}
    model = make_model('rgbt_segmentation', config, where='test')
    assert isinstance(model, RgbtSegmentation)
    assert model.config.num_classes == 2


def shipped(name):
    values = read_yaml(share_path('config', 'models', f'rgbt_{name}.yaml'))
    return from_mapping(RgbtSegmentationConfig, values['config'], where=name)


@pytest.mark.parametrize('size', ['nano', 'tiny', 'base'])
def test_shipped_sizes_are_the_published_networks(size):
    assert shipped(size) == RgbtSegmentationConfig(encoder=f'convnextv2_{size}')


def test_every_shipped_model_says_what_it_is_called():
    for size in ('lite', 'nano', 'tiny', 'base'):
        values = read_yaml(share_path('config', 'models', f'rgbt_{size}.yaml'))
        assert values['model'] == f'rgbt_{size}'
        assert values['architecture'] == 'rgbt_segmentation'


def test_shipped_lite_fits_into_a_file_of_24_megabytes():
    with torch.device('meta'):
        model = RgbtSegmentation(shipped('lite'))
    values = [*model.parameters(), *model.buffers()]
    assert 2 * sum(value.numel() for value in values) < 24e6  # float16
