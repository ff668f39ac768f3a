from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.image_fusion import measure
from thermal_perception.evaluation.pairs import is_pair_folder, open_pairs, score_fusion
from thermal_perception.types import Detections, FusedImage, Perception

SIZE = (48, 64)


def write_pairs(folder, names, kinds=('infrared', 'visible'), size=SIZE):
    rng = np.random.default_rng(0)
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        thermal = rng.integers(0, 256, size).astype(np.uint8)
        cv2.imwrite(str(folder / kinds[0] / f'{name}.png'), thermal)
        rgb = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / kinds[1] / f'{name}.png'), rgb)
    return folder


def fusing_by(function):
    """Return a model that fuses by a function of the thermal and the colour image."""

    def perceive(frames):
        image = function(frames.thermal.image, frames.rgb.image)
        fused = image if image is None else FusedImage(image, ('thermal', 'rgb'), 0, '')
        return Perception(Detections.none((), frames.thermal), fused=fused)

    return perceive


@pytest.mark.parametrize('kinds', [('infrared', 'visible'), ('thermal', 'rgb'), ('ir', 'vi')])
def test_pairs_are_files_of_one_name(tmp_path, kinds):
    folder = write_pairs(tmp_path, ['b', 'a'], kinds)
    pairs = open_pairs(folder)
    assert is_pair_folder(folder)
    assert [pair.name for pair in pairs] == ['a', 'b']
    frames = pairs[0].frames()
    assert frames.thermal.image.shape == SIZE
    assert_array_equal(
        frames.rgb.image, cv2.imread(str(folder / kinds[1] / 'a.png'), cv2.IMREAD_COLOR)
    )


def test_a_split_is_a_list_of_names(tmp_path):
    folder = write_pairs(tmp_path, ['a', 'b', 'c'])
    (folder / 'val.txt').write_text('c\na.png\n')
    assert [pair.name for pair in open_pairs(folder, 'val')] == ['a', 'c']


def test_what_lacks_is_named(tmp_path):
    (tmp_path / 'infrared').mkdir()
    assert not is_pair_folder(tmp_path)
    with pytest.raises(DatasetError, match='holds no folder visible, rgb or vi'):
        open_pairs(tmp_path)
    folder = write_pairs(tmp_path, ['a'])
    (folder / 'val.txt').write_text('b\n')
    with pytest.raises(DatasetError, match='holds no image for 1 of the 1 names of .*val.txt'):
        open_pairs(folder, 'val')


def test_model_and_baselines_are_measured_on_the_same_images(tmp_path):
    pairs = open_pairs(write_pairs(tmp_path, ['a', 'b']))
    scorers = score_fusion(pairs, fusing_by(lambda thermal, rgb: np.maximum(thermal, rgb.max(-1))))
    assert list(scorers) == ['model', 'average', 'maximum', 'laplacian', 'guided_filter']
    assert scorers['model'].score() == scorers['maximum'].score()
    assert scorers['model'].score().images == 2
    assert scorers['average'].score() != scorers['maximum'].score()


def test_a_colour_image_is_measured_by_its_brightness(tmp_path):
    pairs = open_pairs(write_pairs(tmp_path, ['a']))
    frames = pairs[0].frames()
    visible = frames.rgb.image.max(-1)
    found = score_fusion(pairs, fusing_by(lambda thermal, rgb: rgb))['model'].score().mean
    assert found == measure(visible, thermal=frames.thermal.image, visible=visible)


def test_a_model_that_makes_no_image_is_refused(tmp_path):
    pairs = open_pairs(write_pairs(tmp_path, ['a']))
    with pytest.raises(DatasetError, match='the model makes no fused image'):
        score_fusion(pairs, fusing_by(lambda *_: None))


def test_an_image_of_another_size_is_refused(tmp_path):
    pairs = open_pairs(write_pairs(tmp_path, ['a']))
    with pytest.raises(MetricError, match=r'a.png: a: fused image is 47x64'):
        score_fusion(pairs, fusing_by(lambda thermal, rgb: thermal[1:]))


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = write_pairs(tmp_path, ['a'])
    (folder / 'visible' / 'a.png').write_bytes(b'no image')
    with pytest.raises(DatasetError, match='a.png: is not an image that OpenCV can decode'):
        open_pairs(folder)[0].frames()
