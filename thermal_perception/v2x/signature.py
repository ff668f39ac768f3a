"""Who sent a message: Ed25519 signatures, with keys in PEM files.

The signature covers stamp, frame, format and every byte before it: a message can neither be
altered nor be sent again as a later one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SIGNATURE_BYTES = 64


class TrustedKeys:
    """Public keys by the name of their sender."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        """Keep the keys."""
        self._keys = dict(keys)

    @classmethod
    def from_folder(cls, folder: Path) -> TrustedKeys:
        """Read the files SENDER.pem of a folder.

        Raises:
            ConfigError: if there is none, or one is no public Ed25519 key.
        """
        files = sorted(folder.glob('*.pem')) if folder.is_dir() else []
        if not files:
            raise ConfigError(f'{folder}: found no *.pem, expected a public key per sender')
        return cls({file.stem: _public_key(file) for file in files})

    def __len__(self) -> int:
        """Return the number of senders."""
        return len(self._keys)

    def signer(self, signature: bytes, signed: bytes) -> str | None:
        """Return the name of the sender whose key made the signature; None for nobody's."""
        for sender, key in self._keys.items():
            try:
                key.verify(signature, signed)
            except InvalidSignature:
                continue
            return sender
        return None


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read the key of this sender from an unencrypted PEM file.

    `openssl genpkey -algorithm ed25519 -out SENDER.key` makes one, and
    `openssl pkey -in SENDER.key -pubout -out SENDER.pem` its public half.

    Raises:
        ConfigError: if it cannot be read or is no Ed25519 key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f'{path}: found no private key: {error}') from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f'{path}: found a {type(key).__name__}, expected an Ed25519 key')
    return key


def signed_bytes(stamp_ns: int, frame_id: str, form: str, body: bytes) -> bytes:
    """Return what is signed: every part with its length, so that none can pass for another."""
    parts = (struct.pack('<q', stamp_ns), frame_id.encode(), form.encode(), body)
    return b''.join(struct.pack('<I', len(part)) + part for part in parts)


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f'{path}: found no public key: {error}') from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f'{path}: found a {type(key).__name__}, expected an Ed25519 key')
    return key
