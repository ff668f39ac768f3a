"""Every fault of one of two cameras that a node must survive, sent over DDS.

Those that a user meets are sent to each of our nodes with two cameras, the others to one.
"""

from __future__ import annotations

import array
from functools import partial

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool

from thermal_perception.encode import to_time

MS = 1_000_000
S = 1_000_000_000
# Short, so that the tests are; long enough that a busy machine is not taken for a silent camera.
QUICK = {'max_wait_s': 0.05, 'modality_timeout_s': 0.5}
NODES = ('e2e_mfd', 'rgbt_segmentation')
EACH_NODE = pytest.mark.parametrize('rig', NODES, indirect=True)


@pytest.fixture
def watched(rig):
    """The node in a graph whose diagnostics are collected, not started yet."""
    rig.graph.listen(DiagnosticArray, '/diagnostics', wait=False)
    return rig


def thermal_only(rig):
    """Send a thermal image and tell whether the node says that it runs on thermal alone."""
    assert rig.answer(rig.send(rgb=False)).rgb is None
    return rig.graph.saw_status('synchronisation', 'WARN', 'rgb missing: thermal only since')


def both(rig):
    """Send both images and tell whether the node is well."""
    rig.answer(rig.send())
    return rig.graph.saw_status('synchronisation', 'OK')


def paired(rig):
    """Send both images and tell whether both were used; on a busy machine one may be late."""
    return rig.answer(rig.send()).rgb is not None


# RGB is silent


@EACH_NODE
def test_rgb_that_never_starts_leaves_thermal_alone_and_says_so(watched, capfd):
    watched.start(rgb=False, **QUICK)
    watched.graph.until(partial(thermal_only, watched))
    assert 'no image on /rgb/image_raw' in watched.graph.status('synchronisation')[1]
    assert 'no publisher' in watched.graph.status('synchronisation')[1]
    watched.graph.until_status('rgb input', 'WARN', 'no image on /rgb/image_raw')
    log = capfd.readouterr().err
    assert log.count('degraded: rgb missing: thermal only since') == 1


@EACH_NODE
def test_rgb_that_stops_leaves_thermal_alone_until_it_comes_back(watched, capfd):
    watched.start(**QUICK)
    watched.graph.until(partial(paired, watched))
    watched.graph.until(partial(thermal_only, watched))
    assert 'no image on /rgb/image_raw for' in watched.graph.status('synchronisation')[1]
    watched.graph.until(partial(both, watched))
    watched.graph.until(partial(paired, watched))
    watched.graph.until(lambda: watched.send() and watched.graph.saw_status('rgb input', 'OK'))
    assert 'thermal and rgb images again' in capfd.readouterr().err


def test_thermal_does_not_wait_for_an_rgb_camera_that_is_silent(rig):
    rig.start(rgb=False, max_wait_s=30.0, modality_timeout_s=0.3)
    rig.answer(rig.send(rgb=False))
    for _ in range(3):
        rig.answer(rig.send(rgb=False))
    assert rig.node._pipeline.stages.summary['pair'].median_ms < 1000


@EACH_NODE
def test_one_lost_rgb_image_is_no_degraded_mode(watched):
    watched.start(max_wait_s=0.5)
    watched.answer(watched.send())
    assert watched.answer(watched.send(rgb=False)).rgb is None
    watched.answer(watched.send())
    watched.graph.until(lambda: watched.graph.value('synchronisation', 'thermal paired') == '2')
    assert watched.graph.status('synchronisation')[0] == 'OK'
    assert watched.graph.value('synchronisation', 'thermal degraded') == '1'


# RGB comes, but is of no use


def test_rgb_that_is_stamped_too_differently_is_not_paired_and_the_offset_is_told(watched):
    watched.start(max_offset_s=0.005, **QUICK)

    def late():
        stamp_ns = watched.send(rgb=False)
        watched.rgb.publish(watched.graph.colour(stamp_ns - 15 * MS))
        assert watched.answer(stamp_ns).rgb is None
        return watched.graph.saw_status(
            'synchronisation', 'WARN', 'none in time within 0.005 s of a thermal one'
        )

    watched.graph.until(late)
    assert 'thermal only since' in watched.graph.status('synchronisation')[1]
    assert watched.graph.status('rgb input')[0] == 'OK'
    measured = float(watched.graph.value('synchronisation', 'measured offset [s]'))
    assert abs(measured) >= 0.005


def test_rgb_that_arrives_after_the_wait_is_counted_and_not_used(watched):
    watched.start(max_wait_s=0.02)
    stamp_ns = watched.send(rgb=False)
    assert watched.answer(stamp_ns).rgb is None
    watched.rgb.publish(watched.graph.colour(stamp_ns - 10 * MS))
    watched.graph.until(lambda: watched.graph.value('synchronisation', 'rgb late') == '1')
    assert len(watched.perceiver.sets) == 1


