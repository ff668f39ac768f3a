from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from training.rgbt_segmentation.label_terms import (
    boundary_loss,
    cross_entropy,
    dice_loss,
    focal_loss,
    hard_cross_entropy,
    Known,
    lovasz_loss,
    lovasz_per_class,
)

WEIGHTS = torch.tensor([0.5, 1.0, 4.0])


def terms(logits, labels):
    known = Known.of(logits, labels)
    return {
        'ce': cross_entropy(logits, labels, WEIGHTS),
        'hard': hard_cross_entropy(logits, labels, WEIGHTS),
        'dice': dice_loss(known, WEIGHTS),
        'lovasz': lovasz_loss(known),
        'reference lovasz': lovasz_loss(known, 'reference'),
        'focal': focal_loss(known, 1),
        'boundary': boundary_loss(logits, labels),
    }


TERMS = list(terms(torch.zeros(1, 3, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long)))


def scene(batch=2, height=9, width=8):
    """Return logits and labels of three classes in patches."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(3, (batch, 1, 3, 4), generator=generator).float()
    labels = F.interpolate(labels, (height, width))[:, 0].long()
    return 3 * torch.randn(batch, 3, height, width, generator=generator), labels


def perfect(labels, sharpness=60.0):
    return sharpness * F.one_hot(labels, 3).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize('term', TERMS)
def test_fact_16_perfect_logits_cost_nothing(term):
    labels = scene()[1]
    assert terms(perfect(labels), labels)[term].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('term', TERMS)
def test_fact_16_wrong_logits_cost_something_and_never_less_than_nothing(term):
    logits, labels = scene()
    assert terms(logits, labels)[term] > 0.01


@pytest.mark.parametrize('term', TERMS)
def test_fact_16_unknown_pixels_change_nothing(term):
    logits, labels = scene()
    unknown = F.pad(labels, (0, 5, 0, 3), value=255)
    noise = torch.full((2, 3, 12, 13), 7.0)
    noise[..., 0, :, :] = -9.0
    noise[..., :9, :8] = logits
    expected = terms(logits, labels)[term]
    if term == 'boundary':  # pixels at a border have neighbours they did not have
        changed = noise.clone()
        changed[..., 9:, :] += torch.randn(2, 3, 3, 13)
        assert_close(terms(noise, unknown)[term], terms(changed, unknown)[term])
    assert_close(terms(noise, unknown)[term], expected)


@pytest.mark.parametrize('term', TERMS)
def test_fact_16_a_batch_that_is_all_unknown_is_zero_and_moves_nothing(term):
    logits = scene()[0].requires_grad_()
    loss = terms(logits, torch.full((2, 9, 8), 255))[term]
    assert loss.item() == 0
    loss.backward()
    assert not logits.grad.any()


@pytest.mark.parametrize('term', TERMS)
def test_slopes_are_finite_at_certain_mistakes(term):
    labels = scene()[1]
    logits = (-perfect(labels, 200.0)).requires_grad_()
    terms(logits, labels)[term].backward()
    assert logits.grad.isfinite().all()


def test_cross_entropy_is_the_weighted_mean():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).T[None, :, :, None]
    labels = torch.tensor([[[0], [2]]])
    first = np.log(np.exp(2) + 2) - 2
    second = np.log(np.e + 2)
    expected = (0.5 * first + 4 * second) / 4.5
    assert cross_entropy(logits, labels, WEIGHTS).item() == pytest.approx(expected)


def test_hard_cross_entropy_of_all_pixels_is_cross_entropy():
    logits, labels = scene()
    expected = cross_entropy(logits, labels, WEIGHTS)
    assert_close(hard_cross_entropy(logits, labels, WEIGHTS), expected)


def test_hard_cross_entropy_leaves_easy_pixels_out():
    logits = torch.tensor([[5.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 5.0, 0.0]]).T[None, :, None]
    labels = torch.zeros(1, 1, 3, dtype=torch.long)
    found = hard_cross_entropy(logits, labels, WEIGHTS, fewest=1)
    assert_close(found, cross_entropy(logits[..., 1:], labels[..., 1:], WEIGHTS))


def test_dice_of_two_pixels_by_hand():
    scores = torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    known = Known(scores, torch.eye(2))
    dice = [2 * 0.8 / (1.2 + 1), 2 * 0.6 / (0.8 + 1)]
    expected = (1 * (1 - dice[0]) + 3 * (1 - dice[1])) / 4
    assert dice_loss(known, torch.tensor([1.0, 3.0])).item() == pytest.approx(expected)


def test_dice_leaves_absent_classes_out():
    known = Known(torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]]))
    expected = 1 - 2 * 0.7 / 1.7
    assert dice_loss(known, torch.tensor([1.0, 9.0, 9.0])).item() == pytest.approx(expected)


def background_everywhere():
    """Return 100 pixels, a tenth of them foreground, that are all taken for background."""
    truth = F.one_hot(torch.tensor([1] * 10 + [0] * 90), 2).float()
    return Known(torch.tensor([[1.0, 0.0]]).expand(100, 2), truth)


def test_fact_16_missing_the_whole_foreground_costs_one():
    per_class = lovasz_per_class(background_everywhere())
    assert per_class[1].item() == pytest.approx(1.0)
    assert per_class[0].item() == pytest.approx(0.1)  # 1 - IoU of the background, 90 / 100


def test_the_released_form_hardly_notices_that():
    assert lovasz_per_class(background_everywhere(), 'reference')[1].item() < 0.06


@pytest.mark.parametrize('seed', range(3))
def test_lovasz_of_certain_scores_is_one_minus_the_intersection_over_union(seed):
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(3, size=(2, 50))
    known = Known(
        F.one_hot(torch.from_numpy(found), 3).float(),
        F.one_hot(torch.from_numpy(truth), 3).float(),
    )
    for label, loss in enumerate(lovasz_per_class(known)):
        both, either = (
            f(truth == label, found == label).sum() for f in (np.logical_and, np.logical_or)
        )
        assert loss.item() == pytest.approx(1 - both / either, abs=1e-6)


def test_lovasz_leaves_absent_classes_out():
    known = Known(torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert lovasz_loss(known).item() == pytest.approx(0.3)


def test_focal_loss_by_hand():
    known = Known(torch.tensor([[0.4, 0.6], [0.9, 0.1]]), torch.eye(2)[[1, 0]])
    expected = (0.4**2 * -np.log(0.6) + 0.1**2 * -np.log(0.9)) / 2
    assert focal_loss(known, 1).item() == pytest.approx(expected)


def test_boundaries_of_a_shifted_object_cost_more_than_those_of_the_true_one():
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[:, 4:10, 4:10] = 1
    near, far = (perfect(labels.roll(shift, 2)) for shift in (1, 4))
    assert 0 < boundary_loss(near, labels) < boundary_loss(far, labels)
