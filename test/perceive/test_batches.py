"""Which batches pay, computed by hand; and that a batch gives what single calls give."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from tiny import e2e_mfd, lite, published, rgbt
import torch

from thermal_perception.errors import BackendError, PreprocessError
from thermal_perception.models.checkpoint import CheckpointInfo, save_random
from thermal_perception.perceive import Perceiver, perceiver as perceiving
from thermal_perception.perceive.batches import Batches
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.types import Perception

CLASSES = ('person', 'car')
SIZE = (64, 96)

pytestmark = pytest.mark.usefixtures('one_thread_and_seed')


def measured(*times_ms: float) -> Batches:
    """Return what was found for calls of the kind `k`."""
    return Batches(tuple(time_ms / 1000 for time_ms in times_ms), frozenset({'k'}))


# Which batches pay


@pytest.mark.parametrize(
    ('times_ms', 'most'),
    [
        pytest.param((), 1, id='nothing measured'),
        pytest.param((10,), 1, id='one alone'),
        pytest.param((10, 20), 1, id='as long as apart'),
        pytest.param((10, 19.5), 1, id='hardly faster'),
        pytest.param((10, 19), 2, id='five in a hundred faster'),
        pytest.param((10, 12, 15), 3, id='three'),
        # 3 apart: 12 + 10 = 22
        pytest.param((10, 12, 21.5), 2, id='three as fast as two and one'),
        # 4 apart: 12 + 12 = 24, not 20 + 10
        pytest.param((10, 12, 20, 23.5), 3, id='four as fast as two and two'),
        pytest.param((10, 25, 12), 1, id='what follows is not looked at'),
    ],
)
def test_as_many_go_together_as_is_faster_than_in_parts(times_ms: tuple[float, ...], most: int):
    batches = measured(*times_ms)
    assert batches.most == most
    assert [batches.size('k', ready) for ready in (1, 2, 3, 6)] == [
        min(ready, most) for ready in (1, 2, 3, 6)
    ]


def test_calls_that_were_not_measured_run_alone():
    assert measured(10, 12).size('another size of images', 5) == 1


def test_a_frame_waits_for_one_of_every_other_camera_and_its_own_batch():
    assert measured(10, 20).bound_s(3) == pytest.approx(0.030)  # 10 + 10, and its own 10
    # 10.5 + 10.5, half a millisecond of patience after each, and a batch of 15
    assert measured(10, 12, 15).bound_s(3) == pytest.approx(0.036)
    assert measured(10, 12, 15, 25).bound_s(4) == pytest.approx(0.0465)  # four do not pay
    assert Batches().bound_s(3) is None


def test_waiting_for_others_takes_no_more_than_a_batch_gains_at_least():
    assert measured(10, 12).patience_s == pytest.approx(0.0005)  # 5% of a frame alone
    assert measured(10, 20).patience_s == 0
    assert Batches().patience_s == 0


def test_what_was_found_is_told():
    assert Batches().text == 'one at a time'
    assert measured(10, 21).text == 'one at a time: two together take 1.05 of their time apart'
    assert measured(10, 14, 15).text == 'up to 3 together, which take 0.50 of their time apart'


def test_after_a_failure_fewer_go_together():
    left = measured(10, 12, 15).below(3, 'out of memory')
    assert left.most == 2
    assert left.text == (
        'up to 2 together, which take 0.60 of their time apart; 3 together failed: out of memory'
    )
    assert left.below(2, 'again').text == 'one at a time; 2 together failed: again'


# A batch gives what single calls give


def noise(seed: int, *shape: int) -> Any:
    """Return an image of dark noise with a bright rectangle, both by the seed."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 80, size=shape).astype(np.uint8)
    top, left = rng.integers(0, 30, size=2)
    image[top : top + 20, left : left + 30] += 150
    return image


def pair(seed: int, size: tuple[int, int] = SIZE) -> FrameSet:
    """Return different images, stamp and frame for every seed."""
    where = f'camera_{seed}'
    return FrameSet(
        Frame(noise(seed, *size), seed, where, 'thermal', 'mono8', valid_bits=8),
        Frame(noise(seed + 100, *size, 3), seed, where, 'rgb', 'bgr8', valid_bits=8),
    )


def load(folder: Path, architecture: str, config: dict[str, Any], **options: Any) -> Perceiver:
    """Return a tiny network with random weights."""
    path = folder / f'{architecture}.safetensors'
    preprocess = {'pad_multiple': 32}
    save_random(path, CheckpointInfo('tiny', architecture, config, preprocess, CLASSES))
    return Perceiver.load(path, device='cpu', **options)


