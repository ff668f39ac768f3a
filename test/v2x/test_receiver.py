"""Which messages are believed, and which one is used."""

from __future__ import annotations

import numpy as np
import pytest

from thermal_perception.errors import V2xError
from thermal_perception.geometry.transforms import from_xyz_rpy
from thermal_perception.v2x.message import pack
from thermal_perception.v2x.receiver import Receiver, ReceiverConfig

S = 1_000_000_000
NOW = 100 * S + S // 20  # 50 ms after the stamp of the features
GRID = np.stack(np.meshgrid(range(1, 20), range(-6, 7), range(3)), -1).reshape(-1, 3) * 1.0


@pytest.fixture
def make_receiver():
    """Return a function that makes a receiver; fields of its configuration are replaced."""

    def make(keys=None, **fields):
        options = {
            'fingerprint': '0123456789abcdef',
            'shapes': {(16, 1): (2, 5, 7)},
            'padded_size': (256, 320),
            'world_frame': 'map',
        }
        return Receiver(ReceiverConfig(**{**options, **fields}), GRID, keys)

    return make


def refused(receiver, message, cause, match, now_ns=NOW):
    with pytest.raises(V2xError, match=match) as caught:
        receiver.receive(message, now_ns=now_ns)
    assert caught.value.cause == cause
    assert receiver.counts[cause] == 1


