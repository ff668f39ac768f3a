"""What the charts of several tasks show, and that others have none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.report.charts import loss_chart
from training.report.gradient_charts import balance_chart, conflict_chart, is_about_gradients
from training.report.history import History

MEASURED = {
    'norm_fusion': 0.5,
    'norm_detection': 20.0,
    'k_fusion': 1.0,
    'k_detection': 0.02,
    'cosine': -0.25,
    'condition_before': 41.0,
    'condition_after': 1.0,
    'combined_norm': 0.7,
    'skipped': False,
}


@pytest.fixture
def history(tmp_path):
    """Return a run in which every second step measured the gradients."""
    rows = [
        {'step': s, 'loss': 4.0, 'weight_thermal': 0.6, **(MEASURED if s % 2 else {})}
        for s in range(6)
    ]
    (tmp_path / 'log.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return History.read(tmp_path)


def test_both_charts_name_the_tasks(history, page_of):
    balance, conflict = (page_of(chart(history)) for chart in (balance_chart, conflict_chart))
    assert {'condition before', 'condition after', 'fusion', 'detection', 'combined'} <= set(
        balance.texts
    )
    assert {'cosine', 'coefficient', 'fusion', 'detection'} <= set(conflict.texts)


def test_only_steps_that_measured_are_drawn(history):
    assert np.isnan(history.terms['cosine']).sum() == 3
    assert balance_chart(history).count('<use') < balance_chart(_all_measured(history)).count(
        '<use'
    )


def _all_measured(history):
    terms = {name: np.where(np.isnan(v), np.nanmax(v), v) for name, v in history.terms.items()}
    return History(history.steps, terms, history.dev, history.throughput)


def test_a_run_of_one_task_has_no_such_chart(tmp_path):
    (tmp_path / 'log.jsonl').write_text('{"step": 0, "loss": 1.0}\n')
    history = History.read(tmp_path)
    assert balance_chart(history) == conflict_chart(history) == ''


def test_gradients_are_no_terms_of_the_loss(history, page_of):
    assert all(is_about_gradients(name) for name in MEASURED)
    shown = set(page_of(loss_chart(history)).texts)
    assert 'loss' in shown
    assert not shown & {*MEASURED, 'weight_thermal'}
