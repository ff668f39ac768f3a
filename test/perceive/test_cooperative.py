"""EMIFF in its two places, on images and calibrations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import emiff, emiff_checkpoint
import torch

from thermal_perception.errors import CheckpointError, PreprocessError
from thermal_perception.geometry.camera import Camera
from thermal_perception.models.checkpoint import Checkpoint
from thermal_perception.models.emiff.config import CompressionLevel
from thermal_perception.models.emiff.lifting import View
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive.cooperative import (
    OwnView,
    ReceivedView,
    RoadsidePerceiver,
    VehiclePerceiver,
)

SETTINGS = emiff(compression=[{'c': 4, 's': 0}, {'c': 4, 's': 2}])
T_EGO = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
T_POLE = np.array([[0.0, 1, 0, 0], [0, 0, -1, 3], [-1, 0, 0, 14], [0, 0, 0, 1]])


@pytest.fixture(scope='module')
def checkpoint():
    with emiff_checkpoint(SETTINGS, (60, 96)) as checkpoint:
        yield checkpoint


@pytest.fixture(scope='module')
def roadside(checkpoint):
    return RoadsidePerceiver(checkpoint, device='cpu')


@pytest.fixture(scope='module')
def vehicle(checkpoint):
    return VehiclePerceiver(checkpoint, device='cpu')


@pytest.fixture(scope='module')
def own():
    image = np.random.default_rng(0).integers(0, 255, (120, 192, 3), np.uint8)
    return OwnView(image, camera(), T_EGO)


def camera():
    return Camera(np.array([[80.0, 0, 95.5], [0, 80, 59.5], [0, 0, 1]]), np.zeros(0), (120, 192))


def received(roadside, level, **fields):
    image = np.random.default_rng(1).integers(0, 255, (120, 192, 3), np.uint8)
    seen = roadside(image, camera(), level)
    view = ReceivedView(
        seen.features, level, camera().K, (120, 192), seen.resize_factor, seen.padded_size, T_POLE
    )
    return view._replace(**fields)


def same(a, b):
    for name in ('centres_m', 'sizes_m', 'yaws_rad', 'scores'):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize('level', [(4, 0), (4, 2)])
def test_what_is_sent_has_the_shape_that_the_vehicle_expects(roadside, vehicle, level):
    view = received(roadside, level)
    assert view.features.shape == vehicle.shapes[level]
    assert view.resize_factor == 0.5
    assert view.padded_size == (64, 96)
    assert (view.features >= 0).all()


@pytest.mark.parametrize('level', [(4, 0), (4, 2)])
def test_both_places_give_what_one_network_gives(checkpoint, roadside, vehicle, own, level):
    found = vehicle(own, received(roadside, level), stamp_ns=5, frame_id='roof')
    assert (found.boxes.stamp_ns, found.boxes.frame_id) == (5, 'roof')
    assert len(found.boxes) > 3
    model = checkpoint.make_model()
    images = []
    for seed in (0, 1):
        image = np.random.default_rng(seed).integers(0, 255, (120, 192, 3), np.uint8)
        images.append(vehicle._preprocess(image, camera()).image[None])
    K = torch.tensor([[[40.0, 0, 47.5], [0, 40, 29.5], [0, 0, 1]]])
    content = torch.tensor([[60.0, 96.0]])
    views = [
        View(K, torch.tensor(T, dtype=torch.float32)[None], content=content)
        for T in (T_EGO, T_POLE)
    ]
    with torch.no_grad():
        output = model(images[0], views[0], images[1], views[1], CompressionLevel(*level))
    np.testing.assert_allclose(found.scale_weights, output.scale_weights[0], atol=1e-6)
    best = float(output.head.class_logits.sigmoid().max())
    assert found.boxes.scores[0] == pytest.approx(best, abs=1e-6)
    assert found.infra_coverage == pytest.approx(float(output.infra_seen.float().mean()))
    assert set(found.stages_s) == {'preprocess', 'model', 'postprocess'}


def test_one_look_serves_all_levels(roadside):
    image = np.random.default_rng(1).integers(0, 255, (120, 192, 3), np.uint8)
    looks, encoder = [], roadside._model.infrastructure.encoder
    hook = encoder.register_forward_hook(lambda *_: looks.append(1))
    views = roadside.at_levels(image, camera(), roadside.levels)
    hook.remove()
    assert len(looks) == 1
    assert set(views) == {(4, 0), (4, 2)}
    for level, view in views.items():
        alone = roadside(image, camera(), level)
        np.testing.assert_array_equal(view.features, alone.features)
        assert view[1:] == alone[1:]


def test_alone_and_together_again(roadside, vehicle, own):
    together = vehicle(own, received(roadside, (4, 0)))
    alone = vehicle(own, None)
    assert alone.scale_weights is None
    assert alone.infra_coverage == 0.0
    assert alone.ego_coverage == together.ego_coverage > 0
    again = vehicle(own, received(roadside, (4, 0)))
    same(again.boxes, together.boxes)
    assert not np.array_equal(alone.boxes.scores, together.boxes.scores)


def test_the_roadside_alone(roadside, vehicle):
    found = vehicle(None, received(roadside, (4, 0)))
    assert found.scale_weights.tolist() == [0.25] * 4
    assert found.ego_coverage == 0.0


def test_features_without_weight_are_as_if_they_showed_nothing(roadside, vehicle, own):
    alone = vehicle(own, None)
    faded = vehicle(own, received(roadside, (4, 0), weight=0.0))
    np.testing.assert_allclose(faded.boxes.scores, alone.boxes.scores, atol=1e-5)


def test_boxes_below_the_threshold_are_left_out(vehicle, own):
    found = vehicle(own, None, score_threshold=0.0)
    middle = float(np.median(found.boxes.scores))
    above = vehicle(own, None, score_threshold=middle)
    assert 0 < len(above.boxes) < len(found.boxes)
    assert (above.boxes.scores >= middle).all()


def test_voxels_to_measure_coverage_by(vehicle):
    voxels = vehicle.voxels(4)
    assert len(voxels) == 2 * 2 * 3
    assert voxels.min(0).tolist() == pytest.approx([1.0, -7.0, -2.85])


def test_a_level_that_the_model_lacks(roadside):
    with pytest.raises(CheckpointError, match=r'level: found \(4, 1\), the model has'):
        received(roadside, (4, 1))


def test_an_image_of_another_camera(vehicle, own):
    with pytest.raises(PreprocessError, match='found shape'):
        vehicle(own._replace(image=own.image[:50]), None)


def test_another_architecture_is_refused():
    info = CheckpointInfo('x', 'fusion_detr', {}, {}, ('car',))
    with pytest.raises(CheckpointError, match="found architecture 'fusion_detr', expected emiff"):
        VehiclePerceiver(Checkpoint(info, {}, 'x', Path('memory')))
