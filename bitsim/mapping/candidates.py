"""Tilings worth trying, many at once as integer arrays.

Sizes of a dimension are its ceil-splits ceil(D/k), rounded up to whole granules (lanes, columns)
where they are larger than one.  Columns are split only when a tile has one row, rows only when it
has one sample: a longer run of a row or map has less halo for the same footprint.  Several groups
share a tile only whole, with all their outputs and channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, Accelerator, Datapath, Orientation, Tile
from bitsim.mapping.record import dimension_sizes
from bitsim.workload import Product

MOST_SIZES = 32


def split_sizes(size: int, granule: int = 1) -> list[int]:
    """Distinct tile sizes of a dimension, ascending."""
    root = math.isqrt(size)
    sizes = {-(-size // k) for k in range(1, root + 2)} | set(range(1, root + 1))
    if granule > 1:
        sizes = {s if s <= granule else min(size, -(-s // granule) * granule) for s in sizes}
        if granule < size:
            sizes.add(granule)
    return _thinned(sorted(sizes)) if len(sizes) > MOST_SIZES else sorted(sizes)


def _thinned(sizes: list[int]) -> list[int]:
    """Long lists keep a size a quarter above the one before, and the whole dimension."""
    kept = [sizes[-1]]
    for size in reversed(sizes):
        if 5 * size <= 4 * kept[-1]:
            kept.append(size)
    return kept[::-1]


def tilings(product: Product, granules: dict[str, int]) -> np.ndarray:
    """(count, 6) int64: tile sizes in the order of DIMENSIONS."""
    size = dimension_sizes(product)
    spots = {(b, size["rows"], size["cols"]) for b in split_sizes(size["batch"])}
    spots |= {(1, r, size["cols"]) for r in split_sizes(size["rows"], granules.get("rows", 1))}
    spots |= {(1, 1, c) for c in split_sizes(size["cols"], granules.get("cols", 1))}
    outputs = split_sizes(size["outputs"], granules.get("outputs", 1))
    channels = split_sizes(size["channels"], granules.get("channels", 1))
    inner = [(1, o, c) for o in outputs for c in channels]
    inner += [(g, size["outputs"], size["channels"]) for g in split_sizes(size["groups"]) if g > 1]
    outer, inner_table = np.array(sorted(spots), np.int64), np.array(inner, np.int64)
    batch_rows_cols = np.repeat(outer, len(inner), axis=0)
    groups, rest = np.split(np.tile(inner_table, (len(outer), 1)), [1], axis=1)
    return np.hstack((groups, batch_rows_cols, rest))


def shapes(product: Product, table: np.ndarray) -> Tile:
    """The full-size tile of every tiling, its input rows and columns the most any of its tiles needs."""
    sizes = dict(zip(DIMENSIONS, table.T, strict=True))
    return Tile(
        **sizes,
        input_rows=per_size(sizes["rows"], lambda r: int(product.rows.unique_inputs(r).max(initial=0))),
        input_cols=per_size(sizes["cols"], lambda c: int(product.cols.unique_inputs(c).max(initial=0))),
        row_taps=len(product.rows.taps),
        col_taps=len(product.cols.taps),
        row_stride=product.rows.stride,
        col_stride=product.cols.stride,
        row_step=product.rows.step,
        col_step=product.cols.step,
        writes_filter=product.writes_filter,
    )


def per_size(sizes: np.ndarray, value: Callable[[int], int]) -> np.ndarray:
    """(count,) int64: `value` of each of `sizes`, asked for once a distinct size."""
    distinct, where = np.unique(sizes, return_inverse=True)
    return np.array([value(size) for size in distinct.tolist()], np.int64)[where]


def occupied_bits(accelerator: Accelerator, orientation: Orientation, footprint: dict) -> dict:
    """{buffer: bits} a tile occupies, all halves counted."""
    need: dict = {}
    for buffer in accelerator.buffers():
        held = [footprint[role] for role, name in orientation.holds.items() if name == buffer.name]
        if held:
            need[buffer.name] = sum(held) * buffer.halves
    return need


def fitting(
    product: Product, accelerator: Accelerator, datapath: Datapath, orientation: Orientation, table: np.ndarray
) -> np.ndarray:
    """(count,) bool: the tilings whose operands fit their buffers (equal fits)."""
    footprint = accelerator.footprint_bits(product, datapath, orientation, shapes(product, table))
    need = occupied_bits(accelerator, orientation, footprint)
    fits = np.ones(len(table), bool)
    for buffer in accelerator.buffers():
        if buffer.name in need:
            fits &= need[buffer.name] <= buffer.capacity_bits
    return fits


__all__ = ["DIMENSIONS", "fitting", "occupied_bits", "per_size", "shapes", "split_sizes", "tilings"]
