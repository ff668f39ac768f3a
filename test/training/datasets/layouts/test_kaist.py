from __future__ import annotations

from numpy.testing import assert_allclose
import pytest

XML = (
    '<annotation><object><name>{name}</name><bndbox><x>4</x><y>5</y><w>6</w><h>10</h></bndbox>'
    '</object></annotation>'
)


@pytest.fixture
def kaist(tmp_path, image, text):
    names = ('set00/V000/I00001', 'set09/V001/I00019')
    for name in names:
        drive, _, frame = name.rpartition('/')
        image(tmp_path / 'images' / drive / 'lwir' / f'{frame}.jpg')
        image(tmp_path / 'images' / drive / 'visible' / f'{frame}.jpg', channels=3)
        text(tmp_path / 'annotations-xml-new' / f'{name}.xml', XML.format(name='person'))
    text(tmp_path / 'imageSets' / 'train-all-02.txt', '\n'.join(names) + '\n')
    return tmp_path


def test_frames_of_a_list_have_both_images_boxes_and_the_light_of_their_set(kaist, read):
    day, night = read('kaist', split='train-all-02').records
    assert day.name == 'set00/V000/I00001'
    assert_allclose(day.boxes_xyxy_px, [[4, 5, 10, 15]])
    assert day.thermal.read().shape == (24, 32)
    assert day.rgb.read().shape == (24, 32, 3)
    assert (day.attributes.light, night.attributes.light) == ('day', 'night')


@pytest.mark.parametrize('name', ['people', 'person?', 'cyclist'])
def test_groups_riders_and_doubtful_figures_are_regions_without_verdict(kaist, read, text, name):
    path = kaist / 'annotations-xml-new' / 'set00' / 'V000' / 'I00001.xml'
    text(path, XML.format(name=name))
    listing = read('kaist', ('person',), split='train-all-02')
    assert_allclose(listing.records[0].ignore_xyxy_px, [[4, 5, 10, 15]])
    assert not len(listing.records[0].labels)
    assert not listing.problems


def test_paired_labels_of_the_chosen_camera_come_first(kaist, read, text):
    for camera, x in (('lwir', 1), ('visible', 3)):
        text(
            kaist / 'annotations_paired' / 'set00' / 'V000' / camera / 'I00001.txt',
            f'% bbGt version=3\nperson {x} 2 5 8 0 0 0 0 0 0 0\n',
        )
    thermal = read('kaist', split='train-all-02').records[0]
    rgb = read('kaist', split='train-all-02', labels_from='rgb').records[0]
    assert_allclose(thermal.boxes_xyxy_px, [[1, 2, 6, 10]])
    assert_allclose(rgb.boxes_xyxy_px, [[3, 2, 8, 10]])


def test_sanitized_labels_come_before_those_of_the_release(kaist, read, text):
    folder = kaist / 'annotations-xml-new-sanitized'
    text(folder / 'set00' / 'V000' / 'I00001.xml', '<annotation/>')
    assert not len(read('kaist', split='train-all-02').records[0].labels)


def test_text_labels_of_the_release_are_read_with_their_ignore_flag(kaist, read, text):
    (kaist / 'annotations-xml-new' / 'set09' / 'V001' / 'I00019.xml').unlink()
    text(
        kaist / 'annotations' / 'set09' / 'V001' / 'I00019.txt',
        '% bbGt version=3\nperson 0 0 4 8 0 0 0 0 0 1 0\nperson 9 9 4 8 1 0 0 0 0 0 0\n',
    )
    record = read('kaist', split='train-all-02').records[1]
    assert_allclose(record.boxes_xyxy_px, [[9, 9, 13, 17]])
    assert_allclose(record.ignore_xyxy_px, [[0, 0, 4, 8]])


def test_frames_without_labels_and_broken_lines_are_listed(kaist, read, text):
    (kaist / 'annotations-xml-new' / 'set09' / 'V001' / 'I00019.xml').unlink()
    text(kaist / 'imageSets' / 'odd.txt', 'set00/V000/I00001\nset09/V001/I00019\nI00020\n')
    listing = read('kaist', split='odd')
    assert len(listing.records) == 1
    assert sorted(p.kind for p in listing.problems) == ['broken label', 'label missing']
