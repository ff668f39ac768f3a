"""OpenVINO: the network's numbers, graphs of artefacts, and what ends when nobody waits."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

from nets import DependsOnValues, Doubles, Output, Part, part_of
from proc import alive
import pytest
from tiny import small_backbones
import torch
from torch import nn
from torch.testing import assert_close
from tracer_here import TracerHere

from thermal_perception.backends import compiled, OpenVinoBackend
from thermal_perception.backends.artefact import (
    ArtefactRecord,
    ArtefactWriter,
    Origin,
    StoredGraph,
    versions_of,
)
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.graph_format import write_graphs
from thermal_perception.backends.tracing import Signature, Traced
from thermal_perception.errors import BackendError
from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig, E2eMfdConfig, OrpptConfig
from thermal_perception.models.e2e_mfd.network import E2eMfd

openvino = pytest.importorskip('openvino', reason='needs OpenVINO')

DEADLINE_S = 120.0
PAIR = E2eMfdConfig(
    class_names=('person', 'car'),
    backbone='efficientnet_lite0',
    own_norms=True,
    own_laterals=True,
    train_norm=True,
    pyramid_width=16,
    fusion=OrpptConfig(
        pixel_width=4, pixel_blocks=1, pixel_convs=1, width=8, decoder_widths=(8,), reduction=4
    ),
    detection=DiffusionHeadConfig(
        proposals=10, stages=2, num_heads=2, dynamic_width=4, ffn_dim=16, time_dim=16
    ),
)


def image(value, channels=1):
    return torch.full((1, channels, 4, 6), float(value))


@pytest.fixture(scope='module')
def doubles():
    """One backend for all that ask for the same graph."""
    return OpenVinoBackend(Doubles(), precision='fp32')


@pytest.fixture
def traced_here(monkeypatch):
    """Trace without another process."""
    monkeypatch.setattr(compiled, 'Tracer', TracerHere)


def test_output_has_the_values_and_the_kind_of_the_network(doubles):
    output = doubles(image(1), image(2), part=True)
    assert type(output) is Output
    assert type(output.part) is Part
    assert_close(output.doubled, image(6))
    assert_close(output.part.mean, torch.tensor([[6.0]]))
    assert output.part.nothing is None
    assert (doubles.name, doubles.device, doubles.precision) == ('openvino', 'cpu', 'fp32')
    assert doubles.problem == ''


def test_results_are_not_overwritten_by_the_next_call(doubles):
    first = doubles(image(1), image(2), part=True).doubled
    doubles(image(5), image(2), part=True)
    assert_close(first, image(6))


@pytest.mark.usefixtures('traced_here')
def test_cameras_padding_and_switches_have_graphs_of_their_own(doubles):
    padding = torch.zeros(1, 4, 6, dtype=torch.bool)
    padding[..., 3:] = True
    output = doubles(None, image(2), padding, part=False)
    assert output.part is None
    assert output.doubled[0, 0, 0].tolist() == [4, 4, 4, 0, 0, 0]


@pytest.fixture(scope='module')
def pair_network():
    """A network in which every part changes the result."""
    torch.manual_seed(0)
    with small_backbones():
        network = E2eMfd(PAIR).eval()
    for name, parameter in network.named_parameters():
        if any(part in name for part in ('rgb_norms', 'lateral', 'box_deltas')):
            nn.init.normal_(parameter, std=0.1)
    return network


def pair(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(1, channels, 64, 64, generator=generator) for channels in (1, 3)]


@pytest.fixture
def pair_graph_given(pair_graph, monkeypatch):
    """Trace that network no more than once."""
    tracer = SimpleNamespace(graph=lambda: pair_graph, end=lambda: None)
    monkeypatch.setattr(compiled, 'Tracer', lambda *_: tracer)


@pytest.fixture(scope='module')
def pair_graph(pair_network, tmp_path_factory):
    """Its graph, which takes seconds to trace and holds for every precision."""
    path = tmp_path_factory.mktemp('graph') / 'pair.xml'
    traced = Traced(pair_network, lambda output: output, Signature.of(tuple(pair(1)), {}))
    FORMATS['openvino'].write(traced, path)
    return StoredGraph(path, traced.layout.numbers)


@pytest.mark.usefixtures('pair_graph_given')
def test_a_network_of_two_cameras_gives_what_pytorch_gives(pair_network):
    backend = OpenVinoBackend(pair_network, precision='fp32')
    for seed in (1, 2):
        with torch.inference_mode():
            expected = pair_network(*pair(seed))
        output = backend(*pair(seed))
        assert_close(output.fusion.fused, expected.fusion.fused, atol=1e-4, rtol=0)
        assert_close(output.detections.logits, expected.detections.logits, atol=1e-3, rtol=0)
        assert_close(output.detections.boxes, expected.detections.boxes, atol=1e-3, rtol=0)


@pytest.mark.usefixtures('pair_graph_given')
def test_half_precision_stays_close_where_the_processor_has_it(pair_network):
    backend = OpenVinoBackend(pair_network)
    if backend.precision != 'bf16':
        pytest.skip('this processor does not multiply bf16')
    with torch.inference_mode():
        expected = pair_network(*pair(1))
    fused = backend(*pair(1)).fusion.fused
    assert fused.dtype == torch.float32
    assert 0 < (fused - expected.fusion.fused).abs().mean() < 0.01


def test_what_cannot_be_compiled_runs_in_pytorch_and_says_so():
    backend = OpenVinoBackend(DependsOnValues(), precision='fp32')
    assert_close(backend(image(1)), image(2))
    assert_close(backend(image(-1)), image(-3))
    assert backend.problem.startswith('OpenVINO cannot compile the network: ')


def no_tracer(*_):
    raise AssertionError('traced, although an artefact has the graph')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Return where an artefact of the network lies that knows one size."""
    folder = tmp_path_factory.mktemp('artefact') / 'doubles.openvino'
    writer = ArtefactWriter(folder, replace=False)
    signature = Signature.of((image(1), image(1)), {'part': True})
    names = {signature: 'both'}
    graphs = write_graphs(writer, FORMATS['openvino'], Doubles(), lambda output: output, names)
    record = ArtefactRecord(
        backend='openvino',
        model='doubles',
        architecture='doubles',
        config={},
        preprocess={},
        class_names=(),
        fingerprint='cafe',
        licence='',
        precision='fp32',
        image_size=(4, 6),
        versions=versions_of('thermal_perception'),
        graphs=tuple(graphs),
    )
    writer.finish(record)
    return folder


