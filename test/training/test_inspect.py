from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from training.__main__ import main
from training.datasets.sheet import colour_of


@pytest.fixture
def aerial(tmp_path, write):
    """Three frames at two altitudes; a car of 20 x 50, a person of 10 x 10, a broken image."""
    blank = np.full((64, 80), 90, np.uint8)
    scenes = [
        (blank, [(10, 10, 30, 60), (-5, 0, 5, 10)], [1, 0]),
        (blank, [(0, 0, 10, 10)], [0]),
        (blank, [], []),
    ]
    names = ['0_60_30_0_00001.png', '1_60_90_0_00002.png', '1_80_90_0_00003.png']
    write(tmp_path, scenes, names=names, crowd=[(1, (40, 40, 50, 50))])
    (tmp_path / 'images' / 'train' / names[2]).write_bytes(b'no image')
    return tmp_path


def lines(capsys, *args):
    assert main(['inspect', *map(str, args)]) == 0
    return capsys.readouterr().out.splitlines()


def row(text, name):
    """Return the cells of the row that starts with a name."""
    return next(line for line in text if line.startswith(name)).removeprefix(name).split()


def test_pictures_classes_and_sizes_are_counted(aerial, capsys):
    text = lines(capsys, aerial)
    assert text[0].endswith('layout coco, split train')
    assert text[1] == 'first image images/train/0_60_30_0_00001.png'
    assert row(text, 'thermal') == ['2', '80', 'x', '64', '8', 'bit', '90']
    # 10 x 10 is small, 20 x 50 = 1000 below 32 x 32 = 1024 too.
    assert row(text, 'person') == ['2', '66.7%', '2', '2', '0', '0']
    assert row(text, 'car') == ['1', '33.3%', '1', '1', '0', '0']
    assert row(text, 'all') == ['3', '2', '3', '0', '0']
    assert row(text, 'small, below 16 x 16')[:2] == ['2', '66.7%']
    assert row(text, 'small, below 32 x 32')[:2] == ['1', '33.3%']
    (summary,) = [line for line in text if 'boxes an image' in line]
    assert summary == (
        '1.5 boxes an image, at most 2; 0 images without any; 1 regions to ignore; '
        '1 boxes reach over the border'
    )


def test_light_altitude_and_angle_are_broken_down(aerial, capsys):
    text = lines(capsys, aerial)
    assert row(text, 'day') == ['1', '2']
    assert row(text, 'night') == ['1', '1']
    assert row(text, '60 m') == ['2', '3']
    assert row(text, '30 deg') == ['1', '2']


def test_broken_files_are_named_with_the_reason(aerial, capsys):
    text = lines(capsys, aerial)
    assert row(text, 'unreadable image') == ['1']
    assert text[-1].endswith(
        '1_80_90_0_00003.png: unreadable image: is not an image that OpenCV can decode'
    )


def test_columns_are_aligned(aerial, capsys):
    text = lines(capsys, aerial)
    start = next(i for i, line in enumerate(text) if line.startswith('class'))
    assert len({len(line) for line in text[start : start + 4]}) == 1


def test_a_contact_sheet_is_written(aerial, capsys, tmp_path):
    file = tmp_path / 'sheets' / 'a.png'
    text = lines(capsys, aerial, '--output', file)
    assert text[-1] == f'contact sheet of 2 images: {file}'
    assert cv2.imread(str(file)).shape[1] > 600


def test_label_images_are_counted_by_pixel(tmp_path, capsys):
    for folder, channels in (('ir', 1), ('vi', 3), ('Segmentation_labels', 1)):
        path = tmp_path / 'train' / folder / '00001D.png'
        path.parent.mkdir(parents=True)
        image = np.zeros((10, 20) if channels == 1 else (10, 20, 3), np.uint8)
        if folder == 'Segmentation_labels':
            image[:, :5] = 2
            image[:, 19] = 255
        cv2.imwrite(str(path), image)
    text = lines(capsys, tmp_path, '--layout', 'msrs')
    assert row(text, '0 unlabeled') == ['140', '70.000%', '1']
    assert row(text, '2 person') == ['50', '25.000%', '1']
    assert row(text, '255 no verdict') == ['10', '5.000%', '1']
    assert text[-1] == 'broken files    none'


