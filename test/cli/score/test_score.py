"""`score` as a user calls it: tables that fit, JSON for scripts, one sentence per error."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

from thermal_perception.cli import console, main as entry

VERBS = ('fusion', 'segmentation', 'miss-rate', 'oriented')
LIGHTS = [f'{n:05d}{"DN"[n % 2]}' for n in range(12)]


@pytest.fixture
def call(monkeypatch, capsys):
    """Return a function that runs the command and returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(console.out, 'width', 200)  # so that nothing is wrapped to fit
        monkeypatch.setattr(sys, 'argv', ['thermal-perception', 'score', *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            entry.main()
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def scored(call, tmp_path):
    """Return a function that runs the command and returns JSON, stdout and stderr."""

    def run(*arguments):
        code, out, err = call(*arguments, '--json', tmp_path / 'out.json')
        assert code == 0, err
        assert max(map(len, out.splitlines()[1:])) <= 80  # the first one tells a folder
        return json.loads((tmp_path / 'out.json').read_text()), out, err

    return run


@pytest.fixture
def fusion(tmp_path):
    """Return the options of twelve pairs and their averages, six by night."""
    rng = np.random.default_rng(0)
    for side in ('thermal', 'rgb', 'fused'):
        (tmp_path / side).mkdir()
    for name in LIGHTS:
        pair = rng.integers(0, 256, (2, 42, 44), np.uint8)
        for side, image in zip(('thermal', 'rgb'), pair):
            cv2.imwrite(str(tmp_path / side / f'{name}.png'), image)
        cv2.imwrite(str(tmp_path / 'fused' / f'{name}.png'), pair.mean(axis=0).astype(np.uint8))
    sides = ('thermal', 'rgb', 'fused')
    return ['fusion', *(word for s in sides for word in (f'--{s}', str(tmp_path / s)))]


@pytest.fixture
def segmentation(tmp_path):
    """Return the options of twelve label maps, of which those by night are half wrong."""
    for side in ('truth', 'predicted'):
        (tmp_path / side).mkdir()
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
    for name in LIGHTS:
        guess = truth * np.array([[1], [name.endswith('D')]], np.uint8)
        cv2.imwrite(str(tmp_path / 'truth' / f'{name}.png'), truth)
        cv2.imwrite(str(tmp_path / 'predicted' / f'{name}.png'), guess)
    return [
        'segmentation',
        '--truth',
        str(tmp_path / 'truth'),
        '--predicted',
        str(tmp_path / 'predicted'),
    ]


@pytest.fixture
def miss_rate(tmp_path):
    """Return the options of twelve KAIST images with a person each, found by day only."""
    (tmp_path / 'annotations').mkdir()
    sets = [0, 3] * 6
    images = [
        {'id': n, 'file_name': f'set{set_:02d}_V000_I{n:05d}'} for n, set_ in enumerate(sets)
    ]
    box = {'category_id': 1, 'bbox': [100, 100, 40, 100]}
    people = [{'image_id': n, 'occlusion': 0, **box} for n in range(12)]
    found = [{'image_id': n, 'score': 0.9, **box} for n in range(0, 12, 2)]
    content = {
        'images': images,
        'annotations': people,
        'categories': [{'id': 1, 'name': 'person'}],
    }
    (tmp_path / 'annotations' / 'test.json').write_text(json.dumps(content))
    (tmp_path / 'found.json').write_text(json.dumps(found))
    dataset = ['--dataset', str(tmp_path), '--split', 'test']
    return ['miss-rate', *dataset, '--detections', str(tmp_path / 'found.json')]


@pytest.fixture
def oriented(tmp_path):
    """Return the options of twelve images with a freight car each; every second one is found."""
    box = '0 0 10 0 10 10 0 10'
    for side in ('truth', 'found'):
        (tmp_path / side).mkdir()
    for name in LIGHTS:
        (tmp_path / 'truth' / f'{name}.txt').write_text(f'{box} other_vehicle 0\n')
    rows = [f'{name} 0.9 {box}\n' for name in LIGHTS[::2]]
    (tmp_path / 'found' / 'Task1_other_vehicle.txt').write_text(''.join(rows))
    return [
        'oriented',
        '--truth',
        str(tmp_path / 'truth'),
        '--detections',
        str(tmp_path / 'found'),
    ]


def cells(out, first):
    """Return the words of the table row that starts so."""
    return next(line.split() for line in out.splitlines() if line.startswith(first))


def test_fused_images_have_a_row_per_figure_and_a_column_per_light(scored, fusion):
    values, out, err = scored(*fusion, '--bootstrap', '20')
    assert cells(out, 'figure') == ['figure', 'all', '95%', 'interval', 'day', 'night']
    assert cells(out, 'images') == ['images', '12', '6', '6']
    metrics = values['metrics']
    assert cells(out, 'EN')[1] == f'{metrics["EN"]:.3f}'
    day, night = values['breakdown']
    assert metrics['VIF'] == pytest.approx((day['VIF'] + night['VIF']) / 2)
    assert cells(out, 'VIF ')[-2:] == [f'{day["VIF"]:.3f}', f'{night["VIF"]:.3f}']
    low, high = values['intervals']['groups']['all']['SSIM']
    assert low < metrics['SSIM'] < high
    assert (values['images'], values['left_out'], err) == (12, {}, '')
    assert '20 draws of images, seed 0' in out


def test_figure_that_is_undefined_somewhere_is_said(scored, fusion, tmp_path):
    cv2.imwrite(str(tmp_path / 'thermal' / '00003N.png'), np.zeros((42, 44), np.uint8))
    values, out, _ = scored(*fusion)
    assert values['metrics']['undefined'] == {'VIF': 1, 'VIF_paper': 1}
    assert 'VIF is undefined in 1 images, which its mean leaves out' in out
    assert 'intervals' not in values


def test_spare_sources_are_counted_on_stderr_and_in_the_file(scored, fusion, tmp_path):
    for name in LIGHTS[2:]:
        (tmp_path / 'fused' / f'{name}.png').unlink()
    values, _, err = scored(*fusion)
    assert values['left_out'] == {'thermal': LIGHTS[2:], 'rgb': LIGHTS[2:]}
    assert '10 rgb images have no fused one and were left out, the first is 00002D' in err
    (tmp_path / 'test.txt').write_text('00000D\n')
    values, _, err = scored(*fusion, '--names', tmp_path / 'test.txt')
    assert (values['images'], values['left_out'], err) == (1, {}, '')


def test_many_parts_are_split_into_tables_that_fit(scored, fusion, tmp_path):
    for n, name in enumerate(LIGHTS):
        for side in ('thermal', 'rgb', 'fused'):
            path = tmp_path / side / f'{name}.png'
            path.rename(path.with_name(f'{n % 2}_{60 + 10 * n}_90_0_{n:05d}.png'))
    values, out, _ = scored(*fusion, '--bootstrap', '10')
    assert len(values['breakdown']) == 2 + 12
    assert sum(line.startswith('MI_bits') for line in out.splitlines()) == 4
    assert '170 m' in out


def test_label_maps_have_rows_per_class_and_light(scored, segmentation):
    values, out, _ = scored(*segmentation, '--classes', 'road,other_vehicle', '--bootstrap', '20')
    # By night 2 of 4 are found: in all 48 and 36 right, 12 taken for road.
    assert values['metrics']['per_class']['road']['IoU'] == pytest.approx(48 / 60)
    assert values['metrics']['mIoU'] == pytest.approx((48 / 60 + 36 / 48) / 2)
    assert cells(out, 'other_vehicle')[:3] == ['other_vehicle', '48', '75.0']
    assert cells(out, 'all')[:3] == ['all', '96', '77.5']
    day, night = values['breakdown']
    assert (day['value'], day['images'], day['pixels'], day['mIoU']) == ('day', 6, 48, 1)
    assert night['per_class']['road']['IoU'] == pytest.approx(4 / 6)
    assert night['intervals']['road']['IoU'] == pytest.approx([4 / 6, 4 / 6])
    assert list(values['intervals']['groups']) == ['all', 'road', 'other_vehicle']


def test_class_that_occurs_nowhere_is_said(scored, segmentation):
    values, out, _ = scored(*segmentation, '--classes', 'road,car,bump')
    assert values['metrics']['undefined'] == 1
    assert '1 classes are neither in truth nor predicted' in out


def test_ignored_label_is_given_by_number_or_none(scored, segmentation):
    values, _, _ = scored(*segmentation, '--ignore', '1')
    assert (values['ignore'], values['metrics']['pixels']) == (1, 48)
    assert scored(*segmentation, '--ignore', '-1')[0]['ignore'] is None


def test_pedestrians_have_a_row_for_all_day_and_night(scored, miss_rate):
    values, out, err = scored(*miss_rate, '--bootstrap', '20')
    assert values['metrics']['lamr'] == pytest.approx(0.5)
    assert cells(out, 'all')[:4] == ['all', '12', '12', '50.0']
    assert cells(out, 'light')[:5] == ['light', 'day', '6', '6', '0.0']
    assert [part['lamr'] for part in values['breakdown']] == pytest.approx([1e-10, 1])
    assert len(values['metrics']['rates']) == len(values['metrics']['false_per_image']) == 9
    low, high = values['intervals']['groups']['all']['lamr']
    assert low < 0.5 < high
    assert err == ''


def test_what_annotations_do_not_tell_is_said(scored, miss_rate, tmp_path):
    path = tmp_path / 'annotations' / 'test.json'
    content = json.loads(path.read_text())
    content['categories'].append({'id': 2, 'name': 'car'})
    del content['annotations'][0]['occlusion']
    path.write_text(json.dumps(content))
    rows = json.loads((tmp_path / 'found.json').read_text())
    (tmp_path / 'found.json').write_text(json.dumps([*rows, {**rows[0], 'category_id': 2}]))
    values, _, err = scored(*miss_rate, '--setting', 'all')
    assert (values['setting'], values['other_boxes'], values['unknown_occlusion']) == ('all', 1, 1)
    assert '1 boxes of other categories were left out' in err
    assert '1 pedestrians have no `occlusion`' in err


def test_oriented_boxes_have_both_averages_per_class(scored, oriented):
    values, out, _ = scored(*oriented, '--bootstrap', '20')
    # Precision 1 up to recall 1/2: area 1/2, and six of eleven recalls.
    assert values['metrics']['mAP50'] == pytest.approx(1 / 2)
    assert values['metrics']['mAP50_voc07'] == pytest.approx(6 / 11)
    assert cells(out, 'other_vehicle')[:3] == ['other_vehicle', '12', '50.0']
    assert [part['mAP50'] for part in values['breakdown']] == [1, 0]
    assert values['breakdown'][0]['boxes'] == 6


def test_what_oriented_scores_leave_out_is_said(scored, oriented, tmp_path):
    (tmp_path / 'truth' / '00000D.txt').write_text('0 0 9 0 9 9 0 9 bus 0\n0 0 9 0 9 9 0 9 car')
    values, _, err = scored(*oriented, '--classes', 'other_vehicle,car')
    assert (values['without_results'], values['other_objects']) == (['car'], {'bus': 1})
    assert 'no file of results for car: counted as not found' in err
    assert 'true boxes of other classes were left out: 1 bus' in err


@pytest.mark.parametrize('verb', VERBS)
def test_every_verb_has_help_and_needs_its_folders(call, verb):
    code, out, _ = call(verb, '--help')
    assert code == 0
    assert f'thermal-perception score {verb}' in out
    assert call(verb)[0] == 2


def test_errors_are_one_sentence_and_exit_with_1(call, fusion, segmentation, tmp_path):
    (tmp_path / 'thermal' / '00003N.png').unlink()
    code, out, err = call(*fusion)
    assert (code, out) == (1, '')
    assert err.startswith('thermal-perception: ')
    assert 'thermal: holds no image for 1 of the 12 names' in err
    assert err.count('\n') == 1
    assert '--classes a,a: expected different names' in call(*segmentation, '--classes', 'a,a')[2]
    code, _, err = call(*segmentation, '--json', tmp_path / 'gone' / 'out.json')
    assert code == 1
    assert 'gone does not exist' in err


def test_failed_score_writes_no_file(call, segmentation, tmp_path):
    cv2.imwrite(str(tmp_path / 'predicted' / '00011N.png'), np.full((2, 4), 9, np.uint8))
    code, _, err = call(*segmentation, '--json', tmp_path / 'out.json')
    assert code == 1
    assert 'prediction: found labels 9..9, expected 0..1' in err
    assert not (tmp_path / 'out.json').exists()
