"""Find the best mapping of a product: rank all tilings by closed form, time the best few exactly.

Every objective chooses from the same shortlist, so none can miss what another finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath, Orientation
from bitsim.errors import MappingError
from bitsim.kernels.program import CLASSES, Nest, PortTiming, Programs
from bitsim.mapping import batch
from bitsim.mapping.candidates import Tilings, fitting, occupied_bits, shapes, tilings
from bitsim.mapping.memo import Found, kept
from bitsim.mapping.program import Execution, execute
from bitsim.mapping.ranking import Ranking
from bitsim.mapping.record import ORDER_DIMENSIONS, ORDERS, Mapping
from bitsim.units import show_size
from bitsim.workload import Product

NEAR = 1e-3
# A mapping of more different tiles is only timed where every one of the shortlist has as many.
MOST_ROWS = 20_000

# (programs, PortTiming.array()) -> (programs, 7) cycles by class of each.
Timer = Callable[[Programs, np.ndarray], np.ndarray]
# ((C,) cycles, {name: (C,)} counters) -> (C,) what the objective minimises, (C,) energy.
Score = Callable[[np.ndarray, dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]


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
class Shortlist:
    """Mappings of one orientation, timed.

    table: (C, 6) tile sizes; orders: (C,) numbers in ORDERS; classes: (C, 7) cycles; counters: {name: (C,)};
    moved_bits: of Execution, a row for each of programs.rows.
    """

    orientation: Orientation
    table: np.ndarray
    orders: np.ndarray
    programs: Programs
    classes: np.ndarray
    counters: dict[str, np.ndarray]
    moved_bits: np.ndarray
    _made: dict[Hashable, Timed] = field(default_factory=dict)

    @cached_property
    def cycles(self) -> np.ndarray:
        """(C,) int64: all cycles of each."""
        return np.asarray(self.classes.sum(axis=1))

    def timed(self, c: int) -> Timed:
        """One of them as a record, made once."""
        return kept(self._made, c, partial(self._record, c))

    def _record(self, c: int) -> Timed:
        nest = self.programs.nest(c)
        # Copies, so that the whole list is not kept alive.
        execution = Execution(
            Nest(nest.rows.copy(), nest.runs.copy()),
            {name: int(values[c]) for name, values in self.counters.items()},
            self.moved_bits[self.programs.row_starts[c] : self.programs.row_starts[c + 1]].copy(),
        )
        mapping = Mapping(self.orientation.name, tuple(self.table[c].tolist()), ORDERS[self.orders[c]])
        classes = dict(zip(CLASSES, self.classes[c].tolist(), strict=True))
        return Timed(mapping, self.orientation, execution, classes)


@dataclass(frozen=True)
class Setting:
    """What a product is mapped for.

    rate: bits a cycle of the port; known: what was found for machines of the same structure, added to.
    """

    accelerator: Accelerator
    datapath: Datapath
    rate: Fraction
    port: PortTiming
    timer: Timer
    known: Found


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
    smallest = MappingError(())
    for parts in itertools.chain([(product,)], product.kernel_parts() if product.writes_filter else ()):
        try:
            return [(part, shortlists(part, setting)) for part in parts]
        except MappingError as error:
            smallest = error  # parts only get smaller: what the last of them needs is the least
    raise smallest


def shortlists(product: Product, setting: Setting) -> tuple[Shortlist, ...]:
    """Of each orientation the mappings that lead by closed form, timed; whatever prices and objective are.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    key = (product, setting.datapath)
    return kept(setting.known.of_sizes, key, partial(_shortlists, product, setting))


def _shortlists(product: Product, setting: Setting) -> tuple[Shortlist, ...]:
    accelerator, datapath = setting.accelerator, setting.datapath
    found = []
    for orientation in accelerator.orientations(product):
        every = tilings(product, accelerator.granules(product, datapath, orientation), accelerator.axes_alike)
        fits = fitting(product, accelerator, datapath, orientation, every.grid(product))
        if fits.any():
            # Sizes of buffers only decide which tilings fit: machines on which the same ones do share a list.
            key = (product, datapath, orientation.name, fits.tobytes())
            make = partial(_shortlist, product, setting, orientation, every, fits)
            found.append(kept(setting.known.of_tilings, key, make))
    if not found:
        raise MappingError(least_sizes(product, accelerator, datapath))
    return tuple(found)


