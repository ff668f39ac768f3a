"""Fused images on disk score as their arrays do; what does not fit is named by its file."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.from_files import score_fused_images
from thermal_perception.evaluation.image_fusion import measure

SIZE = (44, 48)


@pytest.fixture
def folders(tmp_path):
    """Return folders of two pairs: thermal grey, rgb colour, and fused images in colour."""
    rng = np.random.default_rng(0)
    for side in ('thermal', 'rgb', 'fused'):
        (tmp_path / side).mkdir()
        for name in ('1D', '2N'):
            shape = SIZE if side == 'thermal' else (*SIZE, 3)
            image = rng.integers(0, 256, shape, np.uint8)
            cv2.imwrite(str(tmp_path / side / f'{name}.png'), image)
    return {side: tmp_path / side for side in ('thermal', 'rgb', 'fused')}


def replace(path, image):
    cv2.imwrite(str(path), image)


def test_score_is_the_mean_of_the_images_measured_on_their_brightness(folders):
    scorer, partners = score_fused_images(**folders)
    expected = []
    for name in ('1D.png', '2N.png'):
        images = {s: cv2.imread(str(f / name), cv2.IMREAD_UNCHANGED) for s, f in folders.items()}
        grey = {s: i.max(axis=2) if i.ndim == 3 else i for s, i in images.items()}
        expected.append(measure(grey['fused'], thermal=grey['thermal'], visible=grey['rgb']))
    values = scorer.score().to_json()
    assert values['SSIM'] == pytest.approx(np.mean([q.SSIM for q in expected]))
    assert values['EN'] == pytest.approx(np.mean([q.EN for q in expected]))
    assert list(scorer.breakdown()) == [('light', 'day'), ('light', 'night')]
    assert partners.left_out == {}


def test_halves_of_two_levels_by_hand(folders):
    # Left half 0, right half 200: one bit, deviation 100; the sources equal it: MI 2 ln 2 nats.
    halves = np.zeros(SIZE, np.uint8)
    halves[:, 24:] = 200
    for folder in folders.values():
        for name in ('1D', '2N'):
            replace(folder / f'{name}.png', halves)
    values = score_fused_images(**folders)[0].score().to_json()
    assert values['EN'] == pytest.approx(1)
    assert values['SD'] == pytest.approx(100)
    assert values['MI'] == pytest.approx(2 * math.log(2))
    assert values['SSIM'] == pytest.approx(1)


def test_every_image_ticks(folders):
    ticks = []
    score_fused_images(**folders, tick=lambda *counts: ticks.append(counts))
    assert ticks == [(1, 2), (2, 2)]


def test_another_size_is_told_with_file_and_both_sizes(folders):
    replace(folders['rgb'] / '2N.png', np.zeros((50, 60), np.uint8))
    with pytest.raises(
        MetricError, match=r'fused/2N.png: fused image is 44x48 and visible image 50x60'
    ):
        score_fused_images(**folders)


def test_16_bit_thermal_image_is_refused(folders):
    replace(folders['thermal'] / '1D.png', np.zeros(SIZE, np.uint16))
    with pytest.raises(DatasetError, match=r'thermal/1D.png: found 1 channel of uint16'):
        score_fused_images(**folders)


def test_source_that_is_missing_is_an_error_and_a_spare_one_is_counted(folders):
    (folders['fused'] / '1D.png').unlink()
    scorer, partners = score_fused_images(**folders)
    assert scorer.names() == ['2N.png']
    assert partners.left_out == {'thermal': ('1D',), 'rgb': ('1D',)}
    (folders['thermal'] / '2N.png').unlink()
    with pytest.raises(DatasetError, match='thermal: holds no image for 1 of the 1 names'):
        score_fused_images(**folders)