@pytest.mark.parametrize(
    ('rig', 'fault', 'cause'),
    [
        ('e2e_mfd', 'encoding', 'unsupported_encoding'),
        ('rgbt_segmentation', 'encoding', 'unsupported_encoding'),
        ('e2e_mfd', 'data', 'truncated_data'),
    ],
    indirect=['rig'],
)
def test_rgb_that_cannot_be_decoded_leaves_thermal_alone_and_is_an_error(watched, fault, cause):
    watched.start(**{**QUICK, 'max_wait_s': 30.0})

    def bad():
        stamp_ns = watched.send(rgb=False)
        message = watched.graph.colour(stamp_ns)
        if fault == 'encoding':
            message.encoding = '32FC1'
        else:
            message.data = array.array('B', bytes(100))
        watched.rgb.publish(message)
        assert watched.answer(stamp_ns).rgb is None
        return watched.graph.saw_status('synchronisation', 'WARN', 'thermal only since')

    watched.graph.until(bad)
    watched.graph.until_status('rgb input', 'ERROR', 'all images rejected')
    assert int(watched.graph.value('rgb input', f'dropped {cause}')) >= 1
    assert watched.graph.status('thermal input')[0] == 'OK'
    assert watched.graph.status('perception')[0] == 'OK'

    def mixed():
        bad()
        watched.answer(watched.send())
        return watched.graph.saw_status('rgb input', 'WARN', 'some images rejected')

    watched.graph.until(mixed)
    watched.graph.until(partial(both, watched))


@EACH_NODE
def test_images_of_different_size_without_a_rig_are_not_fused_and_that_is_said_once(
    watched, capfd
):
    watched.start(**{**QUICK, 'max_wait_s': 30.0})

    def unregistered():
        stamp_ns = watched.send(rgb=False)
        watched.rgb.publish(watched.graph.colour(stamp_ns, size=(60, 80)))
        assert watched.answer(stamp_ns).rgb is None
        return watched.graph.saw_status(
            'synchronisation', 'WARN', 'rgb images of 80x60 beside thermal ones of 64x48'
        )

    watched.graph.until(unregistered)
    for _ in range(5):
        unregistered()
    watched.graph.spin(0.3)
    assert capfd.readouterr().err.count('rgb images of 80x60') == 1
    assert int(watched.graph.value('synchronisation', 'rgb unregistered')) >= 6
    assert watched.graph.status('rgb input')[0] == 'OK'
    watched.graph.until(partial(both, watched))


