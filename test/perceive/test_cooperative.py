"""EMIFF in its two places, on images and calibrations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import emiff, emiff_checkpoint
import torch
from tracer_here import TracerHere

from thermal_perception import backends
from thermal_perception.backends.tracing import Signature
from thermal_perception.errors import CheckpointError, PreprocessError
from thermal_perception.geometry.camera import Camera
from thermal_perception.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from thermal_perception.models.emiff.config import CompressionLevel
from thermal_perception.models.emiff.lifting import View
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive.cooperative import (
    OwnView,
    ReceivedView,
    RoadsidePerceiver,
    VehiclePerceiver,
)
from thermal_perception.perceive.export import export

SLOW = pytest.mark.slow
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
        assert view[1:3] == alone[1:3]
        assert set(view.stages_s) == {'preprocess', 'model'}


@pytest.fixture(scope='module')
def moving():
    """A checkpoint whose deformable convolutions look elsewhere, and whose boxes differ much."""
    with emiff_checkpoint(SETTINGS, (60, 96)) as checkpoint:
        generator = torch.Generator().manual_seed(3)
        for name, tensor in checkpoint.state.items():
            if 'deform.offsets' in name or 'head.box' in name:
                tensor.normal_(std=0.3, generator=generator)
        yield checkpoint


@pytest.fixture(scope='module', autouse=True)
def traced_here():
    """Trace without another process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends.compiled, 'Tracer', TracerHere)
        yield


@pytest.fixture(scope='module')
def openvino(moving):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    return both_parts(moving, backend='openvino')


@pytest.fixture(scope='module')
def onnxruntime(moving):
    pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
    return both_parts(moving, backend='onnxruntime')


def both_parts(checkpoint, **choice):
    return tuple(
        part(checkpoint, device='cpu', precision='fp32', **choice)
        for part in (RoadsidePerceiver, VehiclePerceiver)
    )


def close(found, expected):
    """Compare boxes of two backends: 0.01 m, 0.01 rad, scores 0.02; nearly all others exactly."""
    assert len(found) == len(expected) > 3
    for name, atol in (
        ('centres_m', 0.01), ('sizes_m', 0.01), ('yaws_rad', 0.01), ('scores', 0.02),
    ):  # fmt: skip
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=atol)


@SLOW
def test_graphs_of_both_parts_come_from_one_artefact(moving, own, tmp_path, monkeypatch):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, moving.state, moving.info, dtype=torch.float32)
    folder = export(path, 'openvino', size=(60, 96)).folder

    def no_tracer(*_):
        raise AssertionError('traced, although the artefact has the graph')

    monkeypatch.setattr(backends.compiled, 'Tracer', no_tracer)
    roadside, vehicle = both_parts(load_checkpoint(path), backend='openvino')
    for part in (roadside, vehicle):
        part.warm_up()
        assert part.backend_notes == (f'artefact: 4 graphs from {folder}',)
        assert part.degraded == ''
    close(vehicle(own, None).boxes, VehiclePerceiver(moving, device='cpu')(own, None).boxes)


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_compiled_roadside_sends_the_same(backend, moving, request):
    compiled, _ = request.getfixturevalue(backend)
    image = np.random.default_rng(1).integers(0, 255, (120, 192, 3), np.uint8)
    expected = RoadsidePerceiver(moving, device='cpu')
    levels = expected.levels
    found = compiled.at_levels(image, camera(), levels)
    for level, view in expected.at_levels(image, camera(), levels).items():
        np.testing.assert_allclose(found[level].features, view.features, atol=1e-3)
    assert (compiled.backend, compiled.degraded) == (f'{backend} fp32', '')


@pytest.mark.parametrize(
    ('backend', 'sees', 'level'),
    [
        pytest.param('openvino', True, (4, 2), id='openvino, together', marks=SLOW),
        pytest.param('openvino', True, None, id='openvino, alone', marks=SLOW),
        pytest.param('openvino', False, (4, 0), id='openvino, the roadside alone', marks=SLOW),
        pytest.param('onnxruntime', True, (4, 2), id='onnxruntime, together', marks=SLOW),
    ],
)
def test_a_compiled_vehicle_finds_the_same(backend, moving, own, sees, level, request):
    _, compiled = request.getfixturevalue(backend)
    eager = VehiclePerceiver(moving, device='cpu')
    sender = RoadsidePerceiver(moving, device='cpu')
    message = None if level is None else received(sender, level, weight=0.7)
    view = own if sees else None
    found, expected = compiled(view, message), eager(view, message)
    close(found.boxes, expected.boxes)
    assert found.ego_coverage == expected.ego_coverage
    assert found.infra_coverage == expected.infra_coverage
    if level is not None:
        np.testing.assert_allclose(found.scale_weights, expected.scale_weights, atol=1e-3)
    assert (compiled.backend, compiled.degraded) == (f'{backend} fp32', '')


class Counted:
    """Stands for a backend; notes the signatures it is called with, and answers as another."""

    name, precision, device, problem, live = 'openvino', 'bf16', 'cpu', '', True

    def __init__(self, backend):
        self.backend, self.signatures, self.waited = backend, set(), set()

    def __call__(self, *inputs, **options):
        self.signatures.add(Signature.of(inputs, options))
        self.waited.add(self.live)
        return self.backend(*inputs, **options)


def test_warm_up_meets_every_kind_of_input_that_comes_later(checkpoint, own):
    roadside, vehicle = (
        part(checkpoint, device='cpu') for part in (RoadsidePerceiver, VehiclePerceiver)
    )
    for perceiver in (roadside, vehicle):
        perceiver._backend = Counted(perceiver._backend)
        perceiver.warm_up()
        assert perceiver._backend.waited == {False}  # of `live`: graphs are waited for
        assert perceiver._backend.live
    assert (len(roadside._backend.signatures), len(vehicle._backend.signatures)) == (1, 3)
    warm = [set(perceiver._backend.signatures) for perceiver in (roadside, vehicle)]
    views = roadside.at_levels(own.image, own.camera, roadside.levels)
    vehicle(own, None)
    for level, view in views.items():
        vehicle(
            own,
            ReceivedView(
                view.features, level, camera().K, (120, 192), *view[1:3], T_POLE, weight=0.5
            ),
        )
    assert warm == [perceiver._backend.signatures for perceiver in (roadside, vehicle)]


def test_what_may_be_asked_of_both_parts_has_names(roadside, vehicle):
    backend = vehicle._backend
    assert list(roadside.graphs().values()) == ['roadside: 2 levels']
    assert list(vehicle.graphs().values()) == [
        'vehicle', 'vehicle + features: level 4, 0', 'vehicle + features: level 4, 2',
    ]  # fmt: skip
    assert vehicle._backend is backend


def test_a_part_that_pytorch_must_run_is_told(checkpoint):
    roadside = RoadsidePerceiver(checkpoint, device='cpu')
    assert roadside.degraded == ''
    roadside._backend = Counted(roadside._backend)
    roadside._backend.problem = 'OpenVINO cannot compile the network: too deep'
    assert roadside.degraded == 'OpenVINO cannot compile the network: too deep'
    assert roadside.backend == 'openvino bf16, torch fp32 in part'


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
