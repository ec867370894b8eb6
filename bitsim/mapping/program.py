"""A mapping lowered to its tile program, and every counter of running it: exact.

The program is a nest: its loops are split into runs of equal tiles, so that cost does not grow with
the tiles.  Counters are sums over the very tiles the timing kernel runs, so traffic and time cannot
disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, INPUT, OUTPUT, WEIGHT, Accelerator, Datapath, Orientation, Tile
from bitsim.errors import InputError, MappingError
from bitsim.kernels.program import (
    COLUMNS,
    DRAIN,
    FLAGS,
    INPUT_BEATS,
    ISSUE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    SWITCH,
    WEIGHT_BEATS,
    Nest,
    runs_table,
)
from bitsim.mapping.record import Mapping, dimension_sizes, touches
from bitsim.workload import Product

# Different tiles of one program: more come only from axes whose halo differs from tile to tile.
MOST_ROWS = 2_000_000


@dataclass(frozen=True)
class Execution:
    """A tile program and its counters {name: count}; bits where the name says so.

    moved_bits: (R, 4) int64, what each tile of `nest.rows` moves: input, weight and partial sums in, outputs out.
    port_beats: of all transfers.
    """

    nest: Nest
    counters: dict[str, int]
    moved_bits: np.ndarray
    port_beats: int

    @property
    def tiles(self) -> np.ndarray:
        """(T, 7) int64: the program laid out flat."""
        return self.nest.tiles


def beats(bits: np.ndarray, rate: Fraction, tiles: int) -> np.ndarray:
    """Whole beats of transfers of `bits` at `rate` bits a cycle; no fraction is carried over.

    Raises InputError if those of a program of `tiles` tiles could pass int64.
    """
    most = int(bits.max())
    if most * tiles * rate.denominator < 2**62 and rate.numerator < 2**62:
        return -(-(bits * rate.denominator) // rate.numerator)
    if most * tiles * rate.denominator // rate.numerator >= 2**60:
        raise InputError(
            f"memory: {most} bits at {float(rate):g} bits a cycle: cycles would pass int64, allow more bandwidth"
        )
    # The rate has a large denominator: numpy would wrap silently, Python's integers do not.
    exact = [-(-b * rate.denominator // rate.numerator) for b in bits.ravel().tolist()]
    return np.array(exact, np.int64).reshape(bits.shape)


def execute(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    mapping: Mapping,
    rate: Fraction,
) -> Execution:
    """Lower `mapping` to its tile program for a port of `rate` bits a cycle, and count everything it does."""
    nest = walk(product, mapping)
    shape, counts = nest.shape, nest.counts
    cost = accelerator.tile_cost(product, datapath, orientation, shape)
    role_dims = touches(product.writes_filter)
    changed = {role: nest.moved(dims) for role, dims in role_dims.items()}
    first_visit, last_visit = nest.visits(role_dims[OUTPUT])
    new_output, ends_visit = changed[OUTPUT], nest.will_move(role_dims[OUTPUT])

    words = {role: shape.words(role) for role in (INPUT, WEIGHT, OUTPUT)}
    bits = {
        INPUT: np.where(changed[INPUT], words[INPUT] * datapath.dram_bits[0], 0),
        WEIGHT: np.where(changed[WEIGHT], words[WEIGHT] * datapath.dram_bits[1], 0),
    }
    spilled = accelerator.config.outputs == "accumulator"
    # A product without taps stores zeros: nothing is accumulated, so the output buffer is not touched.
    computes = bool(product.taps)
    psum_in = new_output & (spilled | ~first_visit) & computes
    psum_bits = np.where(psum_in, words[OUTPUT] * datapath.accumulator_bits, 0)
    store_width = np.where(last_visit, datapath.output_bits, datapath.accumulator_bits)
    store_bits = np.where(ends_visit, words[OUTPUT] * store_width, 0)

    total = mapping.tiles(product)
    rows = np.zeros((len(counts), COLUMNS), np.int64)
    moved_bits = np.stack((bits[INPUT], bits[WEIGHT], psum_bits, store_bits), axis=1)
    for column, moved in zip((INPUT_BEATS, WEIGHT_BEATS, PSUM_BEATS, STORE_BEATS), moved_bits.T, strict=True):
        rows[:, column] = beats(moved, rate, total)
    accumulates = (~(new_output & first_visit) | psum_in) & computes
    rows[:, ISSUE] = cost.issue_cycles
    if cost.accumulating_issue_cycles is not None:
        rows[:, ISSUE] = np.where(accumulates, cost.accumulating_issue_cycles, cost.issue_cycles)
    rows[:, DRAIN] = cost.drain_cycles
    rows[:, FLAGS] = (
        LOAD_INPUT * (changed[INPUT] & (words[INPUT] > 0))
        + LOAD_WEIGHT * (changed[WEIGHT] & (words[WEIGHT] > 0))
        + NEW_OUTPUT * new_output
        + STORE * ends_visit
    )
    rows[0, FLAGS] |= SWITCH

    counters: dict[str, int] = {}

    def count(name: str, value: Any, where: Any = True) -> None:
        """Add what every tile of `where` counts."""
        counters[name] = counters.get(name, 0) + exact_sum(np.where(where, value, 0), counts)

    count("dram_read_bits", bits[INPUT] + bits[WEIGHT] + psum_bits)
    count("dram_write_bits", store_bits)
    count("issue_cycles", rows[:, ISSUE])
    count("tiles", 1)
    for name, value in cost.per_tile.items():
        count(name, value, computes)
    for name, value in cost.per_tap.items():
        count(name, value * nest.real_taps)
    # Loads write their words into the operand's buffer at the buffer's storage width.
    for role, width in ((INPUT, datapath.buffer_bits[0]), (WEIGHT, datapath.buffer_bits[1])):
        written = cost.load_words.get(role, words[role])
        count(f"{orientation.holds[role]}_write_bits", written * width, changed[role])
    held = orientation.holds[OUTPUT]
    visited = words[OUTPUT] * datapath.accumulator_bits
    count(f"{held}_read_bits", visited, accumulates)  # read-modify-write
    count(f"{held}_read_bits", visited, ends_visit & computes)
    count(f"{held}_write_bits", visited, psum_in)
    program = Nest(rows, nest.runs)
    return Execution(program, counters, moved_bits, port_beats(program))


def port_beats(nest: Nest) -> int:
    """Beats of all transfers of a tile program."""
    return exact_sum(nest.rows[:, INPUT_BEATS : STORE_BEATS + 1].sum(axis=1), nest.counts)


def exact_sum(values: Any, counts: np.ndarray) -> int:
    """Sum of values (one for all, or one each) x counts, in Python integers where int64 could wrap."""
    if np.ndim(values) == 0:
        return int(values) * int(counts.sum())
    if np.dot(np.abs(values).astype(np.float64), counts.astype(np.float64)) < 2**62:
        return int(np.dot(values, counts))
    return sum(int(v) * int(c) for v, c in zip(values, counts, strict=True))


@dataclass(frozen=True)
class Walk:
    """The loops of a mapping that run more than once, and one tile for each combination of their runs.

    levels: dimension of each level, outermost first.  index: {dimension: (R,) its loop index}.
    """

    levels: tuple[str, ...]
    trips: dict[str, int]
    runs: np.ndarray
    index: dict[str, np.ndarray]
    shape: Tile
    real_taps: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        return Nest(self.index["groups"], self.runs).counts

    def moved(self, dims: frozenset[str]) -> np.ndarray:
        """(R,) bool: a loop of `dims` moved since the tile before, or this is the first."""
        return self._moves(dims, {d: self.index[d] == 0 for d in self.levels})

    def will_move(self, dims: frozenset[str]) -> np.ndarray:
        """(R,) bool: a loop of `dims` moves after this tile, or it is the last."""
        return self._moves(dims, {d: self.index[d] == self.trips[d] - 1 for d in self.levels})

    def _moves(self, dims: frozenset[str], at_end: dict[str, np.ndarray]) -> np.ndarray:
        """A loop moves when all loops inside it stand at their end."""
        moves = np.zeros(len(self.index["groups"]), bool)
        inner = np.ones_like(moves)
        for dim in reversed(self.levels):
            if dim in dims:
                moves |= inner
            inner = inner & at_end[dim]
        return moves | inner

    def visits(self, output_dims: frozenset[str]) -> tuple[np.ndarray, np.ndarray]:
        """(R,) bool: a visit that begins with the tile is the first of its output tile, one that ends with it the last.

        Reduction loops inside every output loop run within one visit: where it begins they stand at their start,
        where it ends at their end.  The others make visits.
        """
        first = np.ones(len(self.index["groups"]), bool)
        last = first.copy()
        for dim in self.levels:
            if dim not in output_dims:
                first &= self.index[dim] == 0
                last &= self.index[dim] == self.trips[dim] - 1
        return first, last


def walk(product: Product, mapping: Mapping) -> Walk:
    """Split every loop into runs of equal tiles; the first and the last iteration stand alone.

    Raises MappingError if the tiles differ too much to be listed.
    """
    trips, sizes = mapping.trips(product), dimension_sizes(product)
    tile = dict(zip(DIMENSIONS, mapping.tile, strict=True))
    axes = {"rows": product.rows, "cols": product.cols}
    halo = {d: (a.unique_inputs(tile[d]), a.real_taps(tile[d])) for d, a in axes.items()}
    levels = tuple(d for d in mapping.order if trips[d] > 1)
    starts = {}
    for dim in levels:
        breaks = {0, 1, trips[dim] - 1}
        for values in halo.get(dim, ()):
            breaks.update((np.flatnonzero(np.diff(values)) + 1).tolist())
        starts[dim] = np.array(sorted(breaks), np.int64)
    total = int(np.prod([len(s) for s in starts.values()], dtype=np.float64))
    if total > MOST_ROWS:
        raise MappingError(f"{total} different tiles in one product, allowed {MOST_ROWS}: enlarge the buffers")
    grid = np.meshgrid(*starts.values(), indexing="ij")
    index = {d: np.zeros(total, np.int64) for d in DIMENSIONS}
    index |= {d: g.ravel() for d, g in zip(levels, grid, strict=True)}
    runs = runs_table([np.diff(np.append(s, trips[d])).tolist() for d, s in starts.items()])
    own = {d: np.minimum(tile[d], sizes[d] - index[d] * tile[d]) for d in DIMENSIONS}
    shape = Tile(
        **own,
        input_rows=halo["rows"][0][index["rows"]],
        input_cols=halo["cols"][0][index["cols"]],
        row_taps=len(product.rows.taps),
        col_taps=len(product.cols.taps),
        row_stride=product.rows.stride,
        col_stride=product.cols.stride,
        row_step=product.rows.step,
        col_step=product.cols.step,
        writes_filter=product.writes_filter,
    )
    real = halo["rows"][1][index["rows"]] * halo["cols"][1][index["cols"]]
    return Walk(levels, trips, runs, index, shape, own["batch"] * real)
