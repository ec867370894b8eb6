"""A mapping lowered to its tile program, and every counter of running it: exact, tile by tile.

Counters are sums over the very tiles the timing kernel runs, so traffic and time cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, INPUT, OUTPUT, WEIGHT, Accelerator, Datapath, Orientation, Tile
from bitsim.errors import InputError
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
)
from bitsim.mapping.record import Mapping, dimension_sizes, touches
from bitsim.workload import Product

# Tables of one program stay below about a gigabyte.
MAX_TILES = 2_000_000


@dataclass(frozen=True)
class Execution:
    """A tile program, (T, 7) int64, and its counters {name: count}; bits where the name says so."""

    tiles: np.ndarray
    counters: dict[str, int]


def beats(bits: np.ndarray, rate: Fraction) -> np.ndarray:
    """Whole beats of transfers of `bits` at `rate` bits a cycle; no fraction is carried over.

    Raises InputError if they would pass int64.
    """
    most = int(bits.max(initial=0))
    if most * len(bits) * rate.denominator < 2**62:
        return -(-(bits * rate.denominator) // rate.numerator)
    if most * len(bits) * rate.denominator // rate.numerator >= 2**60:
        raise InputError(
            f"memory: {most} bits at {float(rate):g} bits a cycle: cycles would pass int64, allow more bandwidth"
        )
    # The rate has a large denominator: numpy would wrap silently, Python's integers do not.
    return np.array([-(-b * rate.denominator // rate.numerator) for b in bits.tolist()], np.int64)


def execute(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    mapping: Mapping,
    rate: Fraction,
) -> Execution:
    """Lower `mapping` to its tile program for a port of `rate` bits a cycle, and count everything it does."""
    index, shape, taps = _walk(product, mapping)
    cost = accelerator.tile_cost(product, datapath, orientation, shape)
    changed = _changes(product, mapping, index)
    first_visit, last_visit = _visits(product, mapping, index)
    new_output = changed[OUTPUT]
    ends_visit = np.append(new_output[1:], True)

    words = {role: shape.words(role) for role in (INPUT, WEIGHT, OUTPUT)}
    bits = {
        INPUT: np.where(changed[INPUT], words[INPUT] * datapath.dram_bits[0], 0),
        WEIGHT: np.where(changed[WEIGHT], words[WEIGHT] * datapath.dram_bits[1], 0),
    }
    spilled = accelerator.config.outputs == "accumulator"
    psum_in = new_output & (spilled | ~first_visit)
    psum_bits = np.where(psum_in, words[OUTPUT] * datapath.accumulator_bits, 0)
    store_width = np.where(last_visit, datapath.output_bits, datapath.accumulator_bits)
    store_bits = np.where(ends_visit, words[OUTPUT] * store_width, 0)

    tiles = np.zeros((len(new_output), COLUMNS), np.int64)
    tiles[:, INPUT_BEATS] = beats(bits[INPUT], rate)
    tiles[:, WEIGHT_BEATS] = beats(bits[WEIGHT], rate)
    tiles[:, PSUM_BEATS] = beats(psum_bits, rate)
    tiles[:, STORE_BEATS] = beats(store_bits, rate)
    tiles[:, ISSUE] = cost.issue_cycles
    tiles[:, DRAIN] = cost.drain_cycles
    tiles[:, FLAGS] = (
        LOAD_INPUT * (changed[INPUT] & (words[INPUT] > 0))
        + LOAD_WEIGHT * (changed[WEIGHT] & (words[WEIGHT] > 0))
        + NEW_OUTPUT * new_output
        + STORE * ends_visit
    )
    tiles[0, FLAGS] |= SWITCH

    counters = {
        "dram_read_bits": bits[INPUT].sum() + bits[WEIGHT].sum() + psum_bits.sum(),
        "dram_write_bits": store_bits.sum(),
        "issue_cycles": tiles[:, ISSUE].sum(),
        "tiles": len(tiles),
    }
    ones = np.ones(len(tiles), np.int64)
    for name, value in cost.per_tile.items():
        _add(counters, name, (value * ones).sum())
    for name, value in cost.per_tap.items():
        _add(counters, name, (value * taps).sum())
    _count_fills(counters, orientation, datapath, words, changed, cost.load_words)
    held = orientation.holds[OUTPUT]
    accumulating = ~(new_output & first_visit) | psum_in
    visited = words[OUTPUT] * datapath.accumulator_bits
    _add(counters, f"{held}_read_bits", visited[accumulating].sum() + visited[ends_visit].sum())
    _add(counters, f"{held}_write_bits", visited[psum_in].sum())
    return Execution(tiles, {name: int(count) for name, count in counters.items()})


def _add(counters: dict, name: str, count: int) -> None:
    counters[name] = counters.get(name, 0) + count


def _count_fills(
    counters: dict, orientation: Orientation, datapath: Datapath, words: dict, changed: dict, load_words: dict
) -> None:
    """Loads write their words into the operand's buffer at the buffer's storage width."""
    for role, width in ((INPUT, datapath.buffer_bits[0]), (WEIGHT, datapath.buffer_bits[1])):
        written = load_words.get(role, words[role])
        _add(counters, f"{orientation.holds[role]}_write_bits", (written * changed[role]).sum() * width)


def _walk(product: Product, mapping: Mapping) -> tuple[dict[str, np.ndarray], Tile, np.ndarray]:
    """Loop indices, tile shapes at their own size, and real (position, tap) pairs, in program order: (T,) each."""
    trips, sizes = mapping.trips(product), dimension_sizes(product)
    total = 1
    for count in trips.values():
        total *= count
    step = np.arange(total, dtype=np.int64)
    index, stride = {}, 1
    for dim in reversed(mapping.order):
        index[dim] = (step // stride) % trips[dim]
        stride *= trips[dim]
    tile = dict(zip(DIMENSIONS, mapping.tile, strict=True))
    own = {d: np.minimum(tile[d], sizes[d] - index[d] * tile[d]) for d in DIMENSIONS}
    rows, cols = index["rows"], index["cols"]
    shape = Tile(
        **own,
        input_rows=product.rows.unique_inputs(tile["rows"])[rows],
        input_cols=product.cols.unique_inputs(tile["cols"])[cols],
        row_taps=len(product.rows.taps),
        col_taps=len(product.cols.taps),
        row_stride=product.rows.stride,
        writes_filter=product.writes_filter,
    )
    real = product.rows.real_taps(tile["rows"])[rows] * product.cols.real_taps(tile["cols"])[cols]
    return index, shape, own["batch"] * real


def _changes(product: Product, mapping: Mapping, index: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(T,) bool per operand: its tile differs from that of the tile before."""
    changed = {}
    for role, dims in touches(product.writes_filter).items():
        moved = np.zeros(len(index["groups"]), bool)
        moved[0] = True
        for dim in dims:
            moved[1:] |= index[dim][1:] != index[dim][:-1]
        changed[role] = moved
    return changed


def _visits(product: Product, mapping: Mapping, index: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(T,) bool: the tile belongs to the first, and to the last, visit of its output tile.

    Reduction loops inside every output loop run within one visit; the others make visits.
    """
    trips = mapping.trips(product)
    output_dims = touches(product.writes_filter)[OUTPUT]
    moving = [i for i, d in enumerate(mapping.order) if d in output_dims and trips[d] > 1]
    innermost = max(moving, default=-1)
    first = np.ones(len(index["groups"]), bool)
    last = first.copy()
    for i, dim in enumerate(mapping.order):
        if dim not in output_dims and i < innermost:
            first &= index[dim] == 0
            last &= index[dim] == trips[dim] - 1
    return first, last
