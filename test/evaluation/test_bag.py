"""Bags are written and read back: images, truth, types, topics and scores."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag2 import Writer

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.bag import (
    DETECTIONS_TYPE,
    find_topic,
    IMAGE_TYPES,
    open_bag,
    read_frames,
    read_topic,
    read_truth,
    score_bag,
    typestore,
)
from thermal_perception.evaluation.image_bag import ImageBagWriter, Intrinsics
from thermal_perception.types import Detections, Frame, Perception

NAMES = ('person', 'car')
STEP_NS = 100_000_000
START_NS = 1_700_000_000_123_456_789


def frame(number=0, dtype=np.uint8, size=(6, 10)):
    image = (np.arange(size[0] * size[1]).reshape(size) * 7 + number).astype(dtype)
    encoding = 'mono8' if dtype == np.uint8 else 'mono16'
    return Frame(image, START_NS + number * STEP_NS, 'optical', 'thermal', encoding=encoding)


def objects(boxes=(), scores=(), labels=(), stamp_ns=0):
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(labels, np.int64),
        NAMES,
        stamp_ns,
        'optical',
        (0, 0),
    )


@pytest.fixture(params=['mcap', 'sqlite3'])
def storage(request):
    return request.param


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_images_come_back_with_every_count_stamp_and_frame(tmp_path, storage, dtype):
    with ImageBagWriter(tmp_path / 'bag', storage=storage) as bag:
        for number in range(3):
            bag.write(frame(number, dtype))
    with open_bag(tmp_path / 'bag') as reader:
        frames = list(read_frames(reader, '/thermal/image_raw'))
        assert reader.duration == 2 * STEP_NS + 1
    assert [f.stamp_ns for f in frames] == [START_NS + i * STEP_NS for i in range(3)]
    assert {f.frame_id for f in frames} == {'optical'}
    for number, found in enumerate(frames):
        assert found.image.dtype == dtype
        np.testing.assert_array_equal(found.image, frame(number, dtype).image)


def test_storage_file_can_be_opened_in_place_of_the_folder(tmp_path, storage):
    with ImageBagWriter(tmp_path / 'bag', storage=storage) as bag:
        bag.write(frame())
    file = next(p for p in (tmp_path / 'bag').iterdir() if p.suffix in ('.mcap', '.db3'))
    with open_bag(file) as reader:
        assert len(list(read_frames(reader, '/thermal/image_raw'))) == 1


def test_truth_comes_back_as_boxes_visibility_and_class(tmp_path, storage):
    truth = objects([[1, 2, 30.5, 40], [100, 50, 110, 57]], [1, 0.25], [1, 0])
    with ImageBagWriter(tmp_path / 'bag', storage=storage) as bag:
        bag.write(frame(0), truth)
        bag.write(frame(1), objects())
        bag.write(frame(2))
    with open_bag(tmp_path / 'bag') as reader:
        found = read_truth(reader, '/ground_truth/detections', ('car', 'bicycle', 'person'))
    assert list(found) == [START_NS, START_NS + STEP_NS]
    first = found[START_NS]
    np.testing.assert_allclose(first.boxes_xyxy_px, truth.boxes_xyxy_px)
    np.testing.assert_allclose(first.scores, [1, 0.25])
    assert first.labels.tolist() == [0, 2]
    assert len(found[START_NS + STEP_NS]) == 0


def test_camera_info_holds_the_intrinsics_beside_the_images(tmp_path):
    bag = ImageBagWriter(tmp_path / 'bag', topic='/a/b', intrinsics=Intrinsics(500, 510, 320, 256))
    with bag:
        bag.write(frame())
    with open_bag(tmp_path / 'bag') as reader:
        info = next(read_topic(reader, '/a/camera_info'))
    assert info.k.reshape(3, 3).tolist() == [[500, 0, 320], [0, 510, 256], [0, 0, 1]]
    assert info.p.reshape(3, 4)[:, :3].tolist() == info.k.reshape(3, 3).tolist()
    assert (info.height, info.width, info.header.frame_id) == (6, 10, 'optical')


def test_type_hashes_are_those_of_vision_msgs_4_1():
    store = typestore()
    assert store.hash_rihs01('vision_msgs/msg/Detection2DArray') == (
        'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968'
    )
    assert store.hash_rihs01('vision_msgs/msg/Detection3DArray') == (
        'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018'
    )


def test_existing_folder_is_not_overwritten(tmp_path):
    (tmp_path / 'bag').mkdir()
    with (
        pytest.raises(DatasetError, match='bag: cannot be written: .*exists already'),
        ImageBagWriter(tmp_path / 'bag'),
    ):
        pass


@pytest.mark.parametrize('make', ['missing', 'empty folder', 'text file', 'broken metadata'])
def test_what_is_no_bag_is_refused_by_name(tmp_path, make):
    path = tmp_path / 'it'
    if make in ('empty folder', 'broken metadata'):
        path.mkdir()
    if make == 'broken metadata':
        (path / 'metadata.yaml').write_text('version: 9')
    if make == 'text file':
        path = tmp_path / 'it.mcap'
        path.write_text('hello')
    with pytest.raises(DatasetError, match=f'{path.name}: is not a readable bag'), open_bag(path):
        pass


def test_find_topic_names_what_the_bag_has_when_the_choice_is_open(tmp_path):
    with Writer(tmp_path / 'bag', version=9) as writer:
        for topic in ('/left/image', '/right/image'):
            writer.add_connection(topic, IMAGE_TYPES[0], typestore=typestore())
    with open_bag(tmp_path / 'bag') as reader:
        assert find_topic(reader, IMAGE_TYPES, wanted='/right/image') == '/right/image'
        with pytest.raises(DatasetError, match=r'expected exactly one; the bag has /left/image'):
            find_topic(reader, IMAGE_TYPES)
        with pytest.raises(DatasetError, match='expected /up; the bag has'):
            find_topic(reader, IMAGE_TYPES, wanted='/up')
        with pytest.raises(DatasetError, match='expected one that ends in truth; the bag has'):
            find_topic(reader, [DETECTIONS_TYPE], ending='truth')


def oracle(answers):
    """Return a perceive function that looks the answer up by stamp."""

    def perceive(frames):
        return Perception(answers.get(frames.stamp_ns, objects()))

    return perceive


def test_score_ignores_hidden_objects_and_leaves_unlabelled_images_out(tmp_path):
    seen, hidden = [0, 0, 20, 20], [100, 0, 150, 60]
    with ImageBagWriter(tmp_path / 'bag') as bag:
        bag.write(frame(0), objects([seen, hidden], [1, 0], [0, 0]))
        bag.write(frame(1), objects([seen], [1], [1]))
        bag.write(frame(2))
    answers = {
        START_NS: objects([hidden, seen], [0.9, 0.5], [0, 0]),
        START_NS + STEP_NS: objects([seen], [0.8], [1]),
        START_NS + 2 * STEP_NS: objects([seen], [0.99], [0]),
    }
    ticks = []
    score = score_bag(
        tmp_path / 'bag', oracle(answers), NAMES, tick=lambda *done: ticks.append(done)
    )
    assert score.metrics.mAP == pytest.approx(1)
    assert score.metrics.boxes == 2
    assert (score.images, score.unlabelled) == (2, 1)
    assert ticks == [(1, 3), (2, 3), (3, 3)]


def test_score_of_a_bag_without_matching_stamps_is_refused(tmp_path):
    with ImageBagWriter(tmp_path / 'bag') as bag:
        bag.write(frame(0), objects())
        bag.write(frame(1))
    with Writer(tmp_path / 'late', version=9) as writer, open_bag(tmp_path / 'bag') as reader:
        connections = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=typestore())
            for c in reader.connections
        }
        for connection, stamp, raw in reader.messages():
            if stamp != START_NS or connection.msgtype == DETECTIONS_TYPE:
                writer.write(connections[connection.topic], stamp, raw)
    with pytest.raises(DatasetError, match='none of the 1 images of /thermal/image_raw has the'):
        score_bag(tmp_path / 'late', oracle({}), NAMES)


def test_truth_of_an_unknown_class_is_refused(tmp_path):
    with ImageBagWriter(tmp_path / 'bag') as bag:
        bag.write(frame(0), objects([[0, 0, 9, 9]], [1], [1]))
    with pytest.raises(DatasetError, match="unknown class 'car'; expected one of person"):
        score_bag(tmp_path / 'bag', oracle({}), ('person',))
