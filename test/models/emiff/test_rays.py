"""Weights along the ray of a cell."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.emiff.config import GridConfig, MergeConfig
from thermal_perception.models.emiff.lifting import Lifting, Lookup
from thermal_perception.models.emiff.rays import bin_centres_m, ray_bin, RayWeights


@pytest.mark.parametrize(
    ('depth_m', 'expected'),
    [(-5.0, 0), (0.5, 0), (2.0, 0), (15.9, 15), (16.1, 16), (127.0, 31), (128.0, 31), (900.0, 31)],
)
def test_bins_by_hand(depth_m, expected):
    # 16 m is half of the way from 2 m to 128 m, as factors of eight go.
    assert int(ray_bin(torch.tensor(depth_m), 32)) == expected


def test_centres_lie_in_their_bins():
    assert bin_centres_m(2) == pytest.approx([2 * 8**0.5, 16 * 8**0.5])
    assert ray_bin(torch.tensor(bin_centres_m(24)), 24).tolist() == list(range(24))


def test_nearly_all_of_every_ray_counts_at_first():
    logits = RayWeights(8, 5)(torch.randn(2, 8, 3, 4))
    assert_close(logits, torch.full((2, 5, 3, 4), 2.0))


def test_voxels_take_the_weight_of_their_cell_and_distance():
    lifting = Lifting(GridConfig(counts=(1, 1, 12)), ray_bins=3)
    rays = torch.arange(6.0).view(1, 3, 1, 2) / 10  # [batch, bin, row, column]
    cells, bins = torch.tensor([[0, 1, 1, 2]]), torch.tensor([[0, 0, 2, 1]])
    seen = torch.tensor([[True, True, True, False]])
    weights = lifting.weights(rays, Lookup(cells, seen, bins))
    assert_close(weights[0, :3], torch.tensor([0.0, 0.1, 0.5]).sigmoid())
    assert weights[0, 3] == 0
    with pytest.raises(ValueError, match='found a lookup without bins'):
        lifting.weights(rays, Lookup(cells, seen))


def filled(network, images, views):
    """Return what enters the neck, (B, C, N), and the output."""
    seen = []
    handle = network.vehicle.neck.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        output = network(images[0], views[0], images[1], views[1])
    handle.remove()
    return seen[0].flatten(2), output


@pytest.fixture
def network(make_network):
    return make_network(ray_bins=4, merge=MergeConfig(weights='valid'))


def trust(weights, logit):
    torch.nn.init.zeros_(weights.weigh.weight)
    torch.nn.init.constant_(weights.weigh.bias, logit)


def test_what_one_camera_does_not_see_is_left_to_the_other(network, images, views):
    trust(network.vehicle.rays_ego, 30.0)
    trust(network.vehicle.rays_infra, 30.0)
    mean, output = filled(network, images, views)
    both = (output.ego_seen & output.infra_seen)[0]
    ego_alone = (output.ego_seen & ~output.infra_seen)[0]
    assert both.any()
    trust(network.vehicle.rays_infra, -30.0)
    ego, _ = filled(network, images, views)
    trust(network.vehicle.rays_infra, 30.0)
    trust(network.vehicle.rays_ego, -30.0)
    infra, _ = filled(network, images, views)
    # One at full weight is not halved by another of none; two at full weight are averaged.
    assert_close((ego + infra)[0][:, both] / 2, mean[0][:, both])
    assert not torch.allclose(ego[0][:, both], infra[0][:, both])
    assert_close(ego[0][:, ego_alone], mean[0][:, ego_alone])
    assert infra[0][:, ego_alone].abs().max() < 1e-6


def test_a_ray_may_count_at_one_distance_alone(network, images, views):
    trust(network.vehicle.rays_infra, -30.0)
    trust(network.vehicle.rays_ego, -30.0)
    with torch.no_grad():
        network.vehicle.rays_ego.weigh.bias[1] = 30.0
    volume, output = filled(network, images, views)
    bins = network.vehicle.lifting.lookup(views[0], (64, 96), (16, 24)).bins[0]
    there = output.ego_seen[0] & (bins == 1)
    assert there.any()
    assert (volume[0][:, there] != 0).any(0).all()
    assert volume[0][:, ~there].abs().max() < 1e-6
    assert len(output.rays) == 2
    assert output.rays[0].shape == (2, 4, 16, 24)
