"""The space of a sweep: traces x machines x values of parameters, and what tells its points apart.

Assumptions
    - A point is its trace, the content of its machine file with all overrides, and the choices of the simulation:
      their hashes and the package's version name it, whatever grid it was met in.
    - Points are listed in the order of the grid: traces, machines, then parameters, the last given changing fastest.
    - A value that no point can be built with is a fault of the input, a combination that cannot one of its point.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitsim import __version__
from bitsim.accelerators.registry import build
from bitsim.errors import InputError
from bitsim.exploration.ranges import check_distinct, values
from bitsim.hardware.machine_file import MachineSource, check_no_key_replaces_another
from bitsim.technology.dram import dram_price
from bitsim.trace import Trace

MOST_POINTS = 10_000_000
MOST_TRIES = 2_000


@dataclass(frozen=True)
class Axis:
    """A key of the machine file and the values it takes.  machine: the only one it is set in; None: all."""

    key: str
    values: tuple[Any, ...]
    machine: str | None = None


@dataclass(frozen=True)
class Point:
    """One machine on one trace.

    index: place in the grid; trace, machine: places in the space's lists; identity: hash of all that its result
    depends on.
    """

    index: int
    trace: int
    machine: int
    overrides: Mapping[str, Any]
    identity: str


@dataclass(frozen=True)
class Space:
    """Traces, machines as read (not yet overridden), axes, and the choices every simulation gets."""

    traces: tuple[Trace, ...]
    machines: tuple[MachineSource, ...]
    axes: tuple[Axis, ...]
    choices: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.traces) * sum(math.prod(len(a.values) for a in self.axes_of(m)) for m in self.machines)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that is set, in the order given."""
        return tuple(dict.fromkeys(axis.key for axis in self.axes))

    def axes_of(self, machine: MachineSource) -> tuple[Axis, ...]:
        """The axes of one machine."""
        return tuple(axis for axis in self.axes if axis.machine in (None, machine.name))

    def points(self) -> Iterator[Point]:
        """Every point, in the order of the grid."""
        index = 0
        for trace in range(len(self.traces)):
            for machine, source in enumerate(self.machines):
                axes = self.axes_of(source)
                for chosen in itertools.product(*(axis.values for axis in axes)):
                    overrides = {axis.key: value for axis, value in zip(axes, chosen, strict=True)}
                    yield self.point(index, trace, machine, overrides)
                    index += 1

    def point(self, index: int, trace: int, machine: int, overrides: Mapping[str, Any]) -> Point:
        """The point with these overrides."""
        content_hash = self.machines[machine].overridden(overrides).config_hash
        said = [__version__, self.traces[trace].trace_hash, self.machines[machine].name, content_hash, self.said]
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        return Point(index, trace, machine, overrides, digest[:24])

    @property
    def said(self) -> dict[str, Any]:
        """The choices as JSON has them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.choices.items()}

    def source(self, point: Point) -> MachineSource:
        """The machine file of a point, overrides applied."""
        return self.machines[point.machine].overridden(point.overrides)


def make_space(
    traces: Sequence[Trace], machines: Sequence[MachineSource], axes: Sequence[Axis], choices: Mapping[str, Any]
) -> Space:
    """A checked space.  Raises InputError with every fault of names, keys and values."""
    faults = [f"--hw: two machines are named {name}, allowed: different names" for name in _twice(machines)]
    faults += [f"two traces are named {name}, allowed: different names" for name in _twice(traces)]
    faults += [f"--set: {key} is set twice, allowed: once" for key in _set_twice(axes, machines)]
    for machine in machines:
        try:
            check_no_key_replaces_another([axis.key for axis in axes if axis.machine in (None, machine.name)])
        except InputError as error:
            faults += error.faults
    space = Space(tuple(traces), tuple(machines), tuple(axes), choices)
    if not faults and len(space) > MOST_POINTS:
        faults.append(f"{len(space):,} points, allowed {MOST_POINTS:,}: take fewer values, or --search N")
    if not faults:
        faults += _faults_of_values(space)
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return space


def make_axes(given: Mapping[str, Any], machines: Sequence[MachineSource]) -> list[Axis]:
    """Axes of ``{"array.rows": [8, 16], "NAME:weight_buffer": "32KiB:128KiB:x2"}``.

    A value is a list, one value, or text as `ranges.values` reads it.  Raises InputError with every fault.
    """
    names, faults, axes = [m.name for m in machines], [], []
    for target, listed in given.items():
        machine, colon, key = target.rpartition(":")
        if colon and machine not in names:
            faults.append(f"--set {target}: {machine} is none of the machines given: {', '.join(names)}")
            continue
        try:
            found = values(listed) if isinstance(listed, str) else list(listed) if _is_list(listed) else [listed]
            check_distinct(found, target)
            axes.append(Axis(key, tuple(found), machine or None))
        except InputError as error:
            faults += [f"--set {target}={fault}" if isinstance(listed, str) else fault for fault in error.faults]
    if faults:
        raise InputError(faults)
    return axes


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) or hasattr(value, "tolist")


def _twice(named: Sequence[Any]) -> list[str]:
    names = [one.name for one in named]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _set_twice(axes: Sequence[Axis], machines: Sequence[MachineSource]) -> list[str]:
    keys = [(machine.name, axis.key) for machine in machines for axis in axes if axis.machine in (None, machine.name)]
    return [key for name, key in dict.fromkeys(keys) if keys.count((name, key)) > 1]


def _faults_of_values(space: Space) -> list[str]:
    """Faults of machines as given, and of every value with which no combination of the others can be built."""
    faults: list[str] = []
    for machine in space.machines:
        axes = space.axes_of(machine)
        for axis in axes:
            for value in axis.values:
                alone = _faults(machine, {axis.key: value})
                if alone and not _any_builds(machine, axes, axis, value):
                    faults += alone
        if not axes:
            faults += _faults(machine, {})
    return faults


def _faults(machine: MachineSource, overrides: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the machine cannot be built, or names no DRAM there is; a memory too slow for its clock is no such fault."""
    source = machine.overridden(overrides)
    try:
        memory = build(source).accelerator.config.memory
    except InputError as error:
        return error.faults
    try:
        dram_price(memory.energy)
    except InputError as error:
        return tuple(source.located(fault) for fault in error.faults)
    return ()


def _any_builds(machine: MachineSource, axes: Sequence[Axis], fixed: Axis, value: Any) -> bool:
    """Whether some combination with `value` can be built; combinations beyond the first thousands are believed."""
    choices = [(value,) if axis is fixed else axis.values for axis in axes]
    for tried, chosen in enumerate(itertools.product(*choices)):
        overrides = {axis.key: one for axis, one in zip(axes, chosen, strict=True)}
        if tried == MOST_TRIES or not _faults(machine, overrides):
            return True
    return False
