"""The search: all tilings that fit, all orders, ranked by closed form; the best few timed exactly.

The kernel is tiled only where it must be: a weight gradient whose output tile would fit no buffer
runs as several products, each with a part of the kernel, one after the other with a barrier.

Among mappings within NEAR of the best the one with least energy is taken: a thousandth of the cycles
is not worth partial sums spilled to memory.  Deterministic: what still ties falls to the earlier candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath, Orientation
from bitsim.errors import MappingError
from bitsim.kernels.program import CLASSES, Nest, PortTiming
from bitsim.mapping.candidates import fitting, occupied_bits, shapes, tilings
from bitsim.mapping.program import Execution, execute
from bitsim.mapping.record import ORDERS, Mapping
from bitsim.mapping.traffic import rank
from bitsim.units import show_size
from bitsim.workload import Product

KEPT_FOR_EXACT_TIMING = 8
# Tilings whose issue cycles are worked out with edges, chosen by traffic and full-tile issue.
KEPT_FOR_RANKING = 192
KEPT_BY_TRAFFIC = 4
NEAR = 5e-3

Timer = Callable[[Nest, np.ndarray], np.ndarray]
# (cycles, counters) -> (what the objective minimises, energy)
Score = Callable[[int, dict[str, int]], tuple[float, float]]


@dataclass(frozen=True)
class Timed:
    """A mapping with its exact cycles by class and its counters."""

    mapping: Mapping
    orientation: Orientation
    execution: Execution
    classes: dict[str, int]

    @property
    def cycles(self) -> int:
        """All cycles."""
        return sum(self.classes.values())


@dataclass(frozen=True)
class Contender:
    """A mapping that was timed, with what it was judged by.  value: what the objective minimises."""

    timed: Timed
    value: float
    energy_pj: float


@dataclass(frozen=True)
class _Candidate:
    tile: tuple[int, ...]
    order: tuple[str, ...]
    orientation: Orientation


def search(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
    score: Score,
) -> tuple[Timed, ...]:
    """The best mapping of `product` under `score`; several where its kernel had to be split.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    found = contenders(product, accelerator, datapath, rate, port, timer, score)
    return tuple(listed[0].timed for _, listed in found)


def contenders(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
    score: Score,
) -> tuple[tuple[Product, list[Contender]], ...]:
    """Every mapping of `product` that was timed, the chosen one first; of each part where its kernel had to be split.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    smallest = MappingError(())
    for parts in ((product,), *(product.kernel_parts() if product.writes_filter else ())):
        try:
            return tuple((part, _timed(part, accelerator, datapath, rate, port, timer, score)) for part in parts)
        except MappingError as error:
            smallest = error  # parts only get smaller: what the last of them needs is the least
    raise smallest


def _timed(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
    score: Score,
) -> list[Contender]:
    """The shortlist of a product whose kernel is whole, best first.

    Every objective chooses from the same shortlist, so none can miss what another finds.
    """
    candidates: list[_Candidate] = []
    for orientation in accelerator.orientations(product):
        candidates += _candidates(product, accelerator, datapath, orientation, rate, port)
    if not candidates:
        raise MappingError(least_sizes(product, accelerator, datapath))
    found = []
    for c in candidates:
        mapping = Mapping(c.orientation.name, c.tile, c.order)
        timed = time_mapping(product, accelerator, datapath, c.orientation, mapping, rate, port, timer)
        found.append(Contender(timed, *score(timed.cycles, timed.execution.counters)))
    near = min(c.value for c in found) * (1 + NEAR)
    # Within NEAR of the best by energy, then the others; a sort keeps the earlier candidate of two that tie.
    return sorted(
        found, key=lambda c: (False, c.energy_pj, c.value) if c.value <= near else (True, c.value, c.energy_pj)
    )


def time_mapping(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    mapping: Mapping,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
) -> Timed:
    """Exact cycles and counters of one mapping."""
    execution = execute(product, accelerator, datapath, orientation, mapping, rate)
    cycles = timer(execution.nest, port.array())
    return Timed(mapping, orientation, execution, dict(zip(CLASSES, cycles.tolist(), strict=True)))


def _candidates(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    rate: Fraction,
    port: PortTiming,
) -> list[_Candidate]:
    table = tilings(product, accelerator.granules(product, datapath, orientation))
    table = table[fitting(product, accelerator, datapath, orientation, table)]
    if not len(table):
        return []
    for exact_edges in (False, True):
        ranked = rank(product, accelerator, datapath, orientation, table, rate, port, exact_edges)
        # Estimates closer than a hundredth are not told apart: a few more by traffic, and a few by traffic alone.
        steps = ranked.cycles // max(1, int(ranked.cycles.min()) // 100)
        keys = [(ranked.cycles, ranked.dram_bits), (steps, ranked.dram_bits), (ranked.dram_bits, ranked.cycles)]
        sorts = [_least(first.ravel(), second.ravel(), KEPT_FOR_RANKING) for first, second in keys]
        if not exact_edges:
            table = table[np.unique(np.concatenate(sorts) // len(ORDERS))]
    chosen: dict[tuple, _Candidate] = {}
    for flat, most in zip(sorts, (KEPT_FOR_EXACT_TIMING, KEPT_BY_TRAFFIC, KEPT_BY_TRAFFIC), strict=True):
        for at in flat[: most * len(ORDERS)].tolist():
            row, order = divmod(at, len(ORDERS))
            tile = tuple(table[row].tolist())
            trips = Mapping(orientation.name, tile, ORDERS[order]).trips(product)
            # Loops that run once do not order anything: orders that differ only in them are one candidate.
            moving = tuple(dim for dim in ORDERS[order] if trips[dim] > 1)
            if (tile, moving) not in chosen:
                chosen[tile, moving] = _Candidate(tile, ORDERS[order], orientation)
                most -= 1
            if most == 0:
                break
    return list(chosen.values())


def _least(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` least values of `first`, ties by `second`, then by index, ascending."""
    among = np.arange(len(first))
    if count < len(first):
        among = np.flatnonzero(first <= np.partition(first, count - 1)[count - 1])
    return among[np.lexsort((second[among], first[among]))][:count]


def least_sizes(product: Product, accelerator: Accelerator, datapath: Datapath) -> list[str]:
    """For a product that fits nowhere: each buffer too small for the smallest tile, with the least size."""
    faults = []
    for orientation in accelerator.orientations(product):
        one = np.ones((1, 6), np.int64)
        footprint = accelerator.footprint_bits(product, datapath, orientation, shapes(product, one))
        need = occupied_bits(accelerator, orientation, footprint)
        for buffer in accelerator.buffers():
            bits = int(np.max(need.get(buffer.name, 0)))
            if bits > buffer.capacity_bits:
                faults.append(
                    f"{buffer.name}: {show_size(buffer.capacity_bits)} is too small for any tile, "
                    f"the smallest needs {show_size(-(-bits // 8) * 8)}"
                )
        break
    return faults
