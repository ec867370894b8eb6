"""Shortlists: of the tilings that fit, the mappings that lead by closed form, timed exactly.

A quick list first; thorough ones, longer, where the quick one leaves room to what bounds it: one with tilings beside
the first, another of all near them.  What is a machine's own (prices, objective) has no say in any.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, Accelerator, Datapath, Orientation, Tile
from bitsim.kernels import ranking as kernels
from bitsim.kernels.program import CLASSES, PortTiming, Programs
from bitsim.mapping import batch
from bitsim.mapping.batch import Lowered
from bitsim.mapping.candidates import Tilings, around, beside, fitting, most_channels, tiles_of
from bitsim.mapping.memo import Found, kept
from bitsim.mapping.program import Execution, execute
from bitsim.mapping.ranking import Effort, Ranking, order_tables
from bitsim.mapping.record import ORDER_DIMENSIONS, ORDERS, Mapping
from bitsim.mapping.spots import Spots, boxes_of
from bitsim.workload import Product

# Measured on random layers (python -m bench --quality): the lists from which on longer ones find little.
QUICK, THOROUGH, NEAR = Effort(36, (24, 10, 5)), Effort(48, (64, 24, 12)), Effort(72, (36, 12, 6))
AROUND = 3  # tilings that others are sought around
EVERY_ORDER = 4  # of the fastest tilings of a thorough list every loop order is timed
# Cycles, or issue cycles, this far above what bounds them leave room for a better mapping; of one sample, where few
# tilings differ, more is asked.  Lists further behind the best orientation do not catch up.
ROOM, ROOM_OF_ONE, CLOSE = 1.03, 1.2, 1.1
# A mapping of more different tiles is only timed where every one of the shortlist has as many.
MOST_ROWS = 20_000

# Number of each dimension once rows and columns have changed over.
CHANGED_OVER = np.array([DIMENSIONS.index({"rows": "cols", "cols": "rows"}.get(name, name)) for name in DIMENSIONS])

# (programs, PortTiming.array()) -> (programs, 7) cycles by class of each.
Timer = Callable[[Programs, np.ndarray], np.ndarray]


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

    table: (K, 6) tile sizes; chosen: (C,) row of `table` of each; orders: (C,) number of the loop order of each, and
    dimensions_of: (orders, 6) its dimensions, outermost first; classes: (C, 7) cycles; whole_issue_cycles: of
    everything as one tile.
    """

    orientation: Orientation
    table: np.ndarray
    chosen: np.ndarray
    orders: np.ndarray
    dimensions_of: np.ndarray
    lowered: Lowered
    classes: np.ndarray
    whole_issue_cycles: float
    _made: dict[Hashable, Timed] = field(default_factory=dict)

    def __len__(self) -> int:
        """Mappings."""
        return len(self.orders)

    @cached_property
    def cycles(self) -> np.ndarray:
        """(C,) int64: all cycles of each."""
        return np.asarray(self.classes.sum(axis=1))

    @cached_property
    def fastest(self) -> int:
        """The first of the mappings with the fewest cycles."""
        return int(self.cycles.argmin())

    @property
    def fewest_cycles(self) -> int:
        """Cycles of the fastest."""
        return int(self.cycles[self.fastest])

    @property
    def turned(self) -> Shortlist:
        """The same of a product with rows and columns changed over, on an accelerator to which both are alike."""
        changed_over = CHANGED_OVER[self.dimensions_of]
        return replace(self, table=self.table[:, CHANGED_OVER], dimensions_of=changed_over, _made={})

    def timed(self, c: int) -> Timed:
        """One of them as a record, made once."""
        return kept(self._made, c, partial(self._record, c))

    def _record(self, c: int) -> Timed:
        order = tuple([DIMENSIONS[d] for d in self.dimensions_of[self.orders[c]].tolist()])
        mapping = Mapping(self.orientation.name, tuple(self.table[self.chosen[c]].tolist()), order)
        classes = dict(zip(CLASSES, self.classes[c].tolist(), strict=True))
        return Timed(mapping, self.orientation, self.lowered.execution(c), classes)


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


