"""The analytical model behind BitFusion's published numbers (Sharma et al., ISCA 2018, released simulator).

Kept apart from the exact engine: it has no fill, drain, latency or stall of a tile, charges edge
tiles in full, moves outputs at 32 bits on every visit, and overlaps a whole layer perfectly.
Everything is in bits and cycles; one row is one layer of one network.

Assumptions it makes
    - All fusion widens the reduction; a convolution that reads the network's input runs as im2col.
    - Tiles are powers of two clipped to their dimension, output rows and columns tied; the kernel is whole.
    - Of all tilings and the 120 loop orders the fewest cycles win, then the least energy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import numpy as np

from bitsim.errors import InputError
from bitsim.technology import logic, sram
from bitsim.workload import Layer

OUTPUT_BITS = 32
MOST_BITS = 2**60
DRAM_PJ_PER_BIT = 15.0
CORE_NJ_PER_CYCLE = 0.235104  # 512 units of 8/2 bits
ACCESS_BITS = 32
# pJ per 32-bit access (read, write) by bank bytes, as printed by the released simulator (CACTI, 45 nm).
WEIGHT_BANKS = {128: (0.683701, 0.925317)}
INPUT_BANKS = {
    2048: (1.90318, 3.63853),
    4096: (3.42953, 4.31011),
    8192: (6.39163, 5.56268),
    16384: (9.98170, 8.42090),
}
OUTPUT_BANKS = {512: (1.06112, 2.33854)}

LOOPS = ("batch", "cols", "rows", "in_channels", "out_channels")
TOUCHES = {"input": {"batch", "cols", "rows", "in_channels"}, "weight": {"in_channels", "out_channels"}}
TOUCHES["output"] = {"batch", "cols", "rows", "out_channels"}
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


@dataclass(frozen=True)
class Row:
    """One layer with the machine it ran on, as a row of bitfusion_isca18_layers.csv gives them."""

    kernel: int
    out_size: int
    stride: int
    in_channels: int
    out_channels: int
    batch: int
    input_bits: int
    weight_bits: int
    im2col: int
    rows: int
    cols: int
    max_bits: int
    min_bits: int
    weight_buffer_bytes: int
    input_buffer_bytes: int
    output_buffer_bytes: int
    port_bits_per_cycle: int

    @classmethod
    def read(cls, cells: Mapping[str, str], where: str) -> Row:
        """A row from its cells.  InputError naming `where` and every column that is missing or not sound."""
        faults, values = [], {}
        for name in cls.__dataclass_fields__:
            text = (cells.get(name) or "").strip()
            least = 0 if name == "im2col" else 1
            if not (text.isascii() and text.isdecimal() and least <= int(text) < 2**31):
                faults.append(f"{where}: {name}: {text!r}, allowed: a whole number from {least}")
            else:
                values[name] = int(text)
        if not faults and max(values["input_bits"], values["weight_bits"]) > values["max_bits"]:
            faults.append(f"{where}: input_bits, weight_bits: above max_bits, which this model cannot run")
        if not faults:
            row = cls(**values)
            if row.most_bits >= MOST_BITS:
                faults.append(f"{where}: counters would pass int64, allowed: smaller dimensions")
        if faults:
            raise InputError(faults)
        return cls(**values)

    @property
    def most_bits(self) -> int:
        """Above every count of any schedule: each product with all its operands moved anew."""
        side = self.out_size * self.stride + self.kernel
        spots = self.batch * side * side * self.kernel**2
        channels = (self.in_channels + self.rows * self.max_bits**2) * (self.out_channels + self.cols)
        return spots * channels * (self.input_bits + self.weight_bits + OUTPUT_BITS)

    @property
    def lanes(self) -> int:
        """Products of a column a cycle; a fusion unit splits into powers of two, so odd widths round up."""
        fused = 1
        for bits in (self.input_bits, self.weight_bits):
            fused *= self.max_bits // max(1 << (bits - 1).bit_length(), self.min_bits)
        return self.rows * fused


def unsaid(layer: Layer) -> Iterator[str]:
    """What of a layer's forward pass the model has no words for."""
    if layer.kind == "matmul" or layer.groups != 1:
        yield "the model has no groups, nor attention products"
    if (layer.dilation_h, layer.dilation_w) != (1, 1):
        yield "the model has no dilation"
    squares = ((layer.kernel_h, layer.kernel_w), (layer.stride_h, layer.stride_w), (layer.out_h, layer.out_w))
    if layer.kind == "conv" and any(a != b for a, b in squares):
        yield "the model has square kernels, strides and outputs only"


