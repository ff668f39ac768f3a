"""Which models a node of two cameras takes."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from thermal_perception.errors import CheckpointError


@pytest.mark.parametrize('rig', ['e2e_mfd', 'rgbt_segmentation'], indirect=True)
@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'cameras': ('thermal',)}, 'fake.safetensors: found a model of thermal images, expected'),
        ({'outputs': {'detections'}}, 'found a model that gives detections, expected one that'),
    ],
)
def test_model_of_another_kind_is_refused(rig, change, text):
    vars(rig.perceiver).update(change)
    node = rig.graph.start(rig.node_type, active=False)
    rig.graph.watch_diagnostics()
    rig.graph.until_status('perception', 'ERROR', text)
    assert node.state == 'unconfigured'


@pytest.mark.parametrize(
    ('rig', 'model'),
    [('e2e_mfd', 'e2e_mfd_lite'), ('rgbt_segmentation', 'rgbt_lite')],
    indirect=['rig'],
)
def test_default_model_without_shipped_weights_says_so(rig, model):
    asked = []

    def load(values):
        asked.append(values.model)
        raise CheckpointError(f'no weights are shipped for model {values.model!r}')

    rig.graph.start(rig.node_type, load=load, active=False)
    rig.graph.watch_diagnostics()
    rig.graph.until_status('perception', 'ERROR', 'no weights are shipped for model')
    assert asked == [model]