@dataclass(frozen=True)
class Grid:
    """All tilings worth trying of one orientation, or all near some; their tiles at full size, and which fit, (S, I).

    granules: of the accelerator.
    """

    product: Product
    setting: Setting
    orientation: Orientation
    granules: dict[str, int]
    every: Tilings
    full: Tile
    fits: np.ndarray

    @classmethod
    def of(
        cls, product: Product, setting: Setting, orientation: Orientation, granules: dict[str, int], every: Tilings
    ) -> Grid:
        """These tilings, held to the buffers."""
        full = every.grid(product)
        fits = fitting(product, setting.accelerator, setting.datapath, orientation, full)
        return cls(product, setting, orientation, granules, every, full, fits)

    @cached_property
    def boxes(self) -> Spots:
        """All boxes of the product: `places` are theirs."""
        return boxes_of(self.product.batch, self.product.rows, self.product.cols)

    @cached_property
    def ranking(self) -> Ranking:
        """Estimates for all of them."""
        setting = self.setting
        time = setting.accelerator.tile_time(self.product, setting.datapath, self.orientation, self.full)
        return Ranking(
            self.product, setting.accelerator, setting.datapath, self.every, time, setting.rate, setting.port
        )

    def leading(self, effort: Effort) -> np.ndarray:
        """Numbers of the tilings that lead, the best first."""
        shape = self.every.shape
        return self.ranking.best_tilings(
            self.fits if self.fits.shape == shape else np.broadcast_to(self.fits, shape), effort
        )


@dataclass(frozen=True)
class Few:
    """Few tilings of a grid, cut into their edges: their sizes, (K, 6), and where their boxes stand among all, (K,)."""

    grid: Grid
    table: np.ndarray
    places: np.ndarray
    cut: batch.Cut

    @classmethod
    def of(cls, grid: Grid, table: np.ndarray, places: np.ndarray) -> Few:
        """These tilings, cut."""
        setting = grid.setting
        what = grid.product, setting.accelerator, setting.datapath, grid.orientation
        return cls(grid, table, places, batch.cut(*what, table, grid.boxes, places, setting.rate))

    def leading(self, effort: Effort) -> tuple[np.ndarray, np.ndarray]:
        """(tilings, loop orders), (C,) each, that lead."""
        return self.grid.ranking.best_orders(self.table, self.grid.boxes, self.places, self.cut, effort)

    def other_orders(self, listed: Shortlist) -> tuple[np.ndarray, np.ndarray]:
        """(tilings, loop orders) that `listed` leaves out of the tilings it found fastest."""
        distinct = order_tables(self.grid.product.writes_filter).distinct
        timed = set(zip(listed.chosen.tolist(), listed.orders.tolist(), strict=True))
        fastest = dict.fromkeys(listed.chosen[np.argsort(listed.cycles, kind="stable")].tolist())
        also: list[tuple[int, int]] = []
        for k in itertools.islice(fastest, EVERY_ORDER):
            _, samples, rows, cols, outputs, channels = self.cut.counts[k].tolist()
            pattern = kernels.pattern_of.plain(max(samples, rows, cols), outputs, channels)
            orders = np.flatnonzero(distinct[pattern]).tolist()
            if samples > 1 and max(rows, cols) > 1:  # edges are uneven: the same with samples inside
                orders += [order + kernels.ORDERS for order in orders]
            also += [(k, order) for order in orders if (k, order) not in timed]
        found = np.array(also, np.int64).reshape(len(also), 2).T.copy()
        return found[0], found[1]

    def timed(self, chosen: np.ndarray, orders: np.ndarray) -> Shortlist:
        """Mappings of these tilings, (C,), in these loop orders, (C,), exactly.

        Those of very many different tiles are left out, unless all are.
        """
        grid = self.grid
        product, setting, orientation = grid.product, grid.setting, grid.orientation
        row_starts = batch.rows_of(self.cut, chosen)
        small = True  # the programs, or at least one of them
        if int(row_starts[-1]) > MOST_ROWS:
            rows = np.diff(row_starts)
            fewest = int(rows.min())
            small = fewest <= MOST_ROWS
            few = rows <= max(MOST_ROWS, fewest)
            chosen, orders = chosen[few], orders[few]
            row_starts = batch.rows_of(self.cut, chosen)
        if self.cut.exact and small:
            lowered = batch.lower(product, setting.accelerator, orientation, self.cut, chosen, orders, row_starts)
        else:
            what = product, setting.accelerator, setting.datapath, orientation
            mappings = [
                Mapping(orientation.name, tuple(tile), ORDERS[order])
                for tile, order in zip(self.table[chosen].tolist(), orders.tolist(), strict=True)
            ]
            lowered = Lowered.of([execute(*what, mapping, setting.rate) for mapping in mappings])
        classes = setting.timer(lowered.programs, setting.port.array())
        listed = chosen, orders, ORDER_DIMENSIONS
        return Shortlist(orientation, self.table, *listed, lowered, classes, grid.ranking.whole_issue_cycles)