def choose(found: tuple[Shortlist, ...], score: Score) -> Timed:
    """The least energy among the mappings within NEAR of the best score; of two that tie the earlier."""
    values, energies = _scores(found, score)
    energies = np.where(values <= values.min() * (1 + NEAR), energies, np.inf)
    tied = np.flatnonzero(energies == energies.min())
    return _timed(found, int(tied[values[tied].argmin()]))


def ranked(found: tuple[Shortlist, ...], score: Score) -> list[Contender]:
    """All mappings of the lists, the chosen one first: within NEAR of the best by energy, then the others."""
    values, energies = _scores(found, score)
    near = values <= values.min() * (1 + NEAR)
    first, second = np.where(near, energies, values), np.where(near, values, energies)
    order = np.lexsort((second, first, ~near))  # by the last of the keys first
    return [Contender(_timed(found, n), float(values[n]), float(energies[n])) for n in order.tolist()]


def _scores(found: tuple[Shortlist, ...], score: Score) -> tuple[np.ndarray, np.ndarray]:
    """(C,) what is minimised and (C,) energy of all mappings of the lists, one list after the other."""
    parts = [score(one.cycles, one.counters) for one in found]
    if len(parts) == 1:
        return parts[0]
    values, energies = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(energies)


def _timed(found: tuple[Shortlist, ...], number: int) -> Timed:
    """The mapping of this number in _scores."""
    for one in found:
        if number < len(one.orders):
            return one.timed(number)
        number -= len(one.orders)
    raise IndexError(number)


def _shortlist(
    product: Product, setting: Setting, orientation: Orientation, every: Tilings, fits: np.ndarray
) -> Shortlist:
    """The shortlist of one orientation, among the tilings of `every` that fit."""
    what = product, setting.accelerator, setting.datapath, orientation
    rate, port = setting.rate, setting.port
    cost = setting.accelerator.tile_cost(product, setting.datapath, orientation, every.grid(product))
    ranks = Ranking(product, setting.accelerator, setting.datapath, every, cost, rate, port)
    numbers = ranks.best_tilings(fits if fits.shape == every.shape else np.broadcast_to(fits, every.shape))
    table = every.table(numbers)
    cut = batch.cut(*what, table, every.spots, numbers // len(every.inner), rate)
    chosen, orders = ranks.best_orders(numbers, cut.issue_cycles)
    rows = np.diff(batch.row_starts(cut, chosen))
    fewest, most = int(rows.min()), int(rows.max())
    if most > MOST_ROWS:
        listed = rows <= max(MOST_ROWS, fewest)
        chosen, orders = chosen[listed], orders[listed]
    if cut.exact and fewest <= MOST_ROWS:
        lowered = batch.lower(*what, cut, chosen, ORDER_DIMENSIONS[orders])
        programs, counters, moved = lowered.programs, lowered.counters, lowered.moved_bits
    else:
        mappings = [
            Mapping(orientation.name, tuple(tile), ORDERS[order])
            for tile, order in zip(table[chosen].tolist(), orders.tolist(), strict=True)
        ]
        programs, counters, moved = _one_by_one([execute(*what, mapping, rate) for mapping in mappings])
    classes = setting.timer(programs, port.array())
    return Shortlist(orientation, table[chosen], orders, programs, classes, counters, moved)


def _one_by_one(lowered: list[Execution]) -> tuple[Programs, dict[str, np.ndarray], np.ndarray]:
    """Programs, counters and moved bits of mappings whose counters may pass int64, or whose programs are long."""
    counters = {name: np.array([one.counters[name] for one in lowered], object) for name in lowered[0].counters}
    moved = np.concatenate([one.moved_bits for one in lowered])
    return Programs.of([one.nest for one in lowered]), counters, moved


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
