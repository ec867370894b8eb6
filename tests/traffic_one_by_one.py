"""The slow twin of the traffic in kernels.ranking: order by order in numpy, whole numbers."""

from __future__ import annotations

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, INPUT, OUTPUT, ROLES, WEIGHT, Accelerator, Datapath
from bitsim.mapping.candidates import per_size
from bitsim.mapping.record import ORDERS, POSITIONS, dimension_sizes, touches
from bitsim.workload import Product

POSITION_BLOCK = "positions"


def dram_bits(product: Product, accelerator: Accelerator, datapath: Datapath, table: np.ndarray) -> np.ndarray:
    """(tilings, orders) int64: DRAM bits of every tiling in `table` under every order of ORDERS."""
    size = dimension_sizes(product)
    trips = {d: -(-size[d] // table[:, i]) for i, d in enumerate(DIMENSIONS)}
    trips[POSITION_BLOCK] = trips["batch"] * trips["rows"] * trips["cols"]
    words = _sweep_words(product, table)
    dims = {role: _blocks(touches(product.writes_filter)[role]) for role in ROLES}
    spill_always = accelerator.config.outputs == "accumulator"
    dram = np.empty((len(table), len(ORDERS)), np.int64)
    for k, order in enumerate(ORDERS):
        blocks = list(dict.fromkeys(POSITION_BLOCK if d in POSITIONS else d for d in order))
        loads = {role: _repeats(blocks, dims[role], trips) for role in ROLES}
        visits = loads[OUTPUT]
        reloads = visits - (0 if spill_always else 1)
        bits_in = (
            words[INPUT] * loads[INPUT] * datapath.dram_bits[0] + words[WEIGHT] * loads[WEIGHT] * datapath.dram_bits[1]
        )
        bits_psum = words[OUTPUT] * datapath.accumulator_bits
        dram[:, k] = bits_in + bits_psum * (reloads + visits - 1) + words[OUTPUT] * datapath.output_bits
    return dram


def _blocks(dims: frozenset[str]) -> frozenset[str]:
    return frozenset(POSITION_BLOCK if d in POSITIONS else d for d in dims)


def _repeats(blocks: list[str], dims: frozenset[str], trips: dict[str, np.ndarray]) -> np.ndarray:
    """How often the whole operand is fetched: trips of the loops it does not depend on, outside one it does."""
    repeats = np.ones_like(trips["groups"])
    inside = np.zeros(len(repeats), bool)  # a loop further in moves the operand
    for block in reversed(blocks):
        if block in dims:
            inside |= trips[block] > 1
        else:
            repeats = np.where(inside, repeats * trips[block], repeats)
    return repeats


def _sweep_words(product: Product, table: np.ndarray) -> dict[str, np.ndarray]:
    """Words of one sweep over each operand; the input's halos between tiles are read by both."""
    rows = per_size(table[:, 2], lambda r: int(product.rows.unique_inputs(r).sum()))
    cols = per_size(table[:, 3], lambda c: int(product.cols.unique_inputs(c).sum()))
    halo = rows * cols
    maps = product.groups * product.positions * product.outputs
    filters = product.groups * product.outputs * product.channels * product.taps
    ones = np.ones(len(table), np.int64)
    return {
        INPUT: halo * (product.groups * product.batch * product.channels),
        WEIGHT: ones * (maps if product.writes_filter else filters),
        OUTPUT: ones * (filters if product.writes_filter else maps),
    }