def assert_same(found: Perception, expected: Perception, *, px: float, score: float):
    """Compare two results, boxes in pixels."""
    assert found.detections.stamp_ns == expected.detections.stamp_ns
    assert found.detections.frame_id == expected.detections.frame_id
    assert_array_equal(found.detections.labels, expected.detections.labels)
    assert_allclose(found.detections.scores, expected.detections.scores, atol=score)
    assert_allclose(found.detections.boxes_xyxy_px, expected.detections.boxes_xyxy_px, atol=px)
    if expected.fusion is not None:
        assert found.fusion is not None
        for name in ('alpha_hat', 'alpha', 'prior', 'logits', 'beta_norm'):
            assert_allclose(
                getattr(found.fusion, name), getattr(expected.fusion, name), atol=score
            )
    if expected.fused is not None:
        assert found.fused is not None
        difference = found.fused.image.astype(int) - expected.fused.image
        assert np.abs(difference).max() <= 1
    if expected.segmentation is not None:
        assert found.segmentation is not None
        assert (found.segmentation.labels != expected.segmentation.labels).mean() < 1e-3


NETWORKS = [
    pytest.param('fusion_detr', lite(CLASSES), id='lite'),
    pytest.param('fusion_detr', published(CLASSES), id='published'),
    pytest.param('e2e_mfd', e2e_mfd(CLASSES), id='e2e_mfd'),
    pytest.param('rgbt_segmentation', rgbt(CLASSES), id='rgbt'),
]


@pytest.mark.parametrize(('architecture', 'config'), NETWORKS)
@pytest.mark.parametrize('size', [SIZE, (50, 70)], ids=['as it is', 'padded'])
def test_batch_of_three_gives_each_the_result_of_a_single_call(
    tmp_path: Path, architecture: str, config: dict[str, Any], size: tuple[int, int]
):
    perceiver = load(tmp_path, architecture, config)
    frames = [pair(seed, size) for seed in (1, 2, 3)]
    expected = [perceiver(each) for each in frames]
    if architecture != 'rgbt_segmentation':  # whose random weights find nothing
        assert (expected[0].detections.scores != expected[1].detections.scores).any()
    found = perceiver.run([perceiver.prepare(each) for each in frames])
    for one, alone in zip(found, expected):
        assert not isinstance(one, Exception)
        assert_same(one, alone, px=0.5, score=1e-4)
    assert perceiver.batches == Batches()  # no batch has failed


@pytest.mark.slow
def test_compiled_batch_is_ready_for_live_frames_and_gives_the_results_of_single_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    frames = [pair(seed) for seed in (1, 2)]
    alone = load(tmp_path, 'fusion_detr', lite(CLASSES))
    compiled = load(
        tmp_path, 'fusion_detr', lite(CLASSES), backend='openvino', precision='fp32', live=True
    )
    compiled.warm_up_batches(SIZE, 2)
    monkeypatch.setattr(compiled._backend, '_eager', None)  # which answers what is not ready
    for one, each in zip(compiled.run([compiled.prepare(each) for each in frames]), frames):
        assert not isinstance(one, Exception)
        assert_same(one, alone(each), px=0.5, score=0.02)
    assert compiled.degraded == ''


# Warming up


@pytest.fixture(autouse=True)
def _two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceiving, '_RUNS', 2)


@pytest.fixture
def perceiver(tmp_path: Path) -> Perceiver:
    """Return a tiny network of one camera."""
    return load(tmp_path, 'fusion_detr', lite(CLASSES))


class Recorder:
    """A backend that notes how many images each call had, and may refuse some numbers.

    Attributes:
        numbers: of images, call by call.
        fails: of so many or more.
    """

    name, precision, device, problem, notes = 'fake', 'fp32', 'cuda', '', ()

    def __init__(self, backend: Any) -> None:
        self._backend, self.live = backend, True
        self.numbers: list[int] = []
        self.fails = 99
        self.lived: list[bool] = []

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        self.numbers.append(len(inputs[0]))
        self.lived.append(self.live)
        if len(inputs[0]) >= self.fails:
            raise BackendError('fake: out of memory', recoverable=True)
        return self._backend(*inputs, **options)


@pytest.fixture
def recorder(perceiver: Perceiver) -> Recorder:
    """Watch the calls of the perceiver."""
    recorder = Recorder(perceiver._backend)
    perceiver._backend = recorder  # type: ignore[assignment]
    return recorder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, perceiver: Perceiver) -> Any:
    """Let calls with 1, 2, ... images take as many seconds as a test says."""

    def set_times(*times_s: float) -> None:
        def take(frames: Any, wanted: Any, number: int) -> float:
            real(frames, wanted, number)
            return times_s[number - 1]

        monkeypatch.setattr(perceiver, '_together_s', take)

    real = perceiver._together_s
    return set_times


def test_warm_up_runs_every_number_of_images_that_pays(
    perceiver: Perceiver, recorder: Recorder, clock: Any
):
    clock(10, 14, 16)
    perceiver.warm_up_batches(SIZE, 3)
    assert recorder.numbers == [1] * 3 + [2] * 3 + [3] * 3
    assert perceiver.batches.times_s == (10, 14, 16)
    assert perceiver.batches.size(perceiver.prepare(pair(1)).kind, 5) == 3
    assert not any(recorder.lived)  # a live backend would not compile
    assert recorder.live


