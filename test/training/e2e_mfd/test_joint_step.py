"""One training step of the whole network: both losses, gradients aligned where they meet."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.denoising import Target
from thermal_perception.models.e2e_mfd.brightness import brightness
from thermal_perception.models.e2e_mfd.config import (
    DiffusionHeadConfig,
    E2eMfdConfig,
    OrpptConfig,
)
from thermal_perception.models.e2e_mfd.diffusion import noised_proposals
from thermal_perception.models.e2e_mfd.network import E2eMfd, image_sizes
from training.e2e_mfd.detection_loss import DetectionCriterion, DetectionLossConfig
from training.e2e_mfd.fusion_loss import FusionCriterion, FusionLossConfig
from training.e2e_mfd.masks import object_mask
from training.multitask import align, MultitaskConfig, split_backward, write_gradients

TINY = E2eMfdConfig(
    class_names=('person', 'car'),
    backbone='efficientnet_lite0',
    train_norm=True,
    freeze_early=False,
    pyramid_width=16,
    fusion=OrpptConfig(
        pixel_width=4,
        pixel_blocks=1,
        pixel_convs=1,
        levels=(4, 8, 16, 32),  # no box of 64 pixels looks at the last one
        width=8,
        decoder_widths=(8,),
    ),
    detection=DiffusionHeadConfig(
        proposals=10, stages=2, num_heads=2, dynamic_width=4, ffn_dim=16, time_dim=16
    ),
)
TARGETS = (
    Target(torch.tensor([0, 1]), torch.tensor([[0.3, 0.4, 0.2, 0.4], [0.7, 0.5, 0.3, 0.2]])),
    Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4)),
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return E2eMfd(TINY).train()


def losses_of(network):
    """Return the loss of each task on two random pairs."""
    generator = torch.Generator().manual_seed(1)
    thermal = torch.rand(2, 1, 64, 64, generator=generator)
    rgb = torch.rand(2, 3, 64, 64, generator=generator)
    boxes = [t.boxes for t in TARGETS]
    proposals = noised_proposals(boxes, TINY.detection, network.head.schedule, generator)
    output = network(thermal, rgb, proposals=proposals)
    sizes = image_sizes(thermal, None)
    fusion = FusionCriterion(FusionLossConfig())(
        output.fusion.fused,
        visible=brightness(rgb),
        thermal=thermal,
        objects=object_mask(TARGETS, sizes, (64, 64)),
    )
    criterion = DetectionCriterion('upright', DetectionLossConfig())
    detection = criterion(output.stages, TARGETS, sizes)
    return sum(fusion.values()), sum(detection.values())


def own_parameters(network):
    return [*network.orppt.parameters(), *network.head.parameters()]


def test_an_aligned_step_changes_every_parameter(network):
    shared, own = list(network.shared_parameters()), own_parameters(network)
    for stage in network.head.stages:  # what leads to weights of zero changes a step later
        torch.nn.init.normal_(stage.box_deltas.weight, std=0.1)
        torch.nn.init.normal_(stage.modulation.linear.weight, std=0.1)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    per_task = split_backward(losses_of(network), shared, own)
    gradients, alignment = align(per_task, MultitaskConfig('gmta'))
    write_gradients(shared, gradients)
    torch.optim.SGD(network.parameters(), 0.1).step()
    assert {name.split('.')[0] for name in before} == {'backbone', 'pyramid', 'orppt', 'head'}
    assert [n for n, p in network.named_parameters() if torch.equal(p, before[n])] == []
    assert alignment.condition_after == pytest.approx(1, abs=1e-3)
    assert alignment.condition_before > 1
    assert not alignment.skipped


def test_gradients_of_each_task_alone_are_those_of_the_plain_sum(network):
    sum(losses_of(network)).backward()
    shared, own = list(network.shared_parameters()), own_parameters(network)
    expected = [[p.grad for p in parameters] for parameters in (shared, own)]
    network.zero_grad(set_to_none=True)
    per_task = split_backward(losses_of(network), shared, own)
    summed, _ = align(per_task, MultitaskConfig('sum'))
    found = [summed, [p.grad for p in own]]
    for ours, theirs in zip(found, expected):
        for a, b in zip(ours, theirs):
            assert_close(a, b, atol=1e-5, rtol=1e-3)
