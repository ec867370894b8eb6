"""Find the best mapping of a product: rank all tilings by closed form, time the best few exactly.

Every objective chooses from the same shortlist of a product, so for one product none misses what another finds by more
than NEAR.  In a pass of several products (phases of a strided dgrad, parts of a split kernel) each is chosen alone:
that minimises sums, its cycles or its energy, but not the product of both sums, so `edp` can be beaten there by the
mappings of another objective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath
from bitsim.errors import MappingError
from bitsim.kernels import choice as kernels
from bitsim.mapping.candidates import occupied_bits, shapes, tilings
from bitsim.mapping.memo import kept
from bitsim.mapping.shortlist import Grid, Setting, Shortlist, Timed, leaves_room, quick, thorough
from bitsim.units import show_size
from bitsim.workload import Product

NEAR = 1e-3


class Score(NamedTuple):
    """What mappings are judged by.

    objective: place in kernels.choice.OBJECTIVES; prices_of: (names of counters) -> (E,) float64, pJ of one count of
    each; fixed_pj: energy that no mapping changes.
    """

    objective: int
    prices_of: Callable[[tuple[str, ...]], np.ndarray]
    pj_per_cycle: float
    fixed_pj: float


@dataclass(frozen=True)
class Contender:
    """A mapping that was timed, with what it was judged by.  value: what the objective minimises."""

    timed: Timed
    value: float
    energy_pj: float


def search(product: Product, setting: Setting, score: Score) -> tuple[Timed, ...]:
    """The best mapping of `product` under `score`; several where its kernel had to be split.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    return tuple(choose(listed, score) for _, listed in shortlists_of_parts(product, setting))


def contenders(product: Product, setting: Setting, score: Score) -> tuple[tuple[Product, list[Contender]], ...]:
    """Every mapping of `product` that was timed, the chosen one first; of each part where its kernel had to be split.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    return tuple((part, ranked(listed, score)) for part, listed in shortlists_of_parts(product, setting))


def shortlists_of_parts(product: Product, setting: Setting) -> list[tuple[Product, tuple[Shortlist, ...]]]:
    """Shortlists of `product`, of each part where its kernel had to be split."""
    try:
        return [(product, shortlists(product, setting))]
    except MappingError as error:
        if not product.writes_filter:
            raise
        smallest = error
    for parts in product.kernel_parts():
        try:
            return [(part, shortlists(part, setting)) for part in parts]
        except MappingError as error:
            smallest = error  # parts only get smaller: what the last of them needs is the least
    raise smallest


def shortlists(product: Product, setting: Setting) -> tuple[Shortlist, ...]:
    """Of each orientation the mappings that lead by closed form, timed, in lists; whatever prices and objective are.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    key = (product, setting.datapath)
    return kept(setting.known.of_sizes, key, partial(_shortlists, product, setting))


def _shortlists(product: Product, setting: Setting) -> tuple[Shortlist, ...]:
    accelerator, datapath = setting.accelerator, setting.datapath
    if accelerator.axes_alike and product.cols < product.rows:
        # Phases of a strided dgrad come in pairs that share a list.
        return tuple(listed.turned for listed in shortlists(product.turned, setting))
    grids, found = [], []
    for orientation in accelerator.orientations(product):
        granules = accelerator.granules(product, datapath, orientation)
        every = tilings(product, granules, accelerator.axes_alike)
        grid = Grid.of(product, setting, orientation, granules, every)
        that_fit = np.packbits(grid.fits).tobytes()
        if that_fit.strip(b"\0"):
            grids.append(grid)
            # Sizes of buffers only decide which tilings fit: machines on which the same ones do share a list.
            key = (product, datapath, orientation.name, that_fit)
            found.append(kept(setting.known.of_tilings, key, partial(quick, grid)))
    if not found:
        raise MappingError(least_sizes(product, accelerator, datapath))
    least_cycles = min([listed.fewest_cycles for listed in found])
    return tuple(
        one
        for grid, listed in zip(grids, found, strict=True)
        for one in (thorough(grid) if leaves_room(listed, grid, least_cycles) else (listed,))
    )


def choose(found: tuple[Shortlist, ...], score: Score) -> Timed:
    """The least energy among the mappings within NEAR of the best score; of two that tie the earlier."""
    best, _, _ = _judged(found, score)
    return _timed(found, best)


def ranked(found: tuple[Shortlist, ...], score: Score) -> list[Contender]:
    """All mappings of the lists, the chosen one first: within NEAR of the best by energy, then the others."""
    _, values, energies = _judged(found, score)
    near = values <= values.min() * (1 + NEAR)
    first, second = np.where(near, energies, values), np.where(near, values, energies)
    order = np.lexsort((second, first, ~near))  # by the last of the keys first
    return [Contender(_timed(found, n), float(values[n]), float(energies[n])) for n in order.tolist()]


def _judged(found: tuple[Shortlist, ...], score: Score) -> tuple[int, np.ndarray, np.ndarray]:
    """The number of the chosen mapping, (C,) values and (C,) energy of all: one list after the other."""
    total = sum(map(len, found))
    values, energies = np.empty(total), np.empty(total)
    best = start = 0
    for one in found:
        counts, cycles = one.lowered.counts, one.cycles
        if counts.dtype == object:  # beyond int64: only here are they rounded
            counts = counts.astype(np.float64)
        prices = score.prices_of(one.lowered.names)
        given = score.pj_per_cycle, score.fixed_pj, score.objective, NEAR
        best = kernels.judge(counts, prices, cycles, *given, start, values, energies)
        start += len(cycles)
    return best, values, energies


def _timed(found: tuple[Shortlist, ...], number: int) -> Timed:
    """The mapping of this number in _judged."""
    for one in found:
        if number < len(one):
            return one.timed(number)
        number -= len(one)
    raise IndexError(number)


def least_sizes(product: Product, accelerator: Accelerator, datapath: Datapath) -> list[str]:
    """For a product that fits nowhere: each buffer too small for the smallest tile, with the least size."""
    # Whatever is enough for one orientation is enough.
    orientation = accelerator.orientations(product)[0]
    footprint = accelerator.footprint_bits(product, datapath, orientation, shapes(product, np.ones((1, 6), np.int64)))
    need = occupied_bits(accelerator, orientation, footprint)
    faults = []
    for buffer in accelerator.buffers():
        bits = int(np.max(need.get(buffer.name, 0)))
        if bits > buffer.capacity_bits:
            faults.append(
                f"{buffer.name}: {show_size(buffer.capacity_bits)} is too small for any tile, "
                f"the smallest needs {show_size(-(-bits // 8) * 8)}"
            )
    return faults