def layer(row: Row) -> dict[str, int | float]:
    """Counters and energies of the best schedule of one layer: COUNTERS in bits and cycles, ENERGIES in nJ.

    Besides them its number of tiles, and BUFFER_nj of each buffer.

    Raises InputError if no tile fits its buffers.
    """
    tiles = _tilings(row)
    footprint = _footprints(row, tiles)
    half = {
        "weight": row.weight_buffer_bytes * 4,
        "input": row.input_buffer_bytes * 4,
        "output": row.output_buffer_bytes * 4,
    }
    fits = np.logical_and.reduce([footprint[name] <= half[name] for name in half])
    if not fits.any():
        raise InputError("no tile fits the buffers of this row")
    tiles = {name: values[fits] for name, values in tiles.items()}
    footprint = {name: values[fits] for name, values in footprint.items()}
    trips = _trips(row, tiles)
    compute = _compute_cycles(row, tiles, trips)
    best: dict[str, int | float] | None = None
    for order in permutations(LOOPS):
        moved, resident = {}, {}
        for name in half:
            moved[name], resident[name] = _promote(order, TOUCHES[name], trips, footprint[name], half[name])
        cycles, wait = _total_cycles(row, compute, moved, resident)
        least = cycles.min()
        if best is not None and least > best["cycles"]:
            continue
        for i in np.flatnonzero(cycles == least).tolist():
            found = _counters(row, tiles, trips, i, moved)
            found |= {"cycles": int(cycles[i]), "memory_wait_cycles": int(wait[i]), "compute_cycles": int(compute[i])}
            found |= _energies(row, found)
            if best is None or (found["cycles"], found["total_nj"]) < (best["cycles"], best["total_nj"]):
                best = found
    assert best is not None
    return best


