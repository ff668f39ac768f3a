"""`python -m training report`: one self-contained HTML file about a run or a checkpoint."""

from __future__ import annotations

from training.report.command import add_arguments, run

__all__ = ['add_arguments', 'run']
