"""Nodes whose network is compiled, by the real loader."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')
pytest.importorskip('torch')

from tiny import lite
from vision_msgs.msg import Detection2DArray

from thermal_perception.backends import compiled
from thermal_perception.models.checkpoint import CheckpointInfo, save_random
from thermal_perception.nodes.perception.perceivers import load_perceiver
from thermal_perception.nodes.perception.shared_networks import SharedNetworks
from thermal_perception.perceive.export import export


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory, small_backbones):
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    info = CheckpointInfo('tiny', 'fusion_detr', lite(('person', 'car')), {}, ('person', 'car'))
    save_random(path, info)
    return path


@pytest.fixture(scope='module')
def artefact(checkpoint, tmp_path_factory):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    folder = tmp_path_factory.mktemp('graphs') / 'elsewhere'
    export(checkpoint, 'openvino', folder=folder, size=(64, 64), together=2)
    return folder


def start(graph, checkpoint, *, active=True, backend='openvino', artefact='', **options):
    return graph.start(
        load=options.pop('load', load_perceiver),
        active=active,
        checkpoint=str(checkpoint),
        backend=backend,
        artefact=artefact,
        precision='fp32',
        score_threshold=0.0,
        warm_up_size=[64, 64],
        device='cpu',
        **options,
    )


@pytest.mark.slow
def test_network_that_has_no_artefact_is_compiled_all_the_same(graph, checkpoint):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    start(graph, checkpoint)
    answers = graph.listen(Detection2DArray, '/fusion_detr/detections')
    graph.publisher().publish(graph.image(size=(64, 64)))
    graph.until(lambda: answers)
    assert len(answers[0].detections) == 12
    graph.watch_diagnostics()
    graph.until(lambda: graph.value('perception', 'backend') == 'openvino fp32')
    assert graph.status('perception')[0] == 'OK'


def test_backend_that_is_not_installed_is_named_and_the_node_stays(graph, checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    node = start(graph, checkpoint, active=False)
    graph.watch_diagnostics()
    graph.until_status('perception', 'ERROR', 'found openvino, which is not installed')
    assert node.state == 'unconfigured'


def test_backend_that_the_node_chose_is_in_the_diagnostics_with_its_reason(
    graph, checkpoint, monkeypatch
):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    start(graph, checkpoint, backend='auto')
    graph.watch_diagnostics()
    graph.until(lambda: graph.value('perception', 'backend') == 'torch fp32')
    assert 'openvino, which is not installed' in graph.value('perception', 'backend notes')
    assert graph.status('perception')[0] == 'OK'


def test_compiled_network_answers_from_the_artefact_that_a_parameter_names(
    graph, checkpoint, artefact
):
    start(graph, checkpoint, artefact=str(artefact))
    answers = graph.listen(Detection2DArray, '/fusion_detr/detections')
    graph.publisher().publish(graph.image(size=(64, 64)))
    graph.until(lambda: answers)
    assert len(answers[0].detections) == 12
    graph.watch_diagnostics()
    graph.until(lambda: graph.value('perception', 'backend') == 'openvino fp32')
    assert graph.value('perception', 'backend notes') == f'artefact: 2 graphs from {artefact}'
    assert graph.status('perception')[0] == 'OK'


def test_two_cameras_share_a_network_whose_batches_are_in_the_artefact(
    graph, checkpoint, artefact, monkeypatch
):
    def trace(*_):
        raise AssertionError('traced, although the artefact has the graph')

    monkeypatch.setattr(compiled, 'Tracer', trace)
    networks = SharedNetworks(2, load_perceiver)
    nodes = [
        start(graph, checkpoint, artefact=str(artefact), load=networks, namespace=f'/camera_{i}')
        for i in range(2)
    ]
    graph.watch_diagnostics()
    for i in range(2):
        status = f'camera_{i}/fusion_detr: perception'
        found = graph.until(lambda status=status: graph.value(status, 'batches'))
        assert ' together take ' in found or ' together, which take ' in found
        assert 'failed' not in found
    for node in nodes:
        node.trigger_shutdown()
    assert networks.close()
