"""Two parts that are one network, and what is left when one camera is missing."""

from __future__ import annotations

import pytest
import torch

from thermal_perception.models.emiff.network import Message

LEVEL = 1


def run(network, images, views, level=LEVEL):
    ego, infra = images
    return network(ego, views[0], infra, views[1], network.config.compression[level])


@torch.no_grad()
@pytest.mark.parametrize('level', [0, 1])
def test_two_parts_give_what_one_network_gives(make_network, images, views, level):
    network = make_network()
    whole = run(network, images, views, level)
    of = network.config.compression[level]
    tensors = network.infrastructure(images[1], of)
    message = Message(tuple(t.clone() for t in tensors), of, views[1], (64, 96))
    parts = network.vehicle(images[0], views[0], message)
    for a, b in zip((*whole.head, whole.scale_weights), (*parts.head, parts.scale_weights)):
        assert torch.equal(a, b)


@torch.no_grad()
def test_what_is_sent_is_not_negative(make_network, images):
    network = make_network()
    for level, shape in zip(network.config.compression, ((4, 16, 24), (4, 8, 12))):
        (z,) = network.infrastructure(images[1], level)
        assert z.shape == (2, *shape)
        assert (z >= 0).all()
        assert z.any()


@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(make_network, images, views):
    network = make_network()
    both = run(network, images, views)
    for n in range(2):
        one = run(
            network,
            [image[n : n + 1] for image in images],
            [type(v)(v.K[n : n + 1], v.T_camera_lidar[n : n + 1]) for v in views],
        )
        for a, b in zip(both.head, one.head):
            torch.testing.assert_close(a[n : n + 1], b, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_without_a_message_nothing_of_that_branch_runs(make_network, images, views, monkeypatch):
    network = make_network()
    before = run(network, images, views)
    vehicle = network.vehicle

    def forbidden(*_):
        raise AssertionError('the branch ran')

    with monkeypatch.context() as patch:
        for part in (*vehicle.decompress.values(), vehicle.rebuild, vehicle.correct_infra):
            patch.setattr(part, 'forward', forbidden)
        alone = vehicle(images[0], views[0], None)
    assert alone.scale_weights is None
    assert alone.infra_seen is None
    assert all(x.isfinite().all() for x in alone.head)
    (aim,) = vehicle.aims(views[:1], [(64, 96)], [(16, 24)])
    (ego,) = vehicle._masked([vehicle._ego(images[0])], [aim])
    volume = vehicle.lifting(ego, aim.lookup)
    for a, b in zip(alone.head, vehicle.head(vehicle.neck(volume / 2))):
        assert torch.equal(a, b)
    for a, b in zip(run(network, images, views).head, before.head):
        assert torch.equal(a, b)


@torch.no_grad()
def test_infrastructure_alone_weighs_all_scales_alike(make_network, images, views):
    network = make_network()
    level = network.config.compression[LEVEL]
    message = Message(network.infrastructure(images[1], level), level, views[1], (64, 96))
    output = network.vehicle(None, None, message)
    assert output.scale_weights.flatten().tolist() == [0.25] * 8
    assert output.ego_seen is None
    assert output.infra_seen.any()
    assert all(x.isfinite().all() for x in output.head)


def test_a_vehicle_that_sees_nothing_is_refused(make_network):
    with pytest.raises(ValueError, match='neither image nor message'):
        make_network().vehicle(None, None, None)


def captured_volume(network, images, views):
    """Return what enters the neck."""
    seen = []
    handle = network.vehicle.neck.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        output = run(network, images, views)
    handle.remove()
    return seen[0], output


def test_half_of_what_one_camera_sees_reaches_the_neck(make_network, images, views):
    volume, output = captured_volume(make_network(), images, views)
    valid, _ = captured_volume(make_network(merge=merge(weights='valid')), images, views)
    flat, flat_valid = volume.flatten(2), valid.flatten(2)
    both = (output.ego_seen & output.infra_seen)[0]
    one = (output.ego_seen ^ output.infra_seen)[0]
    assert both.any()
    assert one.any()
    torch.testing.assert_close(flat[0][:, both], flat_valid[0][:, both])
    torch.testing.assert_close(2 * flat[0][:, one], flat_valid[0][:, one])
    assert not flat[0][:, ~(both | one)].any()


def merge(**values):
    from thermal_perception.models.emiff.config import MergeConfig

    return MergeConfig(**values)


def test_two_volumes_are_halved_and_equal_ones_stay(make_network):
    vehicle = make_network().vehicle
    seen = []
    handle = vehicle.neck.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    voxels = torch.rand(1, 960, 16)
    here = torch.ones(1, 960)
    with torch.no_grad():
        for other in (voxels, torch.zeros_like(voxels)):
            vehicle._seen_from_above([voxels, other], [here, here], alone_is_infra=False)
    handle.remove()
    volume = vehicle.lifting.volume(voxels)
    assert torch.equal(seen[0], volume)
    assert torch.equal(seen[1], volume / 2)


@torch.no_grad()
@pytest.mark.parametrize(
    'changes',
    [
        {'mca': {'correction': 'none'}},
        {'mca': {'selection': 'mean'}},
        {'ccm': {'enabled': False}},
        {'merge': {'level': 'bev'}},
        {'merge': {'weights': 'valid'}},
        {'merge': {'weights': 'valid'}, 'ray_bins': 3},
        {'merge': {'missing_divisor': 1}},
        {'compression': []},
        {'compression': [], 'mca': {'correction': 'none'}, 'ccm': {'enabled': False}},
    ],
    ids=str,
)
def test_every_ablation_runs_with_both_cameras_and_with_one(make_network, images, views, changes):
    from thermal_perception.config import from_mapping
    from thermal_perception.models.emiff.config import EmiffConfig

    config = from_mapping(EmiffConfig, changes, where='test')
    network = make_network(**{name: getattr(config, name) for name in changes})
    ego, infra = images
    for inputs in (
        (ego, views[0], infra, views[1]),
        (ego, views[0], None, None),
        (None, None, infra, views[1]),
    ):
        output = network(*inputs)
        assert [tuple(x.shape) for x in output.head] == [
            (2, 2, 10, 8), (2, 14, 10, 8), (2, 4, 10, 8)
        ]  # fmt: skip
        assert all(x.isfinite().all() for x in output.head)


def test_every_parameter_learns(make_network, images, views):
    network = make_network(freeze_early=False, ray_bins=3).train()
    output = run(network, images, views)
    sum(x.square().sum() for x in output.head).backward()
    used = f'compress.{network.config.compression[LEVEL].name}'
    idle = ('pyramid.output.8', 'pyramid.output.16', 'pyramid.output.32')
    for name, parameter in network.named_parameters():
        other_level = 'compress.' in name and used not in name
        if other_level or (name.startswith('infrastructure') and any(i in name for i in idle)):
            assert parameter.grad is None, name
        elif parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('weights', ['half', 'valid'])
def test_old_features_count_less(make_network, images, views, weights):
    network = make_network(merge=merge(weights=weights))
    level = network.config.compression[LEVEL]
    seen = []
    handle = network.vehicle.neck.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        tensors = network.infrastructure(images[1], level)
        for weight in (None, torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.25])):
            message = Message(tensors, level, views[1], (64, 96), weight)
            output = network.vehicle(images[0], views[0], message)
    handle.remove()
    full, same, faded = (volume.flatten(2) for volume in seen)
    assert torch.equal(full, same)
    assert torch.equal(full[0], faded[0])
    infra_alone = (output.infra_seen & ~output.ego_seen)[1]
    ego_alone = (output.ego_seen & ~output.infra_seen)[1]
    torch.testing.assert_close(faded[1][:, infra_alone], 0.25 * full[1][:, infra_alone])
    assert torch.equal(faded[1][:, ego_alone], full[1][:, ego_alone])
