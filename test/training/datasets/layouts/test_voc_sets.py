"""M3FD and LLVIP: pairs with VOC labels."""

from __future__ import annotations

from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import DatasetError


@pytest.fixture
def m3fd(tmp_path, image, text, voc):
    for name in ('00000', '00001', '00002'):
        image(tmp_path / 'Ir' / f'{name}.png', 10)
        image(tmp_path / 'Vis' / f'{name}.png', 20, channels=3)
        label = voc(('People', (1, 2, 9, 20)), ('Lamp', (10, 0, 12, 3)))
        text(tmp_path / 'Annotation' / f'{name}.xml', label)
    return tmp_path


def test_m3fd_reads_pairs_with_labels_they_share(m3fd, read):
    listing = read('m3fd', split=None)
    assert listing.class_names == ('people', 'car', 'bus', 'lamp', 'motorcycle', 'truck')
    record = listing.records[1]
    assert (record.name, record.image_id) == ('00001', 2)
    assert record.thermal.read().max() == 10
    assert record.rgb.read().max() == 20
    assert_allclose(record.boxes_xyxy_px, [[1, 2, 9, 20], [10, 0, 12, 3]])
    assert record.labels.tolist() == [0, 3]


@pytest.mark.parametrize('path', ['meta/val.txt', 'ImageSets/Main/val.txt'])
def test_m3fd_takes_a_split_from_either_published_list(m3fd, read, text, path):
    text(m3fd / path, '00002.png\n00000\n')
    assert [r.name for r in read('m3fd', split='val').records] == ['00002', '00000']


def test_m3fd_without_the_list_of_a_split_says_where_it_looked(m3fd, read):
    with pytest.raises(DatasetError, match=r'meta/train.txt: cannot be read .*expected a list'):
        read('m3fd')


@pytest.mark.parametrize(
    ('label', 'kind', 'detail'),
    [
        pytest.param('<annotation><obj', 'broken label', 'is not XML', id='cut off'),
        pytest.param(None, 'label missing', 'No such file', id='missing'),
        pytest.param(
            '<a><object><name>Car</name></object></a>', 'broken label', 'expected num', id='no box'
        ),
        pytest.param('<a><object/></a>', 'broken label', 'without a name', id='no name'),
    ],
)
def test_an_image_with_an_unusable_label_is_left_out_and_listed(
    m3fd, read, text, label, kind, detail
):
    path = m3fd / 'Annotation' / '00001.xml'
    path.unlink() if label is None else text(path, label)
    listing = read('m3fd', split=None)
    assert [r.name for r in listing.records] == ['00000', '00002']
    (problem,) = listing.problems
    assert (problem.path, problem.kind) == (path, kind)
    assert detail in problem.detail


def test_an_image_without_its_partner_is_listed(m3fd, read):
    (m3fd / 'Vis' / '00002.png').unlink()
    listing = read('m3fd', split=None)
    assert len(listing.records) == 2
    assert listing.problems[0].kind == 'image without its pair'
    assert 'expected an image 00002 in' in listing.problems[0].detail


def test_an_object_of_an_unknown_class_becomes_a_region_without_verdict(m3fd, read, text, voc):
    text(m3fd / 'Annotation' / '00001.xml', voc(('Cow', (1, 2, 3, 4)), ('Car', (5, 6, 7, 8))))
    listing = read('m3fd', split=None)
    assert listing.records[1].labels.tolist() == [1]
    assert_allclose(listing.records[1].ignore_xyxy_px, [[1, 2, 3, 4]])
    assert [p.kind for p in listing.problems] == ['unknown class']
    assert "found 'Cow'" in listing.problems[0].detail


def test_llvip_has_one_flat_folder_of_labels_for_both_splits(tmp_path, read, image, text, voc):
    for split, name in (('train', '010001'), ('test', '190001')):
        image(tmp_path / 'infrared' / split / f'{name}.jpg')
        image(tmp_path / 'visible' / split / f'{name}.jpg', channels=3)
        hard = '<difficult>1</difficult>'
        label = voc(('person', (1, 1, 5, 9)), ('person', (8, 1, 9, 3), hard))
        text(tmp_path / 'Annotations' / f'{name}.xml', label)
    (record,) = read('llvip', ('person',), split='test').records
    assert record.name == '190001'
    assert_allclose(record.boxes_xyxy_px, [[1, 1, 5, 9]])
    assert_allclose(record.ignore_xyxy_px, [[8, 1, 9, 3]])  # VOC judges no difficult object
