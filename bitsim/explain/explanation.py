"""One pass of one layer on one machine, taken apart: loop nest, buffers, kinds of tiles, bound, the mapping it beat.

Assumptions
    - A pass that runs several products (phases of a strided dgrad, parts of a kernel) is one `PartExplanation` each.
    - Cycles by class of a kind of tile are sums over the run itself: what a tile waits for depends on its neighbours.
    - The machine is asked through its seam only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, OUTPUT, ROLES, Accelerator, Tile
from bitsim.explain.choice import Choice
from bitsim.explain.rival import Rival, distinct, runner_up
from bitsim.explain.sums import Sum, beat_sums, issue_sum
from bitsim.kernels.event_log import event_log
from bitsim.kernels.program import (
    CLASSES,
    DRAIN,
    FLAGS,
    ISSUE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    PSUM_BEATS,
    STORE,
    Nest,
    PortTiming,
)
from bitsim.mapping.candidates import shapes
from bitsim.mapping.program import Walk, walk
from bitsim.mapping.record import dimension_sizes, touches
from bitsim.mapping.reuse import OperandReuse, reuse
from bitsim.mapping.shortlist import Timed
from bitsim.simulation.bound import Bound
from bitsim.simulation.cost import CostModel, Part
from bitsim.workload import Product


@dataclass(frozen=True)
class Loop:
    """One loop over tiles.  size: of a tile along the dimension; last_size: of its last tile."""

    dimension: str
    trips: int
    size: int
    last_size: int
    whole: int


@dataclass(frozen=True)
class Occupation:
    """What the full tile's operand takes of one half of its buffer, padding included."""

    role: str
    buffer: str
    used_bits: int
    half_bits: int


@dataclass(frozen=True)
class TileKind:
    """Tiles of equal sizes.  edges: dimensions that are at their smaller last size; none: a full tile.

    issue_cycles, drain_cycles: least and most of one tile.  classes: cycles by class summed over its tiles.
    """

    edges: tuple[str, ...]
    sizes: dict[str, int]
    tiles: int
    issue_cycles: tuple[int, int]
    drain_cycles: tuple[int, int]
    classes: dict[str, int]


@dataclass(frozen=True)
class PartExplanation:
    """One product as it was mapped, and `count` - 1 others that are alike in everything here.

    moves_with: the innermost loop over tiles that each operand changes with, None where it is moved once; without those
    that are never moved, as is occupation.
    array_loops: loops inside a full tile as far as the machine says them, (name, trips), outermost first.
    tail: cycles by class after the last tile.  sums: issue and beats worked out.  transfers: loads and stores, each
    with one cycle of grant.  rivals: how many mappings were timed beside the chosen one.
    """

    count: int
    sizes: dict[str, int]
    taps: int
    orientation: str
    loops: tuple[Loop, ...]
    tile: dict[str, int]
    moves_with: dict[str, str | None]
    array_loops: tuple[tuple[str, int], ...]
    occupation: tuple[Occupation, ...]
    kinds: tuple[TileKind, ...]
    tail: dict[str, int]
    cycles: int
    sums: tuple[Sum, ...]
    transfers: int
    rivals: int
    next_best: Rival | None


@dataclass(frozen=True)
class Explanation:
    """A pass taken apart; row: the columns of its result row; parts: one for all that are alike; reuse: by operand."""

    hardware: str
    clock_hz: float
    rate_bits_per_cycle: float
    port: PortTiming
    objective: str
    bound: Bound
    choice: Choice
    row: dict[str, Any]
    parts: tuple[PartExplanation, ...]
    reuse: dict[str, OperandReuse]


def explain(model: CostModel, choice: Choice) -> Explanation:
    """Explain `choice` on the machine of `model`.  Raises MappingError if no tile fits."""
    machine, accelerator = model.machine, model.machine.accelerator
    asked = choice.layer, choice.pass_name, choice.samples, choice.widths
    cost = model.pass_cost(*asked)
    parts = model.contenders(*asked)
    chosen = [(part.product, part.datapath, part.contenders[0].timed) for part in parts]
    return Explanation(
        machine.name,
        float(machine.clock_hz),
        float(machine.rate),
        machine.port,
        model.objective,
        Bound.of({name: int(cost.values[f"{name}_cycles"]) for name in CLASSES}, cost.work.port_beats),
        choice,
        {"layer": choice.layer.name, "pass": choice.pass_name, "samples": choice.samples} | cost.values,
        _explain_parts(model, parts),
        reuse(accelerator, chosen),
    )


def _explain_parts(model: CostModel, parts: list[Part]) -> tuple[PartExplanation, ...]:
    """Parts in the order they run first, those that are alike put together."""
    of_part: dict[int, PartExplanation] = {}
    found: list[PartExplanation] = []
    for part in parts:
        if id(part) not in of_part:  # equal products are one and the same part
            of_part[id(part)] = _explain_part(model, part)
        one = of_part[id(part)]
        for place, other in enumerate(found):
            if replace(other, count=1) == one:
                found[place] = replace(other, count=other.count + 1)
                break
        else:
            found.append(one)
    return tuple(found)


