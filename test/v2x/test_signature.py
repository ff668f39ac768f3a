"""Keys are read from files."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key, SECP256R1
import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.v2x.message import pack, unpack
from thermal_perception.v2x.signature import read_private_key, signed_bytes, TrustedKeys


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_keys_of_a_folder(tmp_path, private_keys, make_features):
    (tmp_path / 'pole_1.pem').write_bytes(public_pem(private_keys['pole_1']))
    (tmp_path / 'secret').write_bytes(private_pem(private_keys['pole_1']))
    message = pack(make_features(), key=read_private_key(tmp_path / 'secret'))
    assert unpack(message, keys=TrustedKeys.from_folder(tmp_path)).sender_id == 'pole_1'


def test_a_folder_without_keys(tmp_path):
    with pytest.raises(ConfigError, match=r'found no \*\.pem, expected a public key per sender'):
        TrustedKeys.from_folder(tmp_path)


def test_what_is_no_key(tmp_path):
    file = tmp_path / 'x.pem'
    file.write_text('hello')
    with pytest.raises(ConfigError, match='x.pem: found no public key'):
        TrustedKeys.from_folder(tmp_path)
    with pytest.raises(ConfigError, match='x.pem: found no private key'):
        read_private_key(file)
    with pytest.raises(ConfigError, match='none: found no private key'):
        read_private_key(tmp_path / 'none')


def test_a_key_of_another_kind(tmp_path):
    key = generate_private_key(SECP256R1())
    (tmp_path / 'x.pem').write_bytes(public_pem(key))
    with pytest.raises(ConfigError, match='expected an Ed25519 key'):
        TrustedKeys.from_folder(tmp_path)
    (tmp_path / 'y').write_bytes(private_pem(key))
    with pytest.raises(ConfigError, match='expected an Ed25519 key'):
        read_private_key(tmp_path / 'y')


def test_no_part_can_pass_for_another():
    assert signed_bytes(1, 'ab', 'c', b'd') != signed_bytes(1, 'a', 'bc', b'd')
    assert signed_bytes(1, 'ab', 'c', b'd') != signed_bytes(1, 'ab', '', b'cd')