def test_pose_without_camera_info_is_not_guessed(watched):
    watched.start(T_thermal_rgb=[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
                  **{**QUICK, 'max_wait_s': 30.0})

    def unregistered():
        assert watched.answer(watched.send()).rgb is None
        return watched.graph.saw_status('synchronisation', 'WARN', 'camera_info of both')

    watched.graph.until(unregistered)


def test_frozen_rgb_camera_is_told(watched):
    watched.start(freeze_frames=3)
    message = watched.graph.colour()
    for _ in range(3):
        stamp_ns = watched.send(rgb=False)
        message.header.stamp = to_time(stamp_ns)
        watched.rgb.publish(message)
        watched.answer(stamp_ns)
    watched.graph.until_status('rgb input', 'WARN', 'frozen')
    assert watched.graph.status('thermal input')[0] == 'OK'


# Thermal is silent


@EACH_NODE
def test_thermal_that_stops_is_stale_and_nothing_is_invented(watched):
    watched.start(input_timeout_s=0.3, **QUICK)
    watched.answer(watched.send())
    answers = len(watched.answers)

    def rgb_goes_on():
        watched.rgb.publish(watched.graph.colour())
        watched.graph.spin(0.02)
        return watched.graph.saw_status('thermal input', 'STALE', 'no image on /thermal/image_raw')

    watched.graph.until(rgb_goes_on)
    for _ in range(5):
        rgb_goes_on()
    assert len(watched.answers) == answers
    watched.graph.until(partial(both, watched))


@EACH_NODE
def test_rgb_alone_is_used_where_that_is_allowed_until_thermal_is_back(watched):
    watched.start(allow_rgb_only=True, input_timeout_s=0.3, **QUICK)
    infos = watched.listen(CameraInfo, 'camera_info')
    overlays = watched.listen(Image, 'overlay')
    publisher = watched.graph.publisher(CameraInfo, 'rgb/camera_info')
    watched.answer(watched.send())

    def rgb_only():
        publisher.publish(CameraInfo(height=60, width=80))
        watched.rgb.publish(watched.graph.colour(size=(60, 80)))
        watched.graph.spin(0.02)
        return watched.graph.saw_status(
            'synchronisation', 'WARN',
            'thermal missing: rgb only since',
        )

    watched.graph.until(rgb_only)
    assert 'no image on /thermal/image_raw' in watched.graph.status('synchronisation')[1]
    watched.graph.until_status('thermal input', 'STALE')
    frames = watched.perceiver.sets[-1]
    assert frames.thermal is None
    assert (frames.rgb.size, frames.frame_id) == ((60, 80), 'rgb_optical')
    watched.graph.until(lambda: rgb_only() or infos)
    assert (infos[-1].header.frame_id, infos[-1].width) == ('rgb_optical', 80)
    assert overlays[-1].width == 80
    watched.graph.until(partial(both, watched))
    watched.graph.until(partial(paired, watched))
    assert int(watched.graph.value('synchronisation', 'rgb alone')) >= 1


# Both cameras


@EACH_NODE
def test_size_of_either_camera_may_change(watched):
    watched.start()
    for size in ((48, 64), (96, 128), (48, 64)):
        stamp_ns = watched.graph.now_ns()
        watched.thermal.publish(watched.graph.image(stamp_ns, size=size))
        watched.rgb.publish(watched.graph.colour(stamp_ns, size=size))
        frames = watched.answer(stamp_ns)
        assert frames.thermal.size == frames.rgb.size == size
    watched.graph.spin(0.15)
    assert {watched.graph.status(name)[0] for name in ('thermal input', 'rgb input',
                                                       'synchronisation')} == {'OK'}


def test_maps_are_built_once_more_when_a_size_changes(rig):
    rig.start(homography=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    for size in ((48, 64), (48, 64), (96, 128), (96, 128)):
        stamp_ns = rig.graph.now_ns()
        rig.thermal.publish(rig.graph.image(stamp_ns, size=size))
        rig.rgb.publish(rig.graph.colour(stamp_ns))
        assert rig.answer(stamp_ns).rgb.size == size
    assert rig.node.inputs._registered.builds == 2


@pytest.mark.parametrize(
    ('rig', 'first'),
    [('e2e_mfd', 'thermal'), ('e2e_mfd', 'rgb'), ('rgbt_segmentation', 'thermal')],
    indirect=['rig'],
)
def test_stamps_that_jump_back_pair_anew_whichever_camera_is_first(watched, first):
    watched.start(max_offset_s=0.02)
    now = watched.graph.now_ns()
    watched.answer(watched.send(now))
    again = now - 60 * S  # the bag starts again
    send = {
        'thermal': lambda: watched.thermal.publish(watched.graph.image(again)),
        'rgb': lambda: watched.rgb.publish(watched.graph.colour(again)),
    }
    send.pop(first)()
    watched.graph.until(lambda: getattr(watched.node.inputs, first).camera.received == 2)
    (other,) = send.values()
    other()
    assert watched.answer(again).rgb.stamp_ns == again
    for name in ('thermal input', 'rgb input'):
        watched.graph.until_status(name, 'WARN', 'jumped back')
    assert watched.answer(watched.send(again + 30 * MS)).rgb is not None
    assert watched.graph.value('synchronisation', 'restarts') == '1'


def test_out_of_order_rgb_is_dropped_and_does_not_restart_the_pairing(watched):
    watched.start()
    now = watched.graph.now_ns()
    watched.answer(watched.send(now))
    watched.rgb.publish(watched.graph.colour(now - 100 * MS))
    watched.graph.until_status('rgb input', 'WARN', 'out_of_order')
    watched.answer(watched.send())
    assert watched.graph.value('synchronisation', 'restarts') == '0'


def test_every_image_has_one_fate(watched):
    watched.start(max_offset_s=0.005, max_wait_s=1.0)
    base = watched.graph.now_ns() - S
    inputs = watched.node.inputs
    for i in range(6):
        watched.rgb.publish(watched.graph.colour(base + i * 33 * MS))
        watched.graph.until(lambda i=i: inputs.rgb.camera.received == i + 1)
        if i != 3:
            watched.thermal.publish(watched.graph.image(base + i * 33 * MS + MS))
            watched.graph.until(lambda i=i: inputs.thermal.camera.received == i + (i < 3))
    names = ('thermal paired', 'thermal degraded', 'rgb paired', 'rgb expired', 'rgb late')

    def fates():
        return {n: int(watched.graph.value('synchronisation', n) or 0) for n in names}

    watched.graph.until(
        lambda: sum(v for k, v in fates().items() if k.startswith('thermal')) == 5, fates
    )
    assert fates()['thermal paired'] == fates()['rgb paired'] == 5
    assert fates()['rgb expired'] + fates()['rgb late'] == 1


def test_disabled_node_says_nothing_of_missing_cameras(watched):
    watched.start(rgb=False, **QUICK)
    watched.graph.until(partial(thermal_only, watched))
    watched.graph.call(SetBool, '/e2e_mfd/enable', SetBool.Request(data=False))
    watched.graph.until_status('synchronisation', 'OK', 'disabled by ~/enable')


def test_node_that_is_stopped_while_an_image_waits_ends_at_once(rig):
    rig.start()
    rig.send(rgb=False)
    rig.graph.until(lambda: rig.node.inputs.thermal.camera.received == 1)
    thread = rig.node.inputs._thread
    rig.node.trigger_deactivate()
    assert not thread.is_alive()
    rig.node.trigger_activate()
    rig.graph.until(lambda: rig.thermal.get_subscription_count() == 1)
    rig.graph.until(lambda: rig.rgb.get_subscription_count() == 1)
    assert rig.answer(rig.send()).rgb is not None
