"""What is known of a sweep's points while it runs: simulated, stored from before, failed, excluded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from bitsim.exploration.constraint import Constraint
from bitsim.exploration.engines import Engine
from bitsim.exploration.known import NotBuiltError, known_value
from bitsim.exploration.result import Failure, Sweep
from bitsim.exploration.space import Point, Space
from bitsim.exploration.store import IDENTITY, SweepFolder, axis_type
from bitsim.exploration.task import AREA, Outcome, columns_of, tasks

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
            return all(constraint.holds(partial(known_value, self.space, point)) for constraint in self._before)
        except NotBuiltError:
            return True

    def _keep(self, point: Point, record: Mapping[str, Any]) -> None:
        """Put a record into the table, unless a constraint excludes it."""
        row = {key: point.overrides.get(key) for key in self.space.keys}
        row |= {"hardware": self.space.machines[point.machine].name, "trace": self.space.traces[point.trace].name}
        row |= {name: value for name, value in record.items() if name != IDENTITY} | {IDENTITY: point.identity}

        def value_of(name: str) -> Any:
            return row[name] if name in row else known_value(self.space, point, name)

        if all(constraint.holds(value_of) for constraint in self._after):
            self.records[point.index] = row
        else:
            self.left_out.add(point.index)

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
