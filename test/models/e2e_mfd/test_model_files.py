"""The model files of E2E-MFD: what they promise in size, counted on shapes without values."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from thermal_perception.config import from_mapping, read_yaml
from thermal_perception.models.build import make_model
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.resources import share_path


def read(name):
    path = share_path('config', 'models', f'{name}.yaml')
    values = read_yaml(path)
    values['class_names'] = values['config']['class_names']
    return from_mapping(CheckpointInfo, values, where=str(path))


def build(name, **changes):
    info = read(name)
    with torch.device('meta'):
        return make_model(info.architecture, {**info.config, **changes}, where=name).eval()


def count(parameters):
    return sum(p.numel() for p in parameters)


def gigamacs(model, size, **options):
    """Return billions of multiplications of one pair of images."""
    with torch.device('meta'):
        thermal, rgb = torch.empty(1, 1, *size), torch.empty(1, 3, *size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(thermal, rgb, **options)
    return counter.get_total_flops() / 2e9


@pytest.mark.parametrize('name', ['e2e_mfd_lite', 'e2e_mfd_r50'])
def test_record_of_a_model_file_is_complete(name):
    info = read(name)
    assert info.model == name
    assert info.architecture == 'e2e_mfd'
    assert info.input_size is not None


def test_lite_is_small_enough_for_a_robot():
    model = build('e2e_mfd_lite')
    assert count(model.parameters()) <= 12e6
    assert gigamacs(model, (512, 640)) <= 25


def test_fusing_alone_leaves_the_head_out():
    model = build('e2e_mfd_lite')
    whole = gigamacs(model, (512, 640))
    assert gigamacs(model, (512, 640), detect=False) < whole
    assert gigamacs(model, (512, 640), fuse=False) < whole


def test_published_model_has_the_published_size():
    model = build('e2e_mfd_r50')
    assert count(model.head.stages[0].parameters()) == 13_741_194
    assert count(model.head.parameters()) == 83_759_932
    assert count(model.pyramid.parameters()) == 3_344_384
    assert count(model.shared_parameters()) == 26_576_896
    detector = (model.backbone, model.pyramid, model.head)
    assert sum(count(part.parameters()) for part in detector) == 110_559_228
    assert count(model.orppt.pixels.parameters()) == 222_816
    assert model.config.detection.proposals == 500
    assert model.config.fusion.reduction == 1


def test_published_model_with_the_fusion_branch_of_the_released_code_has_its_size():
    released = {'region': 'sk', 'gate': 'hard_sigmoid'}
    model = build('e2e_mfd_r50', fusion=released)
    assert count(model.orppt.parameters()) == 516_294