def _powers(size: int, unit: int = 1) -> list[int]:
    """min(unit x 2^k, size) up to the first that covers the dimension."""
    steps = math.ceil(math.log2(-(-size // unit)))
    return sorted({min(unit << k, size) for k in range(steps + 1)})


def _tilings(row: Row) -> dict[str, np.ndarray]:
    outputs = _powers(row.out_channels, 1 if row.im2col else row.cols)
    choices = (_powers(row.batch), _powers(row.out_size), _powers(row.in_channels), outputs)
    grid = np.meshgrid(*(np.array(c, np.int64) for c in choices), indexing="ij")
    return dict(zip(("batch", "side", "in_channels", "out_channels"), (g.ravel() for g in grid), strict=True))


def _footprints(row: Row, tiles: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    taps, lanes = row.kernel**2, row.lanes
    side, inputs, outputs, batch = tiles["side"], tiles["in_channels"], tiles["out_channels"], tiles["batch"]
    pixels = side * side * taps if row.im2col else ((side - 1) * row.stride + row.kernel) ** 2
    return {
        "weight": -(-taps * inputs // lanes) * lanes * outputs * row.weight_bits,
        "input": pixels * inputs * batch * row.input_bits,
        "output": side * side * batch * -(-outputs // row.cols) * row.cols * OUTPUT_BITS,
    }


def _trips(row: Row, tiles: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    side = -(-row.out_size // tiles["side"])
    return {
        "batch": -(-row.batch // tiles["batch"]),
        "cols": side,
        "rows": side,
        "in_channels": -(-row.in_channels // tiles["in_channels"]),
        "out_channels": -(-row.out_channels // tiles["out_channels"]),
    }


def _tile_count(trips: dict[str, np.ndarray]) -> np.ndarray:
    return np.prod([trips[name] for name in LOOPS], axis=0)


def _compute_cycles(row: Row, tiles: dict[str, np.ndarray], trips: dict[str, np.ndarray]) -> np.ndarray:
    taps, lanes = row.kernel**2, row.lanes
    spots = tiles["batch"] * tiles["side"] ** 2 * -(-tiles["out_channels"] // row.cols)
    steps = -(-taps * tiles["in_channels"] // lanes) if row.im2col else taps * -(-tiles["in_channels"] // lanes)
    return _tile_count(trips) * spots * steps


def _promote(
    order: tuple[str, ...], touches: set[str], trips: dict[str, np.ndarray], tile: np.ndarray, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """(bits moved, bits resident): from the innermost loop outwards, what still fits is kept."""
    moved, resident = tile.copy(), tile.copy()
    promoting = np.ones(len(tile), bool)
    for loop in order:
        if loop in touches:
            moved *= trips[loop]
            promoting &= moved <= half
            resident = np.where(promoting, moved, resident)
        else:
            moved = np.where(promoting, moved, moved * trips[loop])
    return moved, resident


def _total_cycles(
    row: Row, compute: np.ndarray, moved: dict[str, np.ndarray], resident: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    port = row.port_bits_per_cycle
    first = resident["input"] + resident["weight"] + resident["output"]
    last = resident["output"]
    latency = -(-first // port) + -(-last // port)
    middle = moved["input"] + moved["weight"] + 2 * moved["output"] - first - last
    wait = np.maximum(0, -(-middle // port) - compute) + latency
    return compute + wait, wait


def _counters(
    row: Row, tiles: dict[str, np.ndarray], trips: dict[str, np.ndarray], i: int, moved: dict[str, np.ndarray]
) -> dict[str, int | float]:
    count = int(_tile_count(trips)[i])
    batch, side, inputs, outputs = (int(tiles[n][i]) for n in ("batch", "side", "in_channels", "out_channels"))
    spots = side * side * batch
    products = row.kernel**2 * inputs * outputs * spots * count
    visits = outputs * spots * count * OUTPUT_BITS
    t = {name: int(values[i]) for name, values in moved.items()}
    return {
        "tiles": count,
        "weight_buffer_read_bits": products * row.weight_bits,
        "weight_buffer_write_bits": t["weight"],
        "input_buffer_read_bits": products * row.input_bits,
        "input_buffer_write_bits": t["input"],
        "output_buffer_read_bits": visits + t["output"],
        "output_buffer_write_bits": visits + t["output"],
        "dram_read_bits": t["input"] + t["weight"] + t["output"],
        "dram_write_bits": t["output"],
    }


def _access_pj(
    known: dict[int, tuple[float, float]], capacity_bytes: int, banks: int, ports: int
) -> tuple[float, float]:
    """(read, write) pJ of a 32-bit access: the printed constant, else the CACTI table."""
    if capacity_bytes % banks == 0 and capacity_bytes // banks in known:
        return known[capacity_bytes // banks]
    price = sram.buffer_price(capacity_bytes * 8, banks, ACCESS_BITS, 45, "itrs-hp", ports, Fraction(1))
    return price.read_pj_per_bit * ACCESS_BITS, price.write_pj_per_bit * ACCESS_BITS


def _energies(row: Row, counters: dict[str, int | float]) -> dict[str, int | float]:
    units = row.rows * row.cols
    if (row.max_bits, row.min_bits) == (8, 2):
        core = counters["compute_cycles"] * CORE_NJ_PER_CYCLE * units / 512
    else:
        core = (
            counters["compute_cycles"] * logic.unit_price(row.max_bits, row.min_bits).active_pj_per_cycle * units / 1e3
        )
    buffers = {}
    for name, known, size, banks, ports in (
        ("weight", WEIGHT_BANKS, row.weight_buffer_bytes, units, 0),
        ("input", INPUT_BANKS, row.input_buffer_bytes, row.rows, 0),
        ("output", OUTPUT_BANKS, row.output_buffer_bytes, row.cols, 1),
    ):
        read, write = _access_pj(known, size, banks, ports)
        accesses = counters[f"{name}_buffer_read_bits"] * read + counters[f"{name}_buffer_write_bits"] * write
        buffers[f"{name}_buffer_nj"] = accesses / ACCESS_BITS / 1e3
    dram = (counters["dram_read_bits"] + counters["dram_write_bits"]) * DRAM_PJ_PER_BIT / 1e3
    sram_nj = sum(buffers.values())
    return {"core_nj": core, "sram_nj": sram_nj, "dram_nj": dram, "total_nj": core + sram_nj + dram, **buffers}
