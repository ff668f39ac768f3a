"""Tiny trees of real layouts: a few pixels of each image, labels as published."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from training.datasets import DatasetConfig, list_records


@pytest.fixture
def image():
    """Return a function that writes a grey or colour image of one value, folders included."""

    def write(path, value=50, size=(24, 32), channels=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = size if channels == 1 else (*size, channels)
        assert cv2.imwrite(str(path), np.full(shape, value, np.uint8))
        return path

    return write


@pytest.fixture
def text():
    """Return a function that writes a text file, folders included."""

    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def read(tmp_path):
    """Return a function that lists the records of a layout in the test's folder."""

    def listed(layout, class_names=None, **options):
        return list_records(DatasetConfig(str(tmp_path), layout=layout, **options), class_names)

    return listed


def voc_object(name, corners, extra=''):
    tags = ('xmin', 'ymin', 'xmax', 'ymax')
    box = ''.join(f'<{t}>{v}</{t}>' for t, v in zip(tags, corners))
    return f'<object><name>{name}</name>{extra}<bndbox>{box}</bndbox></object>'


@pytest.fixture
def voc():
    """Return a function that makes a VOC label from (name, corners) or (name, corners, extra)."""
    return lambda *objects: f'<annotation>{"".join(voc_object(*o) for o in objects)}</annotation>'
