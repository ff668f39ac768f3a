from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

TEXTS = Path(__file__).parents[2] / 'ros_overlay' / 'vision_msgs' / 'msg'

# The published interface of vision_msgs 4.1: what other packages send and expect.
FIELDS = {
    'Point2D': {'x': 'double', 'y': 'double'},
    'Pose2D': {'position': 'vision_msgs/Point2D', 'theta': 'double'},
    'BoundingBox2D': {'center': 'vision_msgs/Pose2D', 'size_x': 'double', 'size_y': 'double'},
    'BoundingBox2DArray': {'header': 'std_msgs/Header',
                           'boxes': 'sequence<vision_msgs/BoundingBox2D>'},
    'BoundingBox3D': {'center': 'geometry_msgs/Pose', 'size': 'geometry_msgs/Vector3'},
    'BoundingBox3DArray': {'header': 'std_msgs/Header',
                           'boxes': 'sequence<vision_msgs/BoundingBox3D>'},
    'ObjectHypothesis': {'class_id': 'string', 'score': 'double'},
    'ObjectHypothesisWithPose': {'hypothesis': 'vision_msgs/ObjectHypothesis',
                                 'pose': 'geometry_msgs/PoseWithCovariance'},
    'Classification': {'header': 'std_msgs/Header',
                       'results': 'sequence<vision_msgs/ObjectHypothesis>'},
    'Detection2D': {'header': 'std_msgs/Header',
                    'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
                    'bbox': 'vision_msgs/BoundingBox2D', 'id': 'string'},
    'Detection2DArray': {'header': 'std_msgs/Header',
                         'detections': 'sequence<vision_msgs/Detection2D>'},
    'Detection3D': {'header': 'std_msgs/Header',
                    'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
                    'bbox': 'vision_msgs/BoundingBox3D', 'id': 'string'},
    'Detection3DArray': {'header': 'std_msgs/Header',
                         'detections': 'sequence<vision_msgs/Detection3D>'},
    'VisionClass': {'class_id': 'uint16', 'class_name': 'string'},
    'LabelInfo': {'header': 'std_msgs/Header', 'class_map': 'sequence<vision_msgs/VisionClass>',
                  'threshold': 'float'},
    'VisionInfo': {'header': 'std_msgs/Header', 'method': 'string',
                   'database_location': 'string', 'database_version': 'int32'},
}
# Two nodes talk to each other only if these agree; they cover every message inside.
HASHES = {
    'Detection2DArray': 'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'Detection3DArray': 'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
}


@pytest.fixture(scope='module')
def typestore():
    """ROS 2 types as rosbags knows them, with vision_msgs from the text of the overlay."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(TEXTS.glob('*.msg')):
        store.register(get_types_from_msg(file.read_text(), f'vision_msgs/msg/{file.stem}'))
    return store


def test_overlay_defines_exactly_the_published_messages():
    assert {file.stem for file in TEXTS.glob('*.msg')} == set(FIELDS)


@pytest.mark.parametrize('name', HASHES)
def test_text_of_the_overlay_has_the_published_hash(typestore, name):
    assert typestore.hash_rihs01(f'vision_msgs/msg/{name}') == HASHES[name]


@pytest.mark.parametrize('name', FIELDS)
def test_installed_message_has_the_published_fields_in_order(name):
    messages = pytest.importorskip('vision_msgs.msg')
    fields = getattr(messages, name).get_fields_and_field_types()
    assert list(fields.items()) == list(FIELDS[name].items())


@pytest.mark.parametrize('name', HASHES)
def test_publisher_offers_the_published_hash_to_other_nodes(ros_domain, name):
    rclpy = pytest.importorskip('rclpy')
    messages = pytest.importorskip('vision_msgs.msg')
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    try:
        node = rclpy.create_node('hashes', context=context)
        node.create_publisher(getattr(messages, name), 'detections', 1)
        offered = node.get_publishers_info_by_topic('/detections')[0].topic_type_hash
        assert str(offered) == HASHES[name]
    finally:
        rclpy.shutdown(context=context)
