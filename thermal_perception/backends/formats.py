"""The kinds of graphs that can be written, by what `export --to` calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.backends import onnx_export, openvino_export

if TYPE_CHECKING:
    from thermal_perception.backends.graph_format import GraphFormat

FORMATS: dict[str, GraphFormat] = {
    'openvino': openvino_export.FORMAT,
    'onnx': onnx_export.FORMAT,
    'tensorrt': onnx_export.TENSORRT,
}
