"""Convolutions in int8: which ones, what their numbers become, and what stays as it was."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from thermal_perception.backends import openvino_export
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.onnxruntime_backend import OnnxRuntime
from thermal_perception.backends.openvino_backend import OpenVino
from thermal_perception.backends.openvino_parts import split
from thermal_perception.backends.quantise import quantise
from thermal_perception.backends.torch_backend import everything
from thermal_perception.backends.tracing import Signature, Traced
from thermal_perception.errors import BackendError
from thermal_perception.models.precise import precise

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.backends.graph_format import Quantised

pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
onnx = pytest.importorskip('onnx', reason='needs onnx')
pytest.importorskip('onnxscript', reason='needs ONNX Script')

# The ends of a range of 256 levels of one each.
ENDS = torch.tensor([0.0, 255.0]).view(1, 1, 1, 2)


def times(weight):
    """Return a convolution that multiplies each pixel."""
    layer = nn.Conv2d(1, 1, 1)
    nn.init.constant_(layer.weight, weight)
    nn.init.zeros_(layer.bias)
    return layer


class Net(nn.Module):
    """A block that adds to what it was given, a head, and what is computed from coordinates."""

    def __init__(self):
        """Start with whole numbers, so that levels of integers are whole numbers, too."""
        super().__init__()
        self.first, self.before, self.block, self.head = (times(w) for w in (1, 2, 3, 0.5))
        self.after = nn.Sequential(times(4), times(5), times(6))
        self.mix = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.mix.weight)

    def forward(self, image):
        """Return four times the image, (1, 1, 1, 2), and 120 times (1/4 + eight times it)."""
        x = self.before(self.first(image))
        x = x + torch.relu(self.block(x))  # 2 + 6
        return self.mix(self.head(x)), self.after(precise(x) + 0.25)


class Written(NamedTuple):
    """A graph, and what was told of it."""

    path: Path
    told: Quantised


def written(folder, kind, model=None):
    path = folder / f'graph{FORMATS[kind].suffix}'
    traced = Traced((model or Net()).eval(), everything, Signature.of((ENDS,), {}))
    samples = ([x.numpy()] for x in (ENDS / 2, ENDS, ENDS / 3))
    return Written(path, FORMATS[kind].quantise(traced, path, samples))


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """Return a graph for ONNX Runtime."""
    return written(tmp_path_factory.mktemp('int8'), 'onnx')


def answers(runtime, path, *values):
    """Return what two pixels become, by a run-time."""
    image = np.array(values, np.float32).reshape(1, 1, 1, 2)
    return [found.ravel().tolist() for found in runtime.compile(path).run([image])]


def made_by(path):
    """Return the operations of a file, and by the names of what they make."""
    nodes = list(onnx.load(path).graph.node)
    return nodes, {name: node for node in nodes for name in node.output}


def test_numbers_between_convolutions_are_rounded_to_levels_of_the_samples(graph):
    fours, places = answers(OnnxRuntime(precision='int8'), graph.path, 3.4, 3.6)
    assert fours == pytest.approx([4 * 3, 4 * 4], abs=1e-3)
    assert places == pytest.approx([120 * (0.25 + 8 * 3), 120 * (0.25 + 8 * 4)], abs=1e-2)


def test_range_spans_all_samples_and_no_more(graph):
    fours, _ = answers(OnnxRuntime(precision='int8'), graph.path, 300, -5)
    assert fours == pytest.approx([4 * 255, 0], abs=1e-3)


def test_first_and_last_convolutions_and_what_is_after_coordinates_stay_as_they_are(graph):
    nodes, makers = made_by(graph.path)
    convolutions = [node for node in nodes if node.op_type == 'Conv']
    weights = [makers[n.input[1]].op_type if n.input[1] in makers else '' for n in convolutions]
    assert sorted(weights) == [*[''] * 5, *['DequantizeLinear'] * 2]
    assert graph.told.int8 == {'Conv': 2}
    assert graph.told.floating == {'Conv': 5, 'MatMul': 1}
    assert graph.told.opset.startswith('opset')


def test_weights_are_integers_in_the_file(graph):
    stored = {value.name: value for value in onnx.load(graph.path).graph.initializer}
    arrays = [onnx.numpy_helper.to_array(value) for value in stored.values()]
    kernels = [array for array in arrays if array.dtype == np.int8 and array.ndim == 4]
    assert [kernel.ravel().tolist() for kernel in kernels] == [[127], [127]]


def test_additions_between_convolutions_are_integers_too(graph):
    nodes, makers = made_by(graph.path)
    adds = [node for node in nodes if node.op_type == 'Add']
    sources = [[makers[x].op_type for x in add.input if x in makers] for add in adds]
    assert ['DequantizeLinear', 'DequantizeLinear'] in sources


def test_openvino_computes_the_same_and_coordinates_in_a_graph_of_their_own(tmp_path):
    openvino = pytest.importorskip('openvino', reason='needs OpenVINO')
    path, told = written(tmp_path, 'openvino')
    assert (told.int8, told.floating) == ({'Conv': 2}, {'Conv': 5, 'MatMul': 1})
    fours, places = answers(OpenVino('int8'), path, 3.4, 3.6)
    assert fours == pytest.approx([12, 16], abs=1e-3)
    assert places == pytest.approx([120 * 24.25, 120 * 32.25], abs=1e-2)
    parts = split(openvino.Core().read_model(path))
    assert 'FakeQuantize' in {o.get_type_name() for o in parts.coarse.get_ops()}
    assert 'FakeQuantize' not in {o.get_type_name() for o in parts.fine.get_ops()}


def test_network_of_two_convolutions_is_left_as_it_is(tmp_path):
    path, told = written(tmp_path, 'onnx', nn.Sequential(times(2), nn.ReLU(), times(3)))
    assert (told.int8, told.floating) == ({}, {'Conv': 2})
    assert not [node for node in made_by(path)[0] if 'QuantizeLinear' in node.op_type]


def test_bias_of_two_convolutions_takes_no_name_of_what_is_computed(tmp_path):
    helper, path = onnx.helper, tmp_path / 'graph.onnx'
    ends = [helper.make_tensor_value_info(name, 1, [1, 1, 1, 2]) for name in ('given', 'found')]
    stored = {'one': np.ones((1, 1, 1, 1)), 'two': np.full((1, 1, 1, 1), 2), 'x': np.ones(1)}
    nodes = [
        helper.make_node('Add', ['given', 'given'], ['x0'], name='add'),
        helper.make_node('Conv', ['x0', 'one', 'x'], ['between'], name='first'),
        helper.make_node('Conv', ['between', 'two', 'x'], ['found'], name='second'),
    ]
    values = [onnx.numpy_helper.from_array(np.float32(v), name) for name, v in stored.items()]
    graph = helper.make_graph(nodes, 'graph', ends[:1], ends[1:], values)
    opsets = [helper.make_opsetid('', 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    quantise(path, ('first', 'second'), [[np.array([[[[0, 1]]]], np.float32)]])
    (found,) = answers(OnnxRuntime(precision='int8'), path, 0, 1)
    assert found == pytest.approx([3, 7], abs=0.02)  # 2 * (0 + 1) + 1 and 2 * (2 + 1) + 1


def test_network_that_openvino_cannot_read_is_refused(tmp_path, monkeypatch):
    pytest.importorskip('openvino', reason='needs OpenVINO')

    def write_unknown(traced, path, samples, *, straight):
        ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in 'ab']
        node = onnx.helper.make_node('Unheard', ['a'], ['b'], domain='elsewhere')
        graph = onnx.helper.make_graph([node], 'graph', ends[:1], ends[1:])
        onnx.save(onnx.helper.make_model(graph), path)

    monkeypatch.setattr(openvino_export, 'write_int8', write_unknown)
    with pytest.raises(BackendError, match='cannot read this network; expected fp32, or --to onn'):
        written(tmp_path, 'openvino')


def test_nothing_of_the_machine_is_in_the_file(graph):
    content = graph.path.read_bytes()
    assert str(graph.path.parent).encode() not in content
    assert b'site-packages' not in content


@pytest.mark.parametrize(
    ('kind', 'precision', 'text'),
    [
        ('tensorrt', 'int8', 'found precision int8, which there is only for openvino and onnx'),
        ('onnx', 'int4', "found precision 'int4', expected fp32, which a backend may still round"),
    ],
)
def test_precisions_that_no_graph_has_are_refused(kind, precision, text):
    with pytest.raises(BackendError, match=text):
        FORMATS[kind].check(precision)