def _explain_part(model: CostModel, part: Part) -> PartExplanation:
    machine, timed = model.machine, part.contenders[0].timed
    listed = distinct(part.product, part.contenders)
    product, mapping, nest = part.product, timed.mapping, timed.execution.nest
    sizes, trips = dimension_sizes(product), mapping.trips(product)
    tile = dict(zip(DIMENSIONS, mapping.tile, strict=True))
    loops = tuple(
        Loop(d, trips[d], tile[d], sizes[d] - (trips[d] - 1) * tile[d], sizes[d]) for d in mapping.order if trips[d] > 1
    )
    full = _full_tile(product, timed)
    log = event_log([nest], machine.port.array())
    return PartExplanation(
        1,
        sizes,
        product.taps,
        timed.orientation.name,
        loops,
        tile,
        {role: _moves_with(loops, touches(product.writes_filter)[role]) for role in _moved(product)},
        machine.accelerator.array_loops(product, part.datapath, timed.orientation, full) if product.taps else (),
        _occupation(machine.accelerator, part, full),
        _kinds(product, walk(product, mapping), timed, log.classes[0]),
        _named(log.tail),
        timed.cycles,
        (issue_sum(nest), *beat_sums(timed.execution, machine.rate)),
        _transfers(nest),
        len(listed) - 1,
        runner_up(listed, model.objective),
    )


def _transfers(nest: Nest) -> int:
    """Loads and stores of a program: a load is one transfer, whatever it brings."""
    flags = nest.rows[:, FLAGS]
    loads = (flags & (LOAD_INPUT | LOAD_WEIGHT) != 0) | (nest.rows[:, PSUM_BEATS] > 0)
    return int(nest.counts @ (loads.astype(np.int64) + (flags & STORE != 0)))


def _named(classes: np.ndarray) -> dict[str, int]:
    return dict(zip(CLASSES, classes.tolist(), strict=True))


def _full_tile(product: Product, timed: Timed) -> Tile:
    """The full tile, its sizes as integers."""
    arrays = shapes(product, np.array([timed.mapping.tile], np.int64))
    sizes = dict(zip(DIMENSIONS, timed.mapping.tile, strict=True))
    return Tile(
        **sizes,
        input_rows=int(arrays.input_rows[0]),
        input_cols=int(arrays.input_cols[0]),
        row_taps=arrays.row_taps,
        col_taps=arrays.col_taps,
        row_stride=arrays.row_stride,
        col_stride=arrays.col_stride,
        row_step=arrays.row_step,
        col_step=arrays.col_step,
        writes_filter=arrays.writes_filter,
    )


def _moved(product: Product) -> tuple[str, ...]:
    """Roles of the operands that are moved: a phase of a dgrad that meets no tap reads nothing and stores zeros."""
    return ROLES if product.taps else (OUTPUT,)


def _moves_with(loops: tuple[Loop, ...], dims: frozenset[str]) -> str | None:
    return next((loop.dimension for loop in reversed(loops) if loop.dimension in dims), None)


def _occupation(accelerator: Accelerator, part: Part, full: Tile) -> tuple[Occupation, ...]:
    orientation = part.contenders[0].timed.orientation
    used = accelerator.footprint_bits(part.product, part.datapath, orientation, full)
    halves = {buffer.name: buffer.capacity_bits // buffer.halves for buffer in accelerator.buffers() if buffer.halves}
    return tuple(
        Occupation(role, orientation.holds[role], int(used[role]), halves[orientation.holds[role]])
        for role in _moved(part.product)
    )


def _kinds(product: Product, tiles: Walk, timed: Timed, classes: np.ndarray) -> tuple[TileKind, ...]:
    """Rows of the program's table put together by the sizes of their tiles, full ones first."""
    table, counts = timed.execution.nest.rows, tiles.counts
    at_edge = np.stack([np.broadcast_to(getattr(tiles.shape, d), len(table)) for d in DIMENSIONS], axis=1)
    distinct, member = np.unique(-at_edge, axis=0, return_inverse=True)
    full = dict(zip(DIMENSIONS, timed.mapping.tile, strict=True))
    found = []
    for number, negative in enumerate(distinct):
        rows = np.flatnonzero(member.ravel() == number)
        sizes = dict(zip(DIMENSIONS, (-negative).tolist(), strict=True))
        found.append(
            TileKind(
                tuple(d for d in DIMENSIONS if sizes[d] < full[d]),
                sizes,
                int(counts[rows].sum()),
                _range(table[rows, ISSUE]),
                _range(table[rows, DRAIN]),
                _named(classes[rows].sum(axis=0)),
            )
        )
    return tuple(sorted(found, key=lambda kind: len(kind.edges)))


def _range(values: np.ndarray) -> tuple[int, int]:
    return int(values.min()), int(values.max())
