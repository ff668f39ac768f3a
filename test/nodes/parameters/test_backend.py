"""What a node may be told to run its network with, without asking backends, which know torch."""

from __future__ import annotations

from dataclasses import fields

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from thermal_perception.backends import BACKENDS
from thermal_perception.nodes.parameters.backend import BackendParameters


def test_nodes_offer_every_backend_there_is():
    (backend,) = (f for f in fields(BackendParameters) if f.name == 'backend')
    assert set(backend.metadata['parameter'].choices) == set(BACKENDS)
