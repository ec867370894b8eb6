"""What the search ranks tilings and loop orders by: closed-form traffic and an estimate of cycles."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from bitsim.accelerators.seam import ROLES, Accelerator, Datapath, Int, TileTime
from bitsim.kernels import ranking as kernels
from bitsim.kernels.program import PortTiming
from bitsim.mapping.batch import Cut
from bitsim.mapping.candidates import Tilings
from bitsim.mapping.record import ORDERS, POSITIONS, size_table, touches
from bitsim.mapping.spots import Spots
from bitsim.workload import Product


@dataclass(frozen=True)
class Effort:
    """How many lead: by estimated cycles, by traffic among those a hundredth apart, and by traffic alone.

    cut: tilings of each that are cut into their edges; timed: of each, those whose orders are timed.
    """

    cut: int
    timed: tuple[int, int, int]

    @cached_property
    def most_timed(self) -> np.ndarray:
        """(3,) int64: `timed` for the kernels."""
        most = np.array(self.timed, np.int64)
        most.setflags(write=False)  # shared by all who ask
        return most


BLOCKS = ("positions", "outputs", "channels")


@dataclass(frozen=True)
class OrderTables:
    """The loop orders as kernels.ranking reads them.

    All are (8, 6), by pattern of blocks with several tiles and order.  refetched: bits 0 to 2 say which roles are
    fetched again; distinct: False where loops that run once are all that an order differs in from one before it;
    traffic: each that occurs in `refetched` once, then -1.
    """

    refetched: np.ndarray
    distinct: np.ndarray
    traffic: np.ndarray


@lru_cache(maxsize=2)
def order_tables(writes_filter: bool) -> OrderTables:
    """Tables of a product that writes a map or a filter."""
    dims = touches(writes_filter)
    missing = [next(i for i, block in enumerate(BLOCKS) if _dimension(block) not in dims[role]) for role in ROLES]
    refetched = np.zeros((8, kernels.ORDERS), np.int64)
    distinct = np.zeros((8, kernels.ORDERS), bool)
    traffic = np.full((8, kernels.ORDERS), -1)
    for pattern in range(8):
        seen: set[tuple[int, ...]] = set()
        for number, order in enumerate(ORDERS[: kernels.ORDERS]):
            blocks = [BLOCKS.index(b) for b in dict.fromkeys(map(_block, order[1:]))]
            moving = tuple(b for b in blocks if pattern >> b & 1)
            distinct[pattern, number] = moving not in seen
            seen.add(moving)
            for role, block in enumerate(missing):
                # Again for each tile of the block it misses, if a loop inside that block moves it.
                refetched[pattern, number] |= (block in moving and moving[-1] != block) << role
        different = list(dict.fromkeys(refetched[pattern].tolist()))
        traffic[pattern, : len(different)] = different
    return OrderTables(refetched, distinct, traffic)


def _block(dimension: str) -> str:
    return "positions" if dimension in POSITIONS else dimension


def _dimension(block: str) -> str:
    return POSITIONS[0] if block == "positions" else block


class Ranking:
    """Estimates for all tilings of one product in one orientation."""

    def __init__(
        self,
        product: Product,
        accelerator: Accelerator,
        datapath: Datapath,
        every: Tilings,
        time: TileTime,
        rate: Fraction,
        port: PortTiming,
    ) -> None:
        """time: of full tiles, spots along the first axis and the rest of the tiling along the second."""
        self._tables = order_tables(product.writes_filter)
        self._every = every
        self._product = product
        maps = product.groups * product.positions * product.outputs
        filters = product.groups * product.outputs * product.channels * product.taps
        weights, outputs = (maps, filters) if product.writes_filter else (filters, maps)
        spilled = accelerator.config.outputs == "accumulator"
        self.constants = np.empty(kernels.CONSTANTS)
        self.constants[kernels.INPUT_BITS] = datapath.dram_bits[0] * product.groups * product.channels
        self.constants[kernels.WEIGHT_BITS_ONCE] = weights * datapath.dram_bits[1]
        self.constants[kernels.PSUM_BITS_ONCE] = outputs * datapath.accumulator_bits
        self.constants[kernels.OUTPUT_BITS_ONCE] = outputs * datapath.output_bits
        self.constants[kernels.DRAIN_CYCLES] = _most(time.drain_cycles)
        self.constants[kernels.SETUP_CYCLES] = port.setup_cycles
        self.constants[kernels.LATENCY_CYCLES] = port.latency_cycles
        numerator, denominator = rate.as_integer_ratio()
        self.constants[kernels.CYCLES_A_BIT] = denominator / numerator
        self.constants[kernels.SPILLED] = spilled
        first, later = time.issue_cycles, time.accumulating_issue_cycles
        if later is None:
            later = first
        self._first_issue = _of_every(later if spilled else first, every)
        self._later_issue = self._first_issue if later is first or spilled else _of_every(later, every)
        # Of everything as one tile, whether it fits or not.
        self.whole_issue_cycles = float(self._first_issue[-1, -1])

    def best_tilings(self, fits: np.ndarray, effort: Effort) -> np.ndarray:
        """Numbers of the tilings that lead among those that fit, (S, I), best first; edges charged by their share."""
        found = np.empty(3 * effort.cut, np.int64)
        number = kernels.best_tilings(
            fits,
            self._every.spots.ranked,
            self._every.inner_ranked,
            self._first_issue,
            self._later_issue,
            self._tables.traffic,
            self._product.writes_filter,
            self.constants,
            effort.cut,
            *_lists(effort.cut),
            found,
        )
        return found[:number]

    def best_orders(
        self, table: np.ndarray, spots: Spots, places: np.ndarray, cut: Cut, effort: Effort
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of few tilings the (place in the table, order) that lead, (C,) each.

        table: (N, 6); places: (N,) of their boxes in `spots`; cut: they themselves, with exact issue cycles and edges.
        """
        tables, longest, most = self._tables, max(effort.timed), sum(effort.timed)
        found, chosen, orders = np.empty((3, most), np.int64)
        number = kernels.best_orders(
            spots.ranked,
            places,
            table,
            size_table(self._product),
            cut.issue_cycles,
            cut.costs,
            cut.starts,
            tables.refetched,
            tables.distinct,
            self._product.writes_filter,
            self.constants,
            effort.most_timed,
            np.empty((len(table) * kernels.ORDERS, 2)),
            *_lists(longest),
            found,
            chosen,
            orders,
        )
        return chosen[:number], orders[:number]


def _lists(longest: int) -> tuple[np.ndarray, ...]:
    """Three empty lists as kernels.ranking keeps them, and what is offered to them."""
    return np.empty((3, 2, longest)), np.empty((3, longest), np.int64), np.zeros(3, np.int64), np.empty((3, 2))


def _of_every(value: Int, every: Tilings) -> np.ndarray:
    """(S, I) int64: `value` of each tiling, in one block of memory."""
    if np.shape(value) != every.shape:
        value = np.broadcast_to(value, every.shape)
    return np.ascontiguousarray(value, np.int64)


def _most(value: Int) -> int:
    """The largest of an array, or the one value of all (numpy takes long to find that)."""
    return int(value.max()) if isinstance(value, np.ndarray) else int(value)
