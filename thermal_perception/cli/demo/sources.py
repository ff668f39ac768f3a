"""What the node of a demo looks at: simulated cameras, or a bag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.cli.processes import command_of, node_command
from thermal_perception.evaluation.bag import find_topic, IMAGE_TYPES, open_bag, TRUTH_TOPIC

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

    from thermal_perception.cli.demo.show import Show
    from thermal_perception.cli.processes import Child, Children

START_LIMIT_S = 180.0
"""A busy machine takes minutes to import PyTorch and to build the simulated world."""


def node_parameters(show: Show) -> dict[str, object]:
    """Return the parameters of the node."""
    parameters: dict[str, object] = {
        'checkpoint': show.checkpoint,
        'device': show.options.device,
    }
    if show.options.bag is not None:
        parameters['use_sim_time'] = True
        for camera, (_, transport) in bag_images(show).items():
            prefix = '' if camera == 'thermal' else f'{camera}_'
            parameters[f'{prefix}image_transport'] = transport
    return parameters


def start_source(show: Show, children: Children) -> Child:
    """Start the cameras, or the replay of the bag."""
    options = show.options
    if options.bag is not None:
        return children.start('replay', replay_command(show), finite=True)
    parameters = {
        'preset': options.preset,
        'condition': options.condition,
        'seed': show.seed,
        'rate_hz': show.rate_hz,
        'bits': options.bits,
        'publish_rgb': 'rgb' in show.kind.cameras,
        'registered': True,  # both cameras look through one lens; used with two
    }
    return children.start('simulated_cameras', node_command('simulated_cameras', parameters))


def bag_images(show: Show) -> dict[str, tuple[str, str]]:
    """Return for each camera the topic in the bag, and how it is sent: `raw` or `compressed`."""
    wanted = {'thermal': show.options.image_topic, 'rgb': show.options.rgb_topic}
    assert show.options.bag is not None
    with open_bag(show.options.bag) as reader:
        return {
            camera: _image_topic(
                reader, wanted[camera], f'{camera}/image_raw' if len(show.kind.cameras) > 1 else ''
            )
            for camera in show.kind.cameras
        }


def _image_topic(reader: AnyReader, wanted: str, ending: str) -> tuple[str, str]:
    """Return a topic, raw if there is one, else compressed, and which of them it is."""
    types = {c.topic: c.msgtype for c in reader.connections}
    raw, compressed = IMAGE_TYPES
    if wanted:
        topic = find_topic(reader, IMAGE_TYPES, wanted=wanted)
    elif any(kind == raw and topic.endswith(ending) for topic, kind in types.items()):
        topic = find_topic(reader, (raw,), ending=ending)
    else:
        topic = find_topic(reader, (compressed,), ending=f'{ending}/compressed' if ending else '')
    return topic, 'raw' if types[topic] == raw else 'compressed'


def replay_command(show: Show) -> list[str]:
    """Publish what the node and we subscribe to: the images, and the truth if there is one."""
    bag = show.options.bag
    assert bag is not None
    topics = {
        recorded: f'/{camera}/image_raw{"" if transport == "raw" else "/compressed"}'
        for camera, (recorded, transport) in bag_images(show).items()
    }
    with open_bag(bag) as reader:
        for connection in reader.connections:
            # Nobody says what the numbers of a bag's label images mean.
            if connection.topic.endswith(TRUTH_TOPIC) and not show.kind.labels_pixels:
                topics[connection.topic] = f'/{TRUTH_TOPIC}'
    arguments = ['--wait', str(START_LIMIT_S)]
    for recorded, wanted in topics.items():
        arguments += ['--topic', recorded, '--remap', f'{recorded}:={wanted}']
    return command_of('replay', str(bag.resolve()), *arguments)
