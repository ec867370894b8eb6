"""Many mappings of one product lowered at once: their tile programs and counters.

Every number is what `program.execute` finds for one mapping; a test holds the two equal.  What a tile costs is asked
of the accelerator once for the shapes of all tilings together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bitsim.accelerators.seam import (
    DIMENSIONS,
    INPUT,
    OUTPUT,
    ROLES,
    WEIGHT,
    Accelerator,
    Datapath,
    Orientation,
    Tile,
    TileCost,
)
from bitsim.kernels import cutting, lowering
from bitsim.kernels.program import COLUMNS, Nest, Programs
from bitsim.mapping.candidates import tiles_of
from bitsim.mapping.program import Execution, beats
from bitsim.mapping.record import ORDER_DIMENSIONS, size_table, touches
from bitsim.mapping.spots import Spots
from bitsim.workload import Product

MOST_COUNT = 2**62


class Cut(NamedTuple):
    """Tilings cut into pieces, and the cost of each shape that occurs.

    pieces, counts: of kernels.cutting; starts: (K + 1,) first shape of each tiling; costs: (N, 13);
    issue_cycles: (K,) of all tiles; names, counted: counters that no loop order changes, (E, K), of some names two that
    add up.  widths: word_widths.
    exact: False where a counter could pass int64: such mappings are lowered one by one.
    """

    pieces: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    costs: np.ndarray
    issue_cycles: np.ndarray
    names: tuple[str, ...]
    counted: np.ndarray
    widths: np.ndarray
    exact: bool


@lru_cache(maxsize=2)
def touched_table(writes_filter: bool) -> np.ndarray:
    """(3, 6) bool: dimensions that input, weight and output depend on."""
    dims = touches(writes_filter)
    return np.array([[d in dims[role] for d in DIMENSIONS] for role in ROLES])


def cut(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    table: np.ndarray,
    spots: Spots,
    spot_of: np.ndarray,
    rate: Fraction,
) -> Cut:
    """Cut the tilings `table`, (K, 6), whose rows and columns are those of spots `spot_of`, (K,).

    rate: bits a cycle of the port.
    """
    number = len(table)
    # The first and the last tile, what is between them, and a cut wherever the halo changes.
    most = int(spots.halo_rows.take(spot_of).max()) + 3
    pieces, counts = np.empty((number, 6, most, 5), np.int64), np.empty((number, 6), np.int64)
    starts = np.empty(number + 1, np.int64)
    geometry = spots.halo, spots.halo_first, spot_of
    of_all = cutting.cut_all(size_table(product), table, *geometry, pieces, counts, starts)
    shapes, tiles = np.empty((8, of_all), np.int64), np.empty((of_all, 3), np.int64)
    cutting.shapes_of(pieces, counts, touched_table(product.writes_filter)[2], starts, shapes, tiles)
    tile = tiles_of(product, shapes)
    cost = accelerator.tile_cost(product, datapath, orientation, tile)
    given, each = _given(cost, tile, product.taps > 0), _each(cost, of_all, product.taps > 0)
    widths = word_widths(datapath)
    # Of a rate beyond int64 the beats are counted below.
    numerator, denominator = rate.as_integer_ratio()
    small = max(numerator, denominator) < MOST_COUNT
    costs, bounds = np.empty((of_all, cutting.SHAPE_COSTS), np.int64), np.zeros(5, np.int64)
    sums = np.zeros((cutting.FIRST_COUNTER + len(each), number), np.int64)
    cutting.priced(
        shapes,
        product.taps,
        product.writes_filter,
        given,
        each,
        len(cost.per_tile),
        starts,
        tiles,
        widths,
        numerator if small else 1,
        denominator if small else 1,
        accelerator.config.outputs == "accumulator",
        costs,
        sums,
        bounds,
    )
    largest_cost, largest_counter, largest_transfer, most_tiles, most_taps = bounds.tolist()
    if not small or largest_transfer * most_tiles * denominator >= MOST_COUNT:
        moved = costs[:, [cutting.INPUT_WORDS, cutting.WEIGHT_WORDS, cutting.OUTPUT_WORDS, cutting.OUTPUT_WORDS]]
        moved_bits = moved * widths[: cutting.TRANSFERS]
        costs[:, cutting.BEATS_IN : cutting.BEATS_SPILLED] = beats(moved_bits, rate, most_tiles)
        costs[:, cutting.BEATS_SPILLED] = costs[:, cutting.BEATS_PSUM]
        largest_cost = int(costs.max())
    # No sum can pass int64, however coarsely bounded: the largest of anything, at every tile and tap.
    widest = max(max(widths.tolist()), cutting.TRANSFERS)
    exact = max(largest_cost * widest, largest_counter) * max(most_tiles, most_taps) < MOST_COUNT
    return Cut(
        pieces,
        counts,
        starts,
        costs,
        sums[cutting.ALL_ISSUE],
        ("tiles", *cost.per_tile, *cost.per_tap),
        sums[cutting.ALL_TILES :],
        widths,
        exact,
    )


@lru_cache(maxsize=4096)
def word_widths(datapath: Datapath) -> np.ndarray:
    """(6,) int64: bits of a word of input, weight, partial sum and stored output in DRAM, of input and weight in their
    buffers.
    """
    widths = np.array(
        [*datapath.dram_bits, datapath.accumulator_bits, datapath.output_bits, *datapath.buffer_bits], np.int64
    )
    widths.setflags(write=False)  # shared by all who ask
    return widths


def _given(cost: TileCost, tile: Tile, computes: bool) -> np.ndarray:
    """(3 or 5, N) int64: what the accelerator says of each shape, as kernels.cutting.priced reads it."""
    first, later = cost.issue_cycles, cost.accumulating_issue_cycles
    given = np.empty((cutting.ALL_GIVEN if cost.load_words else cutting.ALWAYS_GIVEN, len(tile.rows)), np.int64)
    given[cutting.GIVEN_FIRST] = first
    given[cutting.GIVEN_LATER] = later if later is not None and computes else first
    given[cutting.GIVEN_DRAIN] = cost.drain_cycles
    if cost.load_words:
        for row, role in enumerate((INPUT, WEIGHT), start=cutting.GIVEN_WRITTEN):
            given[row] = cost.load_words[role] if role in cost.load_words else tile.words(role)
    return given


def _each(cost: TileCost, shapes: int, computes: bool) -> np.ndarray:
    """(E, shapes) int64: every counter of a shape, once a tile or once a tap."""
    columns = (*cost.per_tile.values(), *cost.per_tap.values())
    each = np.zeros((len(columns), shapes), np.int64)
    if computes:
        for row, column in enumerate(columns):
            each[row] = column
    return each


def rows_of(found: Cut, chosen: np.ndarray) -> np.ndarray:
    """(C + 1,) int64: where the rows of each mapping start in one table; chosen: (C,) numbers of tilings of `found`."""
    starts = np.empty(len(chosen) + 1, np.int64)
    lowering.rows_of(found.counts, chosen, starts)
    return starts


@lru_cache(maxsize=256)
def counters_of(orientation: Orientation) -> tuple[str, ...]:
    """Names of the counters that a loop order changes, as kernels.lowering has them."""
    held = orientation.holds
    return (
        "dram_read_bits",
        "dram_write_bits",
        "issue_cycles",
        f"{held[INPUT]}_write_bits",
        f"{held[WEIGHT]}_write_bits",
        f"{held[OUTPUT]}_read_bits",
        f"{held[OUTPUT]}_write_bits",
    )


@dataclass(frozen=True)
class Lowered:
    """Tile programs of chosen mappings, with the fields of Execution for all of them.

    names, counts: of counters, (E, C), of some names two that add up; moved_bits: a row for each of programs.rows;
    port_beats: (C,).
    """

    programs: Programs
    names: tuple[str, ...]
    counts: np.ndarray
    moved_bits: np.ndarray
    port_beats: np.ndarray

    @classmethod
    def of(cls, executions: Sequence[Execution]) -> Lowered:
        """Those lowered one by one: their counters may pass int64."""
        names = tuple(executions[0].counters)
        return cls(
            Programs.of([one.nest for one in executions]),
            names,
            np.array([[one.counters[name] for one in executions] for name in names], object),
            np.concatenate([one.moved_bits for one in executions]),
            np.array([one.port_beats for one in executions], object),
        )

    def counters(self, c: int) -> dict[str, int]:
        """Those of one of them."""
        found = dict.fromkeys(self.names, 0)
        for name, count in zip(self.names, self.counts[:, c].tolist(), strict=True):
            found[name] += count
        return found

    def counter(self, name: str, c: int) -> int:
        """One counter, of those that stand once among the names, of one of them."""
        return int(self.counts[self.names.index(name), c])

    def execution(self, c: int) -> Execution:
        """One of them, of copies, so that it does not keep all alive."""
        nest, starts = self.programs.nest(c), self.programs.row_starts
        return Execution(
            Nest(nest.rows.copy(), nest.runs.copy()),
            self.counters(c),
            self.moved_bits[starts[c] : starts[c + 1]].copy(),
            int(self.port_beats[c]),
        )


def lower(
    product: Product,
    accelerator: Accelerator,
    orientation: Orientation,
    found: Cut,
    chosen: np.ndarray,
    orders: np.ndarray,
    row_starts: np.ndarray,
    dimensions_of: np.ndarray = ORDER_DIMENSIONS,
) -> Lowered:
    """Programs of the mappings chosen.

    chosen: (C,) numbers of tilings of `found`; orders: (C,) row of `dimensions_of` of each, (any, 6)
    dimensions outermost first; row_starts: see rows_of.
    """
    number, of_all = len(chosen), int(row_starts[-1])
    rows, moved = np.zeros((of_all, COLUMNS), np.int64), np.zeros((of_all, 4), np.int64)
    runs, depths = np.zeros((number, 6, found.pieces.shape[2]), np.int64), np.empty(number, np.int64)
    counts = np.empty((lowering.COUNTERS + len(found.counted), number), np.int64)
    beats_of_all = np.empty(number, np.int64)
    lowering.lower_all(
        found.pieces,
        found.counts,
        found.starts,
        found.costs,
        chosen,
        orders,
        dimensions_of,
        row_starts,
        touched_table(product.writes_filter),
        accelerator.config.outputs == "accumulator",
        product.taps > 0,
        found.widths,
        found.counted,
        rows,
        moved,
        runs,
        depths,
        counts,
        beats_of_all,
        np.empty(lowering.SUMS, np.int64),
        np.empty((3, 6), np.int64),
    )
    programs = Programs(rows, row_starts, runs, depths)
    return Lowered(programs, counters_of(orientation) + found.names, counts, moved, beats_of_all)
