"""Tilings worth trying, many at once as integer arrays.

Sizes of a dimension are its ceil-splits ceil(D/k), rounded up to whole granules (lanes, columns)
where they are larger than one, and the first few as they are.  Rows and columns are split only when
a tile has one sample: more of a map has less halo for the same footprint.  Several groups share a tile
only whole, with all their outputs and channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath, Orientation, Tile
from bitsim.workload import Axis, Product

MOST_SIZES = 32
EVEN_SPLITS = 5


@lru_cache(maxsize=4096)
def split_sizes(size: int, granule: int = 1) -> tuple[int, ...]:
    """Distinct tile sizes of a dimension, ascending."""
    root = math.isqrt(size)
    sizes = {-(-size // k) for k in range(1, root + 2)} | set(range(1, root + 1))
    if granule > 1:
        whole = {min(size, -(-s // granule) * granule) for s in sizes if s > granule} | {min(size, granule)}
        # Below a granule lanes idle whatever the size: a few are enough.  Few tiles of equal size can save more
        # traffic than full lanes save cycles.
        even = {-(-size // k) for k in range(1, EVEN_SPLITS + 1)}
        sizes = whole | even | set(_thinned(sorted(s for s in sizes if s <= granule)))
    return tuple(_thinned(sorted(sizes)) if len(sizes) > MOST_SIZES else sorted(sizes))


def _thinned(sizes: list[int]) -> list[int]:
    """Long lists keep a size a quarter above the one before, and the whole dimension."""
    kept = [sizes[-1]]
    for size in reversed(sizes):
        if 5 * size <= 4 * kept[-1]:
            kept.append(size)
    return kept[::-1]


@dataclass(frozen=True)
class Spots:
    """Tile sizes over batch, rows and columns, and what follows from them without a machine.

    table: (S, 3) sizes; full_tiles: (S,) how many it takes, an edge tile counted as its share of a full one;
    input_rows, input_cols: (S,) the most distinct ones any tile reads; ranked: (S, 2) float64, tiles of all three
    together, and words of one sweep over a channel, halos between tiles read by both.
    halo: (n, 3) first tile, distinct inputs and real taps of each run of equal tiles along an axis;
    halo_first: (S, 2, 2) first and last row in `halo` of rows and of columns.
    """

    table: np.ndarray
    full_tiles: np.ndarray
    input_rows: np.ndarray
    input_cols: np.ndarray
    ranked: np.ndarray
    halo: np.ndarray
    halo_first: np.ndarray


@dataclass(frozen=True)
class Tilings:
    """Every spot with every (groups, outputs, channels): tiling s * I + i.

    inner: (I, 3) sizes; inner_tiles: (I, 3) float64; full_tiles, full_outputs: (I,) of all three dimensions and of
    groups and outputs, as those of spots.
    """

    spots: Spots
    inner: np.ndarray
    inner_tiles: np.ndarray
    full_tiles: np.ndarray
    full_outputs: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(S, I)."""
        return len(self.spots.table), len(self.inner)

    def table(self, numbers: np.ndarray) -> np.ndarray:
        """(count, 6) int64: tile sizes of the tilings of these numbers, in the order of DIMENSIONS."""
        s, i = np.divmod(numbers, len(self.inner))
        groups, rest = self.inner[i, :1], self.inner[i, 1:]
        return np.concatenate((groups, self.spots.table[s], rest), axis=1)

    def grid(self, product: Product) -> Tile:
        """The full-size tiles of all tilings: spots along the first axis, the others along the second."""
        batch, rows, cols = self.spots.table.T[:, :, None]
        groups, outputs, channels = self.inner.T[:, None, :]
        inputs = self.spots.input_rows[:, None], self.spots.input_cols[:, None]
        return _tile(product, (groups, batch, rows, cols, outputs, channels), *inputs)


def tilings(product: Product, granules: dict[str, int], axes_alike: bool = False) -> Tilings:
    """All tilings worth trying; granules, axes_alike: of the accelerator."""
    return Tilings(
        spots_of(product.batch, product.rows, product.cols, axes_alike),
        *_inner(
            product.groups,
            product.outputs,
            product.channels,
            granules.get("outputs", 1),
            granules.get("channels", 1),
        ),
    )


@lru_cache(maxsize=4096)
def spots_of(batch: int, rows: Axis, cols: Axis, axes_alike: bool) -> Spots:
    """The spots of a product's batch and axes: whole samples; of one sample, rectangles that no other replaces.

    axes_alike: of the accelerator; False keeps runs of whole rows, and of columns of one row, besides.
    """
    row_sizes = split_sizes(rows.positions)
    col_sizes = split_sizes(cols.positions)
    table = [(b, rows.positions, cols.positions) for b in split_sizes(batch) if b > 1]
    table += [(1, r, c) for r in row_sizes for c in col_sizes]
    every = spots_from(np.array(table, np.int64), batch, rows, cols)
    kept = _undominated(every)
    if not axes_alike:
        kept |= (every.table[:, 2] == cols.positions) | (every.table[:, 1] == 1)
    return spots_from(every.table[kept], batch, rows, cols)


