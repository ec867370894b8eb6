"""The slow twin of kernels.ranking: closed-form traffic and estimated cycles, order by order in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

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
    TileCost,
)
from bitsim.kernels.program import PortTiming
from bitsim.mapping.candidates import per_size, shapes
from bitsim.mapping.record import ORDERS, POSITIONS, dimension_sizes, touches
from bitsim.workload import Product

POSITION_BLOCK = "positions"


@dataclass(frozen=True)
class Ranked:
    """Estimates of every (tiling, order): arrays (tilings, orders)."""

    cycles: np.ndarray
    dram_bits: np.ndarray


def rank(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    table: np.ndarray,
    rate: Fraction,
    port: PortTiming,
    exact_edges: bool = True,
) -> Ranked:
    """Traffic in bits and estimated cycles of every tiling in `table` under every order of ORDERS.

    exact_edges False charges edge tiles as full ones, which is quicker and good enough to thin out.
    """
    size = dimension_sizes(product)
    trips = {d: -(-size[d] // table[:, i]) for i, d in enumerate(DIMENSIONS)}
    trips[POSITION_BLOCK] = trips["batch"] * trips["rows"] * trips["cols"]
    tiles = trips["groups"] * trips[POSITION_BLOCK] * trips["outputs"] * trips["channels"]
    words = _sweep_words(product, table)
    dims = {role: _blocks(touches(product.writes_filter)[role]) for role in ROLES}
    full = accelerator.tile_cost(product, datapath, orientation, shapes(product, table))
    spill_always = accelerator.config.outputs == "accumulator"
    if exact_edges:
        issue = issue_cycles(product, accelerator, datapath, orientation, table, trips)
    else:
        first = _product(trips, touches(product.writes_filter)[OUTPUT])
        issue = _issue_of(full, first, tiles - first, spill_always)
    drain = full.drain_cycles
    cycles = np.empty((len(table), len(ORDERS)), np.int64)
    dram = np.empty_like(cycles)
    bits_per_cycle = float(rate)  # estimates only: exact beats come from the tile program
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
        beats = (dram[:, k] / bits_per_cycle).astype(np.int64)
        output_visits = trips["groups"] * visits * _product(trips, dims[OUTPUT] - {"groups"})
        hazards = tiles - output_visits
        set_up = tiles * port.setup_cycles
        busy = issue + set_up + hazards * (drain - 1)
        moving = beats + tiles + output_visits
        # A half is reloaded only after its last user is done: every second load of an operand waits for
        # the whole way from grant through latency, issue and drain.
        fills = np.maximum(
            *(trips["groups"] * loads[r] * _product(trips, dims[r] - {"groups"}) for r in (INPUT, WEIGHT))
        )
        way = 1 + port.latency_cycles + drain
        chained = (fills * way + issue + set_up + (bits_in / bits_per_cycle).astype(np.int64)) // 2
        ends = ((bits_in + dram[:, k]) / (bits_per_cycle * tiles)).astype(np.int64) + drain
        cycles[:, k] = np.maximum(np.maximum(busy, moving), chained) + ends
    return Ranked(cycles, dram)


def _blocks(dims: frozenset[str]) -> frozenset[str]:
    return frozenset(POSITION_BLOCK if d in POSITIONS else d for d in dims)


def _product(trips: dict[str, np.ndarray], dims: frozenset[str]) -> np.ndarray:
    result = np.ones_like(trips["groups"])
    for dim in dims:
        result = result * trips[dim]
    return result


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


def issue_cycles(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    table: np.ndarray,
    trips: dict[str, np.ndarray],
) -> np.ndarray:
    """Issue cycles of the whole product, exact: full and edge tiles of every split dimension.

    Of the tiles over a reduction the first alone does not accumulate; it is full where there are several.
    """
    size = dimension_sizes(product)
    of_output = touches(product.writes_filter)[OUTPUT]
    ones = np.ones(len(table), np.int64)
    variants = [(table, ones, ones)]  # sizes, tiles, those of them that do not accumulate
    for i, dim in enumerate(DIMENSIONS):
        edge = size[dim] - (trips[dim] - 1) * table[:, i]
        if (edge == table[:, i]).all():
            firsts = trips[dim] if dim in of_output else ones
            variants = [(sizes, count * trips[dim], first * firsts) for sizes, count, first in variants]
            continue
        split = []
        for sizes, count, first in variants:
            at_edge = sizes.copy()
            at_edge[:, i] = edge
            several = (trips[dim] > 1).astype(np.int64)
            inside, last = (trips[dim] - 1, ones) if dim in of_output else (several, 1 - several)
            split += [(sizes, count * (trips[dim] - 1), first * inside), (at_edge, count, first * last)]
        variants = split
    total = np.zeros(len(table), np.int64)
    spill_always = accelerator.config.outputs == "accumulator"
    for sizes, count, first in variants:
        cost = accelerator.tile_cost(product, datapath, orientation, shapes(product, sizes))
        total += _issue_of(cost, first, count - first, spill_always)
    return total


def _issue_of(cost: TileCost, first: np.ndarray, others: np.ndarray, spill_always: bool) -> np.ndarray:
    """Issue cycles of tiles that are the first to write their outputs, and of others, which accumulate."""
    if cost.accumulating_issue_cycles is None:
        return np.asarray((first + others) * cost.issue_cycles)
    first_cycles = cost.accumulating_issue_cycles if spill_always else cost.issue_cycles
    return np.asarray(first * first_cycles + others * cost.accumulating_issue_cycles)
