"""What is packed is what is unpacked; everything else is refused with a cause."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save
import zstandard

from thermal_perception.errors import V2xError
from thermal_perception.v2x.message import EncodedMessage, Limits, pack, unpack


@pytest.mark.parametrize('codec', ['none', 'zstd'])
@pytest.mark.parametrize('kind', ['uint8', 'float16'])
@pytest.mark.parametrize('signed', [False, True])
def test_round_trip(make_features, private_keys, keys, codec, kind, signed):
    sent = make_features()
    key = private_keys['pole_1'] if signed else None
    message = pack(sent, codec=codec, kind=kind, key=key)
    got = unpack(message, keys=keys if signed else None)
    step = sent.features.max((1, 2))[:, None, None] / (510 if kind == 'uint8' else 2000)
    assert (np.abs(got.features - sent.features) <= step * 1.001).all()
    for name in ('K', 'D', 'T_camera_world'):
        np.testing.assert_allclose(getattr(got, name), getattr(sent, name), atol=1e-12)
    for name in (
        'level', 'image_size', 'resize_factor', 'padded_size', 'world_frame', 'sender_id',
        'sequence', 'fingerprint', 'stamp_ns', 'frame_id',
    ):  # fmt: skip
        assert getattr(got, name) == getattr(sent, name), name


def test_format_says_what_the_bytes_are(make_features, private_keys):
    plain = pack(make_features())
    assert plain.format == 'thermal_perception/emiff; v=1; codec=zstd'
    signed = pack(make_features(), codec='none', key=private_keys['pole_1'])
    assert signed.format == 'thermal_perception/emiff; v=1; codec=none; sig=ed25519'


def test_size_beside_the_features_is_small(make_features):
    # 2 x 18 x 32 numbers of one byte; what comes with them is told in docs/v2x.md.
    features = make_features(features=np.ones((2, 18, 32), np.float32))
    assert len(pack(features, codec='none').data) - 2 * 18 * 32 < 1200


def test_a_signed_message_is_read_without_keys(make_features, private_keys):
    message = pack(make_features(), key=private_keys['pole_1'])
    assert unpack(message).sender_id == 'pole_1'


def refused(message, cause, match='', **options):
    with pytest.raises(V2xError, match=match) as caught:
        unpack(message, **options)
    assert caught.value.cause == cause
    assert str(caught.value).startswith('feature message: ')


def test_oversized(make_features):
    message = pack(make_features())
    size = len(message.data)
    refused(
        message, 'oversized', f'found {size} bytes, expected at most {size - 1}',
        limits=Limits(max_bytes=size - 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    'form',
    [
        '',
        'jpeg',
        'thermal_perception/emiff; v=2; codec=zstd',
        'thermal_perception/emiff; v=1; codec=gzip',
        'thermal_perception/emiff; v=1',
        'thermal_perception/emiff; v=1; codec=zstd; sig=rsa',
    ],
)
def test_unknown_format(make_features, form):
    refused(pack(make_features())._replace(format=form), 'bad_format', 'found format')


def test_decompression_bomb():
    bomb = zstandard.compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    message = EncodedMessage(1, 'x', 'thermal_perception/emiff; v=1; codec=zstd', bomb)
    refused(message, 'decompression_bomb', 'found 50000000 bytes, expected at most 16777216')


def test_decompression_bomb_that_hides_its_size():
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    bomb = compressor.compress(bytes(50_000_000))
    message = EncodedMessage(1, 'x', 'thermal_perception/emiff; v=1; codec=zstd', bomb)
    refused(message, 'decompression_bomb', 'found more than 16777216 bytes')


@pytest.mark.parametrize(
    'header', ['{"__metadata__":null}', '{}', '{"__metadata__":{}}', '[]', 'null']
)
def test_odd_headers_are_refused(header):
    body = len(header).to_bytes(8, 'little') + header.encode()
    message = EncodedMessage(1, 'x', 'thermal_perception/emiff; v=1; codec=none', body)
    with pytest.raises(V2xError) as caught:
        unpack(message)
    assert caught.value.cause in ('damaged', 'bad_schema')


@pytest.mark.parametrize('codec', ['none', 'zstd'])
def test_every_truncation_is_refused(make_features, codec):
    message = pack(make_features(), codec=codec)
    for size in (0, 1, 7, 8, 20, len(message.data) // 2, len(message.data) - 1):
        refused(message._replace(data=message.data[:size]), 'damaged')


def test_no_single_changed_byte_of_an_unsigned_message_gets_out_as_another_error(make_features):
    message = pack(make_features(), codec='none')
    rng = np.random.default_rng(0)
    for _ in range(400):
        data = bytearray(message.data)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        try:
            features = unpack(message._replace(data=bytes(data)))
        except V2xError:
            continue
        assert np.isfinite(features.features).all()
        assert (features.features >= 0).all()


def test_no_changed_byte_of_a_signed_message_is_believed(make_features, private_keys, keys):
    message = pack(make_features(), codec='none', key=private_keys['pole_1'])
    rng = np.random.default_rng(1)
    for place in rng.integers(len(message.data), size=60):
        data = bytearray(message.data)
        data[place] ^= 1
        refused(message._replace(data=bytes(data)), 'bad_signature', keys=keys)


@pytest.mark.parametrize('field', ['stamp_ns', 'frame_id'])
def test_signature_covers_the_header(make_features, private_keys, keys, field):
    message = pack(make_features(), key=private_keys['pole_1'])
    value = message.stamp_ns + 1 if field == 'stamp_ns' else 'elsewhere'
    refused(message._replace(**{field: value}), 'bad_signature', keys=keys)


def test_a_sender_cannot_speak_for_another(make_features, private_keys, keys):
    message = pack(make_features(), key=private_keys['pole_2'])
    refused(message, 'bad_signature', "found sender 'pole_1', signed by 'pole_2'", keys=keys)


def test_with_keys_an_unsigned_message_is_refused(make_features, keys):
    refused(pack(make_features()), 'unsigned', keys=keys)


def altered(features, *, tensors=None, facts=None, drop=()):
    """Pack features with some entries replaced or left out."""
    message = pack(features, codec='none')
    entries = {k: v for k, v in load(message.data).items() if k not in drop}
    length = struct.unpack('<Q', message.data[:8])[0]
    metadata = json.loads(message.data[8 : 8 + length])['__metadata__']
    metadata = {k: v for k, v in metadata.items() if k not in drop}
    metadata |= {k: json.dumps(v) for k, v in (facts or {}).items()}
    return message._replace(data=save({**entries, **(tensors or {})}, metadata=metadata))


TURNED = np.diag([1.0, 1, -1, 1])
SCALED = np.diag([1.01, 1, 1, 1])


@pytest.mark.parametrize(
    ('changes', 'cause', 'match'),
    [
        ({'drop': ['features']}, 'bad_schema', "found no tensor 'features'"),
        ({'drop': ['scales']}, 'bad_schema', "found no tensor 'scales'"),
        ({'drop': ['fingerprint']}, 'bad_schema', "found no fact 'fingerprint'"),
        ({'facts': {'sequence': -1}}, 'bad_schema', 'sequence: found -1, expected a count'),
        ({'facts': {'sequence': True}}, 'bad_schema', 'sequence: found True'),
        ({'facts': {'level': [16]}}, 'bad_schema', r'level: found \[16\], expected c and s'),
        ({'facts': {'image_size': [0, 640]}}, 'bad_schema', 'image_size'),
        ({'facts': {'resize_factor': 0}}, 'bad_schema', 'resize_factor'),
        ({'facts': {'resize_factor': float('nan')}}, 'bad_schema', 'resize_factor: found nan'),
        ({'facts': {'sender_id': ''}}, 'bad_schema', 'sender_id'),
        ({'facts': {'sender_id': 'x' * 201}}, 'bad_schema', 'sender_id'),
        ({'facts': {'sender_id': '\ud800'}}, 'bad_schema', 'sender_id'),
        ({'facts': {'sender_id': 'a\nb'}}, 'bad_schema', 'sender_id'),
        (
            {'tensors': {'scales': np.array([1, 1e9], np.float32)}},
            'out_of_range', 'expected 65504',
        ),
        ({'tensors': {'features': np.ones((2, 5), np.uint8)}}, 'bad_schema', r'found \(2, 5\)'),
        ({'tensors': {'features': np.ones((2, 5, 7), np.float32)}}, 'bad_schema', 'found float32'),
        (
            {'tensors': {'features': np.full((2, 5, 7), np.nan, np.float16)}},
            'not_finite', 'not finite',
        ),
        (
            {'tensors': {'features': np.full((2, 5, 7), -1, np.float16)}},
            'negative', 'a negative number',
        ),
        (
            {'tensors': {'scales': np.array([1, np.inf], np.float32)}},
            'not_finite', 'not finite',
        ),
        ({'tensors': {'scales': np.array([1, -1], np.float32)}}, 'negative', 'negative'),
        ({'tensors': {'K': np.zeros((3, 3))}}, 'bad_camera', 'found'),
        ({'tensors': {'D': np.zeros(3)}}, 'bad_camera', 'found'),
        ({'tensors': {'T_camera_world': TURNED}}, 'bad_pose', 'no rotation'),
        ({'tensors': {'T_camera_world': SCALED}}, 'bad_pose', 'no rotation'),
        ({'tensors': {'T_camera_world': np.full((4, 4), np.nan)}}, 'bad_pose', 'no rotation'),
    ],
)  # fmt: skip
def test_what_is_wrong_inside_is_named(make_features, changes, cause, match):
    refused(altered(make_features(), **changes), cause, match)


def test_a_pose_that_is_a_little_off_is_made_a_rotation(make_features):
    T = np.array(make_features().T_camera_world)
    T[0, 0] += 2e-4
    R = unpack(altered(make_features(), tensors={'T_camera_world': T})).T_camera_world[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
