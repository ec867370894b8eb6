"""What is known of a sweep's points while it runs: simulated, stored from before, failed, excluded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from bitsim.accelerators.registry import accelerator_class, build
from bitsim.area import area_of
from bitsim.errors import InputError, unknown_key
from bitsim.exploration.constraint import Constraint
from bitsim.exploration.engines import Engine
from bitsim.exploration.result import Failure, Sweep
from bitsim.exploration.space import Point, Space
from bitsim.exploration.store import IDENTITY, SweepFolder, axis_type
from bitsim.exploration.task import AREA, Outcome, columns_of, tasks
from bitsim.hardware.machine_file import MachineSource, key_paths

# Called with (points done, points in all, records of those in the table by index).
Progress = Callable[[int, int, Mapping[int, Mapping[str, Any]]], None]


class Campaign:
    """Points of one space, each simulated at most once; finished ones go to the folder at once."""

    def __init__(
        self,
        space: Space,
        constraints: Sequence[Constraint],
        engine: Engine,
        folder: SweepFolder | None = None,
        progress: Progress | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.space = space
        self.records: dict[int, dict[str, Any]] = {}  # of points in the table
        self.failures: dict[int, Failure] = {}
        self.left_out: set[int] = set()
        self._engine, self._folder = engine, folder
        self._progress, self._note = progress or (lambda *_: None), note or (lambda _: None)
        columns = columns_of(space) - {AREA}
        self._before = [c for c in constraints if not c.names & columns]
        self._after = [c for c in constraints if c.names & columns]
        self._texts = [c.text for c in constraints]
        self._stored: dict[str, dict[str, Any]] = {}
        if folder is not None:
            self._stored, notes = folder.read_parts()
            folder.write_manifest(self._said())
            for text in notes:
                self._note(text)

    @property
    def done(self) -> int:
        """Points whose fate is known."""
        return len(self.records) + len(self.failures) + len(self.left_out)

    def simulate(self, points: Iterable[Point], in_all: int | None = None) -> None:
        """Learn what becomes of `points`.  in_all: how many are expected, for progress; default: the whole space."""
        total, pending, known = in_all or len(self.space), [], 0
        for point in points:
            if not self._may_hold(point):
                self.left_out.add(point.index)
            elif point.identity in self._stored:
                self._keep(point, self._stored[point.identity])
                known += 1
            else:
                pending.append(point)
        if known:
            self._note(f"{known:,} points are known from before")
        self._progress(self.done, total, self.records)
        for outcomes in self._engine.outcomes(tasks(self.space, pending)):
            self._store(outcomes)
            for outcome in outcomes:
                if outcome.record is None:
                    self.failures[outcome.point.index] = self._failure(outcome)
                else:
                    self._keep(outcome.point, outcome.record)
            self._progress(self.done, total, self.records)

    def finish(self) -> Sweep:
        """The sweep; its table and counts are written."""
        records = tuple(self.records[index] for index in sorted(self.records))
        failures = tuple(self.failures[index] for index in sorted(self.failures))
        types = {
            key: axis_type(v for a in self.space.axes if a.key == key for v in a.values) for key in self.space.keys
        }
        if self._folder is not None:
            self._folder.write_table(records, types)
            counts = {"points": len(records), "left_out": len(self.left_out), "failed": [str(f) for f in failures]}
            self._folder.write_manifest(self._said() | counts)
        return Sweep(records, self.space.keys, failures, len(self.left_out), types)

    def _store(self, outcomes: Sequence[Outcome]) -> None:
        finished = [{IDENTITY: o.point.identity, **o.record} for o in outcomes if o.record is not None]
        if finished and self._folder is not None:
            self._folder.write_part(finished)

    def _may_hold(self, point: Point) -> bool:
        """Whether all that can be said before a simulation allows the point; one that cannot be built fails later."""
        try:
            return all(constraint.holds(partial(self._known, point)) for constraint in self._before)
        except _NotBuiltError:
            return True

    def _keep(self, point: Point, record: Mapping[str, Any]) -> None:
        """Put a record into the table, unless a constraint excludes it."""
        row = {key: point.overrides.get(key) for key in self.space.keys}
        row |= {"hardware": self.space.machines[point.machine].name, "trace": self.space.traces[point.trace].name}
        row |= {name: value for name, value in record.items() if name != IDENTITY} | {IDENTITY: point.identity}

        def value_of(name: str) -> Any:
            return row[name] if name in row else self._known(point, name)

        if all(constraint.holds(value_of) for constraint in self._after):
            self.records[point.index] = row
        else:
            self.left_out.add(point.index)

    def _known(self, point: Point, name: str) -> Any:
        """A parameter, hardware, trace, area, or a key of the machine's file; None for a key that machine has not."""
        if name in ("hardware", "trace"):
            return (self.space.machines if name == "hardware" else self.space.traces)[getattr(point, name)].name
        if name == AREA:
            return _area_mm2(self.space.source(point))
        if name in point.overrides:
            return point.overrides[name]
        source = self.space.source(point)
        written: Any = source.content
        for part in name.split("."):
            written = written.get(part) if isinstance(written, dict) else None
        return _default(source, name) if written is None else written

    def _failure(self, outcome: Outcome) -> Failure:
        point = outcome.point
        machine, trace = self.space.machines[point.machine].name, self.space.traces[point.trace].name
        return Failure(machine, trace, point.overrides, outcome.reasons)

    def _said(self) -> dict[str, Any]:
        space = self.space
        return {
            "traces": {trace.name: trace.trace_hash for trace in space.traces},
            "hardware": {machine.name: machine.config_hash for machine in space.machines},
            "parameters": [{"key": a.key, "machine": a.machine, "values": list(a.values)} for a in space.axes],
            "where": self._texts,
            "choices": space.said,
        }


def check(space: Space, constraints: Sequence[Constraint], minimise: Sequence[str], search: int | None) -> None:
    """Raise InputError for names that no point will have, and for a search of nothing."""
    columns = columns_of(space)
    known = {"hardware", "trace", *columns, *space.keys}
    for machine in space.machines:
        known |= set(key_paths(accelerator_class(machine.accelerator).config_model))
    faults = []
    for constraint in constraints:
        unknown = sorted(constraint.names - known)
        faults += [f"--where {constraint.text}: {unknown_key(name, sorted(known))}" for name in unknown]
    faults += [f"--pareto: {unknown_key(name, sorted(columns))}" for name in minimise if name not in columns]
    if not minimise:
        faults.append("--pareto: empty, allowed: one or more columns, e.g. latency_s,energy_j")
    if search is not None and search < 1:
        faults.append(f"--search: {search}, allowed: 1 or more")
    if faults:
        raise InputError(list(dict.fromkeys(faults)))


class _NotBuiltError(Exception):
    """The machine of a point is none, or has no price."""


def _area_mm2(source: MachineSource) -> float:
    try:
        return area_of(build(source)).chip_mm2
    except InputError:
        raise _NotBuiltError from None


def _default(source: MachineSource, name: str) -> Any:
    """The value of a key that the file leaves out; None for one the machine has not."""
    try:
        value: Any = build(source).accelerator.config
    except InputError:
        raise _NotBuiltError from None
    for part in name.split("."):
        value = getattr(value, part, None)
    return value if isinstance(value, int | float | str | Fraction) else None
