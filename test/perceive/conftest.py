"""Small networks for every test here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope='module')
def small(small_backbones: None) -> None:
    """Take the smallest backbones in reduced form."""