def test_warm_up_ends_with_the_first_number_that_does_not_pay(
    perceiver: Perceiver, recorder: Recorder, clock: Any
):
    clock(10, 21, 5)
    perceiver.warm_up_batches(SIZE, 3)
    assert set(recorder.numbers) == {1, 2}
    assert perceiver.batches.most == 1


def test_images_of_another_size_than_was_warmed_up_run_alone(perceiver: Perceiver, clock: Any):
    clock(10, 14)
    perceiver.warm_up_batches(SIZE, 2)
    assert perceiver.batches.size(perceiver.prepare(pair(1)).kind, 2) == 2
    assert perceiver.batches.size(perceiver.prepare(pair(1, (96, 64))).kind, 2) == 1


def test_every_set_of_results_is_warmed_up_in_batches(tmp_path: Path):
    perceiver = load(tmp_path, 'e2e_mfd', e2e_mfd(CLASSES))
    perceiver._backend = recorder = Recorder(perceiver._backend)  # type: ignore[assignment]
    real = perceiver._together_s
    perceiver._together_s = (  # type: ignore[method-assign]
        lambda frames, wanted, number: real(frames, wanted, number) * 0 + 1
    )
    perceiver.warm_up_batches(SIZE, 2)
    assert recorder.numbers == [1] * 3 + [2] * 3 + [1, 2] * 2
    kinds = {
        perceiver.prepare(pair(1), wanted=wanted).kind
        for wanted in ({'detections'}, {'fused_image'}, {'detections', 'fused_image'})
    }
    assert perceiver.batches.kinds == kinds


# Faults


def test_batch_too_large_for_the_device_is_answered_one_by_one(
    perceiver: Perceiver, recorder: Recorder, clock: Any
):
    clock(10, 12, 13)
    perceiver.warm_up_batches(SIZE, 3)
    recorder.fails, recorder.numbers = 3, []
    expected = [perceiver(pair(seed)).detections.scores for seed in (1, 2, 3)]
    found = perceiver.run([perceiver.prepare(pair(seed)) for seed in (1, 2, 3)])
    assert recorder.numbers == [1, 1, 1, 3, 1, 1, 1]
    for one, scores in zip(found, expected):
        assert not isinstance(one, Exception)
        assert_array_equal(one.detections.scores, scores)
    assert perceiver.batches.most == 2
    assert '3 together failed: fake: out of memory' in perceiver.batches.text
    assert perceiver.degraded == ''


def test_every_frame_of_a_failing_device_gets_its_error(perceiver: Perceiver, recorder: Recorder):
    recorder.fails = 1
    errors = perceiver.run([perceiver.prepare(pair(seed)) for seed in (1, 2)])
    assert [str(error) for error in errors] == ['fake: out of memory'] * 2


def test_device_lost_in_a_batch_answers_it_on_the_cpu_and_forgets_what_was_measured(
    perceiver: Perceiver, recorder: Recorder, clock: Any
):
    clock(10, 12)
    perceiver.warm_up_batches(SIZE, 2)
    expected = perceiver(pair(1)).detections.scores
    perceiver._spare = perceiving.load_checkpoint(perceiver.info.path)
    recorder.fails = 1
    first, second = perceiver.run([perceiver.prepare(pair(1)) for _ in range(2)])
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    assert_allclose(first.detections.scores, expected, atol=1e-4)
    assert perceiver.degraded == 'running on the CPU: fake: out of memory'
    assert perceiver.batches.most == 1
    assert 'running on the CPU' in perceiver.batches.text


def test_frames_that_cannot_be_prepared_are_refused_before_they_reach_a_batch(
    perceiver: Perceiver,
):
    with pytest.raises(PreprocessError, match='no thermal frame'):
        perceiver.prepare(FrameSet(rgb=pair(1).rgb))


def test_result_that_cannot_be_made_fails_alone(
    perceiver: Perceiver, monkeypatch: pytest.MonkeyPatch
):
    whole = perceiver._system.finish

    def finish(found: Any, call: Any, frames: FrameSet, index: int = 0) -> Any:
        if index == 1:
            raise ValueError('spoilt')
        return whole(found, call, frames, index)

    monkeypatch.setattr(perceiver._system, 'finish', finish)
    found = perceiver.run([perceiver.prepare(pair(seed)) for seed in (1, 2, 3)])
    assert [isinstance(one, Exception) for one in found] == [False, True, False]


def test_a_prepared_frame_is_not_overwritten_by_the_next(perceiver: Perceiver):
    ready = perceiver.prepare(pair(1))
    before = ready.call.inputs[0].clone()
    perceiver.prepare(pair(2))
    assert torch.equal(ready.call.inputs[0], before)
