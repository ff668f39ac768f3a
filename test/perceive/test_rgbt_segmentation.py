"""RGB-T segmentation as nodes call it: two frames or one, and what is asked for."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.testing import assert_array_equal
import pytest
from tiny import rgbt
import torch

from thermal_perception.errors import ConfigError, PreprocessError
from thermal_perception.models.checkpoint import load_checkpoint, save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive import Perceiver
from thermal_perception.preprocess import PairPreprocess, PreprocessConfig
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ('unlabeled', 'car', 'person')
SIZE = (70, 90)


@pytest.fixture(scope='module')
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Perceiver]:
    """Return a function that loads a tiny network with random weights."""

    def make(
        preprocess: dict[str, Any] | None = None, *, min_area_px: int = 30, **changes: Any
    ) -> Perceiver:
        path: Path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
        settings = preprocess or {'pad_multiple': 32}
        network = rgbt(CLASSES, **changes)
        info = CheckpointInfo('t', 'rgbt_segmentation', network, settings, CLASSES)
        save_random(path, info)
        return Perceiver.load(path, device='cpu', min_area_px=min_area_px)

    return make


@pytest.fixture(scope='module')
def perceiver(make: Callable[..., Perceiver]) -> Perceiver:
    return make()


def noise(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).integers(20, 236, size=shape).astype(np.uint8)


def thermal(size: tuple[int, int] = SIZE) -> Frame:
    return Frame(noise(*size), 7, 'thermal_optical', 'thermal', 'mono8', valid_bits=8)


def colour(size: tuple[int, int] = SIZE) -> Frame:
    return Frame(noise(*size, 3), 9, 'rgb_optical', 'rgb', 'bgr8', valid_bits=8)


def labels_of(perceiver: Perceiver, frames: FrameSet) -> NDArray[np.uint8]:
    mask = perceiver(frames, wanted={'segmentation'}).segmentation
    assert mask is not None
    return mask.labels


def test_a_pair_gives_a_label_map_in_the_thermal_frame(perceiver: Perceiver):
    found = perceiver(FrameSet(thermal(), colour()), wanted={'segmentation'})

    mask = found.segmentation
    assert mask is not None
    assert mask.labels.shape == SIZE
    assert mask.labels.dtype == np.uint8
    assert mask.labels.max() < len(CLASSES)
    assert (mask.class_names, mask.stamp_ns, mask.frame_id) == (CLASSES, 7, 'thermal_optical')
    assert len(found.detections) == 0
    assert found.detections.image_size == SIZE


def test_objects_come_where_they_are_asked_for_and_lie_on_their_class(perceiver: Perceiver):
    found = perceiver(FrameSet(thermal(), colour()), wanted={'segmentation', 'detections'})

    assert found.segmentation is not None
    assert len(found.detections) > 0
    assert set(found.detections.labels.tolist()) <= {1, 2}
    assert ((found.detections.scores > 1 / 3) & (found.detections.scores <= 1)).all()
    for box, label in zip(found.detections.boxes_xyxy_px.astype(int), found.detections.labels):
        x1, y1, x2, y2 = box
        assert (found.segmentation.labels[y1:y2, x1:x2] == label).any(0).all()


def test_nothing_is_labelled_where_nothing_is_asked_for(perceiver: Perceiver):
    found = perceiver(FrameSet(thermal(), colour()), wanted=())

    assert found.segmentation is None
    assert len(found.detections) == 0
    assert found.detections.class_names == CLASSES


def test_regions_below_the_least_area_get_no_box(
    perceiver: Perceiver, make: Callable[..., Perceiver]
):
    frames = FrameSet(thermal(), colour())
    usual, none = perceiver(frames), make(min_area_px=SIZE[0] * SIZE[1] + 1)(frames)

    assert usual.segmentation is not None
    assert none.segmentation is not None
    assert_array_equal(none.segmentation.labels, usual.segmentation.labels)
    assert len(usual.detections) > 0
    assert len(none.detections) == 0


def test_either_camera_may_be_missing(perceiver: Perceiver):
    both = labels_of(perceiver, FrameSet(thermal(), colour()))
    hot = perceiver(FrameSet(thermal())).segmentation
    seen = perceiver(FrameSet(rgb=colour())).segmentation

    assert hot is not None
    assert seen is not None
    assert hot.labels.shape == seen.labels.shape == SIZE
    assert (hot.frame_id, seen.frame_id) == ('thermal_optical', 'rgb_optical')
    assert (hot.labels != both).any()
    assert (seen.labels != both).any()


def test_padding_does_not_show(perceiver: Perceiver, make: Callable[..., Perceiver]):
    frames = FrameSet(thermal((64, 96)), colour((64, 96)))
    more = make({'pad_multiple': 128})
    assert (labels_of(perceiver, frames) == labels_of(more, frames)).mean() > 0.99


def test_resized_images_get_labels_at_the_size_of_the_frame(make: Callable[..., Perceiver]):
    small = make({'pad_multiple': 32, 'short_side': 64})
    assert labels_of(small, FrameSet(thermal((100, 150)), colour((100, 150)))).shape == (100, 150)


def test_same_frames_give_the_same_result_whatever_was_seen_between(perceiver: Perceiver):
    frames = FrameSet(thermal(), colour())
    first = labels_of(perceiver, frames)
    perceiver(FrameSet(thermal((64, 80)), colour((64, 80))))
    assert_array_equal(labels_of(perceiver, frames), first)


def test_a_network_of_one_camera_takes_no_notice_of_the_other(make: Callable[..., Perceiver]):
    hot, seen = make(cameras='thermal'), make(cameras='rgb')

    assert (hot.cameras, seen.cameras) == (('thermal',), ('rgb',))
    assert_array_equal(
        labels_of(hot, FrameSet(thermal(), colour())), labels_of(hot, FrameSet(thermal()))
    )
    assert_array_equal(
        labels_of(seen, FrameSet(thermal(), colour())), labels_of(seen, FrameSet(rgb=colour()))
    )
    with pytest.raises(PreprocessError, match='t: found no thermal frame'):
        hot(FrameSet(rgb=colour()))
    with pytest.raises(PreprocessError, match='t: found no rgb frame'):
        seen(FrameSet(thermal()))


def test_labels_are_those_of_the_networks_full_size_logits(perceiver: Perceiver, tmp_path: Path):
    info = CheckpointInfo('t', 'rgbt_segmentation', rgbt(CLASSES), {}, CLASSES)
    save_random(tmp_path / 'same.safetensors', info)  # the seed of all
    network = load_checkpoint(tmp_path / 'same.safetensors').make_model()
    frames = FrameSet(thermal((64, 96)), colour((64, 96)))
    pair = PairPreprocess(PreprocessConfig(pad_multiple=32))(frames)
    with torch.inference_mode():
        logits = network(pair.thermal, pair.rgb, pair.padding).logits
    assert logits.shape[-2:] == (64, 96)
    assert (logits[0].argmax(0).numpy() == labels_of(perceiver, frames)).mean() > 0.999


def test_padding_to_a_part_of_a_cell_is_refused(make: Callable[..., Perceiver]):
    with pytest.raises(ConfigError, match='found pad_multiple 4, expected a multiple of 8'):
        make({'pad_multiple': 4}, reduction=2)


def test_an_image_too_small_for_the_network_is_refused(perceiver: Perceiver):
    with pytest.raises(PreprocessError, match='90 x 20 pixels, 96 x 32 as padded, expected'):
        perceiver(FrameSet(thermal((20, 90))))


def test_it_looks_at_both_cameras_and_warms_up_on_both(perceiver: Perceiver):
    assert perceiver.cameras == ('thermal', 'rgb')
    assert perceiver.outputs == {'detections', 'segmentation'}
    perceiver.warm_up((64, 96))
