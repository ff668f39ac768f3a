from __future__ import annotations

import pytest

from thermal_perception.config import from_mapping, read_yaml
from thermal_perception.errors import ConfigError
from thermal_perception.models.build import make_model
from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.resources import share_path


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param({'d_model': 60}, 'd_model: found 60', id='width not a multiple of 8'),
        pytest.param({'num_heads': 3}, 'num_heads 3', id='heads do not divide the width'),
        pytest.param({'num_heads': 0}, 'num_heads: found 0', id='no heads'),
        pytest.param({'d_model': 80, 'proj_norm': True}, 'multiple of 32', id='group norm'),
        pytest.param({'grid_stride': 4}, 'grid_stride: found 4', id='stride 4'),
        pytest.param({'fusion': 'dc5', 'grid_stride': 8}, 'stride 16', id='dc5 at stride 8'),
        pytest.param({'class_names': ()}, 'class_names: found none', id='no classes'),
        pytest.param({'scale': 0.0}, 'scale: found 0.0', id='zero scale'),
        pytest.param({'dropout': 1.0}, 'dropout: found 1.0', id='drops everything'),
        pytest.param({'decoder_layers': 0}, 'decoder_layers: found 0', id='no decoder'),
        pytest.param({'anchor_size_px': 0.0}, 'anchor_size_px', id='empty anchors'),
        pytest.param(
            {'decoder_attention': 'deformable'}, 'need reference boxes', id='deformable, learned'
        ),
        pytest.param({'denoising': 10}, 'need reference boxes', id='denoising, learned'),
        pytest.param(
            {'denoising': 10, 'queries': 'anchors'}, 'sigmoid loss', id='denoising, softmax'
        ),
        pytest.param({'queries': 'selected'}, 'sigmoid loss', id='selected, softmax'),
        pytest.param({'distinct_iou': 0.0}, r'in \(0, 1\]', id='nothing is distinct'),
        pytest.param({'distinct_iou': 0.7}, "expected 'selected'", id='distinct, learned'),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        FusionDetrConfig(**changes)


def test_a_misspelt_option_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="'num_querys', did you mean 'num_queries'"):
        make_model('fusion_detr', {'num_querys': 10}, where='test')


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ConfigError, match="'yolo', expected one of fusion_detr"):
        make_model('yolo', {}, where='test')


@pytest.mark.parametrize(
    ('fusion', 'stride'), [('off', 32), ('selective', 16), ('c5_up', 16), ('dc5', 16)]
)
def test_stride_of_the_token_map(fusion, stride):
    assert FusionDetrConfig(fusion=fusion).token_stride == stride


def shipped(name):
    values = read_yaml(share_path('config', 'models', f'{name}.yaml'))
    return from_mapping(FusionDetrConfig, values['config'], where=name)


def test_shipped_r50_is_the_published_system():
    assert shipped('fusion_detr_r50') == FusionDetrConfig()


def test_shipped_lite_stays_below_twelve_million_parameters(full_model):
    values = read_yaml(share_path('config', 'models', 'fusion_detr_lite.yaml'))
    assert sum(p.numel() for p in full_model(**values['config']).parameters()) < 12_000_000
