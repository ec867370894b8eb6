"""Tilings worth trying, many at once as integer arrays: boxes of positions with sizes of groups, outputs and channels.

Several groups share a tile only whole, with all their outputs and channels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath, Int, Orientation, Tile
from bitsim.kernels.ranking import CHANNEL_TILES, GROUP_TILES, GROUPS_FULL, OUTPUT_TILES, TILES
from bitsim.mapping.spots import Spots, boxes_of, ceil_splits, split_sizes, spots_of, with_small_ends
from bitsim.workload import Product

# Sizes that differ by no more are beside each other: as far as an uneven pair of outputs and channels was from the best
# on random layers.
BESIDE = 2.2
# Sizes, and positions of boxes, that differ by no more are near; the first of these that gives few enough tilings.  The
# last leaves the sizes themselves.
NEAR = (4.0, 2.0, 1.4, 1.2, 1.1, 1.0)
MOST_AROUND = 10_000


@dataclass(frozen=True)
class Tilings:
    """Every spot with every (groups, outputs, channels): tiling s * I + i.

    inner: (I, 6) sizes in the order of DIMENSIONS, 1 for positions; inner_ranked: (I, 8) float64, see kernels.ranking.
    """

    spots: Spots
    inner: np.ndarray
    inner_ranked: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(S, I)."""
        return len(self.spots.table), len(self.inner)

    def chosen(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sizes, (count, 6) int64, of the tilings of these numbers, and where their boxes stand among all, (count,)."""
        spots = numbers // len(self.inner)
        table = self.inner.take(numbers - spots * len(self.inner), axis=0)
        table[:, 1:4] = self.spots.table.take(spots, axis=0)
        return table, self.spots.places.take(spots)

    def grid(self, product: Product) -> Tile:
        """The full-size tiles of all tilings: spots along the first axis, the others along the second."""
        batch, rows, cols = self.spots.table.T[:, :, None]
        groups, _, _, _, outputs, channels = self.inner.T[:, None, :]
        inputs = self.spots.input_rows[:, None], self.spots.input_cols[:, None]
        return _tile(product, (groups, batch, rows, cols, outputs, channels), *inputs)


def tilings(product: Product, granules: dict[str, int], axes_alike: bool = False) -> Tilings:
    """All tilings worth trying; granules, axes_alike: of the accelerator."""
    return Tilings(
        spots_of(product.batch, product.rows, product.cols, axes_alike),
        *inner_tables(
            product.groups,
            product.outputs,
            product.channels,
            granules.get("outputs", 1),
            granules.get("channels", 1),
        ),
    )


@lru_cache(maxsize=4096)
def inner_tables(
    groups: int, outputs: int, channels: int, output_granule: int, channel_granule: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fields inner and inner_ranked of Tilings of all sizes worth trying; granules: of outputs and of channels."""
    several = [size for size in split_sizes(groups) if size > 1]
    sizes = split_sizes(outputs, output_granule), split_sizes(channels, channel_granule)
    return inner_of((groups, outputs, channels), several, *sizes)


def inner_of(
    whole: tuple[int, int, int], several: Sequence[int], of_outputs: tuple[int, ...], of_channels: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Fields inner and inner_ranked of Tilings.

    whole: groups, outputs and channels of the product; several: sizes of groups above one, each with all outputs and
    channels; of_outputs, of_channels: sizes of these, each with each.
    """
    groups, outputs, channels = whole
    output_rows, channel_rows = sizes_table(outputs, of_outputs), sizes_table(channels, of_channels)
    pairs = len(of_outputs) * len(of_channels)
    table, ranked = np.empty((pairs + len(several), 6), np.int64), np.empty((pairs + len(several), 8))
    # Outputs vary slowest.
    grid = len(of_outputs), len(of_channels)
    table_grid, ranked_grid = table[:pairs].reshape(*grid, 6), ranked[:pairs].reshape(*grid, 8)
    table_grid[:, :, :4], table_grid[:, :, 4], table_grid[:, :, 5] = 1, output_rows[:, :1], channel_rows[:, 0]
    ranked_grid[:, :, :OUTPUT_TILES] = groups
    ranked_grid[:, :, OUTPUT_TILES:CHANNEL_TILES], ranked_grid[:, :, CHANNEL_TILES:] = (
        output_rows[:, None, 1:],
        channel_rows[:, 1:],
    )
    for row, size in enumerate(several, start=pairs):
        table[row], ranked[row] = (size, 1, 1, 1, outputs, channels), 1
        ranked[row, GROUP_TILES], ranked[row, GROUPS_FULL] = -(-groups // size), groups / size
    for array in (table, ranked):
        array.setflags(write=False)
    return table, ranked


@lru_cache(maxsize=4096)
def sizes_table(whole: int, of: tuple[int, ...]) -> np.ndarray:
    """(sizes, 4) float64: size, tiles, how many full ones the dimension takes, the last as a share of a full one."""
    sizes = np.array(of, np.int64)
    tiles, full = -(-whole // sizes), whole / sizes
    return np.stack((sizes, tiles, full, full - (tiles - 1)), axis=1)


def around(product: Product, table: np.ndarray) -> Tilings:
    """Tilings near those of `table`, (N, 6), themselves too; nearer ones where there would be more than MOST_AROUND.

    All boxes of about as many positions, with every ceil-split of outputs and of channels near theirs, each with each.
    """
    boxes = boxes_of(product.batch, product.rows, product.cols)
    for times in NEAR:
        near, several, of_outputs, of_channels = _near(product, table, boxes.volumes, times)
        if len(near) * (len(of_outputs) * len(of_channels) + len(several)) <= MOST_AROUND:
            break
    whole = product.groups, product.outputs, product.channels
    return Tilings(boxes.part(near), *inner_of(whole, several, of_outputs, of_channels))


def _near(
    product: Product, table: np.ndarray, volumes: np.ndarray, times: float
) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Places of boxes, and sizes of groups above one, outputs and channels, within `times` those of any of `table`."""
    near = np.zeros(len(volumes), bool)
    several: set[int] = set()
    of_outputs: set[int] = set()
    of_channels: set[int] = set()
    for groups, batch, rows, cols, outputs, channels in table.tolist():
        volume = batch * rows * cols
        near |= (volumes <= times * volume) & (volume <= times * volumes)
        if groups > 1:
            several.add(groups)
        else:
            of_outputs.update(_near_sizes(product.outputs, outputs, times))
            of_channels.update(_near_sizes(product.channels, channels, times))
    return np.flatnonzero(near), tuple(sorted(several)), tuple(sorted(of_outputs)), tuple(sorted(of_channels))


@lru_cache(maxsize=4096)
def _near_sizes(whole: int, size: int, times: float) -> tuple[int, ...]:
    near = (other for other in ceil_splits(whole) if size <= times * other and other <= times * size)
    return (size, *(other for other in near if other != size))


def beside(product: Product, every: Tilings, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tilings near those of `numbers` that the lists of sizes leave out: table (M, 6), and places (M,) of their boxes.

    Boxes that make as many tiles with a smaller last one; near sizes of outputs and channels, every ceil-split.
    Sorted, so that tilings that differ in channels alone follow each other.
    """
    geometry = product.batch, product.rows, product.cols
    ends = with_small_ends(*geometry)
    found: set[tuple[int, ...]] = set()
    for spot, i in zip(*np.divmod(numbers, len(every.inner)), strict=True):
        groups, _, _, _, outputs, channels = every.inner[i].tolist()
        found.update((place, groups, outputs, channels) for place in ends[int(every.spots.ranked[spot, TILES])])
        if groups == 1:
            place = int(every.spots.places[spot])
            near = _near_sizes(product.outputs, outputs, BESIDE), _near_sizes(product.channels, channels, BESIDE)
            found.update(itertools.product((place,), (1,), *near))
    rows = np.array(sorted(found), np.int64)
    boxes = boxes_of(*geometry).table[rows[:, 0]]
    return np.concatenate((rows[:, 1:2], boxes, rows[:, 2:]), axis=1), rows[:, 0]


def most_channels(table: np.ndarray) -> np.ndarray:
    """(M,) bool: of sorted tilings (M, 6) those of which no other has more channels and is the same otherwise."""
    return np.append((table[1:, :5] != table[:-1, :5]).any(axis=1), True)[: len(table)]


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
        groups if product.groups > 1 else 1,  # an accelerator multiplies by it again and again
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


def tiles_of(product: Product, columns: np.ndarray) -> Tile:
    """Tiles from (8, count): a row for each of DIMENSIONS, distinct input rows and columns."""
    *sizes, input_rows, input_cols = columns
    return _tile(product, sizes, input_rows, input_cols)


def per_size(sizes: np.ndarray, value: Callable[[int], int]) -> np.ndarray:
    """(count,) int64: `value` of each of `sizes`, asked for once a distinct size."""
    distinct, where = np.unique(sizes, return_inverse=True)
    return np.array([value(size) for size in distinct.tolist()], np.int64)[where]


def occupied_bits(accelerator: Accelerator, orientation: Orientation, footprint: dict[str, Int]) -> dict[str, Int]:
    """{buffer: bits} a tile occupies, all halves counted."""
    held = _held_bits(orientation, footprint)
    return {b.name: held[b.name] * b.halves for b in accelerator.buffers() if b.name in held}


def _held_bits(orientation: Orientation, footprint: dict[str, Int]) -> dict[str, Int]:
    """{buffer: bits} of the operands of a tile, once."""
    held: dict[str, Int] = {}
    for role, name in orientation.holds.items():
        held[name] = held[name] + footprint[role] if name in held else footprint[role]
    return held


def fitting(
    product: Product, accelerator: Accelerator, datapath: Datapath, orientation: Orientation, tile: Tile
) -> np.ndarray:
    """Bool, one a tile: the tilings whose operands fit their buffers (equal fits)."""
    footprint = accelerator.footprint_bits(product, datapath, orientation, tile)
    fits: Any = True
    for name, bits in _held_bits(orientation, footprint).items():
        if name in accelerator.room_bits:
            within = bits <= accelerator.room_bits[name]
            fits = within if fits is True else fits & within
    return np.asarray(fits)
