from __future__ import annotations

from diffusion_heads import image_sizes, random_pyramid, tiny_head
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.box_codes import make_box_code
from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig
from thermal_perception.models.e2e_mfd.diffusion import draw_noise, from_signal, NoiseSchedule
from thermal_perception.models.e2e_mfd.head import StageOutput
from thermal_perception.models.e2e_mfd.sampling import sample

KINDS = pytest.mark.parametrize('kind', ['upright', 'oriented'])
SIZES = image_sizes((64, 96), (64, 96))
PYRAMID = random_pyramid(batch=2)


class Told:
    """Stands for a head: answers what it was told, and keeps what it was asked."""

    def __init__(self, answer, **changes):
        self.config = DiffusionHeadConfig(**{'proposals': 6, **changes})
        self.code = make_box_code(self.config.boxes)
        self.schedule = NoiseSchedule.cosine(self.config.timesteps)
        self.noise = draw_noise(self.config)
        self.answer = answer
        self.asked = []

    def __call__(self, pyramid, boxes, t, image_sizes):
        self.asked.append((boxes, t.tolist()))
        return (StageOutput(*self.answer(boxes, t)),)


def truth(kind):
    boxes = torch.tensor([[0.2, 0.3, 0.2, 0.1, 0.4], [0.8, 0.6, 0.4, 0.1, -1.5]]).repeat(3, 1)
    return boxes[:, : 5 if kind == 'oriented' else 4].expand(2, -1, -1)


def sure_of(boxes):
    """Return an answer with these boxes and high scores."""
    return lambda start, t: (torch.full((*boxes.shape[:2], 1), 5.0), boxes)


@KINDS
@pytest.mark.parametrize('steps', [1, 4, 10])
def test_sampling_when_the_head_knows_the_truth_ends_there(kind, steps):
    head = Told(sure_of(truth(kind)), boxes=kind, steps=steps, ensemble=False)
    assert_close(sample(head, PYRAMID, SIZES).boxes, truth(kind))


@KINDS
def test_sampling_when_the_head_knows_the_truth_comes_nearer_with_every_step(kind):
    head = Told(sure_of(truth(kind)), boxes=kind, steps=10)
    sample(head, PYRAMID, SIZES)
    unit = head.code.to_unit
    away = [(unit(b) - unit(truth(kind))).abs().mean() for b, _ in head.asked]
    assert away[-1] < 0.2 * away[0]


def test_sampling_asks_at_the_times_of_its_steps():
    head = Told(sure_of(truth('upright')), steps=4)
    sample(head, PYRAMID, SIZES)
    assert [t for _, t in head.asked] == [[999, 999], [749, 749], [499, 499], [249, 249]]


def test_sampling_starts_from_the_same_noise_for_every_image():
    head = Told(sure_of(truth('upright')))
    sample(head, PYRAMID, SIZES)
    start = head.asked[0][0]
    assert torch.equal(start[0], start[1])
    assert_close(start[0], from_signal(head.noise[0], 2.0).clamp(min=1e-4).index_copy(
        1, torch.tensor([0, 1]), from_signal(head.noise[0], 2.0)[:, :2]
    ))  # fmt: skip


def at_time(start, t):
    """Answer with boxes whose width tells the time."""
    boxes = start.clone()
    boxes[..., 2] = t[:, None] / 1000
    return torch.full((*start.shape[:2], 1), 5.0), boxes


def test_ensemble_holds_the_boxes_of_all_steps_and_of_the_last():
    found = sample(Told(at_time, steps=4), PYRAMID, SIZES)
    assert found.boxes.shape == (2, 24, 4)
    assert found.logits.shape == (2, 24, 1)
    widths = found.boxes[0, ::6, 2]
    assert_close(widths, torch.tensor([0.999, 0.749, 0.499, 0.249]))


