"""DOTA's text files: rows of both kinds, scores by hand, what is left out or refused."""

from __future__ import annotations

import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.from_files import score_oriented_boxes
from thermal_perception.evaluation.from_files.dota import OrientedObject, read_truth

A = '0 0 10 0 10 10 0 10'
B = '50 50 70 60 65 70 45 60'
FAR = '200 200 210 200 210 210 200 210'


@pytest.fixture
def scored(tmp_path):
    """Return a function that writes files, a row per line, and scores them."""

    def score(truth, found, **options):
        for folder, files in (('truth', truth), ('found', found)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for name, rows in files.items():
                (tmp_path / folder / f'{name}.txt').write_text('\n'.join(rows))
        return score_oriented_boxes(
            truth=tmp_path / 'truth', detections=tmp_path / 'found', **options
        )

    return score


def test_one_false_box_before_one_of_two_objects_by_hand(scored):
    # Precision 1/2 up to recall 1/2: area 1/4; six of the eleven recalls have 1/2.
    result = scored(
        {'p1': [f'{A} car 0'], 'p2': [f'{B} car 0']},
        {'Task1_car': [f'p1 0.9 {FAR}', f'p2 0.8 {B}']},
    )
    metrics = result.scorer.score()
    assert metrics.mAP50 == pytest.approx(1 / 4)
    assert metrics.mAP50_voc07 == pytest.approx(6 / 11 / 2)
    assert metrics.boxes == 2


def test_empty_file_is_an_image_without_objects(scored):
    result = scored({'p1': [f'{A} car'], 'p2': []}, {'Task1_car': [f'p2 0.9 {A}', f'p1 0.5 {A}']})
    assert result.scorer.names() == ['p1', 'p2']
    assert result.scorer.score().mAP50 == pytest.approx(0.5)


def test_difficult_object_is_neither_missed_nor_false_when_found(scored):
    truth = {'p1': [f'{A} car 1', f'{B} car 0']}
    for rows in ([f'p1 0.5 {B}'], [f'p1 0.9 {A}', f'p1 0.5 {B}']):
        metrics = scored(truth, {'Task1_car': rows}).scorer.score()
        assert (metrics.mAP50, metrics.boxes) == (1, 1)


def test_heads_spaces_and_misprints_of_published_files_are_understood(tmp_path):
    rows = ['imagesource:GoogleEarth', 'gsd:0.14', f'{A} storage-tank 0', f'{B} feright car', '']
    (tmp_path / 'p1.txt').write_text('\r\n'.join([*rows, f'{A} 7']))
    tank, freight, numbered = read_truth(tmp_path)['p1']
    assert tank == OrientedObject('storage_tank', (0, 0, 10, 0, 10, 10, 0, 10), 1)
    assert freight.class_name == 'freight_car'
    assert numbered.class_name == '7'


def test_class_without_a_file_counts_as_not_found_and_is_named(scored):
    result = scored({'p1': [f'{A} car', f'{B} bus']}, {'Task1_car': [f'p1 0.9 {A}']})
    assert result.without_results == ('bus',)
    assert result.scorer.score().mAP50 == pytest.approx(1 / 2)


def test_chosen_classes_leave_the_others_out_with_a_count(scored):
    truth = {'p1': [f'{A} car', f'{B} bus', f'{FAR} bus']}
    found = {'Task1_car': [f'p1 0.9 {A}'], 'Task1_tram': [f'p1 0.9 {A}']}
    result = scored(truth, found, class_names=('car', 'van'))
    assert (result.other_objects, result.other_boxes) == ({'bus': 2}, {'tram': 1})
    assert result.scorer.score().mAP50 == 1
    assert result.scorer.score().per_class['van'].mAP50 is None


def test_results_of_a_class_that_truth_lacks_are_refused(scored):
    with pytest.raises(DatasetError, match='found results of class tram, expected .* car, or a'):
        scored({'p1': [f'{A} car']}, {'Task1_tram': [f'p1 0.9 {A}']})


def test_results_of_an_image_without_truth_are_refused(scored):
    with pytest.raises(DatasetError, match='a box of class car names image p9, which is none of'):
        scored({'p1': [f'{A} car']}, {'Task1_car': [f'p9 0.9 {A}']})


@pytest.mark.parametrize(
    ('truth', 'found', 'message'),
    [
        ('0 0 10 0 car', f'p1 0.9 {A}', r'p1.txt:1: found 0 0 10 0 car, expected x1 y1'),
        (A, f'p1 0.9 {A}', r'p1.txt:1: found 8 words, expected x1 y1'),
        (f'{A} car', f'p1 {A}', r'Task1_car.txt:1: found 9 words, expected image score'),
        (f'{A} car', f'p1 nan {A}', r'Task1_car.txt:1: found nan 0 0 .*, expected image score'),
    ],
)
def test_broken_rows_are_told_with_file_and_line(scored, truth, found, message):
    with pytest.raises(DatasetError, match=message):
        scored({'p1': [truth]}, {'Task1_car': [found]})


def test_empty_folders_and_other_names_are_told(scored, tmp_path):
    with pytest.raises(DatasetError, match='truth: holds no text file, expected NAME.txt'):
        scored({}, {})
    with pytest.raises(DatasetError, match='found: holds no text file, expected Task1_CLASS'):
        scored({'p1': []}, {})
    with pytest.raises(DatasetError, match='car.txt: expected the name Task1_CLASS.txt'):
        scored({'p1': [f'{A} car']}, {'car': []})
    (tmp_path / 'found' / 'car.txt').rename(tmp_path / 'found' / 'Task1_car.txt')
    with pytest.raises(DatasetError, match='truth: holds no object in 1 files'):
        scored({'p1': []}, {})
    with pytest.raises(DatasetError, match='gone: is not a folder'):
        score_oriented_boxes(truth=tmp_path / 'gone', detections=tmp_path / 'found')
