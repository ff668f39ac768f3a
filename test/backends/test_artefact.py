"""Artefacts on disk: what they say, when they are refused, and that they are data alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from thermal_perception.backends import artefact as module
from thermal_perception.backends.artefact import (
    Artefact,
    artefact_folder,
    ArtefactRecord,
    ArtefactWriter,
    layout_from_json,
    layout_to_json,
    Origin,
    read_record,
    RECORD,
    versions_of,
)
from thermal_perception.backends.tracing import Signature
from thermal_perception.errors import BackendError, ConfigError

IMAGE = Signature((((1, 1, 4, 6), torch.float32), None), (('part', True),))
OTHER = Signature((((1, 1, 8, 6), torch.float32), None), (('part', True),))


class Inner(NamedTuple):
    """A part of an output."""

    mean: int
    nothing: int | None


class Outer(NamedTuple):
    """An output."""

    logits: int
    inner: Inner | None


class Evil(NamedTuple):
    """No output of any network."""

    command: str


NUMBERS = Outer(0, Inner(1, None))
KINDS = (Outer, Inner)


def write(folder, *, fingerprint='cafe', backend='openvino', replace=False, signature=IMAGE):
    """Write an artefact with one graph of two bytes."""
    writer = ArtefactWriter(folder, replace=replace)
    (writer.folder / 'graph_0.xml').write_bytes(b'<>')
    graph = writer.record_of('thermal', 'graph_0.xml', signature, opset='opset14', numbers=NUMBERS)
    record = ArtefactRecord(
        backend=backend,
        model='tiny',
        architecture='fusion_detr',
        config={'width': 8},
        preprocess={},
        class_names=('person',),
        fingerprint=fingerprint,
        licence='Apache-2.0',
        precision='fp32',
        image_size=(4, 6),
        versions=versions_of('thermal_perception'),
        graphs=(graph,),
    )
    writer.finish(record)
    return record


def origin(folder):
    return Origin(folder.parent / 'tiny.safetensors', 'cafe', KINDS, folder)


def change(folder, **values):
    """Write other values into the record."""
    path = folder / RECORD
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / 'tiny.openvino')
    return tmp_path / 'tiny.openvino'


def test_what_was_written_is_read(folder):
    record = read_record(folder)
    assert (record.model, record.image_size, record.precision) == ('tiny', (4, 6), 'fp32')
    assert record.graphs[0].signature == IMAGE
    found = Artefact(folder, origin(folder), 'openvino')
    assert IMAGE in found
    assert OTHER not in found
    assert found.graph(IMAGE) == (folder / 'graph_0.xml', NUMBERS)


def test_record_is_json_whose_layout_names_every_output(folder):
    (graph,) = json.loads((folder / RECORD).read_text())['graphs']
    assert graph['layout'] == {
        'Outer': {'logits': 0, 'inner': {'Inner': {'mean': 1, 'nothing': None}}}
    }
    assert graph['inputs'] == [{'shape': [1, 1, 4, 6], 'dtype': 'float32'}, None]
    assert graph['files'] == {'graph_0.xml': hashlib.sha256(b'<>').hexdigest()}


def test_options_that_are_no_switches_are_told_apart_as_text(tmp_path):
    low, high = (IMAGE._replace(options=(('level', Inner(1, n)),)) for n in (2, 3))
    write(tmp_path / 'a', signature=low)
    found = Artefact(tmp_path / 'a', origin(tmp_path / 'a'), 'openvino')
    assert found.record.graphs[0].options == {'level': 'Inner(mean=1, nothing=2)'}
    assert low in found
    assert high not in found
    assert found.graph(low).numbers == NUMBERS


def test_artefact_beside_the_weights_is_found_and_none_is_no_fault(folder):
    beside = origin(folder)._replace(folder=None)
    assert artefact_folder(beside.checkpoint, 'openvino') == folder
    assert Artefact.find(beside, 'openvino').folder == folder
    elsewhere = beside._replace(checkpoint=folder / 'another.safetensors')
    assert Artefact.find(elsewhere, 'openvino') is None


def test_artefact_that_was_named_must_be_there(tmp_path):
    with pytest.raises(BackendError, match='no.openvino/artefact.json: cannot be read: No such'):
        Artefact.find(origin(tmp_path / 'no.openvino'), 'openvino')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'fingerprint': 'beef'}, "found fingerprint 'beef', expected 'cafe'"),
        ({'backend': 'tensorrt'}, "found backend 'tensorrt', expected 'openvino'"),
        ({'versions': {'thermal_perception': '0.0.1'}}, "version of thermal_perception '0.0.1'"),
        ({'versions': {}}, 'version of thermal_perception None'),
        ({'format': 2}, 'found format 2, this package reads 1'),
        ({'graph': []}, "unknown key 'graph', did you mean 'graphs'"),
        ({'image_size': [4]}, 'image_size: found 1 values, expected 2'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_artefact_of_something_else_is_refused_with_what_differs(folder, values, message):
    change(folder, **values)
    with pytest.raises(BackendError, match=message):
        Artefact(folder, origin(folder), 'openvino')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'graph': '../graph_0.xml'}, "found '../graph_0.xml', expected a plain name"),
        ({'files': {'/etc/passwd': '0'}}, "found '/etc/passwd', expected a plain name"),
        ({'files': {'graph_0.bin': '0'}}, "found no 'graph_0.xml'"),
        ({'inputs': [{'shape': [1], 'dtype': 'object'}]}, "found 'object', expected float32 or"),
        ({'layout': {'Evil': {'command': 0}}}, 'expected one made of Outer'),
        ({'layout': {'Inner': {'nothing': 0, 'mean': 1}}}, r'Inner\(mean, nothing\)'),
        ({'layout': 'os.system'}, "found the output 'os.system'"),
        ({'layout': True}, 'found the output True'),
    ],
    ids=[
        'graph outside',
        'file outside',
        'graph without sum',
        'dtype',
        'kind',
        'fields',
        'text',
        'bool',
    ],
)
def test_graph_that_is_not_what_we_write_is_refused(folder, values, message):
    (graph,) = json.loads((folder / RECORD).read_text())['graphs']
    change(folder, graphs=[{**graph, **values}])
    with pytest.raises(BackendError, match=message):
        Artefact(folder, origin(folder), 'openvino')


@pytest.mark.parametrize('text', ['', '[]', '{"format": ', '\x80', '[' * 100_000])
def test_record_that_is_no_record_is_refused(folder, text):
    (folder / RECORD).write_text(text)
    with pytest.raises(BackendError, match=r'artefact\.json: not a JSON object'):
        read_record(folder)


def test_record_of_endless_length_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(module, '_MOST_RECORD_BYTES', 100)
    with pytest.raises(BackendError, match='bytes, too many for a record'):
        read_record(folder)


def test_changed_file_is_refused_when_its_graph_is_asked_for(folder):
    found = Artefact(folder, origin(folder), 'openvino')
    (folder / 'graph_0.xml').write_bytes(b'><')
    with pytest.raises(BackendError, match=r'graph_0\.xml: found SHA-256 .* damaged or changed'):
        found.graph(IMAGE)
    (folder / 'graph_0.xml').unlink()
    with pytest.raises(BackendError, match=r'graph_0\.xml: cannot be read: No such file'):
        found.graph(IMAGE)


def test_layout_of_plain_tuples_comes_back():
    numbers = (0, (1, None), Inner(2, None))
    text = json.dumps(layout_to_json(numbers))
    assert text == '[0, [1, null], {"Inner": {"mean": 2, "nothing": null}}]'
    assert layout_from_json(json.loads(text), KINDS, where='x') == numbers
    assert layout_from_json(0, (), where='x') == 0


def test_artefact_is_replaced_only_when_told_to(folder):
    with pytest.raises(ConfigError, match='exists already; --force replaces it'):
        write(folder, fingerprint='beef')
    assert read_record(folder).fingerprint == 'cafe'
    write(folder, fingerprint='beef', replace=True)
    assert read_record(folder).fingerprint == 'beef'
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize('name', ['letters.txt', 'graph_1.xml/'])
def test_folder_with_anything_else_in_it_is_never_replaced(folder, name):
    if name.endswith('/'):
        (folder / name).mkdir()
    else:
        (folder / name).write_text('dear')
    with pytest.raises(ConfigError, match='no part of an artefact'):
        write(folder, replace=True)
    assert (folder / name).exists()


def test_folder_that_is_no_artefact_is_never_replaced(tmp_path):
    with pytest.raises(ConfigError, match='found no artefact.json in it, so it is not replaced'):
        write(tmp_path, replace=True)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(ConfigError, match='no/x.openvino: cannot be written: No such file'):
        write(tmp_path / 'no' / 'x.openvino')


def test_nothing_is_left_of_an_artefact_that_was_given_up(tmp_path):
    writer = ArtefactWriter(tmp_path / 'x.openvino', replace=False)
    Path(writer.folder, 'graph_0.xml').write_bytes(b'<>')
    writer.give_up()
    assert list(tmp_path.iterdir()) == []
