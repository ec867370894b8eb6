"""Tilings worth trying, many at once as integer arrays.

Sizes of a dimension are its ceil-splits ceil(D/k), rounded up to whole granules (lanes, columns)
where they are larger than one, and the first few as they are.  Rows and columns are split only when
a tile has one sample: more of a map has less halo for the same footprint.  Several groups share a tile
only whole, with all their outputs and channels.
"""

from __future__ import annotations

import itertools
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
    places: np.ndarray

    def part(self, places):
        arrays = (self.table, self.full_tiles, self.input_rows, self.input_cols, self.ranked)
        found = Spots(*(array[places] for array in arrays), self.halo, self.halo_first[places], places)
        for array in vars(found).values():
            array.setflags(write=False)
        return found


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


@lru_cache(maxsize=1024)
def boxes_of(batch: int, rows: Axis, cols: Axis) -> Spots:
    """All boxes of samples, rows and columns."""
    sizes = [split_sizes(size) for size in (batch, rows.positions, cols.positions)]
    return spots_from(np.array(list(itertools.product(*sizes)), np.int64), batch, rows, cols)


@lru_cache(maxsize=4096)
def spots_of(batch: int, rows: Axis, cols: Axis, axes_alike: bool) -> Spots:
    """The spots of a product's batch and axes: boxes that no other replaces.

    axes_alike: of the accelerator; False keeps whole samples, runs of whole rows of one sample, and of columns of one
    row, besides.
    """
    every = boxes_of(batch, rows, cols)
    kept = _undominated(every)
    if not axes_alike:
        of_batch, of_rows, of_cols = every.table.T
        whole_rows, one_row = of_cols == cols.positions, of_rows == 1
        kept |= (whole_rows & (of_rows == rows.positions)) | ((of_batch == 1) & (whole_rows | one_row))
    return every.part(np.flatnonzero(kept))


@lru_cache(maxsize=1024)
def with_small_ends(batch: int, rows: Axis, cols: Axis) -> dict[int, np.ndarray]:
    """{tiles: boxes in as many tiles, those with the smallest last tile first}."""
    every = boxes_of(batch, rows, cols)
    whole = np.array([batch, rows.positions, cols.positions])
    last = np.prod(whole - (-(-whole // every.table) - 1) * every.table, axis=1)
    tiles = every.ranked[:, 0].astype(np.int64)
    order = np.lexsort((last, tiles))
    starts = np.flatnonzero(np.diff(tiles[order], prepend=0))
    return {int(tiles[part[0]]): part[:SMALL_ENDS] for part in np.split(order, starts[1:])}


@lru_cache(maxsize=4096)
def ceil_splits(size: int) -> tuple[int, ...]:
    """Every ceil(size / k), ascending."""
    return tuple(sorted({-(-size // k) for k in range(1, size + 1)}))


def beside(product: Product, every: Tilings, numbers: np.ndarray, granules: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """(table (M, 6), boxes (M,)) of tilings near leading ones that the lists leave out."""
    geometry = product.batch, product.rows, product.cols
    boxes, ends = boxes_of(*geometry), with_small_ends(*geometry)
    found: dict[tuple[int, ...], None] = {}
    for number in numbers[:BESIDE].tolist():
        s, i = divmod(number, len(every.inner))
        groups, outputs, channels = every.inner[i].tolist()
        for box in ends[int(every.spots.ranked[s, 0])].tolist():
            found[box, groups, outputs, channels] = None
        if groups > 1:
            continue
        idle = [w for size, whole, granule in ((outputs, product.outputs, granules.get("outputs", 1)), (channels, product.channels, granules.get("channels", 1)))
                for w in [size < whole and size < 0.9 * (-(-size // granule) * granule)]]
        if any(idle):
            box = int(every.spots.places[s])
            for o in near(product.outputs, outputs):
                for c in near(product.channels, channels):
                    found[box, 1, o, c] = None
    if not found:
        return np.empty((0, 6), np.int64), np.empty(0, np.int64)
    rows = np.array(list(found), np.int64)
    return np.concatenate((rows[:, 1:2], boxes.table[rows[:, 0]], rows[:, 2:]), axis=1), rows[:, 0]


def near(whole, size):
    sizes = ceil_splits(whole)
    return [v for v in sizes if 0.7 * size <= v <= 1.45 * size]


SMALL_ENDS = 4
BESIDE = 3


def _undominated(spots: Spots) -> np.ndarray:
    """(count,) bool: spots that no other replaces: tiles, halo and footprints as small, one smaller."""
    pixels = spots.table[:, 0] * spots.input_rows * spots.input_cols
    marks = np.stack((*spots.ranked.T, spots.table.prod(axis=1), pixels), axis=1)
    # Sorted, so that whoever replaces a spot comes before it; of equal ones the first stays.
    marks, first = np.unique(marks, axis=0, return_index=True)
    front = np.empty((0, marks.shape[1]))
    kept = np.zeros(len(spots.table), bool)
    for mark, place in zip(marks, first.tolist(), strict=True):
        if not (front <= mark).all(axis=1).any():
            front = np.concatenate((front, mark[None]))
            kept[place] = True
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
        np.arange(len(table)),
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
