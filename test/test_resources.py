"""Where shipped weights are found."""

from __future__ import annotations

import pytest

from thermal_perception.errors import CheckpointError
from thermal_perception.resources import shipped_weights


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Return the folder of weights of a prefix that ROS would name."""
    folder = tmp_path / 'share' / 'thermal_perception' / 'weights'
    folder.mkdir(parents=True)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    return folder


def test_name_of_a_system_means_its_lite_model(weights):
    lite, other = weights / 'radar_lite.safetensors', weights / 'radar_r50.safetensors'
    lite.touch()
    other.touch()
    assert shipped_weights('radar') == shipped_weights('radar_lite') == lite
    assert shipped_weights('radar_r50') == other


def test_name_of_rgbt_segmentation_means_its_lite_model_too(weights):
    lite = weights / 'rgbt_lite.safetensors'
    lite.touch()
    assert shipped_weights('rgbt_segmentation').name == lite.name


def test_unshipped_model_is_named():
    with pytest.raises(CheckpointError, match="no weights are shipped for model 'nosuch'"):
        shipped_weights('nosuch')