def quick(grid: Grid) -> Shortlist:
    """Of the tilings that lead."""
    few = Few.of(grid, *grid.every.chosen(grid.leading(QUICK)))
    return few.timed(*few.leading(QUICK))


def thorough(grid: Grid) -> tuple[Shortlist, ...]:
    """Of more tilings and those beside the first, and of all near the first those that lead; of the fastest of both
    every loop order.

    Lists of their own, so that none crowds out what lies between the fewest cycles and the least traffic in another.
    """
    numbers = grid.leading(THOROUGH)
    led, beside_first = grid.every.chosen(numbers), _beside(grid, numbers[:AROUND])
    longer = [np.concatenate(column) for column in zip(led, beside_first, strict=True)]
    near = _around(grid, led[0][:AROUND], longer[0])
    found: list[Shortlist] = []
    for (table, places), effort in ((longer, THOROUGH), (near, NEAR)):
        if len(table):
            few = Few.of(grid, table, places)
            found.append(few.timed(*few.leading(effort)))
            others = few.other_orders(found[-1])
            if len(others[0]):
                found.append(few.timed(*others))
    return tuple(found)


def _beside(grid: Grid, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tilings beside those of `numbers`, of those that differ in channels alone the largest: sizes, places of boxes."""
    product, setting, boxes = grid.product, grid.setting, grid.boxes
    near, places = beside(product, grid.every, numbers)
    inputs = boxes.input_rows[places, None], boxes.input_cols[places, None]
    tiles = tiles_of(product, np.ascontiguousarray(np.concatenate((near, *inputs), axis=1).T))
    fits = fitting(product, setting.accelerator, setting.datapath, grid.orientation, tiles)
    near, places = near[fits], places[fits]
    largest = most_channels(near)
    return near[largest], places[largest]


def _around(grid: Grid, first: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tilings that lead near `first`, (N, 6), those of `known`, (M, 6), left out: sizes, places of boxes."""
    near = around(grid.product, first)
    found = Grid.of(grid.product, grid.setting, grid.orientation, grid.granules, near)
    table, places = near.chosen(found.leading(NEAR))
    tiles = set(map(tuple, known.tolist()))
    new = np.array([tuple(tile) not in tiles for tile in table.tolist()], bool)
    return table[new], places[new]


def leaves_room(listed: Shortlist, grid: Grid, least_cycles: int) -> bool:
    """Whether a thorough list may find fewer than `least_cycles`, the best of all orientations.

    It may where lanes idle that need not, and where neither issue nor port is busy throughout.  How few issue cycles
    there can be one tile of everything tells; where smaller tiles need fewer, or a machine cannot say at which sizes
    lanes idle, as an array filled in turns, nothing does.
    """
    best, cycles, least_issue = listed.fastest, listed.fewest_cycles, listed.whole_issue_cycles
    if cycles >= CLOSE * least_cycles:
        return False
    count = listed.lowered.counter
    issue = count("issue_cycles", best)
    if issue < least_issue or not grid.granules:
        return True
    moved_bits = count("dram_read_bits", best) + count("dram_write_bits", best)
    numerator, denominator = grid.setting.rate.as_integer_ratio()
    bound = max(least_issue, moved_bits * denominator / numerator)
    idle = issue > ROOM * least_issue
    waits = cycles > (ROOM if grid.product.batch > 1 else ROOM_OF_ONE) * bound
    return bound < least_cycles and (idle or waits)
