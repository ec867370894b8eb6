"""The analytical model behind BitFusion's published numbers (Sharma et al., ISCA 2018, released simulator).

Kept apart from the exact engine: it has no fill, drain, latency or stall of a tile, charges edge
tiles in full, moves outputs at 32 bits on every visit, and overlaps a whole layer perfectly.
Everything is in bits and cycles; one row is one layer of one network.

Assumptions it makes
    - All fusion widens the reduction; a convolution that reads the network's input runs as im2col.
    - Tiles are powers of two clipped to their dimension, output rows and columns tied; the kernel is whole.
    - Of all tilings and the 120 loop orders the fewest cycles win, then the least energy (isca18_prices).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import numpy as np

from bitsim.analytical.isca18_prices import DRAM_NJ_PER_BIT
from bitsim.analytical.isca18_row import OUTPUT_BITS, Row
from bitsim.errors import InputError
from bitsim.kernels.compile import allocating

OPERANDS = ("weight", "input", "output")
# Columns of a tile's trip counts; output rows and columns are tied, so that a loop order has the side twice.
BATCH, SIDE, IN_CHANNELS, OUT_CHANNELS = range(4)
LOOPS = (BATCH, SIDE, SIDE, IN_CHANNELS, OUT_CHANNELS)
TOUCHES = ((IN_CHANNELS, OUT_CHANNELS), (BATCH, SIDE, IN_CHANNELS), (BATCH, SIDE, OUT_CHANNELS))  # of OPERANDS
COUNTERS = (
    "cycles",
    "memory_wait_cycles",
    "compute_cycles",
    "weight_buffer_read_bits",
    "weight_buffer_write_bits",
    "input_buffer_read_bits",
    "input_buffer_write_bits",
    "output_buffer_read_bits",
    "output_buffer_write_bits",
    "dram_read_bits",
    "dram_write_bits",
)
ENERGIES = ("core_nj", "sram_nj", "dram_nj", "total_nj")


def layer(row: Row) -> dict[str, int | float]:
    """Counters and energies of the best schedule of one layer: COUNTERS in bits and cycles, ENERGIES in nJ.

    Besides them its number of tiles, and BUFFER_nj of each buffer.
    Raises InputError for what the model cannot run, and if no tile fits the buffers.
    """
    return dict(best_values(row))


@lru_cache(maxsize=4096)  # networks repeat layers
def best_values(row: Row) -> dict[str, int | float]:
    """The same, kept for rows that come again: not to be changed."""
    if faults := list(row.faults()):
        raise InputError(faults)
    tiles = _tilings(row)
    footprint = _footprints(row, tiles)
    half = np.array(row.half_bits)
    fits = (footprint <= half).all(axis=1)
    if not fits.any():
        least = ", ".join(f"{name} {bits}" for name, bits in zip(OPERANDS, footprint.min(axis=0), strict=True))
        raise InputError(f"no tile fits half its buffer, allowed: larger buffers (bits of the least tile: {least})")
    tiles, footprint = {name: sizes[fits] for name, sizes in tiles.items()}, footprint[fits]
    trips = _trips(row, tiles)
    compute = _compute_cycles(row, tiles, trips)
    price = row.prices
    moved_nj = np.array(price.write_nj_per_bit) + DRAM_NJ_PER_BIT
    moved_nj[2] += price.read_nj_per_bit[2] + DRAM_NJ_PER_BIT
    energy = compute * price.core_nj_per_cycle
    for name, bits in _array_bits(row, tiles, trips).items():
        energy = energy + bits * price.read_nj_per_bit[OPERANDS.index(name)]
        if name == "output":
            energy += bits * price.write_nj_per_bit[2]
    by_compute = np.argsort(compute, kind="stable")
    ordered = (values[by_compute] for values in (compute, energy, footprint, trips))
    found = best_schedule(*ordered, _orders(), _touches(), half, row.port_bits_per_cycle, moved_nj)
    i = by_compute[found[0]]
    one = {name: sizes[i : i + 1] for name, sizes in tiles.items()}
    return _values(row, one, trips[i : i + 1], int(compute[i]), *(int(v) for v in found[1:]))


@allocating
def best_schedule(compute, energy, footprint, trips, orders, touches, half, port, moved_nj):  # type: ignore[no-untyped-def]  # a kernel
    """The tile and loop order of fewest cycles, then of least energy.

    Of n tiles, ascending in compute: compute (n,) cycles, energy (n,) nJ that no order changes, footprint (n, 3)
    bits of OPERANDS, trips (n, 4) of the loops.  orders (m, 5): loops from the innermost.  touches (3, 4): whether
    an operand depends on a loop.  half (3,) bits; port: bits a cycle; moved_nj (3,): nJ of a bit moved.
    Returns (5,): tile, wait cycles, bits moved of weight, input and output.
    """
    best = np.zeros(5, np.int64)
    moved, resident = np.zeros(3, np.int64), np.zeros(3, np.int64)
    best_cycles, best_nj = np.int64(-1), 0.0
    for i in range(compute.shape[0]):
        if 0 <= best_cycles <= compute[i]:
            break  # every schedule waits for its first and last transfer
        for k in range(orders.shape[0]):
            for operand in range(3):
                bits = kept = footprint[i, operand]
                promoting = True
                for loop in orders[k]:
                    if not promoting:
                        bits *= trips[i, loop]
                    elif touches[operand, loop]:
                        bits *= trips[i, loop]
                        promoting = bits <= half[operand]
                        kept = bits if promoting else kept
                moved[operand], resident[operand] = bits, kept
            first, last = resident.sum(), resident[2]
            middle = moved.sum() + moved[2] - first - last
            wait = max(0, -(-middle // port) - compute[i]) - (-first // port) - (-last // port)
            cycles = compute[i] + wait
            if best_cycles < 0 or cycles <= best_cycles:
                nj = energy[i] + (moved * moved_nj).sum()
                if best_cycles < 0 or cycles < best_cycles or nj < best_nj:
                    best_cycles, best_nj = cycles, nj
                    best[0], best[1], best[2:] = i, wait, moved
    return best


@lru_cache(maxsize=1)
def _orders() -> np.ndarray:
    return np.array(sorted(set(permutations(LOOPS))), np.int64)


@lru_cache(maxsize=1)
def _touches() -> np.ndarray:
    return np.array([[loop in touched for loop in range(4)] for touched in TOUCHES])


def _powers(size: int, unit: int = 1) -> np.ndarray:
    """min(unit x 2^k, size) up to the first that covers the dimension."""
    steps = (-(-size // unit) - 1).bit_length()
    return np.array(sorted({min(unit << k, size) for k in range(steps + 1)}), np.int64)


def _tilings(row: Row) -> dict[str, np.ndarray]:
    outputs = _powers(row.out_channels, 1 if row.im2col else row.cols)
    choices = (_powers(row.batch), _powers(row.out_size), _powers(row.in_channels), outputs)
    grid = np.meshgrid(*choices, indexing="ij")
    return dict(zip(("batch", "side", "in_channels", "out_channels"), (g.ravel() for g in grid), strict=True))


def _footprints(row: Row, tiles: dict[str, np.ndarray]) -> np.ndarray:
    """(tiles, 3) bits of OPERANDS."""
    taps, lanes = row.kernel**2, row.lanes
    side, inputs, outputs, batch = tiles["side"], tiles["in_channels"], tiles["out_channels"], tiles["batch"]
    pixels = side * side * taps if row.im2col else ((side - 1) * row.stride + row.kernel) ** 2
    weight = -(-taps * inputs // lanes) * lanes * outputs * row.weight_bits
    output = side * side * batch * -(-outputs // row.cols) * row.cols * OUTPUT_BITS
    return np.stack([weight, pixels * inputs * batch * row.input_bits, output], axis=1)


def _trips(row: Row, tiles: dict[str, np.ndarray]) -> np.ndarray:
    """(tiles, 4) trip counts of the loops."""
    whole = (row.batch, row.out_size, row.in_channels, row.out_channels)
    return np.stack([-(-size // tile) for size, tile in zip(whole, tiles.values(), strict=True)], axis=1)


def _tile_count(trips: np.ndarray) -> np.ndarray:
    return np.prod(trips[:, LOOPS], axis=1)


def _compute_cycles(row: Row, tiles: dict[str, np.ndarray], trips: np.ndarray) -> np.ndarray:
    taps, lanes = row.kernel**2, row.lanes
    spots = tiles["batch"] * tiles["side"] ** 2 * -(-tiles["out_channels"] // row.cols)
    steps = -(-taps * tiles["in_channels"] // lanes) if row.im2col else taps * -(-tiles["in_channels"] // lanes)
    return _tile_count(trips) * spots * steps


def _array_bits(row: Row, tiles: dict[str, np.ndarray], trips: np.ndarray) -> dict[str, np.ndarray]:
    """Bits the array reads of each operand; of outputs it writes as many."""
    written = tiles["out_channels"] * tiles["side"] ** 2 * tiles["batch"] * _tile_count(trips)
    products = row.kernel**2 * tiles["in_channels"] * written
    return {"weight": products * row.weight_bits, "input": products * row.input_bits, "output": written * OUTPUT_BITS}


def _values(
    row: Row, tile: dict[str, np.ndarray], trips: np.ndarray, compute: int, wait: int, *moved: int
) -> dict[str, int | float]:
    """Everything about one tile (arrays of one element) and the bits it moves, in the order of OPERANDS."""
    array = {name: int(bits[0]) for name, bits in _array_bits(row, tile, trips).items()}
    values: dict[str, int | float] = {
        "cycles": compute + wait,
        "memory_wait_cycles": wait,
        "compute_cycles": compute,
        "tiles": int(_tile_count(trips)[0]),
        "dram_read_bits": sum(moved),
        "dram_write_bits": moved[2],
    }
    for name, bits in zip(OPERANDS, moved, strict=True):
        values[f"{name}_buffer_read_bits"] = array[name] + (bits if name == "output" else 0)
        values[f"{name}_buffer_write_bits"] = bits + (array[name] if name == "output" else 0)
    price = row.prices
    for name, read, write in zip(OPERANDS, price.read_nj_per_bit, price.write_nj_per_bit, strict=True):
        reads, writes = values[f"{name}_buffer_read_bits"], values[f"{name}_buffer_write_bits"]
        values[f"{name}_buffer_nj"] = reads * read + writes * write
    values["core_nj"] = compute * price.core_nj_per_cycle
    values["sram_nj"] = sum(values[f"{name}_buffer_nj"] for name in OPERANDS)
    values["dram_nj"] = (values["dram_read_bits"] + values["dram_write_bits"]) * DRAM_NJ_PER_BIT
    values["total_nj"] = values["core_nj"] + values["sram_nj"] + values["dram_nj"]
    return values