def _undominated(spots: Spots) -> np.ndarray:
    """(count,) bool: spots that no other replaces: tiles, halo and footprints as small, one smaller."""
    pixels = spots.table[:, 0] * spots.input_rows * spots.input_cols
    marks = np.stack((*spots.ranked.T, spots.table.prod(axis=1), pixels), axis=1)
    marks, first = np.unique(marks, axis=0, return_index=True)
    no_worse = (marks[:, None] <= marks[None]).all(axis=2)
    kept = np.zeros(len(spots.table), bool)
    kept[first[no_worse.sum(axis=0) == 1]] = True
    return kept


def spots_from(table: np.ndarray, batch: int, rows: Axis, cols: Axis) -> Spots:
    """What follows from a table of spots, (S, 3)."""
    halo: list[list[int]] = []
    most, sums, first = [], [], []
    for axis, sizes in ((rows, table[:, 1]), (cols, table[:, 2])):
        found = {}
        for size in np.unique(sizes).tolist():
            unique, real = axis.unique_inputs(size), axis.real_taps(size)
            changes = (unique[1:] != unique[:-1]) | (real[1:] != real[:-1])
            starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
            begin = len(halo)
            halo += np.stack((starts, unique[starts], real[starts]), axis=1).tolist()
            found[size] = int(unique.max(initial=0)), int(unique.sum()), (begin, len(halo))
        most.append([found[size][0] for size in sizes.tolist()])
        sums.append([found[size][1] for size in sizes.tolist()])
        first.append([found[size][2] for size in sizes.tolist()])
    whole = np.array([batch, rows.positions, cols.positions], np.int64)
    tiles = np.prod(-(-whole // table), axis=1)
    input_rows, input_cols = np.array(most, np.int64)
    row_sums, col_sums = np.array(sums, np.int64)
    halo_first = np.array(first, np.int64).transpose(1, 0, 2)
    found_spots = Spots(
        table,
        np.prod(whole / table, axis=1),
        input_rows,
        input_cols,
        np.stack((tiles, row_sums * col_sums * batch), axis=1).astype(np.float64),
        np.array(halo, np.int64),
        np.ascontiguousarray(halo_first),
    )
    for array in vars(found_spots).values():
        array.setflags(write=False)  # shared by all who ask
    return found_spots


@lru_cache(maxsize=4096)
def _inner(
    groups: int, outputs: int, channels: int, output_granule: int, channel_granule: int
) -> tuple[np.ndarray, ...]:
    """Fields inner to full_outputs of Tilings."""
    of_outputs = np.array(split_sizes(outputs, output_granule), np.int64)
    of_channels = np.array(split_sizes(channels, channel_granule), np.int64)
    one_group = np.ones((len(of_outputs), len(of_channels), 3), np.int64)
    one_group[:, :, 1], one_group[:, :, 2] = of_outputs[:, None], of_channels
    table = one_group.reshape(-1, 3)
    if groups > 1:
        several = [(g, outputs, channels) for g in split_sizes(groups) if g > 1]
        table = np.concatenate((table, several))
    whole = np.array([groups, outputs, channels], np.int64)
    full = whole / table
    found = table, (-(-whole // table)).astype(np.float64), full.prod(axis=1), full[:, 0] * full[:, 1]
    for array in found:
        array.setflags(write=False)
    return found


def shapes(product: Product, table: np.ndarray) -> Tile:
    """The full-size tile of every tiling, its input rows and columns the most any of its tiles needs."""
    sizes = table.T
    return _tile(
        product,
        sizes,
        per_size(sizes[2], lambda r: int(product.rows.unique_inputs(r).max(initial=0))),
        per_size(sizes[3], lambda c: int(product.cols.unique_inputs(c).max(initial=0))),
    )


def _tile(product: Product, sizes: Sequence[Any] | np.ndarray, input_rows: Any, input_cols: Any) -> Tile:
    """Tiles of these sizes, in the order of accelerators.seam.DIMENSIONS."""
    groups, batch, rows, cols, outputs, channels = sizes
    return Tile(
        groups,
        batch,
        rows,
        cols,
        outputs,
        channels,
        input_rows,
        input_cols,
        row_taps=len(product.rows.taps),
        col_taps=len(product.cols.taps),
        row_stride=product.rows.stride,
        col_stride=product.cols.stride,
        row_step=product.rows.step,
        col_step=product.cols.step,
        writes_filter=product.writes_filter,
    )


def tiles_of(product: Product, table: np.ndarray) -> Tile:
    """Tiles from a table (count, 8): sizes in the order of DIMENSIONS, distinct input rows and columns."""
    *sizes, input_rows, input_cols = np.ascontiguousarray(table.T)
    return _tile(product, sizes, input_rows, input_cols)


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
    product: Product, accelerator: Accelerator, datapath: Datapath, orientation: Orientation, tile: Tile
) -> np.ndarray:
    """Bool, one a tile: the tilings whose operands fit their buffers (equal fits)."""
    footprint = accelerator.footprint_bits(product, datapath, orientation, tile)
    fits: Any = np.bool_(True)
    for buffer in accelerator.buffers():
        held = [footprint[role] for role, name in orientation.holds.items() if name == buffer.name]
        if held and buffer.halves:
            fits = fits & (sum(held[1:], held[0]) <= buffer.capacity_bits // buffer.halves)
    return np.asarray(fits)
