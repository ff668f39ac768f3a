"""The whole network: what each camera gives, sizes, switches, counts."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from thermal_perception.models.e2e_mfd.config import (
    DiffusionHeadConfig,
    E2eMfdConfig,
    OrpptConfig,
)
from thermal_perception.models.e2e_mfd.diffusion import NoisedProposals
from thermal_perception.models.e2e_mfd.network import E2eMfd, image_sizes

pytestmark = pytest.mark.usefixtures('small_backbones')

TINY = E2eMfdConfig(
    class_names=('person', 'car'),
    backbone='efficientnet_lite0',
    pyramid_width=16,
    fusion=OrpptConfig(pixel_width=4, pixel_blocks=1, pixel_convs=1, width=8, decoder_widths=(8,)),
    detection=DiffusionHeadConfig(
        proposals=10, stages=2, num_heads=2, dynamic_width=4, ffn_dim=16, time_dim=16
    ),
)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return E2eMfd(TINY).eval()


@pytest.fixture(scope='module')
def images():
    generator = torch.Generator().manual_seed(1)
    thermal = torch.rand(2, 1, 64, 96, generator=generator)
    return thermal, torch.rand(2, 3, 64, 96, generator=generator)


def run(network, *args, **options):
    with torch.inference_mode():
        return network(*args, **options)


def test_a_pair_gives_a_fused_image_of_its_size_and_boxes(network, images):
    output = run(network, *images)
    assert output.fusion.fused.shape == (2, 1, 64, 96)
    assert output.fusion.weights.shape == (2, 2, 64, 96)
    assert output.detections.logits.shape == (2, 10, 2)
    assert output.detections.boxes.shape == (2, 10, 4)
    assert output.stages is None


def test_what_is_not_asked_for_is_not_made(network, images):
    assert run(network, *images, fuse=False).fusion is None
    assert run(network, *images, detect=False).detections is None


def test_swapped_images_give_the_same_levels(network, images):
    thermal, rgb = images[0].expand(-1, 3, -1, -1), images[1]
    ahead = network.pyramid(network.features(thermal, rgb))
    swapped = network.pyramid(network.features(rgb, thermal))
    assert list(ahead) == [32, 16, 8, 4]
    for stride, x in ahead.items():
        assert_close(swapped[stride], x)


def test_levels_are_the_sum_of_those_of_each_camera_but_for_what_none_gives(network, images):
    both = network.features(*images)
    alone = [network.features(images[0], None), network.features(None, images[1])]
    none = network.pyramid({s: torch.zeros_like(x) for s, x in both.items()})
    each = [network.pyramid({s: x / 2 for s, x in maps.items()}) for maps in alone]
    for stride, x in network.pyramid(both).items():
        added = each[0][stride] + each[1][stride]
        assert_close(x + none[stride], added, atol=1e-4, rtol=1e-4)


def test_features_are_the_sum_of_what_each_camera_gives(network, images):
    both = network.features(*images)
    alone = network.features(images[0], None), network.features(None, images[1])
    for stride, x in both.items():
        assert_close(2 * x, alone[0][stride] + alone[1][stride], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('camera', [0, 1], ids=['thermal', 'rgb'])
def test_a_missing_camera_is_the_same_as_one_marked_missing(network, images, camera):
    thermal, rgb = (None if n == camera else image for n, image in enumerate(images))
    present = torch.tensor([[n != camera for n in range(2)]] * 2)
    marked = [torch.zeros_like(i) if n == camera else i for n, i in enumerate(images)]
    absent, masked = network.features(thermal, rgb), network.features(*marked, present=present)
    for stride, x in absent.items():
        assert_close(masked[stride], x, atol=1e-4, rtol=1e-4)


def test_one_camera_alone_is_the_fused_image(network, images):
    thermal, rgb = images
    fused = run(network, thermal, None).fusion
    assert_close(fused.fused, thermal)
    assert fused.weights[:, 0].min() == 1
    assert fused.weights[:, 1].max() == 0
    assert_close(run(network, None, rgb).fusion.fused, rgb.amax(1, keepdim=True))


@pytest.fixture(scope='module')
def own_laterals():
    torch.manual_seed(0)
    return E2eMfd(dataclasses.replace(TINY, own_laterals=True)).eval()


def test_each_camera_has_laterals_of_its_own(network, own_laterals, images):
    both = own_laterals.features(*images)
    thermal, rgb = own_laterals.features(images[0], None), own_laterals.features(None, images[1])
    for stride, x in both.items():
        half = network.backbone.channels[stride]
        assert own_laterals.pyramid.lateral[str(stride)].in_channels == 2 * half
        assert_close(x[:, :half], thermal[stride][:, :half])
        assert_close(x[:, half:], rgb[stride][:, half:])
        assert not thermal[stride][:, half:].any()
        assert not rgb[stride][:, :half].any()


def test_colour_camera_changes_nothing_before_its_laterals_are_trained(own_laterals, images):
    alone = own_laterals.pyramid(own_laterals.features(images[0], None))
    for stride, x in own_laterals.pyramid(own_laterals.features(*images)).items():
        assert x.abs().max() > 0
        assert_close(x, alone[stride])


def test_laterals_of_the_colour_camera_learn_from_the_start(images):
    torch.manual_seed(0)
    network = E2eMfd(dataclasses.replace(TINY, own_laterals=True))
    sum(x.sum() for x in network.pyramid(network.features(*images)).values()).backward()
    for stride, lateral in network.pyramid.lateral.items():
        half = network.backbone.channels[int(stride)]
        assert not lateral.weight[:, half:].any()
        assert lateral.weight.grad[:, half:].abs().max() > 0


@pytest.mark.parametrize('camera', [0, 1], ids=['thermal', 'rgb'])
def test_a_camera_with_laterals_of_its_own_may_be_marked_missing(own_laterals, images, camera):
    test_a_missing_camera_is_the_same_as_one_marked_missing(own_laterals, images, camera)


def test_no_camera_at_all_is_refused(network):
    with pytest.raises(ValueError, match='found no image, expected thermal, rgb or both'):
        network(None, None)


def test_same_images_give_the_same_boxes_alone_and_in_a_batch(network, images):
    both = run(network, *images).detections
    again = run(network, *images).detections
    assert torch.equal(both.boxes, again.boxes)
    for n in range(2):
        alone = run(network, images[0][n : n + 1], images[1][n : n + 1]).detections
        assert_close(alone.boxes[0], both.boxes[n], atol=1e-4, rtol=1e-4)
        assert_close(alone.logits[0], both.logits[n], atol=1e-4, rtol=1e-4)


def test_every_stage_answers_in_training(network, images):
    boxes = torch.rand(2, 10, 4, generator=torch.Generator().manual_seed(2))
    proposals = NoisedProposals(boxes, torch.tensor([3, 900]))
    output = network(*images, proposals=proposals)
    assert [stage.logits.shape for stage in output.stages] == [(2, 10, 2)] * 2
    assert output.detections is None


def test_sizes_leave_padding_out():
    padding = torch.ones(2, 64, 96, dtype=torch.bool)
    padding[0, :40, :50] = False
    padding[1, :64, :96] = False
    images = torch.zeros(2, 1, 64, 96)
    assert image_sizes(images, padding).tolist() == [[40, 50], [64, 96]]
    assert image_sizes(images, None).tolist() == [[64, 96], [64, 96]]


def test_boxes_do_not_depend_on_how_far_an_image_is_padded(network, images):
    thermal, rgb = (image[:1] for image in images)
    plain = run(network, thermal, rgb)
    wide = [torch.nn.functional.pad(image, (0, 32, 0, 64)) for image in (thermal, rgb)]
    padding = torch.ones(1, 128, 128, dtype=torch.bool)
    padding[:, :64, :96] = False
    padded = run(network, *wide, padding)
    inside = padded.fusion.weights[..., :56, :88]
    assert_close(inside, plain.fusion.weights[..., :56, :88], atol=0.02, rtol=0)
    assert_close(padded.detections.boxes, plain.detections.boxes, atol=0.05, rtol=0)


def test_published_sizes_of_the_levels():
    with torch.device('meta'):
        published = E2eMfd(E2eMfdConfig())
        rgb, thermal = torch.empty(1, 3, 768, 1024), torch.empty(1, 1, 768, 1024)
        levels = published.pyramid(published.features(thermal, rgb))
    assert {s: tuple(x.shape[1:]) for s, x in levels.items()} == {
        4: (256, 192, 256),
        8: (256, 96, 128),
        16: (256, 48, 64),
        32: (256, 24, 32),
    }


def test_state_when_saved_and_loaded_gives_the_same_image_and_boxes(network, images):
    torch.manual_seed(1)
    other = E2eMfd(TINY).eval()
    before = run(other, *images)
    other.load_state_dict(network.state_dict())
    after, expected = run(other, *images), run(network, *images)
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    assert not torch.equal(before.fusion.fused, expected.fusion.fused)
    assert torch.equal(after.fusion.fused, expected.fusion.fused)
    assert torch.equal(after.detections.boxes, expected.detections.boxes)
    assert torch.equal(after.detections.logits, expected.detections.logits)


class Kernels(TorchDispatchMode):
    """Notes which libraries the operations that run come from."""

    def __init__(self):
        super().__init__()
        self.libraries = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.libraries.add(func.namespace)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('kind', ['upright', 'oriented'])
@pytest.mark.parametrize('region', ['prompt', 'sk'])
def test_pytorch_has_every_operation_itself(images, kind, region):
    fusion = dataclasses.replace(TINY.fusion, region=region)
    head = dataclasses.replace(TINY.detection, boxes=kind, steps=2)
    network = E2eMfd(dataclasses.replace(TINY, fusion=fusion, detection=head))
    boxes = torch.rand(2, 10, head.box_values)
    with Kernels() as kernels:
        output = network(*images, proposals=NoisedProposals(boxes, torch.tensor([3, 900])))
        (output.fusion.fused.sum() + output.stages[-1].boxes.sum()).backward()
        run(network.eval(), *images)
    assert kernels.libraries == {'aten'}


def test_without_regions_the_pyramid_serves_the_detector_alone(images):
    config = dataclasses.replace(TINY, fusion=dataclasses.replace(TINY.fusion, levels=()))
    assert run(E2eMfd(config).eval(), *images).fusion.fused.shape == (2, 1, 64, 96)
