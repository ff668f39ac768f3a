"""Entry point of the `thermal-perception` command: every verb and option on one page.

Those of `score` are in `cli/score/app.py`.

The verbs import their work when they are called: `--help` stays quick, a machine without ROS can
evaluate, and a robot without data-set tools can run a node.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
import sys
from typing import Annotated, NoReturn, TYPE_CHECKING

import typer

from thermal_perception.cli.score.app import app as score
from thermal_perception.errors import ConfigError, ThermalPerceptionError

if TYPE_CHECKING:
    from thermal_perception.evaluation.image_bag import Intrinsics

app = typer.Typer(
    name='thermal-perception',
    help='Neural perception for robots that see heat.',
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_PASS_ON = {'allow_extra_args': True, 'ignore_unknown_options': True}


class Storage(str, Enum):
    """Storage plug-ins of rosbag2."""

    mcap = 'mcap'
    sqlite3 = 'sqlite3'


class Reliability(str, Enum):
    """Delivery that a replayed topic offers."""

    bag = 'bag'
    reliable = 'reliable'
    best_effort = 'best_effort'


class Against(str, Enum):
    """What to compare our node with."""

    naive = 'naive'


Model = Annotated[str, typer.Option(metavar='NAME', help='Shipped model, or its system.')]
Checkpoint = Annotated[
    Path | None, typer.Option(metavar='FILE', help='Checkpoint, instead of the shipped one.')
]
Json = Annotated[Path | None, typer.Option('--json', metavar='FILE', help='Write this file.')]
Device = Annotated[str, typer.Option(help='cpu, cuda, cuda:N, or auto: the GPU if there is one.')]
_BACKEND = 'torch; cuda_graph; compiled: torch_compile, openvino, onnxruntime, tensorrt; or auto.'
Backend = Annotated[str, typer.Option(help=_BACKEND)]
Precision = Annotated[
    str, typer.Option(help='fp32, bf16, fp16, int8, or auto: bf16 where it is fast.')
]

app.add_typer(score, name='score')


def main() -> None:
    """Run the command and exit: 0 on success, 1 on a failure, 2 on a wrong call."""
    debug = '--debug' in sys.argv[1:2]
    try:
        app(prog_name='thermal-perception')
    except KeyboardInterrupt:
        sys.exit(130)
    except ThermalPerceptionError as error:
        if debug:
            raise
        _fail(str(error))
    except Exception as error:
        if debug:
            raise
        _fail(f'{type(error).__name__}: {error} (thermal-perception --debug VERB tells more)')


def _fail(sentence: str) -> NoReturn:
    print(f'thermal-perception: {sentence}', file=sys.stderr)
    sys.exit(1)


@app.callback()
def _root(
    debug: Annotated[  # only declared here, for the help: main() looks at it
        bool, typer.Option('--debug', help='Show the traceback of an error.')
    ] = False,
) -> None:
    """Neural perception for robots that see heat."""


@app.command(context_settings=_PASS_ON)
def run(
    context: typer.Context,
    node: Annotated[
        str,
        typer.Argument(
            metavar='NODE', help='As fusion_detr or simulated_cameras; a wrong name lists all.'
        ),
    ],
    params: Annotated[
        Path | None, typer.Option(metavar='FILE', help='YAML file of ROS parameters.')
    ] = None,
    cameras: Annotated[
        int,
        typer.Option(metavar='N', help='Nodes in one process that share a network, 1 to 6.'),
    ] = 1,
) -> None:
    """Run a node; what follows --ros-args goes to ROS, as with `ros2 run`."""
    from thermal_perception.cli.run import run

    raise typer.Exit(run(node, params, context.args, cameras=cameras))


@app.command(context_settings=_PASS_ON)
def replay(
    context: typer.Context,
    bag: Annotated[Path, typer.Argument(metavar='BAG', help='Folder or file, mcap or sqlite3.')],
    rate: Annotated[float, typer.Option(help='Bag seconds per second.')] = 1.0,
    loop: Annotated[bool, typer.Option('--loop', help='Start again at the end.')] = False,
    start_offset: Annotated[float, typer.Option(help='Seconds of the bag to skip.')] = 0.0,
    topics: Annotated[
        list[str] | None, typer.Option('--topic', help='Only this topic; repeatable.')
    ] = None,
    remap: Annotated[
        list[str] | None, typer.Option(metavar='OLD:=NEW', help='Rename; repeatable.')
    ] = None,
    clock_hz: Annotated[float, typer.Option(help='Rate of /clock, 0 for none.')] = 100.0,
    qos: Annotated[Reliability, typer.Option(help='Delivery; bag: as recorded.')] = (
        Reliability.bag
    ),
    depth: Annotated[int, typer.Option(help='Messages kept for slow subscribers.')] = 100,
    wait: Annotated[float, typer.Option(help='Longest wait for subscribers, seconds.')] = 3.0,
) -> None:
    """Publish a recorded bag with its own timing, and /clock beside it."""
    _require_ros()
    from thermal_perception.cli.replay import replay, ReplayOptions
    from thermal_perception.cli.ros import ros_arguments

    summary = replay(
        ReplayOptions(
            bag=bag,
            rate=rate,
            loop=loop,
            start_offset_s=start_offset,
            topics=tuple(topics or ()),
            remaps=tuple(remap or ()),
            clock_hz=clock_hz,
            qos=qos.value,
            depth=depth,
            wait_s=wait,
            ros_arguments=tuple(ros_arguments(None, context.args)),
        )
    )
    print(f'{summary.messages} messages, at most {1000 * summary.worst_lag_s:.1f} ms late')


@app.command()
def bag_from_images(
    folder: Annotated[Path, typer.Argument(metavar='DIR', help='Thermal images, 8 or 16 bits.')],
    output: Annotated[Path, typer.Option(metavar='BAG', help='Folder to make.')],
    rate: Annotated[float, typer.Option(metavar='HZ', help='Images per second.')] = 10.0,
    topic: Annotated[str, typer.Option(metavar='NAME', help='Topic.')] = '/thermal/image_raw',
    frame_id: Annotated[str, typer.Option(metavar='NAME', help='Optical frame of the camera.')] = (
        'thermal_camera_optical'
    ),
    annotations: Annotated[
        Path | None,
        typer.Option(metavar='COCO', help='Truth, written as /ground_truth/detections.'),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option('--K', metavar='FX,FY,CX,CY', help='Intrinsics, written as camera_info.'),
    ] = None,
    storage: Annotated[Storage, typer.Option(help='Kind of bag.')] = Storage.mcap,
    start: Annotated[
        float | None, typer.Option(metavar='SECONDS', help='First stamp; default: now.')
    ] = None,
    rgb: Annotated[
        Path | None,
        typer.Option(metavar='DIR', help='Colour images of the same names, for two cameras.'),
    ] = None,
    rgb_topic: Annotated[
        str, typer.Option(metavar='NAME', help='Their topic.')
    ] = '/rgb/image_raw',
    rgb_frame_id: Annotated[str, typer.Option(metavar='NAME', help='Their optical frame.')] = (
        'rgb_camera_optical'
    ),
) -> None:
    """Turn a folder of thermal images into a bag; the stamps are made up, evenly spaced."""
    from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions

    bag_from_images(
        BagOptions(
            folder=folder,
            output=output,
            rate_hz=rate,
            topic=topic,
            frame_id=frame_id,
            annotations=annotations,
            intrinsics=_intrinsics(k) if k else None,
            storage=storage.value,
            start_s=start,
            rgb=rgb,
            rgb_topic=rgb_topic,
            rgb_frame_id=rgb_frame_id,
        )
    )


@app.command()
def evaluate(
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR',
            help='COCO (images/SPLIT and annotations/), visible/ and infrared/, or with labels/.',
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar='NAME', help='Part of the data set, as val.')
    ] = None,
    bag: Annotated[
        Path | None,
        typer.Option(metavar='BAG', help='A bag with /ground_truth/detections, instead.'),
    ] = None,
    image_topic: Annotated[
        str, typer.Option(metavar='NAME', help='Thermal images of the bag, if there are several.')
    ] = '',
    model: Model = 'fusion_detr_lite',
    checkpoint: Checkpoint = None,
    json: Json = None,
    exclude_class: Annotated[
        list[str] | None,
        typer.Option(metavar='NAME', help='Also average without this class; repeatable.'),
    ] = None,
    bits: Annotated[
        int, typer.Option(help='16: place 8-bit images into 14-bit counts first.')
    ] = 8,
    seed: Annotated[
        int, typer.Option(help='Of the counts that --bits 16 makes, and of --bootstrap.')
    ] = 0,
    bootstrap: Annotated[
        int, typer.Option(metavar='N', help='Confidence intervals from N resampled sets, as 1000.')
    ] = 0,
    detections: Annotated[
        Path | None,
        typer.Option(metavar='FILE', help='Write all boxes as COCO results, for compare.'),
    ] = None,
    fusion_csv: Annotated[
        Path | None,
        typer.Option(metavar='FILE', help='Write which scale counted how much in each image.'),
    ] = None,
    without: Annotated[
        str,
        typer.Option(
            metavar='CAMERA',
            help='Hide this camera from the model: thermal or rgb; ego or infra.',
        ),
    ] = '',
    level: Annotated[
        str,
        typer.Option(metavar='RATIO', help='Of what the roadside sends, as 256x (emiff).'),
    ] = '',
    delay: Annotated[
        int, typer.Option(metavar='K', help='Roadside images K images earlier (emiff).')
    ] = 0,
    device: Device = 'auto',
    backend: Backend = 'torch',
    precision: Precision = 'auto',
    artefact: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR', help='Folder that export wrote; default: that beside the checkpoint.'
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help='Processor threads.')] = None,
) -> None:
    """Score a model on a data set with boxes or label images, a bag, or pairs to fuse."""
    from thermal_perception.cli.evaluate import evaluate, EvaluateOptions

    evaluate(
        EvaluateOptions(
            dataset=dataset,
            split=split,
            bag=bag,
            image_topic=image_topic,
            model=model,
            checkpoint=checkpoint,
            json=json,
            bits=bits,
            seed=seed,
            exclude=tuple(exclude_class or ()),
            fusion_csv=fusion_csv,
            detections=detections,
            bootstrap=bootstrap,
            without=without,
            device=device,
            backend=backend,
            precision=precision,
            artefact=artefact,
            threads=threads,
            level=level,
            delay=delay,
        )
    )


@app.command()
def compare(
    first: Annotated[
        Path, typer.Argument(metavar='A', help='Boxes of one run: evaluate --detections A.')
    ],
    second: Annotated[Path, typer.Argument(metavar='B', help='Boxes of another on the same.')],
    dataset: Annotated[
        Path, typer.Option(metavar='DIR', help='The data set that both were run on.')
    ],
    split: Annotated[str, typer.Option(metavar='NAME', help='Its part, as val.')],
    json: Json = None,
    exclude_class: Annotated[
        list[str] | None,
        typer.Option(metavar='NAME', help='Also average without this class; repeatable.'),
    ] = None,
    bootstrap: Annotated[int, typer.Option(metavar='N', help='Number of resampled sets.')] = 1000,
    seed: Annotated[int, typer.Option(help='Of the resampling.')] = 0,
) -> None:
    """Tell whether two runs really differ: paired bootstrap over the same images."""
    from thermal_perception.cli.compare import compare, CompareOptions

    exclude = tuple(exclude_class or ())
    compare(CompareOptions(first, second, dataset, split, json, exclude, bootstrap, seed))


@app.command()
def compare_labels(
    first: Annotated[
        Path, typer.Argument(metavar='A', help='One result: evaluate --json A of a label map.')
    ],
    second: Annotated[Path, typer.Argument(metavar='B', help='Another one on the same images.')],
    json: Json = None,
    bootstrap: Annotated[int, typer.Option(metavar='N', help='Number of resampled sets.')] = 1000,
    seed: Annotated[int, typer.Option(help='Of the resampling.')] = 0,
) -> None:
    """Tell whether two models really label pixels differently well: paired bootstrap."""
    from thermal_perception.cli.compare_labels import compare_labels, CompareLabelsOptions

    compare_labels(CompareLabelsOptions(first, second, json, bootstrap, seed))


@app.command()
def info(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar='[CHECKPOINT]', help='Default: the shipped model.')
    ] = None,
    model: Model = 'fusion_detr_lite',
    json: Json = None,
) -> None:
    """Tell what a checkpoint or an exported folder is: classes, input, data, fingerprint."""
    from thermal_perception.cli.info import info

    info(checkpoint, model, json)


@app.command()
def export(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar='[CHECKPOINT]', help='Default: the shipped model.')
    ] = None,
    to: Annotated[
        str, typer.Option(help='openvino, onnx for ONNX Runtime, or tensorrt.')
    ] = 'openvino',
    model: Model = 'fusion_detr_lite',
    output: Annotated[
        Path | None, typer.Option(metavar='DIR', help='Folder to make; default: beside the file.')
    ] = None,
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar='H W', help='Of the camera images; default: as trained.'),
    ] = None,
    force: Annotated[bool, typer.Option('--force', help='Replace what is there.')] = False,
    precision: Annotated[
        str, typer.Option(help='Of the numbers: fp32, or int8 for openvino and onnx.')
    ] = 'fp32',
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar='DIR', help='For int8: images, or a data set, like what the camera sees.'
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar='NAME', help='Of that data set: train, never one to be tested on.'),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help='How many of them, evenly spread.')] = 64,
    cameras: Annotated[
        int,
        typer.Option(
            min=1,
            max=6,
            metavar='N',
            help='Also for up to N images together, as nodes of N cameras share a network.',
        ),
    ] = 1,
) -> None:
    """Make the graphs of a network ahead: a node with this backend starts without tracing."""
    from thermal_perception.cli.export import export, ExportOptions

    export(
        ExportOptions(
            to,
            checkpoint,
            model,
            output,
            size,
            force,
            precision,
            calibrate,
            split,
            images,
            cameras,
        )
    )


@app.command()
def demo(
    duration: Annotated[
        float | None, typer.Option(help='Seconds; default: 20, or all of a bag.')
    ] = None,
    bag: Annotated[
        Path | None, typer.Option(metavar='BAG', help='Replay this, not simulated cameras.')
    ] = None,
    image_topic: Annotated[
        str, typer.Option(metavar='NAME', help='Thermal images of the bag, if there are several.')
    ] = '',
    rgb_topic: Annotated[
        str, typer.Option(metavar='NAME', help='Colour images of the bag, for two cameras.')
    ] = '',
    model: Model = 'fusion_detr_lite',
    checkpoint: Checkpoint = None,
    device: Device = 'auto',
    preset: Annotated[str, typer.Option(help='Simulated world, as road or aerial.')] = 'road',
    condition: Annotated[str, typer.Option(help='day, dusk, night, fog or glare.')] = 'night',
    seed: Annotated[int | None, typer.Option(help='Of the simulated world.')] = None,
    rate: Annotated[
        float | None, typer.Option(metavar='HZ', help='Frames per second; default: 10, emiff 4.')
    ] = None,
    bits: Annotated[int, typer.Option(help='Of the simulated thermal camera: 8 or 16.')] = 8,
    output: Annotated[Path, typer.Option(metavar='DIR', help='For pictures, video, logs.')] = (
        Path('demo_output')
    ),
) -> None:
    """Watch the node at work, live: simulated cameras (or a bag) and the node as processes."""
    _require_ros()
    from thermal_perception.cli.demo.demo import demo
    from thermal_perception.cli.demo.show import DemoOptions

    demo(
        DemoOptions(
            duration_s=duration,
            bag=bag,
            image_topic=image_topic,
            rgb_topic=rgb_topic,
            model=model,
            checkpoint=checkpoint,
            device=device,
            preset=preset,
            condition=condition,
            seed=seed,
            rate_hz=rate,
            bits=bits,
            output=output,
        )
    )


@app.command()
def benchmark(
    json: Json = None,
    against: Annotated[
        Against | None, typer.Option(help='Also run a straightforward node.')
    ] = None,
    frames: Annotated[int, typer.Option(help='Frames per turn.')] = 10,
    runs: Annotated[int, typer.Option(help='Turns: network alone, node, naive node.')] = 20,
    sweep: Annotated[
        bool, typer.Option('--sweep', help='Also raise the input rate until images go unanswered.')
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar='FILE', help='Draw this picture: .svg or .png.')
    ] = None,
    overload: Annotated[
        bool, typer.Option('--overload', help='Also send twice the rate that the node reaches.')
    ] = False,
    rate: Annotated[float, typer.Option(metavar='HZ', help='Full input rate.')] = 30.0,
    size: Annotated[
        tuple[int, int], typer.Option(metavar='H W', help='Of the images, pixels.')
    ] = (512, 640),
    model: Model = 'fusion_detr_lite',
    checkpoint: Checkpoint = None,
    device: Device = 'auto',
    backend: Annotated[
        list[str] | None,
        typer.Option(
            metavar='NAME[,NAME]',
            help='torch, openvino, auto; several side by side, as torch,openvino:fp32.',
        ),
    ] = None,
    precision: Precision = 'auto',
    only: Annotated[
        str, typer.Option(metavar='NAME', help='Ask for this output alone: fused_image.')
    ] = '',
) -> None:
    """Measure what the node costs beside its network: stages, rate, age of the answers."""
    _require_ros()
    from thermal_perception.cli.benchmark.benchmark import benchmark
    from thermal_perception.cli.benchmark.options import BenchmarkOptions, parse_ways

    benchmark(
        BenchmarkOptions(
            model=model,
            checkpoint=checkpoint,
            device=device,
            ways=parse_ways(backend or ['torch'], precision),
            only=only,
            frames=frames,
            runs=runs,
            rate_hz=rate,
            size=size,
            naive=against is Against.naive,
            sweep=sweep,
            overload=overload,
            plot=plot,
            json=json,
        )
    )


def _require_ros() -> None:
    from thermal_perception.cli.ros import require_ros

    require_ros()


def _intrinsics(text: str) -> Intrinsics:
    from thermal_perception.evaluation.image_bag import Intrinsics

    try:
        return Intrinsics(*map(float, text.split(',')))
    except (TypeError, ValueError):
        raise ConfigError(f'--K {text}: expected FX,FY,CX,CY in pixels') from None


if __name__ == '__main__':
    main()
