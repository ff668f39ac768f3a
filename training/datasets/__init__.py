"""Data sets on disk as records of one kind, whatever their layout."""

from __future__ import annotations

from training.datasets.config import DatasetConfig, LayoutName
from training.datasets.folder import (
    count_kinds,
    DataFolder,
    list_records,
    Listing,
    report_problems,
)
from training.datasets.layouts import LAYOUTS
from training.datasets.oriented import corners_of_boxes
from training.datasets.pictures import Picture
from training.datasets.record import ANY_CLASS, Attributes, Problem, Record

__all__ = [
    'DatasetConfig',
    'LayoutName',
    'LAYOUTS',
    'DataFolder',
    'Listing',
    'list_records',
    'Record',
    'Attributes',
    'Picture',
    'Problem',
    'ANY_CLASS',
    'corners_of_boxes',
    'count_kinds',
    'report_problems',
]
