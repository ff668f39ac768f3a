"""Who shares a network with whom."""

from __future__ import annotations

from dataclasses import fields, replace
import gc
from types import SimpleNamespace
import weakref

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from thermal_perception.errors import CheckpointError
from thermal_perception.nodes.parameters.fusion_detr import FusionDetrParameters
from thermal_perception.nodes.parameters.managed import ManagedParameters
from thermal_perception.nodes.parameters.perception import ModelParameters
from thermal_perception.nodes.perception.shared_networks import NETWORK_PARAMETERS, SharedNetworks


class Loader:
    """Notes what it loads."""

    def __init__(self):
        self.loaded = []

    def __call__(self, parameters):
        self.loaded.append(parameters)
        if parameters.model == 'unreadable':
            raise CheckpointError('not readable')
        return SimpleNamespace(degraded='', warm_up_batches=lambda size, most: None, batches=None)


@pytest.fixture
def loader():
    return Loader()


@pytest.fixture
def networks(loader):
    networks = SharedNetworks(3, loader)
    yield networks
    assert networks.close()


@pytest.fixture
def parameters(tmp_path):
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(b'first')
    return FusionDetrParameters(checkpoint=str(path))


def test_cameras_that_ask_for_the_same_network_share_it(networks, loader, parameters):
    first = networks(parameters)
    assert networks(replace(parameters, score_threshold=0.3, thermal_units='kelvin')) is first
    assert len(loader.loaded) == 1


@pytest.mark.parametrize(
    'change', [{'device': 'cpu'}, {'backend': 'openvino'}, {'max_detections': 7}], ids=str
)
def test_camera_that_asks_for_another_network_has_its_own(networks, parameters, change):
    first = networks(parameters)
    assert networks(replace(parameters, **change)) is not first


def test_weights_that_changed_are_loaded_anew_for_whoever_asks(networks, loader, parameters):
    first = networks(parameters)
    with open(parameters.checkpoint, 'wb') as file:
        file.write(b'second')
    second = networks(parameters)
    assert second is not first
    assert networks(parameters) is second
    assert len(loader.loaded) == 2


def test_network_that_lost_its_device_is_not_shared_any_more(networks, parameters):
    first = networks(parameters)
    first._perceiver.degraded = 'running on the CPU'
    assert first.spoilt
    assert networks(parameters) is not first


def test_network_that_was_degraded_from_the_start_is_shared(networks, parameters):
    first = networks(parameters)
    first._perceiver.degraded = 'cannot be compiled'
    first.warm_up((48, 64))
    assert networks(parameters) is first


def test_network_that_nobody_uses_is_given_back(networks, parameters):
    first = networks(parameters)
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None


def test_missing_weights_are_told_by_the_loader(networks, loader, parameters):
    with pytest.raises(CheckpointError, match='not readable'):
        networks(replace(parameters, checkpoint='/nowhere.safetensors', model='unreadable'))
    assert len(loader.loaded) == 1


def test_every_parameter_of_a_model_decides_who_shares_but_the_threshold():
    names = {field.name for field in fields(ModelParameters)}
    others = {field.name for field in fields(ManagedParameters)} | {'score_threshold'}
    assert set(NETWORK_PARAMETERS) == (names - others) | {'min_area_px'}
