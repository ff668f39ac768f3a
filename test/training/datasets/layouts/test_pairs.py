"""Folders of unlabelled pairs, RoadScene and TNO."""

from __future__ import annotations

import pytest

from thermal_perception.errors import DatasetError


@pytest.fixture
def pair(tmp_path, image):
    def write(name, thermal='infrared', rgb='visible', size=(24, 32), suffixes=('jpg', 'png')):
        image(tmp_path / thermal / f'{name}.{suffixes[0]}', size=size)
        image(tmp_path / rgb / f'{name}.{suffixes[1]}', size=size, channels=3)

    return write


@pytest.mark.parametrize('folders', [('thermal', 'rgb'), ('ir', 'vi'), ('infrared', 'visible')])
def test_all_pairs_are_read_without_a_split_and_those_of_the_list_with_one(
    folders, pair, read, text, tmp_path
):
    for name in 'abc':
        pair(name, *folders)
    text(tmp_path / 'val.txt', 'c.jpg\n\na\n')
    assert [r.name for r in read('pairs', split=None).records] == ['a', 'b', 'c']
    records = read('pairs', split='val').records
    assert [r.name for r in records] == ['c', 'a']
    assert records[0].rgb.path.name == 'c.png'
    assert not len(records[0].labels)


def test_a_name_of_the_list_without_images_is_listed(pair, read, text, tmp_path):
    pair('a')
    text(tmp_path / 'val.txt', 'a\nzebra\n')
    listing = read('pairs', split='val')
    assert len(listing.records) == 1
    assert 'zebra' in str(listing.problems[0])


def test_an_empty_list_is_refused(pair, read, text, tmp_path):
    pair('a')
    text(tmp_path / 'val.txt', '\n')
    with pytest.raises(DatasetError, match='val.txt: is empty'):
        read('pairs', split='val')


def test_roadscene_takes_the_cropped_folders_where_both_kinds_are_there(pair, read):
    pair('FLIR_00006', 'cropinfrared', 'crop_LR_visible', size=(20, 30))
    pair('FLIR_00007', 'cropinfrared', 'crop_LR_visible', size=(26, 30))
    pair('FLIR_00006', 'infrared', 'visible')
    records = read('roadscene', split=None).records
    assert [r.thermal.read().shape for r in records] == [(20, 30), (26, 30)]


def test_roadscene_copies_with_plain_names_and_lists_are_read(pair, read, text, tmp_path):
    pair('FLIR_00006')
    text(tmp_path / 'train.txt', 'FLIR_00006\n')
    assert len(read('roadscene', split='train').records) == 1


def test_tno_is_read_from_two_folders(pair, read):
    pair('01', 'ir', 'vi')
    assert [r.name for r in read('tno', split=None).records] == ['01']


def test_tno_is_read_from_the_scenes_of_the_release(tmp_path, read, image):
    for path in (
        'Athena_images/2_men_in_front_of_house/IR_meting003_g.bmp',
        'Athena_images/2_men_in_front_of_house/VIS_meting003_r.bmp',
        'FEL_images/Nato_camp_sequence/thermal/1800i.bmp',
        'FEL_images/Nato_camp_sequence/visual/1800v.bmp',
        'FEL_images/Nato_camp_sequence/thermal/1801i.bmp',
        'Triclobs_images/Kaptein/IR1.bmp',
        'Triclobs_images/Kaptein/NIR1.bmp',
        'Triclobs_images/Kaptein/Vis1.bmp',
        'tank/LWIR.tif',
        'tank/Vis.tif',
    ):
        image(tmp_path / path)
    listing = read('tno', split=None)
    assert [(r.name, r.thermal.path.name, r.rgb.path.name) for r in listing.records] == [
        (
            'Athena_images/2_men_in_front_of_house/003',
            'IR_meting003_g.bmp',
            'VIS_meting003_r.bmp',
        ),
        ('FEL_images/Nato_camp_sequence/1800', '1800i.bmp', '1800v.bmp'),
        ('Triclobs_images/Kaptein/1', 'IR1.bmp', 'Vis1.bmp'),
        ('tank', 'LWIR.tif', 'Vis.tif'),
    ]
    assert [p.path.name for p in listing.problems] == ['1801i.bmp']
