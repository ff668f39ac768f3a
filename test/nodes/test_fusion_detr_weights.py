"""Weights that cannot be used, as files, read by the loader of the robot."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from tiny import lite
from vision_msgs.msg import Detection2DArray

from thermal_perception.nodes.perception.perceivers import load_perceiver

pytest.importorskip('torch')

from safetensors.torch import save_file
import torch

from thermal_perception.models.checkpoint import (
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
    save_random,
)


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'good.safetensors'
    info = CheckpointInfo('tiny', 'fusion_detr', lite(('person', 'car')), {}, ('person', 'car'))
    save_random(path, info)
    return path


def damaged(good, path, kind):
    """Write a file that cannot be used."""
    if kind == 'truncated':
        path.write_bytes(good.read_bytes()[:5000])
    elif kind == 'text':
        path.write_text('these are no weights')
    elif kind == 'foreign':
        save_file({'conv.weight': torch.zeros(3, 3)}, path)
    else:
        loaded = load_checkpoint(good)
        changes = {
            'version': {'schema_version': 999},
            'architecture': {'architecture': 'yolo'},
            'another network': {'config': {**loaded.info.config, 'd_model': 64}},
        }
        save_checkpoint(path, loaded.state, replace(loaded.info, **changes[kind]))
    return path


BAD = [
    ('truncated', 'bad.safetensors'),
    ('text', 'bad.safetensors'),
    ('foreign', 'expected a checkpoint written by this package'),
    ('version', 'found schema version 999'),
    ('architecture', "'yolo'"),
    ('another network', 'bad.safetensors'),
]


@pytest.mark.parametrize(('kind', 'text'), BAD)
def test_node_whose_weights_cannot_be_used_says_why_and_stays(graph, tmp_path, good, kind, text):
    path = damaged(good, tmp_path / 'bad.safetensors', kind)
    node = graph.start(load=load_perceiver, active=False, checkpoint=str(path), device='cpu')
    graph.watch_diagnostics()
    graph.until_status('perception', 'ERROR', text)
    assert 'bad.safetensors' in graph.status('perception')[1]
    assert node.state == 'unconfigured'


@pytest.mark.parametrize(('kind', 'text'), BAD)
def test_model_goes_on_when_the_weights_to_reload_cannot_be_used(
    graph, tmp_path, good, kind, text
):
    graph.start(
        load=load_perceiver, checkpoint=str(good), device='cpu', num_threads=1,
        score_threshold=0.0, warm_up_size=[64, 64],
    )
    detections = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images = graph.publisher()
    path = damaged(good, tmp_path / 'bad.safetensors', kind)
    graph.call(SetParameters, '/fusion_detr/set_parameters', SetParameters.Request(
        parameters=[Parameter('checkpoint', value=str(path)).to_parameter_msg()]
    ))
    response = graph.call(Trigger, '/fusion_detr/reload_model', Trigger.Request())
    assert not response.success
    assert text in response.message
    assert response.message.endswith('; the old model stays')
    images.publish(graph.image())
    graph.until(lambda: detections)
