"""The best of all mappings, to measure the search by.

The set is every ceil-split (so every divisor, too) of each of the six tiled dimensions, times every order of the loops
that run more than once, in every orientation.  Each is timed exactly, or shown to be no better than the best so far by
a bound that no program of it can pass: issue and accumulation hazards one after the other, or all beats of the port.
Every mapping timed is also held to its bound.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, INPUT, OUTPUT, ROLES, WEIGHT, Accelerator, Datapath, Orientation
from bitsim.energy import PriceList
from bitsim.kernels.cutting import SHAPE_DRAIN
from bitsim.kernels.engines import each_alone
from bitsim.kernels.program import PortTiming
from bitsim.mapping.batch import Cut, Lowered, cut, lower, rows_of, touched_table
from bitsim.mapping.candidates import Tilings, fitting
from bitsim.mapping.record import Mapping, dimension_sizes, size_table
from bitsim.mapping.spots import spots_from
from bitsim.workload import Product

NOT_RANKED = np.empty((0, 8))  # of tilings that are all tried nothing is estimated
SPOTS_AT_ONCE, TILINGS_AT_ONCE, TIMED_AT_ONCE = 64, 2048, 512


@dataclass(frozen=True)
class Question:
    """What is mapped on what, and what is sought: fewest cycles, or least energy where `prices` is given."""

    product: Product
    accelerator: Accelerator
    datapath: Datapath
    rate: Fraction
    port: PortTiming
    prices: PriceList | None = None

    def value(self, cycles: np.ndarray, lowered: Lowered) -> np.ndarray:
        """(C,) what is to be least."""
        return cycles if self.prices is None else energy_pj(self.prices, lowered.names, lowered.counts, cycles)


def energy_pj(prices: PriceList, names: tuple[str, ...], counts: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """(C,) float64: energy of mappings with these counters, (E, C), and cycles, (C,)."""
    return np.asarray((counts * prices.prices_of(names)[:, None]).sum(axis=0) + cycles * prices.pj_per_cycle)


@dataclass
class Answer:
    """Least value found, mappings in the set, those that were timed; the best, None where it was known before."""

    best: float
    mapping: Mapping | None = None
    mappings: int = 0
    timed: int = 0


def ceil_splits(size: int) -> list[int]:
    """Every distinct ceil(size / k)."""
    return sorted({-(-size // k) for k in range(1, size + 1)})


def least(question: Question, known: float) -> Answer:
    """The least value of all mappings, or `known` where none is below it."""
    answer = Answer(known)
    product, accelerator = question.product, question.accelerator
    for orientation in accelerator.orientations(product):
        for every in _grids(product):
            _search_grid(question, orientation, every, answer)
    return answer


def _grids(product: Product) -> Iterator[Tilings]:
    """All tilings, some spots at a time."""
    sizes = list(dimension_sizes(product).values())
    splits = [ceil_splits(size) for size in sizes]
    inner = np.array(list(itertools.product(splits[0], [1], [1], [1], *splits[4:])), np.int64)
    spots = np.array(list(itertools.product(*splits[1:4])), np.int64)
    for first in range(0, len(spots), SPOTS_AT_ONCE):
        part = spots_from(spots[first : first + SPOTS_AT_ONCE], product.batch, product.rows, product.cols)
        yield Tilings(part, inner, NOT_RANKED)


def _search_grid(question: Question, orientation: Orientation, every: Tilings, answer: Answer) -> None:
    """Leave out what fits nowhere, and where full tiles alone issue for longer than the best."""
    product, accelerator, datapath = question.product, question.accelerator, question.datapath
    grid = every.grid(product)
    fits = np.broadcast_to(fitting(product, accelerator, datapath, orientation, grid), every.shape)
    numbers = np.flatnonzero(fits)
    if not len(numbers):
        return
    table = every.chosen(numbers)[0]
    trips = _trips(product, table)
    moving = np.count_nonzero(trips > 1, axis=1)
    answer.mappings += sum(math.factorial(k) * count for k, count in enumerate(np.bincount(moving).tolist()))
    if question.prices is None:
        cost = accelerator.tile_cost(product, datapath, orientation, grid)
        issue = cost.issue_cycles
        if cost.accumulating_issue_cycles is not None:
            issue = np.minimum(issue, cost.accumulating_issue_cycles)
        full = np.prod(size_table(product) // table, axis=1)
        at_least = np.broadcast_to(issue, every.shape).ravel()[numbers] * full
        numbers = numbers[at_least + trips.prod(axis=1) * question.port.setup_cycles < answer.best]
    for first in range(0, len(numbers), TILINGS_AT_ONCE):
        _search_tilings(question, orientation, every, numbers[first : first + TILINGS_AT_ONCE], answer)


def _search_tilings(
    question: Question, orientation: Orientation, every: Tilings, numbers: np.ndarray, answer: Answer
) -> None:
    """Bound every order of some tilings, and time those that could be better, the most promising first."""
    product, accelerator, datapath = question.product, question.accelerator, question.datapath
    table = every.chosen(numbers)[0]
    parts = cut(
        product, accelerator, datapath, orientation, table, every.spots, numbers // every.shape[1], question.rate
    )
    trips, words = _trips(product, table), _whole_words(product, every, numbers)
    places, orders, bounds = [], [], []
    for pattern in np.unique(trips > 1, axis=0):
        rows = np.flatnonzero(((trips > 1) == pattern).all(axis=1))
        still = np.flatnonzero(~pattern).tolist()
        for order in itertools.permutations(np.flatnonzero(pattern).tolist()):
            bound = _bound(question, words, parts, trips, rows, order)
            better = np.flatnonzero(bound < answer.best)
            places.append(rows[better])
            bounds.append(bound[better])
            orders.append(np.tile(np.array([*still, *order], np.int64), (len(better), 1)))
    place, order_table, bound = (np.concatenate(part) for part in (places, orders, bounds))
    first_best = np.argsort(bound, kind="stable")
    for first in range(0, len(first_best), TIMED_AT_ONCE):
        chosen = first_best[first : first + TIMED_AT_ONCE]
        chosen = chosen[bound[chosen] < answer.best]
        if not len(chosen):
            break
        lowered = lower(
            product,
            accelerator,
            orientation,
            parts,
            place[chosen],
            chosen,
            rows_of(parts, place[chosen]),
            order_table,
        )
        cycles = each_alone("collapsed", lowered.programs, question.port.array()).sum(axis=1)
        values = question.value(cycles, lowered)
        assert (values >= bound[chosen] * (1 - 1e-12)).all(), "a mapping is better than its bound"
        answer.timed += len(chosen)
        if values.min() < answer.best:
            c = int(values.argmin())
            order = tuple(DIMENSIONS[d] for d in order_table[chosen[c]])
            answer.mapping = Mapping(orientation.name, tuple(table[place[chosen[c]]].tolist()), order)
            answer.best = float(values[c])


def _trips(product: Product, table: np.ndarray) -> np.ndarray:
    """(count, 6) tiles along each dimension."""
    return -(-size_table(product) // table)


def _bound(
    question: Question,
    words: dict[str, np.ndarray],
    parts: Cut,
    trips: np.ndarray,
    rows: np.ndarray,
    order: tuple[int, ...],
) -> np.ndarray:
    """(len(rows),) what no program of these tilings under this order can be below."""
    product, datapath, port = question.product, question.datapath, question.port
    touched = touched_table(product.writes_filter)
    fetches = {role: _fetches(trips[rows], order, touched[number]) for number, role in enumerate(ROLES)}
    whole = {role: values[rows] for role, values in words.items()}
    spilled = question.accelerator.config.outputs == "accumulator"
    computes = product.taps > 0
    read = (
        whole[INPUT] * fetches[INPUT] * datapath.dram_bits[0] + whole[WEIGHT] * fetches[WEIGHT] * datapath.dram_bits[1]
    )
    read = read + whole[OUTPUT] * (fetches[OUTPUT] - 1 + spilled) * computes * datapath.accumulator_bits
    written = whole[OUTPUT] * ((fetches[OUTPUT] - 1) * datapath.accumulator_bits + datapath.output_bits)
    tiles = trips[rows].prod(axis=1)
    visits = np.where(touched[2], trips[rows], 1).prod(axis=1) * fetches[OUTPUT]
    drain = int(parts.costs[:, SHAPE_DRAIN].min())
    working = parts.issue_cycles[rows] + tiles * port.setup_cycles + (tiles - visits) * max(drain - 1, 0)
    moving = (read + written) * question.rate.denominator // question.rate.numerator
    cycles = np.maximum(working + port.latency_cycles + drain, moving)
    if question.prices is None:
        return cycles
    # Counters that follow from tiling and traffic; what loads and stores touch in the buffers is left out.
    names = ("dram_read_bits", "dram_write_bits", *parts.names)
    return energy_pj(question.prices, names, np.vstack((read, written, parts.counted[:, rows])), cycles)


def _fetches(trips: np.ndarray, order: tuple[int, ...], touched: np.ndarray) -> np.ndarray:
    """How often the whole operand is fetched: trips of the loops it does not depend on, outside one it does."""
    fetches = np.ones(len(trips), np.int64)
    inside = False
    for dimension in reversed(order):
        if touched[dimension]:
            inside = True
        elif inside:
            fetches = fetches * trips[:, dimension]
    return fetches


def _whole_words(product: Product, every: Tilings, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """{role: words of one sweep over the operand}, halos between tiles read by both."""
    maps = product.groups * product.positions * product.outputs
    filters = product.groups * product.outputs * product.channels * product.taps
    weight, output = (maps, filters) if product.writes_filter else (filters, maps)
    per_channel = every.spots.ranked[numbers // every.shape[1], 1].astype(np.int64)
    return {
        INPUT: per_channel * (product.groups * product.channels),
        WEIGHT: np.full(len(numbers), weight),
        OUTPUT: np.full(len(numbers), output),
    }