def test_sampling_without_ensemble_holds_the_boxes_of_the_last_step():
    found = sample(Told(at_time, steps=4, ensemble=False), PYRAMID, SIZES)
    assert_close(found.boxes[..., 2], torch.full((2, 6), 0.249))


def test_renewal_when_one_image_is_empty_leaves_the_other_alone():
    boxes = truth('upright')
    logits = torch.full((2, 6, 1), 5.0)
    logits[1] = -5.0
    logits[1, 2] = 0.1  # just above one half
    head = Told(lambda start, t: (logits, boxes), steps=2)
    sample(head, PYRAMID, SIZES)
    (_, (second, _)) = head.asked
    fresh = head.code.from_unit(from_signal(head.noise[2], 2.0))
    renewed = [0, 1, 3, 4, 5]
    assert_close(second[1, renewed], fresh[renewed])
    assert_close(second[1, 2], second[0, 2])  # its truth is the same, and so is its noise
    assert not torch.isclose(second[0], fresh).all(-1).any()


@KINDS
@pytest.mark.parametrize('steps', [1, 3])
def test_batch_of_two_gives_what_each_image_gives_alone(kind, steps):
    head = tiny_head(boxes=kind, steps=steps, lively=True)
    pyramid, sizes = random_pyramid(batch=2), image_sizes((64, 96), (50, 70))
    together = sample(head, pyramid, sizes)
    for i in range(2):
        one = slice(i, i + 1)
        alone = sample(head, {s: p[one] for s, p in pyramid.items()}, sizes[one])
        assert_close(together.logits[one], alone.logits, atol=1e-4, rtol=1e-4)
        assert_close(together.boxes[one], alone.boxes, atol=1e-4, rtol=1e-4)


@KINDS
def test_detections_are_a_function_of_the_input(kind):
    pyramid, sizes = random_pyramid(), image_sizes((64, 96))
    results = []
    for other in (1, 2):
        head = tiny_head(boxes=kind, steps=3, lively=True)
        torch.manual_seed(other)
        results.append(sample(head, pyramid, sizes))
        results.append(sample(head, pyramid, sizes))  # nor does a call change the next
    for result in results[1:]:
        assert torch.equal(result.boxes, results[0].boxes)
        assert torch.equal(result.logits, results[0].logits)


def test_detections_of_another_seed_differ():
    pyramid, sizes = random_pyramid(), image_sizes((64, 96))
    a, b = (sample(tiny_head(seed=seed), pyramid, sizes) for seed in (0, 1))
    assert not torch.allclose(a.boxes, b.boxes)


def test_sampling_when_given_noise_starts_there():
    pyramid, sizes = random_pyramid(), image_sizes((64, 96))
    noise = draw_noise(tiny_head(seed=1).config)
    given = sample(tiny_head(seed=0), pyramid, sizes, noise=noise)
    assert torch.equal(given.boxes, sample(tiny_head(seed=1), pyramid, sizes).boxes)


class Detect(nn.Module):
    """Sampling with plain tensors in and out, as a run-time has them."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, p2, p3, p4, p5, sizes):
        return tuple(sample(self.head, {4: p2, 8: p3, 16: p4, 32: p5}, sizes))


@pytest.mark.parametrize(('kind', 'steps'), [('upright', 1), ('oriented', 1), ('upright', 3)])
def test_sampling_when_exported_gives_the_same_boxes(kind, steps):
    detect = Detect(tiny_head(boxes=kind, steps=steps, stages=1, lively=True))
    example = (*random_pyramid(seed=1).values(), image_sizes((64, 96)))
    exported = torch.export.export(detect, example).module()
    other = (*random_pyramid(seed=2).values(), image_sizes((60, 80)))
    with torch.no_grad():
        logits, boxes = exported(*other)
        expected = detect(*other)
    assert_close(logits, expected[0], atol=1e-4, rtol=1e-4)
    assert_close(boxes, expected[1], atol=1e-4, rtol=1e-4)
