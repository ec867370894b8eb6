"""A task: points of one trace on machines of one structure, simulated one after the other in one process.

Points of a task share mappings and timings, so tasks keep points of one structure together; what a task returns
does not depend on which process ran it, nor on what that ran before.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bitsim import __version__
from bitsim.accelerators.registry import build
from bitsim.area import area_of
from bitsim.errors import InputError
from bitsim.exploration.space import Point, Space
from bitsim.hardware.machine_file import MachineSource
from bitsim.mapping.memo import SearchMemo
from bitsim.simulation.cost import COST_COLUMNS
from bitsim.simulation.policies import bit_products
from bitsim.simulation.result import NOT_SUMMED
from bitsim.simulation.run import simulate
from bitsim.trace import Trace

MOST_POINTS_OF_TASK = 64
AREA = "area_mm2"  # of the chip
NOTES = "notes"  # what a reader of the prices must know
_COSTS = ("cycles", "latency_s", "energy_j")
# Numbers of a run that are no column of its rows.
_OF_RUN = (
    *_COSTS,
    AREA,
    *(f"{name}_per_iteration" for name in _COSTS),
    "iterations",
    "edp_js",
    "utilisation",
    "dram_read_bits",
    "dram_write_bits",
    "array_pj",
    "dram_pj",
    "dram_static_pj",
    "leakage_pj",
    "energy_pj",
)
_MEMO = SearchMemo()
_ONE_AT_A_TIME = threading.Lock()  # a cluster's worker may have several threads


@dataclass(frozen=True)
class Task:
    """All a process needs to simulate some points."""

    trace: Trace
    machine: MachineSource
    choices: Mapping[str, Any]
    points: tuple[Point, ...]
    version: str = __version__


@dataclass(frozen=True)
class Outcome:
    """What became of a point: a record of columns, or the reasons why there is none."""

    point: Point
    record: Mapping[str, Any] | None
    reasons: tuple[str, ...] = ()


def tasks(space: Space, points: Iterable[Point], most: int = MOST_POINTS_OF_TASK) -> list[Task]:
    """Tasks of at most `most` points, together all of `points`; those of one structure are neighbours."""
    alike: dict[tuple[int, int, str], list[Point]] = defaultdict(list)
    for point in points:
        alike[point.trace, point.machine, _structure(space.source(point))].append(point)
    found = []
    for (trace, machine, _), members in alike.items():
        count = -(-len(members) // most)
        for part in range(count):  # equal parts: none is left with a point or two
            first, last = (len(members) * i // count for i in (part, part + 1))
            chosen = tuple(members[first:last])
            found.append(Task(space.traces[trace], space.machines[machine], space.choices, chosen))
    return found


def split(task: Task) -> list[Task]:
    """One task a point."""
    return [replace(task, points=(point,)) for point in task.points]


def run(task: Task) -> list[Outcome]:
    """Simulate every point of a task; a point that fails says why and stops no other."""
    if task.version != __version__:
        reason = f"the worker has bitsim {__version__}, the sweep is of {task.version}; install the same on both"
        return [Outcome(point, None, (reason,)) for point in task.points]
    with _ONE_AT_A_TIME:
        return [_outcome(task, point) for point in task.points]


def _outcome(task: Task, point: Point) -> Outcome:
    try:
        return Outcome(point, _record(task, point))
    except InputError as error:
        return Outcome(point, None, error.faults)
    except Exception as error:  # a bug met in one point is told as such; the others are still worth having
        return Outcome(point, None, (f"internal error: {type(error).__name__}: {error}",))


def _record(task: Task, point: Point) -> dict[str, Any]:
    machine = build(task.machine.overridden(point.overrides))
    result = simulate(task.trace, machine, memo=_MEMO, **task.choices)
    totals, iterations = result.totals, result.iterations
    head = {name: totals[name] for name in _COSTS}
    means = {f"{name}_per_iteration": value / iterations for name, value in head.items()}
    peak = totals["cycles"] * machine.accelerator.peak_bit_products_per_cycle
    return {
        **head,
        AREA: area_of(machine).chip_mm2,
        "iterations": iterations,
        **means,
        "edp_js": totals["latency_s"] * totals["energy_j"],
        "utilisation": bit_products(result) / peak if peak else None,
        **{name: value for name, value in totals.items() if name not in head},
        NOTES: "; ".join(result.prices.notes()),
        "config_hash": machine.source.config_hash,
        "trace_hash": task.trace.trace_hash,
        "version": __version__,
    }


def columns_of(space: Space) -> frozenset[str]:
    """Columns of numbers that some point of the space has once it is simulated."""
    names = set(_OF_RUN) | (set(COST_COLUMNS) - NOT_SUMMED)
    for machine in space.machines:
        for buffer in _buffers(space, machine):
            names |= {f"{buffer}_read_bits", f"{buffer}_write_bits", f"{buffer}_pj"}
    return frozenset(names)


def _buffers(space: Space, machine: MachineSource) -> list[str]:
    """Names of a machine's buffers, the same at every point of it that can be built."""
    firsts = {axis.key: axis.values[0] for axis in space.axes_of(machine)}
    for overrides in ({}, firsts):
        try:
            return [buffer.name for buffer in build(machine.overridden(overrides)).accelerator.buffers()]
        except InputError:
            continue
    return []


def _structure(source: MachineSource) -> str:
    """The structure of a machine; one that cannot be built is alone."""
    try:
        return build(source).structure
    except InputError:
        return source.config_hash
