from __future__ import annotations

from thermal_perception.nodes.base.logs import RepeatingLog


class Logger:
    def __init__(self):
        self.lines = []

    def warning(self, line):
        self.lines.append(('warning', line))

    def error(self, line):
        self.lines.append(('error', line))


def test_repeated_lines_are_written_once_per_period_with_their_number():
    now = [0.0]
    logger = Logger()
    lines = RepeatingLog(logger, period_s=5.0, clock=lambda: now[0])
    for i in range(10):
        now[0] = i
        lines.warning('stamp', f'bad stamp {i}')
    assert logger.lines == [
        ('warning', 'bad stamp 0'),
        ('warning', 'bad stamp 5 (4 more since the last such line)'),
    ]


def test_kinds_are_throttled_apart():
    logger = Logger()
    lines = RepeatingLog(logger, clock=lambda: 0.0)
    lines.warning('stamp', 'bad stamp')
    lines.error('size', 'bad size')
    lines.error('size', 'bad size')
    assert logger.lines == [('warning', 'bad stamp'), ('error', 'bad size')]
