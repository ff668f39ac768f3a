"""One reader per arrangement of files; `LAYOUTS` names them all."""

from __future__ import annotations

from training.datasets.config import LayoutName
from training.datasets.layouts import (
    coco,
    dronevehicle,
    flir_v1,
    flir_v2,
    kaist,
    llvip,
    m3fd,
    mfnet,
    msrs,
    pairs,
    pst900,
    roadscene,
    simulator,
    tno,
)
from training.datasets.layouts.found import Found, Item, Layout, Thing

LAYOUTS: dict[LayoutName, Layout] = {
    'coco': coco.LAYOUT,
    'simulator': simulator.LAYOUT,
    'flir_v1': flir_v1.LAYOUT,
    'flir_v2': flir_v2.LAYOUT,
    'm3fd': m3fd.LAYOUT,
    'llvip': llvip.LAYOUT,
    'kaist': kaist.LAYOUT,
    'dronevehicle': dronevehicle.LAYOUT,
    'msrs': msrs.LAYOUT,
    'mfnet': mfnet.LAYOUT,
    'pst900': pst900.LAYOUT,
    'roadscene': roadscene.LAYOUT,
    'tno': tno.LAYOUT,
    'pairs': pairs.LAYOUT,
}

__all__ = ['Found', 'Item', 'Layout', 'LAYOUTS', 'Thing']
