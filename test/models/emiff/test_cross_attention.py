"""Which scales the vehicle asks for."""

from __future__ import annotations

import pytest
import torch

from thermal_perception.models.emiff.cross_attention import Correction, scale_weights, weighed


@pytest.fixture
def query():
    return torch.rand(2, 8, 4, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def keys():
    return torch.rand(2, 4, 8, 4, 6, generator=torch.Generator().manual_seed(1))


def test_by_hand():
    # One channel of 2 against scales of 1 and 3, over sqrt(1): softmax of 2 and 6.
    keys = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1, 1)
    share = scale_weights(torch.full((1, 1, 1, 1), 2.0), keys)
    assert share[0].tolist() == pytest.approx([1 / (1 + 2.718281828**4), 0.98201379])


def test_shares_sum_to_one(query, keys):
    shares = scale_weights(query, keys)
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(1), torch.ones(2), atol=1e-6, rtol=0)


def test_equal_scales_share_equally(query, keys):
    equal = keys[:, :1].expand(-1, 4, -1, -1, -1)
    assert scale_weights(query, equal).flatten().tolist() == [0.25] * 8


def test_a_scale_more_like_the_query_gets_more(query, keys):
    more = keys.clone()
    more[:, 2] += query.mean((2, 3))[:, :, None, None]
    assert (scale_weights(query, more)[:, 2] > scale_weights(query, keys)[:, 2]).all()


def test_order_of_scales(query, keys):
    order = [2, 0, 3, 1]
    shares = scale_weights(query, keys[:, order])
    torch.testing.assert_close(shares, scale_weights(query, keys)[:, order])


def test_places_do_not_matter(query, keys):
    places = torch.randperm(24, generator=torch.Generator().manual_seed(2))
    shuffled = keys.flatten(3)[..., places].unflatten(3, (4, 6))
    torch.testing.assert_close(scale_weights(query, shuffled), scale_weights(query, keys))


def test_weighed(keys):
    shares = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    got = weighed(keys, shares)
    torch.testing.assert_close(got[0], keys[0, 0])
    torch.testing.assert_close(got[1], keys[1].mean(0))


def test_correction_brings_odd_sizes_to_the_finest():
    torch.manual_seed(0)
    maps = [torch.rand(1, 4, h, w) for h, w in ((18, 30), (9, 15), (5, 8), (3, 4))]
    corrected = Correction(4).eval()(maps)
    assert corrected.shape == (1, 4, 4, 18, 30)
    assert (corrected >= 0).all()
