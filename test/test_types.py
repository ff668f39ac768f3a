from __future__ import annotations

import dataclasses

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.types import Boxes3D, Detections, Frame, FrameSet, FusionWeights


def frame(modality: str = 'thermal', stamp_ns: int = 7, frame_id: str = 'cam') -> Frame:
    shape = (4, 6) if modality == 'thermal' else (4, 6, 3)
    return Frame(np.zeros(shape, np.uint8), stamp_ns, frame_id, modality)  # type: ignore[arg-type]


def detections(*scores: float) -> Detections:
    n = len(scores)
    return Detections(
        boxes_xyxy_px=np.arange(4 * n, dtype=np.float32).reshape(n, 4),
        scores=np.array(scores, np.float32),
        labels=np.arange(n),
        class_names=('person', 'car', 'bicycle'),
        stamp_ns=5,
        frame_id='cam',
        image_size=(512, 640),
    )


def fusion(alpha_hat: list[float]) -> FusionWeights:
    weights = np.array(alpha_hat, np.float32)
    return FusionWeights((8, 16, 32, 64), weights, weights, weights, weights, 0.0)


@pytest.mark.parametrize('modality', ['thermal', 'rgb'])
def test_size_of_a_frame_is_height_and_width(modality):
    assert frame(modality).size == (4, 6)


def test_frame_without_units_holds_counts():
    assert (frame().unit, frame().scale, frame().offset, frame().valid_bits) == (
        'counts', 1.0, 0.0, None,
    )  # fmt: skip


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame().stamp_ns = 8  # type: ignore[misc]


def test_thermal_leads_a_set_of_both():
    both = FrameSet(thermal=frame(stamp_ns=7, frame_id='t'), rgb=frame('rgb', 9, 'r'))
    assert (both.stamp_ns, both.frame_id) == (7, 't')


def test_rgb_leads_when_it_is_alone():
    alone = FrameSet(rgb=frame('rgb', 9, 'r'))
    assert (alone.stamp_ns, alone.frame_id) == (9, 'r')
    assert alone.leader is alone.rgb


def test_set_without_any_frame_is_refused():
    with pytest.raises(ValueError, match='found no frame, expected thermal, rgb or both'):
        FrameSet()


def test_detections_above_a_threshold_keep_those_at_it():
    kept = detections(0.9, 0.5, 0.49).above(0.5)
    assert_allclose(kept.scores, [0.9, 0.5])
    assert_array_equal(kept.labels, [0, 1])
    assert_array_equal(kept.boxes_xyxy_px, [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert (kept.stamp_ns, kept.frame_id, kept.image_size) == (5, 'cam', (512, 640))
    assert kept.class_names == ('person', 'car', 'bicycle')


def test_detections_above_everything_are_none():
    none = detections(0.9, 0.5).above(0.95)
    assert len(none) == 0
    assert none.boxes_xyxy_px.shape == (0, 4)


def test_no_detections_have_length_zero():
    assert len(detections()) == 0


@pytest.mark.parametrize(
    'fields',
    [
        pytest.param({'boxes_xyxy_px': np.zeros((1, 4), np.float32)}, id='a box is missing'),
        pytest.param({'boxes_xyxy_px': np.zeros((2, 5), np.float32)}, id='five columns'),
        pytest.param({'labels': np.zeros(3, np.int64)}, id='a label too many'),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(fields):
    with pytest.raises(ValueError, match=r'Detections: found boxes .* expected \(N, 4\)'):
        dataclasses.replace(detections(0.9, 0.5), **fields)


def test_dominant_stride_is_that_of_the_largest_weight():
    assert fusion([0.1, 0.2, 0.6, 0.1]).dominant_stride == 32


@pytest.mark.parametrize(
    ('alpha_hat', 'entropy'),
    [
        pytest.param([0.25, 0.25, 0.25, 0.25], np.log(4.0), id='all equal'),
        pytest.param([0.5, 0.5, 0.0, 0.0], np.log(2.0), id='two'),
        pytest.param([0.0, 0.0, 1.0, 0.0], 0.0, id='one'),
    ],
)
def test_entropy_is_the_logarithm_of_how_many_scales_count(alpha_hat, entropy):
    assert fusion(alpha_hat).entropy == pytest.approx(entropy)


def test_length_of_3d_boxes_is_their_number():
    boxes = Boxes3D(
        centres_m=np.zeros((2, 3)),
        sizes_m=np.ones((2, 3)),
        yaws_rad=np.zeros(2),
        scores=np.ones(2, np.float32),
        labels=np.zeros(2, np.int64),
        class_names=('car',),
        track_ids=np.array([-1, 4]),
        stamp_ns=1,
        frame_id='base_link',
    )
    assert len(boxes) == 2


def boxes_3d(*x_m, frame_id='lidar', first_track=0):
    n = len(x_m)
    centres = np.column_stack((x_m, np.zeros((n, 2)))).reshape(n, 3)
    return Boxes3D(
        centres, np.ones((n, 3)), np.zeros(n), np.full(n, 0.5, np.float32), np.zeros(n, np.int64),
        ('car',), first_track + np.arange(n), 7, frame_id,
    )  # fmt: skip


def test_boxes_are_selected_by_mask_and_by_order():
    boxes = boxes_3d(1.0, 2.0, 3.0)
    assert_array_equal(boxes.select(np.array([True, False, True])).centres_m[:, 0], [1, 3])
    turned = boxes.select(np.array([2, 0]))
    assert_array_equal(turned.track_ids, [2, 0])
    assert (turned.stamp_ns, turned.frame_id, len(turned)) == (7, 'lidar', 2)
    assert len(boxes.select(np.zeros(3, bool))) == 0


def test_boxes_are_joined_in_order():
    joined = boxes_3d(1.0).joined(boxes_3d(5.0, 6.0, first_track=3))
    assert_array_equal(joined.centres_m[:, 0], [1, 5, 6])
    assert_array_equal(joined.track_ids, [0, 3, 4])


def test_boxes_of_another_frame_are_not_joined():
    with pytest.raises(ValueError, match="'map'.*'lidar'"):
        boxes_3d(1.0).joined(boxes_3d(2.0, frame_id='map'))