def with_artefact(folder, fingerprint='cafe'):
    origin = Origin(folder / 'none', fingerprint, (Output, Part), folder)
    return OpenVinoBackend(Doubles(), precision='fp32', origin=origin)


def test_graph_of_an_artefact_is_not_traced(exported, monkeypatch):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    backend = with_artefact(exported)
    output = backend(image(1), image(2), part=True)
    assert type(output) is Output
    assert type(output.part) is Part
    assert_close(output.doubled, image(6))
    assert_close(output.part.mean, torch.tensor([[6.0]]))
    assert backend.notes == (f'artefact: 1 graphs from {exported}',)
    assert backend.problem == ''


def test_live_backend_waits_for_no_graph_of_an_artefact_either(exported, monkeypatch):
    monkeypatch.setattr(compiled, 'Tracer', no_tracer)
    backend = with_artefact(exported)
    backend.live = True
    assert_close(backend(image(1), image(2), part=True).doubled, image(6))
    until(lambda: backend(image(1), image(2), part=True) and not backend._making)
    assert_close(backend(image(1), image(2), part=True).doubled, image(6))


@pytest.mark.usefixtures('traced_here')
def test_what_an_artefact_lacks_is_traced(exported):
    backend = with_artefact(exported)
    assert_close(backend(image(1), None, part=False).doubled, image(2))
    assert backend.notes == (f'artefact: 1 graphs from {exported}',)
    assert backend.problem == ''


@pytest.mark.usefixtures('traced_here')
def test_artefact_of_other_weights_is_refused_and_the_network_traced(exported, caplog):
    backend = with_artefact(exported, 'beef')
    (note,) = backend.notes
    assert note.startswith('artefact: refused: ')
    assert "found fingerprint 'cafe', expected 'beef'" in note
    assert 'artefact refused, so the network is traced: ' in caplog.text
    assert_close(backend(image(1), image(2), part=True).doubled, image(6))
    assert backend.problem == ''


def damaged(exported, tmp_path, text=None):
    folder = shutil.copytree(exported, tmp_path / 'damaged.openvino')
    (folder / 'graph_0.xml').write_text(text or '<net/>')
    return folder


