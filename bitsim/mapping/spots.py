"""Where tiles may stand: boxes of samples, rows and columns, and what follows from them without a machine.

Sizes of a dimension are its ceil-splits ceil(D/k), rounded up to whole granules (lanes, columns)
where they are larger than one, and the first few as they are.  Of all boxes those are kept that no other replaces.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from bitsim.kernels.ranking import LAST_SHARE, SWEEP_WORDS, TILES
from bitsim.workload import Axis

MOST_SIZES = 32
EVEN_SPLITS = 5
SMALL_ENDS = 4


@lru_cache(maxsize=4096)
def ceil_splits(size: int) -> tuple[int, ...]:
    """Every ceil(size / k), ascending: up to the root of the size that is every number."""
    root = math.isqrt(size)
    return tuple(sorted({-(-size // k) for k in range(1, root + 2)} | set(range(1, root + 1))))


@lru_cache(maxsize=4096)
def split_sizes(size: int, granule: int = 1) -> tuple[int, ...]:
    """Distinct tile sizes of a dimension, ascending."""
    sizes = set(ceil_splits(size))
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
    """Boxes over batch, rows and columns.

    table: (S, 3) sizes; input_rows, input_cols: (S,) the most distinct ones any tile reads; ranked: (S, 4) float64,
    see kernels.ranking.  halo: (n, 3) first tile, distinct inputs and real taps of each run of equal tiles along an
    axis; halo_first: (S, 2, 2) first and last row in `halo` of rows and of columns.
    places: (S,) where they stand among all boxes.
    """

    table: np.ndarray
    input_rows: np.ndarray
    input_cols: np.ndarray
    ranked: np.ndarray
    halo: np.ndarray
    halo_first: np.ndarray
    places: np.ndarray

    def __post_init__(self) -> None:
        for array in vars(self).values():
            array.setflags(write=False)  # shared by all who ask

    @cached_property
    def halo_rows(self) -> np.ndarray:
        """(S,) int64: rows of `halo` of the axis that has more."""
        return np.asarray(np.diff(self.halo_first).max(axis=(1, 2)))

    @cached_property
    def volumes(self) -> np.ndarray:
        """(S,) int64: positions of each."""
        return np.asarray(self.table.prod(axis=1))

    def part(self, places: np.ndarray) -> Spots:
        """Those at `places`."""
        return Spots(
            self.table[places],
            self.input_rows[places],
            self.input_cols[places],
            self.ranked[places],
            self.halo,
            self.halo_first[places],
            self.places[places],
        )


@lru_cache(maxsize=1024)
def boxes_of(batch: int, rows: Axis, cols: Axis) -> Spots:
    """All boxes of a product's batch and axes."""
    sizes = [split_sizes(size) for size in (batch, rows.positions, cols.positions)]
    return spots_from(np.array(list(itertools.product(*sizes)), np.int64), batch, rows, cols)


@lru_cache(maxsize=4096)
def spots_of(batch: int, rows: Axis, cols: Axis, axes_alike: bool) -> Spots:
    """The boxes that no other replaces.

    axes_alike: of the accelerator; False keeps those that none of as many rows replaces, whole samples, runs of whole
    rows of one sample, and of columns of one row, besides.
    """
    every = boxes_of(batch, rows, cols)
    kept = _undominated(every)
    if not axes_alike:
        of_batch, of_rows, of_cols = every.table.T
        for size in np.unique(of_rows):
            alike = np.flatnonzero(of_rows == size)
            kept[alike] |= _undominated(every.part(alike))
        whole_rows, one_row = of_cols == cols.positions, of_rows == 1
        kept |= (whole_rows & (of_rows == rows.positions)) | ((of_batch == 1) & (whole_rows | one_row))
    return every.part(np.flatnonzero(kept))


def _undominated(spots: Spots) -> np.ndarray:
    """(count,) bool: spots that no other replaces: tiles, halo and footprints as small, one smaller."""
    pixels = spots.table[:, 0] * spots.input_rows * spots.input_cols
    marks = np.stack((*spots.ranked[:, : SWEEP_WORDS + 1].T, spots.volumes, pixels), axis=1)
    # Sorted, so that whoever replaces a spot comes before it; of equal ones the first stays.
    marks, first = np.unique(marks, axis=0, return_index=True)
    front = np.empty((0, marks.shape[1]))
    kept = np.zeros(len(spots.table), bool)
    for mark, place in zip(marks, first.tolist(), strict=True):
        if not (front <= mark).all(axis=1).any():
            front = np.concatenate((front, mark[None]))
            kept[place] = True
    return kept


@lru_cache(maxsize=1024)
def with_small_ends(batch: int, rows: Axis, cols: Axis) -> dict[int, list[int]]:
    """{tiles: places of boxes that make as many, those with the smallest last tile first}: few of each."""
    every = boxes_of(batch, rows, cols)
    tiles = every.ranked[:, TILES].astype(np.int64)
    order = np.lexsort((every.ranked[:, LAST_SHARE] * every.volumes, tiles))
    starts = np.flatnonzero(np.diff(tiles[order], prepend=0))
    return {int(tiles[part[0]]): part[:SMALL_ENDS].tolist() for part in np.split(order, starts[1:])}


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
    trips = -(-whole // table)
    tiles, full = np.prod(trips, axis=1), np.prod(whole / table, axis=1)
    last = np.prod(whole - (trips - 1) * table, axis=1)
    input_rows, input_cols = np.array(most, np.int64)
    row_sums, col_sums = np.array(sums, np.int64)
    halo_first = np.array(first, np.int64).transpose(1, 0, 2)
    return Spots(
        table,
        input_rows,
        input_cols,
        np.stack((tiles, row_sums * col_sums * batch, full, last / np.prod(table, axis=1)), axis=1).astype(np.float64),
        np.array(halo, np.int64),
        np.ascontiguousarray(halo_first),
        np.arange(len(table)),
    )
