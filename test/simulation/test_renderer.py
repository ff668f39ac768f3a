from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import SimulationError
from thermal_perception.simulation import (
    default_rig,
    ground_truth,
    render,
    Scene,
    SEMANTIC_NAMES,
    ThermalSensor,
)
from thermal_perception.simulation.actors import PERSON

RIG = default_rig('road', thermal_size=(256, 320), rgb_size=(180, 320))
QUIET = replace(RIG.thermal, thermal=ThermalSensor(netd_k=0.0, pattern_k=0.0, blur_px=0.0))


@pytest.fixture(scope='module')
def night():
    return Scene('road', 'night', 6)


@pytest.fixture(scope='module')
def fog():
    return Scene('road', 'fog', 6)


def test_render_gives_the_same_bytes_for_the_same_arguments(night):
    first = render(night, 1.5, RIG.thermal)
    again = render(Scene('road', 'night', 6), 1.5, RIG.thermal)
    assert_array_equal(first.image, again.image)
    assert_array_equal(first.truth.detections.boxes_xyxy_px, again.truth.detections.boxes_xyxy_px)


def test_render_8_and_16_bit_have_type_and_size(night):
    for bits, dtype in ((8, np.uint8), (16, np.uint16)):
        image = render(night, 1.5, RIG.thermal, bits=bits, with_truth=False).image
        assert image.dtype == dtype
        assert image.shape == (256, 320)


def test_render_16_bit_is_a_believable_night(night):
    kelvin = render(night, 1.5, RIG.thermal, bits=16).image / 100.0
    air = night.world.climate.air
    assert abs(np.median(kelvin[128:]) - air) < 12.0  # ground
    assert np.median(kelvin[:20]) < air - 5.0  # sky
    assert kelvin.max() < air + 70.0


def test_people_are_warmer_than_the_night(night):
    frame = render(night, 1.5, QUIET, bits=16, with_segmentation=True)
    people = frame.truth.segmentation.labels == SEMANTIC_NAMES.index('person')
    assert people.sum() > 50
    kelvin = frame.image / 100.0
    assert np.median(kelvin[people]) > np.median(kelvin[128:]) + 2.0


def test_truth_is_the_same_for_both_depths_and_without_picture(night):
    narrow, wide = (render(night, 1.5, RIG.thermal, bits=b).truth for b in (8, 16))
    alone = ground_truth(night, 1.5, RIG.thermal)
    for other in (wide, alone):
        assert_array_equal(narrow.detections.boxes_xyxy_px, other.detections.boxes_xyxy_px)
        assert_array_equal(narrow.visibility, other.visibility)


def test_boxes_lie_in_the_picture_and_visibility_is_a_share(night):
    truth = render(night, 1.5, RIG.thermal).truth
    boxes = truth.detections.boxes_xyxy_px
    assert len(boxes) > 5
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 320).all()
    assert (boxes[:, 3] <= 256).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert ((truth.visibility > 0) & (truth.visibility <= 1)).all()
    assert len(set(truth.track_ids.tolist())) == len(boxes)