def test_pairs_of_different_sizes_are_said(tmp_path, capsys):
    for folder, size in (('ir', (10, 20)), ('vi', (30, 40))):
        (tmp_path / folder).mkdir()
        for name in 'ab':
            height = size[0] + (name == 'b')
            cv2.imwrite(str(tmp_path / folder / f'{name}.png'), np.zeros((height, size[1])))
    text = lines(capsys, tmp_path, '--layout', 'pairs')
    assert row(text, 'thermal')[:6] == ['2', '20..20', 'x', '10..11', '(2', 'sizes)']
    assert '2 pairs are of two images of different size' in text


def test_many_broken_labels_are_cut_short_unless_all_are_wanted(tmp_path, write, capsys):
    scene = (np.zeros((20, 20), np.uint8), [(0, 0, 5, 5)] * 14, [0] * 14)
    write(tmp_path, [scene])
    path = tmp_path / 'annotations' / 'train.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations'][1:]:
        annotation['bbox'] = [50, 50, 5, 5]
    path.write_text(json.dumps(content))
    assert 'and 3 more, named with --all' in lines(capsys, tmp_path)
    assert len([t for t in lines(capsys, tmp_path, '--all') if 'box outside' in t]) == 14


def test_a_wrong_layout_is_one_sentence(tmp_path, capsys):
    (tmp_path / 'photos').mkdir()
    assert main(['inspect', str(tmp_path), '--layout', 'llvip']) == 1
    error = capsys.readouterr().err
    assert 'holds photos/; expected infrared/{train,test}/*.jpg' in error
    assert error.count('\n') == 1


@pytest.fixture
def experiment(tmp_path, write):
    """An experiment without chance: a bright car of 20 x 20 in the middle of a dark frame."""
    image = np.full((64, 80), 51, np.uint8)  # 0.2 of full scale
    image[20:40, 30:50] = 204
    write(tmp_path / 'set', [(image, [(30, 20, 50, 40)], [1])] * 3)
    still = {'zoom': [1, 1], 'focus': 0, 'horizontal_flip': 0, 'gain': [1, 1], 'offset': [0, 0]}
    plain = {'gamma': [1, 1], 'noise': 0, 'blur': 0, 'deep': 0, 'crop_size': [64, 80]}
    file = tmp_path / 'experiment.yaml'
    content = {
        'model': 'fusion_detr_lite',
        'train': [{'directory': 'set'}],
        'dev': [],
        'seed': 7,
        'augment': still | plain,
    }
    file.write_text(json.dumps(content))
    return file


def test_samples_are_drawn_as_the_network_gets_them(experiment, capsys):
    file = experiment.parent / 'sheet.png'
    arguments = ['--augmented', experiment, '--output', file, '--images', 2]
    text = lines(capsys, experiment.parent, *arguments)
    assert text[0] == f'{experiment}: the first 2 samples of epoch 1, seed 7'
    assert text[1].split() == ['2', 'samples', 'of', 'set,', '8', 'bit']
    assert '   2 boxes of car' in text
    assert '   0 boxes of person' in text
    crop = cv2.imread(str(file))[30 : 30 + 64, :80]  # below the legend
    assert (crop[5, 5] == 51).all()
    assert (crop[30, 40] == 204).all()
    outline = np.argwhere((crop == colour_of(1)).all(-1))
    assert outline.min(0).tolist() == [20, 30]
    assert outline.max(0).tolist() == [40, 50]


def test_samples_tell_their_depth_and_take_changed_values(experiment, capsys):
    file = experiment.parent / 'sheet.png'
    arguments = ['--augmented', experiment, '--output', file, '--images', 1]
    text = lines(capsys, experiment.parent, *arguments, '--set', 'augment.deep=1')
    assert text[1].split() == ['1', 'samples', 'of', 'set,', '16', 'bit']


def test_samples_need_a_file_to_be_drawn_on(experiment, capsys):
    assert main(['inspect', str(experiment.parent), '--augmented', str(experiment)]) == 1
    assert '--augmented: found no --output' in capsys.readouterr().err
