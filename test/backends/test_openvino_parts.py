"""Graphs that are rounded in part."""

from __future__ import annotations

from nets import Places
import pytest
import torch
from torch import nn
from torch.testing import assert_close
from tracer_here import TracerHere

from thermal_perception.backends import compiled, OpenVinoBackend
from thermal_perception.backends.openvino_export import export
from thermal_perception.backends.openvino_parts import split
from thermal_perception.backends.tracing import Signature, Traced

openvino = pytest.importorskip('openvino', reason='needs OpenVINO')


def graph_of(network, *inputs, select=tuple):
    signature = Signature.of(inputs, {})
    return export(Traced(network, select, signature))


def run(graph, arrays):
    settings = {'INFERENCE_PRECISION_HINT': 'f32'}
    compiled = openvino.Core().compile_model(graph, 'CPU', settings)
    return [torch.from_numpy(x) for x in compiled(arrays).to_tuple()]


@pytest.fixture
def image():
    return torch.linspace(0.0, 1.0, 2 * 4 * 6).view(1, 2, 4, 6)


def test_a_graph_without_marks_stays_whole(image):
    assert split(graph_of(nn.Conv2d(2, 3, 1), image, select=lambda x: (x,))) is None


def test_both_parts_together_give_what_the_network_gives(image):
    network = Places()
    expected = network(image)
    parts = split(graph_of(network, image))
    # Weights come first and last, places in the middle; both parts need the sharpened image.
    assert parts.between == 2
    given = run(parts.coarse, [image.numpy()])
    assert len(given) == parts.between + 2
    found = given[parts.between :] + run(parts.fine, [x.numpy() for x in given[: parts.between]])
    for result, place in zip(expected, parts.order, strict=True):
        assert_close(found[place], result)


def test_what_is_marked_and_what_follows_is_in_the_fine_part_alone(image):
    parts = split(graph_of(Places(), image))

    def kinds(graph):
        return {operation.get_type_name() for operation in graph.get_ops()}

    assert 'Convolution' in kinds(parts.coarse)
    assert 'Convolution' not in kinds(parts.fine)
    assert 'Sin' in kinds(parts.fine)
    assert 'Sin' not in kinds(parts.coarse)


def test_places_are_not_rounded_to_bf16(image, monkeypatch):
    if 'BF16' not in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        pytest.skip('needs a processor that multiplies bf16')
    monkeypatch.setattr(compiled, 'Tracer', TracerHere)
    network = Places()
    expected = network(image)
    found = OpenVinoBackend(network, tuple, precision='bf16')(image)
    assert_close(found[1], expected[1], atol=0.02, rtol=0)  # of 640; bf16 knows 2 there
    assert float((found[0] - expected[0]).abs().max()) < 0.05
    assert not torch.equal(found[0], expected[0])  # the rest is rounded