def test_labelled_pixels_of_people_lie_in_boxes_of_people(night):
    truth = render(night, 1.5, RIG.thermal, with_segmentation=True).truth
    inside = np.zeros((256, 320), bool)
    for x1, y1, x2, y2 in truth.detections.boxes_xyxy_px[truth.detections.labels == PERSON]:
        inside[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
    people = truth.segmentation.labels == SEMANTIC_NAMES.index('person')
    assert people.any()
    # A stray pixel may belong to someone too small to list.
    assert (people & ~inside).sum() <= 0.03 * people.sum()


def test_3d_boxes_project_onto_2d_boxes(night):
    truth = ground_truth(night, 1.5, RIG.thermal)
    T = np.linalg.inv(RIG.thermal.T_base_camera)
    centres = truth.boxes_3d.centres_m @ T[:3, :3].T + T[:3, 3]
    pixels = centres[:, :2] / centres[:, 2:] * RIG.thermal.K[0, 0] + RIG.thermal.K[:2, 2] + 0.5
    boxes = truth.detections.boxes_xyxy_px
    whole = truth.visibility > 0.95
    assert whole.sum() >= 3
    assert (pixels[whole] > boxes[whole, :2] - 1).all()
    assert (pixels[whole] < boxes[whole, 2:] + 1).all()


def test_tracks_keep_their_number_from_frame_to_frame(night):
    now, next_ = (ground_truth(night, t, RIG.thermal) for t in (1.5, 1.55))
    shared = set(now.track_ids.tolist()) & set(next_.track_ids.tolist())
    assert len(shared) >= 0.8 * len(now.track_ids)
    for track in shared:
        a = now.boxes_3d.labels[now.track_ids == track]
        assert_array_equal(a, next_.boxes_3d.labels[next_.track_ids == track])


def test_shutter_freezes_the_picture_and_then_lets_go(night):
    sensor = ThermalSensor(ffc_period_s=60.0, ffc_first_s=2.0, ffc_hold_s=0.5)
    camera = replace(RIG.thermal, thermal=sensor)
    closed, still, open_ = (render(night, t, camera) for t in (2.1, 2.4, 2.6))
    assert_array_equal(closed.image, still.image)
    assert (still.time_s, still.exposure_time_s) == (2.4, 2.0)
    assert (open_.image != still.image).mean() > 0.3


def test_registered_cameras_see_the_same_boxes(night):
    rig = default_rig('road', thermal_size=(256, 320), registered=True)
    thermal = ground_truth(night, 1.5, rig.thermal)
    rgb = ground_truth(night, 1.5, rig.rgb)
    shared, a, b = np.intersect1d(thermal.track_ids, rgb.track_ids, return_indices=True)
    assert len(shared) >= 0.8 * len(thermal.track_ids)
    whole = (thermal.visibility[a] > 0.95) & (rgb.visibility[b] > 0.95)
    assert whole.sum() >= 3
    boxes = thermal.detections.boxes_xyxy_px[a], rgb.detections.boxes_xyxy_px[b]
    assert_allclose(boxes[0][whole], boxes[1][whole], atol=1.1)


def test_displaced_cameras_see_near_things_shifted_more_than_far_ones(night):
    rig = default_rig('road', registered=True)
    moved = rig.thermal.T_base_camera.copy()
    moved[1, 3] += 0.5  # half a metre to the left
    left = ground_truth(night, 1.5, replace(rig.thermal, T_base_camera=moved))
    right = ground_truth(night, 1.5, rig.thermal)
    _, a, b = np.intersect1d(left.track_ids, right.track_ids, return_indices=True)
    whole = (left.visibility[a] > 0.95) & (right.visibility[b] > 0.95)
    shift = left.detections.boxes_xyxy_px[a] - right.detections.boxes_xyxy_px[b]
    ahead = right.boxes_3d.centres_m[b, 0] - 1.2
    expected = rig.thermal.K[0, 0] * 0.5 / ahead
    assert whole.sum() >= 3
    assert_allclose(shift[whole, 0], expected[whole], rtol=0.25, atol=1.0)


def test_rgb_is_colour_of_the_camera_size(night):
    image = render(night, 1.5, RIG.rgb, with_truth=False).image
    assert image.shape == (180, 320, 3)
    assert image.dtype == np.uint8
    assert image.std() > 5


def test_fog_takes_contrast_from_colour_more_than_from_heat(night, fog):
    def detail(image):
        grey = image.astype(np.float64)
        grey = grey.mean(2) if grey.ndim == 3 else grey
        return np.abs(np.diff(grey[60:110], axis=1)).mean()

    day = Scene('road', 'day', 6)
    colour = [detail(render(s, 1.5, RIG.rgb, with_truth=False).image) for s in (day, fog)]
    heat = [detail(render(s, 1.5, QUIET, bits=8, with_truth=False).image) for s in (day, fog)]
    assert colour[1] / colour[0] < 0.6
    assert colour[1] / colour[0] < heat[1] / heat[0]


def test_glare_blinds_colour_and_leaves_heat_alone():
    plain, glare = Scene('road', 'night', 12), Scene('road', 'glare', 12)
    colour = [
        (render(s, 3.0, RIG.rgb, with_truth=False).image.min(axis=2) > 250).mean()
        for s in (plain, glare)
    ]
    heat = [render(s, 3.0, QUIET, bits=16, with_truth=False).image for s in (plain, glare)]
    assert colour[1] > 3 * colour[0]
    assert_array_equal(heat[0], heat[1])


def test_aerial_people_and_cars_have_the_sizes_of_the_real_flights():
    heights, lengths = [], []
    for seed in range(2):
        scene = Scene('aerial', 'night', seed)
        truth = ground_truth(scene, 1.0, default_rig('aerial', pitch_deg=scene.pitch_deg).thermal)
        size = truth.detections.boxes_xyxy_px[:, 2:] - truth.detections.boxes_xyxy_px[:, :2]
        longest = size.max(1)
        whole = truth.visibility > 0.9
        heights += longest[whole & (truth.detections.labels == 0)].tolist()
        lengths += longest[whole & (truth.detections.labels == 1)].tolist()
    assert 7 < np.median(heights) < 32
    assert 25 < np.median(lengths) < 110


def test_render_when_bits_are_odd_then_refuses(night):
    with pytest.raises(SimulationError, match='found 12, expected 8 or 16'):
        render(night, 0.0, RIG.thermal, bits=12)
