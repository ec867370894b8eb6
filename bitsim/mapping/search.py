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
from functools import partial

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath, Orientation
from bitsim.errors import MappingError
from bitsim.kernels.program import CLASSES, Nest, PortTiming
from bitsim.mapping.candidates import fitting, occupied_bits, shapes, tilings
from bitsim.mapping.memo import Found, kept
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
    before: Found | None = None,
) -> tuple[Timed, ...]:
    """The best mapping of `product` under `score`; several where its kernel had to be split.

    before: what was found for machines of the same structure (mapping.memo); added to.
    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    found = contenders(product, accelerator, datapath, rate, port, timer, score, before)
    return tuple(listed[0].timed for _, listed in found)


def contenders(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
    score: Score,
    before: Found | None = None,
) -> tuple[tuple[Product, list[Contender]], ...]:
    """Every mapping of `product` that was timed, the chosen one first; of each part where its kernel had to be split.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    known: Found = {} if before is None else before
    smallest = MappingError(())
    for parts in ((product,), *(product.kernel_parts() if product.writes_filter else ())):
        try:
            return tuple(
                (part, _ranked(part, accelerator, datapath, rate, port, timer, score, known)) for part in parts
            )
        except MappingError as error:
            smallest = error  # parts only get smaller: what the last of them needs is the least
    raise smallest


def _ranked(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
    score: Score,
    known: Found,
) -> list[Contender]:
    """The shortlist of a product whose kernel is whole, best first.

    Every objective chooses from the same shortlist, so none can miss what another finds.
    """
    timed = _shortlist(product, accelerator, datapath, rate, port, timer, known)
    found = [Contender(one, *score(one.cycles, one.execution.counters)) for one in timed]
    near = min(c.value for c in found) * (1 + NEAR)
    # Within NEAR of the best by energy, then the others; a sort keeps the earlier candidate of two that tie.
    return sorted(
        found, key=lambda c: (False, c.energy_pj, c.value) if c.value <= near else (True, c.value, c.energy_pj)
    )


def _shortlist(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
    known: Found,
) -> tuple[Timed, ...]:
    """Mappings that lead by closed form, timed; whatever prices and objective are."""
    tables, fits = [], []
    for orientation in accelerator.orientations(product):
        granules = accelerator.granules(product, datapath, orientation)
        key = ("tilings", product, datapath, orientation.name)
        table = kept(known, key, partial(tilings, product, granules))
        fits.append(fitting(product, accelerator, datapath, orientation, table))
        tables.append((orientation, table))

    def timed() -> tuple[Timed, ...]:
        candidates = []
        for (orientation, table), fit in zip(tables, fits, strict=True):
            candidates += _candidates(product, accelerator, datapath, orientation, table[fit], rate, port)
        if not candidates:
            raise MappingError(least_sizes(product, accelerator, datapath))
        mappings = [(c.orientation, Mapping(c.orientation.name, c.tile, c.order)) for c in candidates]
        return tuple(time_mapping(product, accelerator, datapath, *m, rate, port, timer) for m in mappings)

    # Sizes of buffers only decide which tilings fit: machines on which the same ones do share a list.
    return kept(known, ("timed", product, datapath, *(fit.tobytes() for fit in fits)), timed)


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
    table: np.ndarray,
    rate: Fraction,
    port: PortTiming,
) -> list[_Candidate]:
    """The shortlist among the tilings of `table`."""
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
