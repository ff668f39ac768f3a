"""Images of cameras and their ground truth written as a rosbag2 bag, without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TYPE_CHECKING

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.bag import DETECTIONS_TYPE, TRUTH_TOPIC, typestore

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from rosbags.interfaces import Connection

    from thermal_perception.types import Detections, Frame

_NO_TIME = QosTime(0, 0)
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _NO_TIME,
    _NO_TIME,
    QosLiveliness.AUTOMATIC,
    _NO_TIME,
    False,
)


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera without distortion: focal lengths and principal point, pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


class ImageBagWriter:
    """Writes thermal frames, and what belongs to each, under the frame's own header.

    Topics: `topic` (`sensor_msgs/Image`), `camera_info` beside it if intrinsics are given,
    `/ground_truth/detections` (`vision_msgs/Detection2DArray`) for frames with objects, and those
    of other cameras.
    """

    def __init__(
        self,
        path: Path,
        *,
        topic: str = '/thermal/image_raw',
        storage: Literal['mcap', 'sqlite3'] = 'mcap',
        intrinsics: Intrinsics | None = None,
    ) -> None:
        """Name the bag folder, which must not exist yet; entering the context makes it."""
        self._path, self._topic, self._intrinsics = path, topic, intrinsics
        self._plugin = StoragePlugin[storage.upper()]
        self._store = typestore()
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> ImageBagWriter:
        """Create the bag.

        Raises:
            DatasetError: if the folder exists already or cannot be made.
        """
        try:
            self._writer = Writer(self._path, version=9, storage_plugin=self._plugin)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise DatasetError(f'{self._path}: cannot be written: {error}') from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the bag, or leave it unfinished after an error."""
        if kind is None:
            self._writer.close()
        else:
            self._writer.abort()

    def write(self, frame: Frame, objects: Detections | None = None) -> None:
        """Write one frame of 8 or 16 bits.

        Args:
            frame: image, stamp and optical frame; its stamp is also the time of recording.
            objects: ground truth; the scores are visible fractions, 0 for a region to ignore.
        """
        header = self._header(frame)
        self.write_image(frame, self._topic)
        if self._intrinsics:
            topic = f'{self._topic.rpartition("/")[0]}/camera_info'
            info = self._camera_info(header, frame.size, self._intrinsics)
            self._put(topic, 'sensor_msgs/msg/CameraInfo', frame, info)
        if objects is not None:
            detections = [self._detection(header, objects, i) for i in range(len(objects))]
            truth = self._new(DETECTIONS_TYPE, header=header, detections=detections)
            self._put(f'/{TRUTH_TOPIC}', DETECTIONS_TYPE, frame, truth)

    def write_image(self, frame: Frame, topic: str) -> None:
        """Write an image alone, grey or in colour, to a topic of its own."""
        image = self._image(self._header(frame), frame)
        self._put(topic, 'sensor_msgs/msg/Image', frame, image)

    def _put(self, topic: str, msgtype: str, frame: Frame, message: object) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=self._store, offered_qos_profiles=[_RELIABLE]
            )
        raw = self._store.serialize_cdr(message, msgtype)
        self._writer.write(self._connections[topic], frame.stamp_ns, raw)

    def _new(self, msgtype: str, **fields: Any) -> Any:
        return self._store.types[msgtype](**fields)

    def _header(self, frame: Frame) -> Any:
        sec, nanosec = divmod(frame.stamp_ns, 1_000_000_000)
        stamp = self._new('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)
        return self._new('std_msgs/msg/Header', stamp=stamp, frame_id=frame.frame_id)

    def _image(self, header: Any, frame: Frame) -> Any:
        height, width = frame.size
        little = np.ascontiguousarray(frame.image, dtype=frame.image.dtype.newbyteorder('<'))
        return self._new(
            'sensor_msgs/msg/Image',
            header=header,
            height=height,
            width=width,
            encoding=frame.encoding,
            is_bigendian=0,
            step=little[0].nbytes,
            data=little.view(np.uint8).reshape(-1),
        )

    def _camera_info(self, header: Any, size: tuple[int, int], camera: Intrinsics) -> Any:
        # rosbags writes the array's bytes as they are, so integers would come out as nonsense.
        k = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], float)
        whole = {'x_offset': 0, 'y_offset': 0, 'height': 0, 'width': 0, 'do_rectify': False}
        return self._new(
            'sensor_msgs/msg/CameraInfo',
            header=header,
            height=size[0],
            width=size[1],
            distortion_model='plumb_bob',
            d=np.zeros(5),
            k=k.reshape(-1),
            r=np.eye(3).reshape(-1),
            p=np.hstack([k, np.zeros((3, 1))]).reshape(-1),
            binning_x=0,
            binning_y=0,
            roi=self._new('sensor_msgs/msg/RegionOfInterest', **whole),
        )

    def _detection(self, header: Any, objects: Detections, index: int) -> Any:
        x1, y1, x2, y2 = objects.boxes_xyxy_px[index].tolist()
        point = self._new('vision_msgs/msg/Point2D', x=(x1 + x2) / 2, y=(y1 + y2) / 2)
        centre = self._new('vision_msgs/msg/Pose2D', position=point, theta=0.0)
        bbox = self._new(
            'vision_msgs/msg/BoundingBox2D', center=centre, size_x=x2 - x1, size_y=y2 - y1
        )
        hypothesis = self._new(
            'vision_msgs/msg/ObjectHypothesis',
            class_id=objects.class_names[objects.labels[index]],
            score=float(objects.scores[index]),
        )
        result = self._new(
            'vision_msgs/msg/ObjectHypothesisWithPose',
            hypothesis=hypothesis,
            pose=self._unknown_pose(),
        )
        return self._new(
            'vision_msgs/msg/Detection2D', header=header, results=[result], bbox=bbox, id=''
        )

    def _unknown_pose(self) -> Any:
        point = self._new('geometry_msgs/msg/Point', x=0.0, y=0.0, z=0.0)
        turn = self._new('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=0.0, w=1.0)
        pose = self._new('geometry_msgs/msg/Pose', position=point, orientation=turn)
        return self._new(
            'geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=np.zeros(36)
        )
