"""The demo's screen: it fits, it shows what matters, and a picture is recognisable."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from thermal_perception.cli.demo.label_state import LabelState
from thermal_perception.cli.demo.state import BoxState, NodeReport
from thermal_perception.cli.demo.view import (
    live_view,
    log_line,
    LogScreen,
    Moment,
    open_screen,
    picture,
    summary_table,
)
from thermal_perception.types import Detections, SegmentationMask

MOMENT = Moment('fusion_detr_lite on simulated road', 9.0, 5.0, 20.0)


def seen(live=True):
    state = BoxState(live=live)
    detections = Detections(
        np.array([[10, 10, 30, 60]], np.float32),
        np.array([1.0], np.float32),
        np.array([0]),
        ('person',),
        1_000_000_000,
        'optical',
        (512, 640),
    )
    state.take_truth(detections)
    state.take_answer(detections, 1.05)
    values = {
        'device': 'cpu',
        'backend': 'torch fp32',
        'model median [ms]': '31.523',
        'model p99 [ms]': '40.2',
        'replaced': '17',
        'dropped future': '3',
    }
    state.node = NodeReport('WARN', 'stamps: 3 future', values)
    return state


def text_of(renderable, columns, rows=50):
    console = Console(
        file=io.StringIO(), width=columns, height=rows, force_terminal=True, color_system=None
    )
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize('columns', [60, 80, 120, 200])
def test_view_shows_the_facts_within_the_terminal(columns):
    overlay = np.full((512, 640, 3), 90, np.uint8)
    text = text_of(live_view(seen(), overlay, MOMENT, (40, columns)), columns)
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) <= 40
    facts = ('WARN', 'stamps: 3 future', 'cpu torch fp32', '31.5', '40.2', '17 replaced')
    for fact in (*facts, '3 future', 'person', 'precision', '100.0 %', '50 ms median'):
        assert fact in text, fact


def test_picture_is_shown_only_where_there_is_room():
    overlay = np.full((512, 640, 3), 90, np.uint8)
    assert '▀' in text_of(live_view(seen(), overlay, MOMENT, (40, 140)), 140)
    assert '▀' not in text_of(live_view(seen(), overlay, MOMENT, (40, 70)), 70)
    assert '▀' not in text_of(live_view(seen(), None, MOMENT, (40, 140)), 140)


def test_picture_shows_two_pixels_per_cell_with_the_right_colours():
    image = np.zeros((20, 40, 3), np.uint8)
    image[:10] = (255, 0, 0)  # blue above
    image[10:] = (0, 0, 255)  # red below
    text = picture(image, (1, 2))
    assert text.plain == '▀▀\n'
    style = text.spans[0].style
    assert (style.color.name, style.bgcolor.name) == ('#0000ff', '#ff0000')


def test_picture_keeps_its_aspect():
    rows = picture(np.zeros((512, 640, 3), np.uint8), (100, 64)).plain.splitlines()
    assert {len(row) for row in rows} == {64}
    assert len(rows) == 25  # 64 * 512 / 640 = 51 pixels, two per row


def test_bag_without_end_shows_seconds_and_no_age():
    text = text_of(live_view(seen(live=False), None, Moment('bag', 9.0, 7.2, None), (40, 80)), 80)
    assert '7 s' in text
    assert 'recorded stamps' in text


def test_log_line_is_one_line_with_the_facts():
    line = log_line(seen(), 4.0)
    assert '\n' not in line
    for fact in ('4.0 s', 'frames=1', 'precision=100.0', 'recall=100.0', 'node=WARN', 'person=1'):
        assert fact in line
    assert '(stamps: 3 future)' in line
    assert log_line(seen(), 4.0, 'camera cut off') == f'{line}  [camera cut off]'


def test_label_images_are_told_in_shares_of_the_pixels():
    state = LabelState(('unlabeled', 'car', 'person'))
    labels = np.array([[0, 0, 0, 0, 0, 1, 1, 2]], np.uint8)
    mask = SegmentationMask(labels, ('unlabeled', 'car', 'person'), 1, 'optical')
    state.take_truth(mask)
    state.take_answer(mask, 1.05)
    assert 'mIoU=100.0 node=STALE  now: car=25.0% person=12.5%' in log_line(state, 4.0)
    ending = text_of(summary_table(state), 80)
    for fact in ('37.5%: 25.0% car, 12.5% person', 'mIoU', 'IoU of person'):
        assert fact in ending, fact
    whole = text_of(live_view(state, None, MOMENT, (40, 80)), 80)
    assert '25.0% now  25.0% on average' in whole
    assert 'IoU of' not in whole


def test_log_line_of_nothing_seen_yet():
    assert 'precision=- recall=-' in log_line(BoxState(), 0.0)


def test_summary_names_stages_boxes_and_score():
    text = text_of(summary_table(seen()), 100)
    for fact in ('31.5 ms median, 40.2 ms p99', '1: 1 person', 'precision'):
        assert fact in text


def test_screen_off_a_terminal_is_a_log(capsys):
    with open_screen(Console(file=io.StringIO())) as screen:
        assert isinstance(screen, LogScreen)
        screen.show(seen(), None, MOMENT)
    assert capsys.readouterr().out.startswith('  5.0 s  frames=1')


def test_start_is_said_once_in_a_log_and_counted_on_a_screen(capsys):
    starting = Moment('the title', 4.0, None, 20.0)
    screen = LogScreen()
    screen.show(BoxState(), None, starting)
    screen.show(BoxState(), None, starting)
    assert capsys.readouterr().out == 'the title: starting\n'
    assert 'starting, 4 s' in text_of(live_view(BoxState(), None, starting, (40, 80)), 80)


def test_screen_on_a_terminal_is_drawn():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=40)
    with open_screen(console) as screen:
        screen.show(seen(), None, MOMENT)
    assert 'simulated road' in console.file.getvalue()
