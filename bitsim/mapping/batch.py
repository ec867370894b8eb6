"""Many mappings of one product lowered at once: their tile programs and counters.

Every number is what `program.execute` finds for one mapping; a test holds the two equal.  What a tile costs is asked
of the accelerator once for the shapes of all tilings together.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

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
)
from bitsim.kernels import lowering
from bitsim.kernels.program import Programs
from bitsim.mapping.candidates import tiles_of
from bitsim.mapping.program import beats
from bitsim.mapping.record import dimension_sizes, touches
from bitsim.mapping.spots import Spots
from bitsim.workload import Product

MOST_COUNT = 2.0**62


@dataclass(frozen=True)
class Cut:
    """Tilings cut into pieces, and the cost of each shape that occurs.

    pieces, counts: of kernels.lowering; starts: (K + 1,) first shape of each tiling; costs: (N, 13);
    issue_cycles: (K,) of all tiles; counters: {name: (K,)} those that no loop order changes.
    ends: (K, 2) beats that the first tile loads and the last one stores, and issue cycles of the last.
    exact: False where a counter could pass int64: such mappings are lowered one by one.
    """

    pieces: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    costs: np.ndarray
    issue_cycles: np.ndarray
    counters: dict[str, np.ndarray]
    ends: np.ndarray
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
    sizes = np.array(list(dimension_sizes(product).values()), np.int64)
    touched = touched_table(product.writes_filter)
    pieces, counts = lowering.cut_all(sizes, table, spots.halo, spots.halo_first[spot_of])
    starts, shapes, tiles = lowering.shapes_of(pieces, counts, touched[2])
    tile = tiles_of(product, shapes)
    cost = accelerator.tile_cost(product, datapath, orientation, tile)
    words = {role: tile.words(role) for role in ROLES}
    spilled = accelerator.config.outputs == "accumulator"
    computes = product.taps > 0
    later = cost.issue_cycles if cost.accumulating_issue_cycles is None else cost.accumulating_issue_cycles
    most_tiles, _, most_taps = np.add.reduceat(tiles, starts[:-1]).max(axis=0).tolist()

    # Columns of one table, a row each while it is filled.
    columns = np.empty((lowering.SHAPE_COSTS, len(shapes)), np.int64)
    columns[lowering.INPUT_WORDS] = words[INPUT]
    columns[lowering.WEIGHT_WORDS] = words[WEIGHT]
    columns[lowering.OUTPUT_WORDS] = words[OUTPUT]
    columns[lowering.INPUT_WRITTEN] = cost.load_words.get(INPUT, words[INPUT])
    columns[lowering.WEIGHT_WRITTEN] = cost.load_words.get(WEIGHT, words[WEIGHT])
    columns[lowering.FIRST_ISSUE] = cost.issue_cycles
    columns[lowering.LATER_ISSUE] = later if computes else cost.issue_cycles
    columns[lowering.SHAPE_DRAIN] = cost.drain_cycles
    bits = np.array([*datapath.dram_bits, datapath.accumulator_bits, datapath.output_bits])
    moved = columns[[lowering.INPUT_WORDS, lowering.WEIGHT_WORDS, lowering.OUTPUT_WORDS, lowering.OUTPUT_WORDS]]
    transfers = beats(moved * bits[:, None], rate, most_tiles)
    columns[[lowering.BEATS_IN, lowering.BEATS_WEIGHT, lowering.BEATS_PSUM, lowering.BEATS_STORED]] = transfers
    columns[lowering.BEATS_SPILLED] = columns[lowering.BEATS_PSUM]

    names = [*cost.per_tile, *cost.per_tap]
    each = np.zeros((len(names), len(shapes)), np.int64)  # of every counter, once a tile or once a tap
    if computes:
        for row, counted in enumerate((*cost.per_tile.values(), *cost.per_tap.values())):
            each[row] = counted
    first = columns[lowering.LATER_ISSUE if spilled else lowering.FIRST_ISSUE]
    values = np.empty((2 + len(names), len(shapes)), np.int64)
    values[0] = tiles[:, 1] * first + (tiles[:, 0] - tiles[:, 1]) * columns[lowering.LATER_ISSUE]
    values[1] = tiles[:, 0]
    np.multiply(each, tiles.T[[0] * len(cost.per_tile) + [2] * len(cost.per_tap)], out=values[2:])
    summed = np.add.reduceat(values, starts[:-1], axis=1)
    counters: dict[str, np.ndarray] = {"tiles": summed[1]}
    for name, counted in zip(names, summed[2:], strict=True):
        counters[name] = counters[name] + counted if name in counters else counted
    # No sum can pass int64, however coarsely bounded: the largest of anything, at every tile and tap.
    widest = max(*datapath.dram_bits, *datapath.buffer_bits, datapath.accumulator_bits, datapath.output_bits, 1)
    largest = max(float(columns.max()) * widest, float(each.max(initial=0)))
    exact = largest * max(most_tiles, most_taps) < MOST_COUNT
    begin, end = starts[:-1], starts[1:] - 1
    ends = np.empty((len(table), 2))
    ends[:, 0] = columns[lowering.BEATS_IN, begin] + columns[lowering.BEATS_WEIGHT, begin]
    ends[:, 0] += columns[lowering.BEATS_STORED, end]
    ends[:, 1] = columns[lowering.LATER_ISSUE, end]
    costs = np.ascontiguousarray(columns.T)
    return Cut(pieces, counts, starts, costs, summed[0], counters, ends, exact)


def row_starts(found: Cut, chosen: np.ndarray) -> np.ndarray:
    """(C + 1,) int64: where the rows of each mapping start in one table; chosen: (C,) numbers of tilings of `found`."""
    return np.asarray(lowering.rows_of(found.counts, chosen))


@dataclass(frozen=True)
class Lowered:
    """Tile programs of chosen mappings, counters {name: (C,)}, and moved_bits of Execution for every row."""

    programs: Programs
    counters: dict[str, np.ndarray]
    moved_bits: np.ndarray


def lower(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    found: Cut,
    chosen: np.ndarray,
    orders: np.ndarray,
) -> Lowered:
    """Programs of the mappings chosen: (C,) numbers of tilings of `found`, orders (C, 6) dimensions outermost first."""
    spilled = accelerator.config.outputs == "accumulator"
    computes = product.taps > 0
    starts = row_starts(found, chosen)
    rows, moved, runs, depths, sums = lowering.lower_all(
        found.pieces,
        found.counts,
        found.starts,
        found.costs,
        chosen,
        orders,
        starts,
        touched_table(product.writes_filter),
        spilled,
        computes,
        np.array([*datapath.dram_bits, datapath.accumulator_bits, datapath.output_bits]),
    )
    words = dict(enumerate(sums.T))
    dram, buffer, psum = datapath.dram_bits, datapath.buffer_bits, datapath.accumulator_bits
    held, ends = orientation.holds, words[lowering.STORED_ALL] * computes
    counters = {
        "dram_read_bits": words[lowering.LOADED_INPUT] * dram[0]
        + words[lowering.LOADED_WEIGHT] * dram[1]
        + words[lowering.LOADED_PSUM] * psum,
        "dram_write_bits": words[lowering.STORED_LAST] * datapath.output_bits
        + (words[lowering.STORED_ALL] - words[lowering.STORED_LAST]) * psum,
        "issue_cycles": words[lowering.ISSUED],
    }
    counters |= {name: values[chosen] for name, values in found.counters.items()}
    for name, counted in (
        (f"{held[INPUT]}_write_bits", words[lowering.WRITTEN_INPUT] * buffer[0]),
        (f"{held[WEIGHT]}_write_bits", words[lowering.WRITTEN_WEIGHT] * buffer[1]),
        (f"{held[OUTPUT]}_read_bits", (words[lowering.ACCUMULATED] + ends) * psum),
        (f"{held[OUTPUT]}_write_bits", words[lowering.LOADED_PSUM] * psum),
    ):
        counters[name] = counters[name] + counted if name in counters else counted
    return Lowered(Programs(rows, starts, runs, depths), counters, moved)
