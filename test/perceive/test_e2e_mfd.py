"""E2E-MFD as nodes call it: two frames or one, what is asked for, and in which colours."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.testing import assert_array_equal
import pytest
from tiny import e2e_mfd
import torch

from thermal_perception.errors import PreprocessError
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive import Perceiver
from thermal_perception.perceive.e2e_mfd import E2eMfdSystem, Found
from thermal_perception.perceive.system import Limits
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ('person', 'car')
SIZE = (50, 70)


@pytest.fixture(scope='module')
def perceiver(tmp_path_factory: pytest.TempPathFactory) -> Perceiver:
    """Return a tiny network with random weights."""
    path: Path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save_random(path, CheckpointInfo('tiny', 'e2e_mfd', e2e_mfd(CLASSES), {}, CLASSES))
    return Perceiver.load(path, device='cpu')


def noise(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).integers(20, 236, size=shape).astype(np.uint8)


def thermal(size: tuple[int, int] = SIZE) -> Frame:
    return Frame(noise(*size), 7, 'thermal_optical', 'thermal', 'mono8', valid_bits=8)


def colour(size: tuple[int, int] = SIZE) -> Frame:
    return Frame(noise(*size, 3), 9, 'rgb_optical', 'rgb', 'bgr8', valid_bits=8)


def test_a_pair_gives_boxes_and_a_colour_image_in_the_thermal_frame(perceiver: Perceiver):
    found = perceiver(FrameSet(thermal(), colour()))

    assert len(found.detections) > 0
    assert (found.detections.stamp_ns, found.detections.frame_id) == (7, 'thermal_optical')
    assert (found.detections.boxes_xyxy_px[:, 2] <= 70).all()
    assert found.fused is not None
    assert found.fused.image.shape == (50, 70, 3)
    assert found.fused.image.dtype == np.uint8
    assert found.fused.cameras == ('thermal', 'rgb')
    assert (found.fused.stamp_ns, found.fused.frame_id) == (7, 'thermal_optical')


def test_sides_that_are_no_multiples_of_32_are_padded_for_the_network_and_cropped_back():
    record = CheckpointInfo('tiny', 'e2e_mfd', {}, {'pad_multiple': 32}, CLASSES)
    system = E2eMfdSystem(record, limits=Limits(), where='test')
    frames = FrameSet(thermal((500, 333)), colour((500, 333)))
    call = system.prepare(frames, {'detections', 'fused_grey'})
    image, rgb, padding = call.inputs
    assert image.shape == (1, 1, 512, 352)
    assert rgb.shape == (1, 3, 512, 352)
    assert not padding[0, :500, :333].any()
    assert padding[0, 500:].all() and padding[0, :, 333:].all()

    whole = torch.tensor([[[0.5, 0.5, 1.0, 1.0]]])
    fused = torch.where(padding, 1.0, image[:, 0])[None]  # white where padded
    found = system.finish(Found(fused, torch.zeros(1, 1, 2), whole), call, frames)
    assert found.fused is not None
    assert_array_equal(found.fused.image, noise(500, 333))
    assert_array_equal(found.detections.boxes_xyxy_px[0], [0, 0, 333, 500])


def test_grey_is_the_brightness_of_the_colour_image(perceiver: Perceiver):
    frames = FrameSet(thermal(), colour())
    grey = perceiver(frames, wanted={'fused_grey'}).fused
    coloured = perceiver(frames, wanted={'fused_image'}).fused

    assert grey is not None
    assert coloured is not None
    assert grey.image.shape == (50, 70)
    assert_array_equal(coloured.image.max(-1), grey.image)


def test_only_what_is_asked_for_is_made(perceiver: Perceiver):
    frames = FrameSet(thermal(), colour())

    assert perceiver(frames, wanted={'detections'}).fused is None
    without = perceiver(frames, wanted={'fused_image'}).detections
    assert len(without) == 0
    assert without.stamp_ns == 7


def test_without_colour_the_thermal_image_is_the_result(perceiver: Perceiver):
    frame = thermal()
    found = perceiver(FrameSet(frame))

    assert found.fused is not None
    assert_array_equal(found.fused.image, frame.image)
    assert found.fused.cameras == ('thermal',)
    assert len(found.detections) > 0


def test_without_thermal_the_colour_image_is_the_result(perceiver: Perceiver):
    frame = colour()
    found = perceiver(FrameSet(rgb=frame))

    assert found.fused is not None
    assert np.abs(found.fused.image.astype(int) - frame.image).max() <= 2
    assert found.fused.cameras == ('rgb',)
    assert found.detections.frame_id == 'rgb_optical'


def test_same_frames_give_the_same_result_whatever_was_seen_between(perceiver: Perceiver):
    frames = FrameSet(thermal(), colour())
    first = perceiver(frames)
    perceiver(FrameSet(thermal((64, 40)), colour((64, 40))))
    again = perceiver(frames)

    assert_array_equal(again.detections.boxes_xyxy_px, first.detections.boxes_xyxy_px)
    assert_array_equal(again.detections.scores, first.detections.scores)
    assert first.fused is not None
    assert again.fused is not None
    assert_array_equal(again.fused.image, first.fused.image)


def test_a_colour_image_that_is_not_registered_is_refused(perceiver: Perceiver):
    with pytest.raises(PreprocessError, match='found 140 x 100 pixels beside a thermal image'):
        perceiver(FrameSet(thermal(), colour((100, 140))))


def test_it_looks_at_both_cameras_and_warms_up_on_both(perceiver: Perceiver):
    assert perceiver.cameras == ('thermal', 'rgb')
    perceiver.warm_up((48, 64))
