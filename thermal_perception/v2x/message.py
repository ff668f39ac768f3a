"""The feature message: everything a vehicle needs to use one roadside image.

The bytes are safetensors, compressed or not, and a signature behind them or not; `format` says
which. A radio link has neither a TF tree nor latched topics, so nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
import json
from typing import Any, Literal, NamedTuple, TYPE_CHECKING

import numpy as np
from safetensors import deserialize
from safetensors.numpy import save
import zstandard

from thermal_perception.errors import GeometryError, V2xError
from thermal_perception.geometry.camera import Camera
from thermal_perception.types import InfrastructureFeatures
from thermal_perception.v2x.quantise import from_uint8, to_uint8
from thermal_perception.v2x.signature import SIGNATURE_BYTES, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from numpy.typing import NDArray

    from thermal_perception.v2x.signature import TrustedKeys

VERSION = 1
_NAME = 'thermal_perception/emiff'
_KINDS = {'U8': np.uint8, 'F16': np.float16, 'F32': np.float32, 'F64': np.float64}
_ROTATION_TOLERANCE = 1e-3
_LONGEST_NAME = 200
_LARGEST = float(np.finfo(np.float16).max)

Codec = Literal['none', 'zstd']
FeatureKind = Literal['uint8', 'float16']


class EncodedMessage(NamedTuple):
    """The fields of the `sensor_msgs/CompressedImage` that carries features.

    Attributes:
        stamp_ns: when the image was taken.
        frame_id: optical frame of the camera.
        format: name, version, codec, and the kind of signature if there is one.
        data: the bytes.
    """

    stamp_ns: int
    frame_id: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Limits:
    """What a message may take at most.

    Attributes:
        max_bytes: as received.
        max_unpacked_bytes: after decompression.
    """

    max_bytes: int = 1 << 20
    max_unpacked_bytes: int = 16 << 20


LIMITS = Limits()


def pack(
    features: InfrastructureFeatures,
    *,
    kind: FeatureKind = 'uint8',
    codec: Codec = 'zstd',
    key: Ed25519PrivateKey | None = None,
) -> EncodedMessage:
    """Encode features.

    Args:
        features: what is sent.
        kind: of the numbers on the way.
        codec: of the bytes.
        key: signs them; None sends them unsigned.
    """
    tensors: dict[str, NDArray[Any]] = {
        'K': features.K,
        'D': features.D,
        'T_camera_world': features.T_camera_world,
    }
    if kind == 'uint8':
        tensors['features'], tensors['scales'] = to_uint8(features.features)
    else:
        tensors['features'] = features.features.astype(np.float16)
    body = save(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()},
        metadata={name: json.dumps(value) for name, value in _facts(features).items()},
    )
    if codec == 'zstd':
        body = zstandard.compress(body)
    form = f'{_NAME}; v={VERSION}; codec={codec}'
    if key is not None:
        form += '; sig=ed25519'
        body += key.sign(signed_bytes(features.stamp_ns, features.frame_id, form, body))
    return EncodedMessage(features.stamp_ns, features.frame_id, form, body)


def unpack(
    message: EncodedMessage, *, limits: Limits = LIMITS, keys: TrustedKeys | None = None
) -> InfrastructureFeatures:
    """Decode and check a message that anybody may have sent.

    Sizes come before decompression and signatures before anything is parsed.

    Args:
        message: as received.
        limits: what it may take.
        keys: with them, only their senders are heard.

    Raises:
        V2xError: if anything about it is not as it should be; the cause tells what.
    """
    if len(message.data) > limits.max_bytes:
        raise _refused(
            'oversized', f'found {len(message.data)} bytes, expected at most {limits.max_bytes}'
        )
    codec, signed = _read_format(message.format)
    body, signer = _checked_signature(message, signed, keys)
    if codec == 'zstd':
        body = _decompressed(body, limits.max_unpacked_bytes)
    tensors, facts = _parsed(body)
    features = _features(message, tensors, facts)
    if signer is not None and signer != features.sender_id:
        raise _refused(
            'bad_signature', f'found sender {features.sender_id!r}, signed by {signer!r}'
        )
    return features


def _facts(features: InfrastructureFeatures) -> dict[str, Any]:
    return {
        'sender_id': features.sender_id,
        'sequence': features.sequence,
        'world_frame': features.world_frame,
        'fingerprint': features.fingerprint,
        'level': features.level,
        'image_size': features.image_size,
        'padded_size': features.padded_size,
        'resize_factor': features.resize_factor,
    }


def _refused(cause: str, sentence: str) -> V2xError:
    return V2xError(f'feature message: {sentence}', cause=cause)


def _read_format(form: str) -> tuple[Codec, bool]:
    name, *pairs = (part.strip() for part in form.split(';'))
    options = dict(pair.partition('=')[::2] for pair in pairs)
    codec, signature = options.get('codec'), options.get('sig')
    known = name == _NAME and options.get('v') == str(VERSION)
    if not known or codec not in ('none', 'zstd') or signature not in (None, 'ed25519'):
        raise _refused(
            'bad_format',
            f"found format {form[:100]!r}, expected '{_NAME}; v={VERSION}; codec=...'",
        )
    return codec, signature is not None  # type: ignore[return-value]


def _checked_signature(
    message: EncodedMessage, signed: bool, keys: TrustedKeys | None
) -> tuple[bytes, str | None]:
    """Return the bytes without their signature, and whose it is if that was to be checked."""
    if not signed:
        if keys is not None:
            raise _refused('unsigned', 'found no signature, expected one of a known sender')
        return message.data, None
    body, signature = message.data[:-SIGNATURE_BYTES], message.data[-SIGNATURE_BYTES:]
    if keys is None:
        return body, None
    signer = keys.signer(
        signature, signed_bytes(message.stamp_ns, message.frame_id, message.format, body)
    )
    if signer is None:
        raise _refused('bad_signature', 'found a signature that no known sender made of it')
    return body, signer


def _decompressed(body: bytes, limit: int) -> bytes:
    """Decompress no more than `limit` bytes, whatever the header promises or hides."""
    try:
        size = zstandard.get_frame_parameters(body).content_size
        unknown = size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR)
        if not unknown and size > limit:
            raise _refused('decompression_bomb', f'found {size} bytes, expected at most {limit}')
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body) as reader:
            unpacked = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise _refused('damaged', f'found bytes that are no zstd: {error}') from error
    if len(unpacked) > limit:
        raise _refused('decompression_bomb', f'found more than {limit} bytes once decompressed')
    return unpacked


def _parsed(body: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        entries = deserialize(body)
        length = int.from_bytes(body[:8], 'little')
        metadata = json.loads(body[8 : 8 + length]).get('__metadata__') or {}
        facts = {name: json.loads(value) for name, value in metadata.items()}
        tensors = {name: _array(entry) for name, entry in entries}
    except Exception as error:  # anybody may have sent it: whatever is wrong, it is refused
        raise _refused('damaged', f'found bytes that are no safetensors: {error}') from error
    return tensors, facts


def _array(entry: Mapping[str, Any]) -> NDArray[Any]:
    return np.frombuffer(entry['data'], _KINDS[entry['dtype']]).reshape(entry['shape'])


def _features(
    message: EncodedMessage, tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
) -> InfrastructureFeatures:
    fact, tensor = _Reader(facts, 'fact'), _Reader(tensors, 'tensor')
    image_size = fact.checked('image_size', _is_size, 'height and width')
    K = tensor.checked('K', lambda x: x.shape == (3, 3), '(3, 3)')
    D = tensor.checked('D', lambda x: x.ndim == 1, 'one dimension')
    try:
        camera = Camera(K, D, (image_size[0], image_size[1]))
    except GeometryError as error:
        raise _refused('bad_camera', f'found {error}') from error
    level = fact.checked('level', _is_level, 'c and s')
    padded = fact.checked('padded_size', _is_size, 'height and width')
    return InfrastructureFeatures(
        features=_map(tensor),
        level=(level[0], level[1]),
        K=camera.K,
        D=camera.D,
        image_size=camera.size,
        resize_factor=fact.checked('resize_factor', _is_factor, 'a number above 0, at most 4'),
        padded_size=(padded[0], padded[1]),
        T_camera_world=_pose(tensor),
        world_frame=fact.checked('world_frame', _is_name, 'a name'),
        sender_id=fact.checked('sender_id', _is_name, 'a name'),
        sequence=fact.checked('sequence', _is_count, 'a count'),
        fingerprint=fact.checked('fingerprint', _is_name, 'a name'),
        stamp_ns=message.stamp_ns,
        frame_id=message.frame_id,
    )


class _Reader:
    """Takes entries out of what was received; what is missing or odd is refused by name."""

    def __init__(self, entries: Mapping[str, Any], what: str) -> None:
        self._entries, self._what = entries, what

    def has(self, name: str) -> bool:
        return name in self._entries

    def checked(self, name: str, good: Callable[[Any], bool], expected: str) -> Any:
        if name not in self._entries:
            raise _refused('bad_schema', f'found no {self._what} {name!r}')
        value = self._entries[name]
        if not good(value):
            found = value.shape if isinstance(value, np.ndarray) else repr(value)[:100]
            raise _refused('bad_schema', f'{name}: found {found}, expected {expected}')
        return value


def _map(tensor: _Reader) -> NDArray[np.float32]:
    values = tensor.checked(
        'features', lambda x: x.ndim == 3 and min(x.shape) > 0, 'three dimensions'
    )
    if values.dtype == np.uint8:
        scales = tensor.checked('scales', lambda x: x.shape == values.shape[:1], 'one per channel')
        if not np.isfinite(scales).all():
            raise _refused('not_finite', 'scales: found a number that is not finite')
        values = from_uint8(values, scales.astype(np.float32))
    elif values.dtype != np.float16:
        raise _refused('bad_schema', f'features: found {values.dtype}, expected uint8 or float16')
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise _refused('not_finite', 'features: found a number that is not finite')
    if values.min() < 0:
        raise _refused('negative', 'features: found a negative number')
    if values.max() > _LARGEST:
        raise _refused('out_of_range', f'features: found {values.max():.3g}, expected {_LARGEST}')
    return values


def _pose(tensor: _Reader) -> NDArray[np.float64]:
    """Return the pose, its rotation made exact."""
    T = np.array(tensor.checked('T_camera_world', lambda x: x.shape == (4, 4), '(4, 4)'), float)
    R = T[:3, :3]
    good = np.isfinite(T).all() and np.abs(T[3] - (0, 0, 0, 1)).max() < 1e-9
    if not good or np.abs(R @ R.T - np.eye(3)).max() > _ROTATION_TOLERANCE or np.linalg.det(R) < 0:
        raise _refused('bad_pose', 'T_camera_world: found no rotation and translation')
    u, _, v = np.linalg.svd(R)
    T[:3, :3] = u @ v
    return T


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _is_size(value: Any) -> bool:
    return _is_pair(value) and min(value) >= 1 and max(value) <= 16384


def _is_level(value: Any) -> bool:
    return _is_pair(value) and 1 <= value[0] <= 4096 and value[1] <= 8


def _is_factor(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 4


def _is_name(value: Any) -> bool:
    # What is printable has no halves of characters, which no message could carry on.
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
