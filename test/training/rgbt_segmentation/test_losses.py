from __future__ import annotations

import dataclasses

import pytest
import torch

from thermal_perception.errors import ConfigError
from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentationOutput
from training.rgbt_segmentation.label_terms import cross_entropy
from training.rgbt_segmentation.losses import (
    class_weights,
    SegmentationCriterion,
    SegmentationLossConfig,
)

CONFIG = SegmentationLossConfig(class_weights=(0.5, 1.0, 4.0))


def random_logits(seed):
    return torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def output():
    main, auxiliary, *deep = (random_logits(seed) for seed in range(6))
    return RgbtSegmentationOutput(main, auxiliary, tuple(deep), {})


@pytest.fixture
def masks():
    labels = torch.randint(3, (2, 8, 9), generator=torch.Generator().manual_seed(9))
    labels[:, 6:] = 255
    return labels.to(torch.uint8)


@pytest.mark.parametrize(('epoch', 'weight'), [(0, 0.3), (40, 0.175), (80, 0.05), (500, 0.05)])
def test_fact_17_helpers_weigh_less_and_less(epoch, weight):
    assert CONFIG.auxiliary_weight(epoch) == pytest.approx(weight)


def test_published_terms_are_those_of_the_main_logits_and_of_the_helpers(output, masks):
    terms = SegmentationCriterion(3, CONFIG)(output, masks, epoch=0)
    assert terms.keys() == {'ce', 'dice', 'lovasz', 'auxiliary', 'deep'}
    assert all(term > 0 for term in terms.values())


def test_terms_carry_their_weights(output, masks):
    terms = SegmentationCriterion(3, CONFIG)(output, masks, epoch=40)
    labels, weights = masks.long(), torch.tensor(CONFIG.class_weights)
    plain = [cross_entropy(x, labels, weights) for x in (*output[:2], *output.deep)]
    assert terms['ce'] == pytest.approx(0.4 * plain[0])
    assert terms['auxiliary'] == pytest.approx(0.175 * plain[1])
    deep = sum(w * x for w, x in zip((0.1, 0.2, 0.3, 0.4), plain[2:]))
    assert terms['deep'] == pytest.approx(0.175 * deep)


def test_terms_without_weight_are_not_computed(output, masks):
    config = dataclasses.replace(CONFIG, dice_weight=0.0, lovasz_weight=0.0)
    terms = SegmentationCriterion(3, config)(output, masks, epoch=0)
    assert terms.keys() == {'ce', 'auxiliary', 'deep'}


def test_alternative_terms_are_added_where_they_weigh(output, masks):
    config = dataclasses.replace(CONFIG, hard_weight=0.1, boundary_weight=0.1, focal_weight=0.1)
    terms = SegmentationCriterion(3, config)(output, masks, epoch=0)
    assert {'hard', 'boundary', 'focal'} <= terms.keys()


def test_main_logits_alone_have_no_helpers(output, masks):
    alone = output._replace(auxiliary=None, deep=())
    terms = SegmentationCriterion(3, CONFIG)(alone, masks, epoch=0)
    assert terms.keys() == {'ce', 'dice', 'lovasz'}


def test_unlabelled_batches_cost_nothing(output):
    masks = torch.full((2, 8, 9), 255, dtype=torch.uint8)
    terms = SegmentationCriterion(3, CONFIG)(output, masks, epoch=0)
    assert sum(terms.values()).item() == 0


def test_half_precision_is_not_where_losses_are_computed(output, masks):
    half = RgbtSegmentationOutput(
        output.logits.half(), output.auxiliary.half(), tuple(x.half() for x in output.deep), {}
    )
    terms = SegmentationCriterion(3, CONFIG)(half, masks, epoch=0)
    assert {term.dtype for term in terms.values()} == {torch.float32}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dice_weight': -1.0}, 'dice_weight: found -1.0, expected at least 0'),
        ({'class_weights': (1.0, 0.0)}, r'class_weights: found \(1.0, 0.0\), expected all above'),
        ({'auxiliary_epochs': 0}, 'auxiliary_epochs: found 0, expected at least 1'),
    ],
)
def test_options_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        SegmentationLossConfig(**changes)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'class_weights': (1.0, 2.0)}, 'class_weights: found 2, expected 3'),
        ({'focal_label': 3}, r'focal_label: found 3, expected 0\.\.2'),
    ],
)
def test_options_that_do_not_fit_the_classes_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        SegmentationCriterion(3, SegmentationLossConfig(**changes))


def test_deep_weights_that_do_not_fit_the_network_are_refused(output, masks):
    criterion = SegmentationCriterion(3, dataclasses.replace(CONFIG, deep_weights=(0.5, 0.5)))
    with pytest.raises(ConfigError, match='deep_weights: found 2, expected 4'):
        criterion(output, masks, epoch=0)


def test_class_weights_of_counted_pixels():
    # N / (K n) is 1000 / (4 n) = 0.2525.., 50, 10, 5: by the largest, times ten, at least 0.5.
    assert class_weights([990, 5, 25, 50]) == pytest.approx((0.5, 10.0, 2.0, 1.0))


def test_class_weights_are_boosted_last():
    assert class_weights([5, 50], {0: 2.0}) == pytest.approx((20.0, 1.0))


def test_a_class_that_is_never_seen_weighs_one_and_changes_no_other():
    assert class_weights([50, 0, 5]) == pytest.approx((1.0, 1.0, 10.0))


def test_class_weights_need_a_pixel():
    with pytest.raises(ConfigError, match=r'pixels: found \[0, 0\], expected a class with some'):
        class_weights([0, 0])
