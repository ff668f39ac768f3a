"""Features as a roadside camera would send them, and keys."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
import numpy as np
import pytest

from thermal_perception.types import InfrastructureFeatures
from thermal_perception.v2x.signature import TrustedKeys

S = 1_000_000_000


@pytest.fixture(scope='session')
def make_features():
    """Return a function that makes features; fields are replaced by those given."""
    values = np.random.default_rng(0).uniform(0, 3, (2, 5, 7)).astype(np.float32)
    values[1, 2:] = 0
    # At (20, 0, 5) of the world, looking back along -x: camera x = y, y = -z, z = -x.
    T = np.array([[0.0, 1, 0, 0], [0, 0, -1, 5], [-1, 0, 0, 20], [0, 0, 0, 1]])
    plain = InfrastructureFeatures(
        features=values,
        level=(16, 1),
        K=np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]]),
        D=np.array([0.1, -0.02, 0.001, 0.002, 0.0, 0.0, 0.0, 0.0]),
        image_size=(480, 640),
        resize_factor=0.5,
        padded_size=(256, 320),
        T_camera_world=T,
        world_frame='map',
        sender_id='pole_1',
        sequence=7,
        fingerprint='0123456789abcdef',
        stamp_ns=100 * S,
        frame_id='pole_1_optical',
    )

    def make(**fields):
        return replace(plain, **fields)

    return make


@pytest.fixture(scope='session')
def private_keys():
    """Return a private key per sender."""
    return {name: Ed25519PrivateKey.generate() for name in ('pole_1', 'pole_2')}


@pytest.fixture(scope='session')
def keys(private_keys):
    """Return the public halves."""
    return TrustedKeys({name: key.public_key() for name, key in private_keys.items()})
