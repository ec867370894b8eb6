"""Machines brought to the size of one of them, by the rule of a mode."""

from __future__ import annotations

from collections.abc import Sequence

from bitsim.accelerators.registry import Machine
from bitsim.conditions import MUST_BE_EQUAL, differences
from bitsim.errors import InputError
from bitsim.iso.record import UNITS, Resized, resized
from bitsim.iso.to_area import BOTH, CHIP_AREA, CORE_AREA, GROWTHS, to_area
from bitsim.iso.to_memory import BUFFERS, MEMORY, to_memory

ARRAY = "array"
MODES = (ARRAY, CORE_AREA, CHIP_AREA, MEMORY, BUFFERS)


def resize(
    machines: Sequence[Machine], mode: str, baseline: str | None = None, grow: str = BOTH
) -> tuple[Resized, ...]:
    """All `machines` in their order, resized to the one named `baseline` (default: the first).

    Raises InputError, naming all faults at once: conditions that are not equal, a machine that has no
    size within the budget, a mode, growth or baseline that does not exist.
    """
    names = [machine.name for machine in machines]
    faults = []
    if mode not in MODES:
        faults.append(f"--iso {mode}: is unknown, allowed: none, {', '.join(MODES)}")
    if grow not in GROWTHS:
        faults.append(f"--grow {grow}: is unknown, allowed: {', '.join(GROWTHS)}")
    if baseline is not None and baseline not in names:
        faults.append(f"--baseline {baseline}: is none of {', '.join(names)}")
    faults += _unequal(machines, mode)
    if faults:
        raise InputError(faults)
    target = machines[names.index(baseline) if baseline else 0]
    found = []
    for machine in machines:
        try:
            found.append(_resize(machine, target, mode, grow))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return tuple(found)


def _unequal(machines: Sequence[Machine], mode: str) -> list[str]:
    found = differences(machines)
    return [
        f"--iso {mode}: {what} not equal: {', '.join(f'{name} {value}' for name, value in found[what].items())}; "
        f"allowed: the same for all, e.g. --set {key}=VALUE"
        for what, key in MUST_BE_EQUAL.items()
        if what in found
    ]


def _resize(machine: Machine, target: Machine, mode: str, grow: str) -> Resized:
    if mode == ARRAY:
        shape = target.accelerator.config.array
        units = shape.rows * shape.cols
        rule = "rows and columns become the baseline's; buffers stay"
        return resized(mode, rule, machine, {"array.rows": shape.rows, "array.cols": shape.cols}, UNITS, units, units)
    if mode in (CORE_AREA, CHIP_AREA):
        return to_area(machine, target, mode, grow)
    return to_memory(machine, target, mode)
