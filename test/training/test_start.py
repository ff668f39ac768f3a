"""Which weights a run takes from a checkpoint, and what it says of the others."""

from __future__ import annotations

import pytest
from tiny import e2e_mfd, lite
import torch

from thermal_perception.errors import CheckpointError
from thermal_perception.models.build import make_model
from thermal_perception.models.checkpoint import load_checkpoint, save_random
from thermal_perception.models.record import CheckpointInfo
from training.start import take_weights

CLASSES = ('person', 'car')


@pytest.fixture(scope='module')
def weights(tmp_path_factory, small_backbones):
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    info = CheckpointInfo('tiny', 'fusion_detr', lite(CLASSES), {}, CLASSES)
    save_random(path, info, seed=7)
    return path


def taken(model, path):
    """Return the names of the tensors that are those of the checkpoint."""
    given = load_checkpoint(path).state
    return {
        n for n, v in model.state_dict().items()
        if n in given and v.shape == given[n].shape and torch.equal(v, given[n])
    }  # fmt: skip


def test_the_same_model_takes_all(weights):
    model = make_model('fusion_detr', lite(CLASSES), where='test')
    assert take_weights(model, weights).endswith('tensors; start anew: none')
    assert taken(model, weights) == model.state_dict().keys()


def test_other_classes_begin_with_a_new_classifier(weights):
    model = make_model('fusion_detr', lite(('person', 'car', 'dog')), where='test')
    before = {n: v.clone() for n, v in model.state_dict().items()}
    sentence = take_weights(model, weights)
    anew = model.state_dict().keys() - taken(model, weights)
    assert anew
    assert all('class' in name for name in anew), anew
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in anew)
    assert f'took {len(before) - len(anew)} of {len(before)} tensors' in sentence


def test_another_system_takes_the_backbone(weights):
    model = make_model('e2e_mfd', e2e_mfd(CLASSES), where='test')
    sentence = take_weights(model, weights)
    backbone = {n for n in model.state_dict() if n.startswith('backbone.')}
    assert taken(model, weights) >= backbone
    assert 'of pyramid' in sentence
    assert 'of backbone' not in sentence


def test_a_file_of_which_nothing_fits_is_refused(weights):
    with pytest.raises(CheckpointError, match='found no tensor with the name and shape'):
        take_weights(torch.nn.Linear(2, 2), weights)