@pytest.mark.usefixtures('traced_here')
def test_damaged_graph_is_refused_and_the_network_traced(exported, tmp_path):
    backend = with_artefact(damaged(exported, tmp_path))
    backend.notes = ('auto: because', *backend.notes)
    assert_close(backend(image(1), image(2), part=True).doubled, image(6))
    first, second = backend.notes
    assert first == 'auto: because'
    assert 'artefact: refused: ' in second
    assert 'graph_0.xml: found SHA-256' in second
    assert backend.problem == ''


@pytest.mark.usefixtures('traced_here')
def test_graph_that_openvino_cannot_read_is_refused_and_the_network_traced(exported, tmp_path):
    folder = damaged(exported, tmp_path)
    path = folder / 'artefact.json'
    record = json.loads(path.read_text())
    record['graphs'][0]['files']['graph_0.xml'] = hashlib.sha256(b'<net/>').hexdigest()
    path.write_text(json.dumps(record))
    backend = with_artefact(folder)
    assert_close(backend(image(1), image(2), part=True).doubled, image(6))
    assert 'refused: OpenVINO cannot compile the network' in backend.notes[0]
    assert backend.problem == ''


@pytest.mark.usefixtures('traced_here')
def test_layout_that_does_not_fit_the_graph_is_refused(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / 'other.openvino')
    path = folder / 'artefact.json'
    path.write_text(path.read_text().replace('"mean": 1', '"mean": 7'))
    backend = with_artefact(folder)
    assert_close(backend(image(1), image(2), part=True).doubled, image(6))
    assert 'found 2 outputs, expected [0, 7]' in backend.notes[0]


def until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_graph_in_the_making_ends_with_its_backend():
    backend = OpenVinoBackend(Doubles(), part_of, precision='fp32')
    backend.live = True
    assert_close(backend(image(1), None).mean, torch.tensor([[2.0]]))
    (maker,) = backend._making.values()
    folder = Path(maker._source._folder.name)
    assert not maker.ended
    assert folder.exists()
    del backend
    until(lambda: maker.ended)
    assert not folder.exists()


PARENT = """
import sys, torch
from nets import Doubles
from thermal_perception.backends import OpenVinoBackend
backend = OpenVinoBackend(Doubles(), precision='fp32')
backend.live = True
backend(torch.ones(1, 1, 4, 6), None)
(maker,) = backend._making.values()
source = maker._source
print(source._process.pid, source._folder.name, flush=True)
sys.stdin.read()
"""


def test_a_graph_in_the_making_ends_with_its_process():
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)},
    )
    pid, folder = parent.stdout.readline().split()
    assert alive(pid)
    parent.kill()
    parent.communicate()
    try:
        until(lambda: not alive(pid))
    finally:
        shutil.rmtree(folder)  # a killed process cannot


FREED_ELSEWHERE = """
import signal, threading
from nets import Doubles
from thermal_perception.backends import OpenVinoBackend
backends = [OpenVinoBackend(Doubles())]
thread = threading.Thread(target=backends.clear)
thread.start()
thread.join()
signal.signal(signal.SIGINT, lambda *_: print('heard'))
signal.raise_signal(signal.SIGINT)
"""


def test_a_signal_is_heard_after_a_backend_went_in_another_thread():
    done = subprocess.run(
        [sys.executable, '-c', FREED_ELSEWHERE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)},
    )
    assert (done.returncode, done.stdout) == (0, 'heard\n'), done.stderr


def test_unknown_precision_is_refused():
    with pytest.raises(BackendError, match="found 'int4', expected auto, fp32, bf16 or int8"):
        OpenVinoBackend(Doubles(), precision='int4')


def test_half_precision_is_refused_where_the_processor_lacks_it(monkeypatch):
    class Core:
        def get_property(self, device, name):
            return ['FP32', 'INT8']

    monkeypatch.setattr(openvino, 'Core', Core)
    assert OpenVinoBackend(Doubles()).precision == 'fp32'
    with pytest.raises(BackendError, match='found bf16, but this processor does not multiply it'):
        OpenVinoBackend(Doubles(), precision='bf16')


def test_openvino_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(BackendError, match='found openvino, which is not installed'):
        OpenVinoBackend(Doubles())
