"""Find the best mapping of a product: rank all tilings by closed form, time the best few exactly.

Every objective chooses from the same shortlist, so none can miss what another finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsim.accelerators.seam import Accelerator, Datapath, Orientation
from bitsim.errors import MappingError
from bitsim.kernels.program import CLASSES, Nest, PortTiming, Programs
from bitsim.mapping import batch
from bitsim.mapping.candidates import fitting, occupied_bits, shapes, tilings
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
class Shortlist:
    """Mappings of one orientation, timed.

    table: (C, 6) tile sizes; orders: (C,) numbers in ORDERS; classes: (C, 7) cycles; counters: {name: (C,)}.
    """

    orientation: Orientation
    table: np.ndarray
    orders: np.ndarray
    programs: Programs
    classes: np.ndarray
    counters: dict[str, np.ndarray]

    def timed(self, c: int) -> Timed:
        """One of them as a record."""
        nest = self.programs.nest(c)
        # Copies, so that the whole list is not kept alive.
        execution = Execution(
            Nest(nest.rows.copy(), nest.runs.copy()), {name: int(values[c]) for name, values in self.counters.items()}
        )
        mapping = Mapping(self.orientation.name, tuple(self.table[c].tolist()), ORDERS[self.orders[c]])
        classes = dict(zip(CLASSES, self.classes[c].tolist(), strict=True))
        return Timed(mapping, self.orientation, execution, classes)


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
    smallest = MappingError(())
    for parts in itertools.chain([(product,)], product.kernel_parts() if product.writes_filter else ()):
        try:
            lists = [shortlists(part, accelerator, datapath, rate, port, timer) for part in parts]
            return tuple(choose(found, score) for found in lists)
        except MappingError as error:
            smallest = error  # parts only get smaller: what the last of them needs is the least
    raise smallest


def shortlists(
    product: Product, accelerator: Accelerator, datapath: Datapath, rate: Fraction, port: PortTiming, timer: Timer
) -> tuple[Shortlist, ...]:
    """Of each orientation the mappings that lead by closed form, timed; whatever prices and objective are.

    Raises MappingError naming the buffer and its least size if nothing fits.
    """
    found = []
    for orientation in accelerator.orientations(product):
        of_orientation = _shortlist(product, accelerator, datapath, orientation, rate, port, timer)
        if of_orientation is not None:
            found.append(of_orientation)
    if not found:
        raise MappingError(least_sizes(product, accelerator, datapath))
    return tuple(found)


def choose(found: tuple[Shortlist, ...], score: Score) -> Timed:
    """The least energy among the mappings within NEAR of the best score."""
    scores = [score(one.classes.sum(axis=1), one.counters) for one in found]
    near = min(value.min() for value, _ in scores) * (1 + NEAR)
    best = []
    for one, (value, energy) in enumerate(scores):
        among = np.flatnonzero(value <= near)
        if len(among):
            c = among[np.lexsort((value[among], energy[among]))[0]]
            best.append((energy[c], value[c], one, int(c)))
    _, _, one, c = min(best)
    return found[one].timed(c)


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
    cycles = timer(Programs.of([execution.nest]), port.array())[0]
    return Timed(mapping, orientation, execution, dict(zip(CLASSES, cycles.tolist(), strict=True)))


def _shortlist(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    rate: Fraction,
    port: PortTiming,
    timer: Timer,
) -> Shortlist | None:
    """The shortlist of one orientation; None if nothing fits."""
    every = tilings(product, accelerator.granules(product, datapath, orientation), accelerator.axes_alike)
    grid = every.grid(product)
    fits = fitting(product, accelerator, datapath, orientation, grid)
    if not fits.any():
        return None
    cost = accelerator.tile_cost(product, datapath, orientation, grid)
    ranks = Ranking(product, accelerator, datapath, every, cost, rate, port)
    numbers = ranks.best_tilings(np.broadcast_to(fits, every.shape))
    table = every.table(numbers)
    spot_of = numbers // len(every.inner)
    cut = batch.cut(product, accelerator, datapath, orientation, table, every.spots, spot_of, rate)
    chosen, orders = ranks.best_orders(numbers, cut.issue_cycles)
    rows = np.prod(cut.counts, axis=1)[chosen]
    listed = rows <= max(MOST_ROWS, rows.min())
    chosen, orders = chosen[listed], orders[listed]
    if cut.exact and rows.min() <= MOST_ROWS:
        lowered = batch.lower(product, accelerator, datapath, orientation, cut, chosen, ORDER_DIMENSIONS[orders])
        programs, counters = lowered.programs, lowered.counters
    else:
        programs, counters = _one_by_one(product, accelerator, datapath, orientation, table[chosen], orders, rate)
    return Shortlist(orientation, table[chosen], orders, programs, timer(programs, port.array()), counters)


def _one_by_one(
    product: Product,
    accelerator: Accelerator,
    datapath: Datapath,
    orientation: Orientation,
    table: np.ndarray,
    orders: np.ndarray,
    rate: Fraction,
) -> tuple[Programs, dict[str, np.ndarray]]:
    """Programs and counters of mappings whose counters may pass int64, or whose programs are long."""
    mappings = [
        Mapping(orientation.name, tuple(tile), ORDERS[order])
        for tile, order in zip(table.tolist(), orders.tolist(), strict=True)
    ]
    lowered = [execute(product, accelerator, datapath, orientation, mapping, rate) for mapping in mappings]
    names = lowered[0].counters
    counters = {name: np.array([one.counters[name] for one in lowered], object) for name in names}
    return Programs.of([one.nest for one in lowered]), counters


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