def test_good_features_are_used(make_receiver, make_features):
    receiver = make_receiver()
    receiver.receive(pack(make_features()), now_ns=NOW)
    T_world_lidar = from_xyz_rpy((2.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    chosen = receiver.choose(100 * S + S // 10, T_world_lidar)
    assert chosen.features.sender_id == 'pole_1'
    assert chosen.age_s == pytest.approx(0.1)
    assert chosen.weight == 1.0
    # The camera is at (18, 0, 5) of the lidar, looking back.
    np.testing.assert_allclose(
        chosen.T_camera_lidar, [[0, 1, 0, 0], [0, 0, -1, 5], [-1, 0, 0, 18], [0, 0, 0, 1]]
    )
    seen = 0
    for x, y, z in GRID:
        depth = 18 - x
        if depth > 0.1:
            u, v = 500 * y / depth + 320, 510 * (5 - z) / depth + 240
            seen += 0 <= u < 640 and 0 <= v < 480
    assert chosen.coverage == pytest.approx(seen / len(GRID))
    assert receiver.counts == {'accepted': 1}


@pytest.mark.parametrize(
    ('fields', 'cause', 'match'),
    [
        ({'fingerprint': 'ffff'}, 'wrong_model', "found model 'ffff', expected 0123456789abcdef"),
        ({'world_frame': 'odom'}, 'wrong_world', "found world 'odom', expected map"),
        ({'level': (16, 2)}, 'unknown_level', r'found level \(16, 2\), expected one of \(16, 1\)'),
        (
            {'features': np.ones((2, 5, 8), np.float32)},
            'bad_shape', r'found features \(2, 5, 8\), expected \(2, 5, 7\)',
        ),
        (
            {'padded_size': (16384, 16384)},
            'bad_shape', r'images of \(16384, 16384\), expected \(256, 320\)',
        ),
        ({'resize_factor': 1e-9}, 'bad_shape', r'resized to \[0, 0\]'),
        ({'resize_factor': 0.6}, 'bad_shape', r'resized to \[288, 384\]'),
        ({'stamp_ns': 0}, 'bad_stamp', 'ahead'),
        ({'stamp_ns': 101 * S}, 'bad_stamp', 'found a stamp 0.950 s ahead, expected at most 0.1'),
        ({'stamp_ns': 99 * S}, 'too_old', 'found an age of 1.050 s, expected at most 0.2'),
    ],
)  # fmt: skip
def test_what_is_not_for_this_vehicle(make_receiver, make_features, fields, cause, match):
    refused(make_receiver(), pack(make_features(**fields)), cause, match)


def test_a_message_is_not_believed_twice(make_receiver, make_features):
    receiver = make_receiver()
    message = pack(make_features())
    receiver.receive(message, now_ns=NOW)
    refused(receiver, message, 'replayed', 'sequence 7 stamped no later than the last')


def test_an_older_message_is_not_believed_after_a_newer_one(make_receiver, make_features):
    receiver = make_receiver()
    receiver.receive(pack(make_features(sequence=8)), now_ns=NOW)
    refused(receiver, pack(make_features(sequence=9, stamp_ns=100 * S - 1)), 'replayed', '')


def test_a_restarted_sender_may_count_from_the_beginning(make_receiver, make_features):
    receiver = make_receiver()
    receiver.receive(pack(make_features(sequence=500)), now_ns=NOW)
    receiver.receive(pack(make_features(sequence=0, stamp_ns=100 * S + 1)), now_ns=NOW)
    assert receiver.counts['accepted'] == 2


def test_once_forgotten_old_stamps_are_new(make_receiver, make_features):
    receiver = make_receiver()
    receiver.receive(pack(make_features()), now_ns=NOW)
    receiver.forget()
    assert receiver.choose(NOW, np.eye(4)) is None
    receiver.receive(pack(make_features(stamp_ns=50 * S)), now_ns=50 * S)
    assert receiver.choose(50 * S, np.eye(4)) is not None


def test_a_camera_far_away_is_not_plausible(make_receiver, make_features):
    receiver = make_receiver()
    receiver.receive(pack(make_features()), now_ns=NOW)
    away = from_xyz_rpy((1000.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert receiver.choose(NOW, away) is None
    assert receiver.choose(NOW, away) is None
    assert receiver.counts == {'accepted': 1, 'implausible_pose': 1}
    assert receiver.choose(NOW, np.eye(4)) is not None


def test_a_camera_that_looks_elsewhere_sees_nothing(make_receiver, make_features):
    receiver = make_receiver()
    receiver.receive(pack(make_features()), now_ns=NOW)
    beyond = from_xyz_rpy((40.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert receiver.choose(NOW, beyond) is None
    assert receiver.counts['sees_nothing'] == 1


def test_old_features_fade(make_receiver, make_features):
    receiver = make_receiver(max_age_s=0.5, fade_from_s=0.1)
    receiver.receive(pack(make_features()), now_ns=NOW)
    weights = [
        receiver.choose(100 * S + int(age * S), np.eye(4)).weight for age in (0.0, 0.1, 0.2, 0.4)
    ]
    assert weights == pytest.approx([1.0, 1.0, 0.75, 0.25])
    assert receiver.choose(100 * S + int(0.51 * S), np.eye(4)) is None
    assert receiver.counts['too_old'] == 1


def test_of_two_senders_the_one_that_sees_more(make_receiver, make_features):
    receiver = make_receiver()
    narrow = np.array([[1000.0, 0, 320], [0, 1000, 240], [0, 0, 1]])
    receiver.receive(pack(make_features()), now_ns=NOW)
    receiver.receive(pack(make_features(sender_id='pole_2', K=narrow)), now_ns=NOW)
    for _ in range(3):
        assert receiver.choose(NOW, np.eye(4)).features.sender_id == 'pole_1'
    assert receiver.counts == {'accepted': 2, 'not_selected': 1}


def test_the_next_best_is_used_once_the_best_is_too_old(make_receiver, make_features):
    receiver = make_receiver()
    narrow = np.array([[1000.0, 0, 320], [0, 1000, 240], [0, 0, 1]])
    receiver.receive(pack(make_features()), now_ns=NOW)
    later = 100 * S + int(0.15 * S)
    receiver.receive(
        pack(make_features(sender_id='pole_2', K=narrow, stamp_ns=later)), now_ns=later
    )
    assert receiver.choose(later, np.eye(4)).features.sender_id == 'pole_1'
    assert receiver.choose(later + S // 10, np.eye(4)).features.sender_id == 'pole_2'


def test_senders_that_are_remembered_are_bounded(make_receiver, make_features):
    receiver = make_receiver(max_senders=3)
    for n in range(10):
        receiver.receive(pack(make_features(sender_id=f'pole_{n}')), now_ns=NOW)
    receiver.choose(NOW, np.eye(4))
    assert receiver.counts == {'accepted': 10, 'not_selected': 2}


def test_of_senders_that_are_forgotten_nothing_is_kept(make_receiver, make_features):
    receiver = make_receiver(max_senders=2)
    for n in range(50):
        receiver.receive(pack(make_features(sender_id=f'pole_{n}')), now_ns=NOW)
        receiver.choose(NOW, np.eye(4))
    assert len(receiver._newest) == 2
    assert len(receiver._blamed) <= 2


def test_with_keys_only_their_senders_are_heard(make_receiver, make_features, keys, private_keys):
    receiver = make_receiver(keys)
    refused(receiver, pack(make_features()), 'unsigned', 'found no signature')
    receiver.receive(pack(make_features(), key=private_keys['pole_1']), now_ns=NOW)
    assert receiver.counts['accepted'] == 1
