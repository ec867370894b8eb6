"""What of a sweep is wrong whatever its points turn out to be; checked before anything is computed or written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from inspect import signature
from itertools import islice
from typing import Any

from bitsim.accelerators.registry import accelerator_class
from bitsim.errors import InputError, unknown_key
from bitsim.exploration.constraint import Constraint
from bitsim.exploration.dimension import Dimensions, measured, of_column
from bitsim.exploration.known import NotBuiltError, known_value
from bitsim.exploration.space import MOST_TRIES, Point, Space
from bitsim.exploration.task import columns_of
from bitsim.hardware.machine_file import key_paths
from bitsim.simulation.run import ANALYTICAL, check_analytical, check_choices, simulate

# Of a column that no point has yet: no constraint is likely to divide by what makes it zero.
SOME_NUMBER = 0.6180339887


def check(space: Space, constraints: Sequence[Constraint], minimise: Sequence[str], search: int | None) -> None:
    """Raise InputError for choices `simulate` has not, names that no point will have, and a search of nothing.

    TypeError for a choice of another name.
    """
    signature(simulate).bind(None, None, **space.choices)

    columns = columns_of(space)
    known = {"hardware", "trace", *columns, *space.keys}
    for machine in space.machines:
        known |= set(key_paths(accelerator_class(machine.accelerator).config_model))
    faults = []
    for constraint in constraints:
        unknown = sorted(constraint.names - known)
        faults += [f"--where {constraint.text}: {unknown_key(name, sorted(known))}" for name in unknown]
    faults += [
        f"--pareto: {name} stands twice, allowed: once" for name in dict.fromkeys(minimise) if minimise.count(name) > 1
    ]
    faults += [f"--pareto: {unknown_key(name, sorted(columns))}" for name in minimise if name not in columns]
    if not minimise:
        faults.append("--pareto: empty, allowed: one or more columns, e.g. latency_s,energy_j")
    if search is not None and search < 1:
        faults.append(f"--search: {search}, allowed: 1 or more")
    for trace in space.traces:
        try:
            chosen = check_choices(trace, **space.choices)
            if space.choices.get("timing") == ANALYTICAL:
                said = {name: space.choices[name] for name in ("objective", "overlap") if name in space.choices}
                for machine in space.machines:
                    passes = accelerator_class(machine.accelerator).analytical_passes
                    check_analytical(machine.name, passes, chosen, **said)
        except InputError as error:
            faults += error.faults
    if not faults:
        faults += _not_alike(space, constraints)
    if not faults:
        faults += _divided_by_zero(space, constraints)
    if faults:
        raise InputError(list(dict.fromkeys(faults)))


def _not_alike(space: Space, constraints: Sequence[Constraint]) -> list[str]:
    """Faults of constraints that compare a clock with a size, or text with a number, at a point or another."""
    faults: list[str] = []
    columns = columns_of(space)

    def dimensions_of(name: str) -> Dimensions:
        return of_column(name) if name in columns else frozenset(measured(v)[1] for v in _values_of(space, name))

    for constraint in constraints:
        try:
            constraint.check(dimensions_of)
        except InputError as error:
            faults += error.faults
    return faults


def _values_of(space: Space, name: str) -> list[Any]:
    """Values of a name at the first point of each machine, and of its axes."""
    found = [value for axis in space.axes if axis.key == name for value in axis.values]
    for machine, source in enumerate(space.machines):
        overrides = {axis.key: axis.values[0] for axis in space.axes_of(source)}
        try:
            found.append(known_value(space, space.point(0, 0, machine, overrides), name))
        except NotBuiltError:
            continue
    return [value for value in found if value is not None]


def _divided_by_zero(space: Space, constraints: Sequence[Constraint]) -> list[str]:
    """Faults of constraints that divide by zero at one of the first points, some number in each column."""
    faults: list[str] = []
    columns = columns_of(space)

    def value_of(point: Point, name: str) -> Any:
        return SOME_NUMBER if name in columns else known_value(space, point, name)

    for constraint in constraints:
        for point in islice(space.points(), MOST_TRIES if "/" in constraint.text else 0):
            try:
                constraint.check_values(partial(value_of, point))
            except NotBuiltError:
                continue
            except InputError as error:
                faults += error.faults
                break
    return faults
