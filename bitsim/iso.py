"""Machines brought to the size of one of them: an equal array, area, or memory.

Rules (one machine, the baseline, stays as it is; each of the others is changed in one respect)
    - array: rows and columns become the baseline's; buffers stay.
    - core-area, chip-area: the array grows or shrinks to the largest that does not exceed the baseline's
      area; buffers stay in bits (in banks they follow the array, and their area with them).  `grow` says how:
      cols, rows as given; rows, columns as given; both, rows first, by the square root of the room there
      is, rounded down, then columns.
    - memory, buffers: all buffers are scaled by one factor, rounded down to whole words in every half of
      every bank; what is left is given out in such granules, largest first.  The array stays.  memory
      counts registers, which stay as they are; buffers does not.
    - Bandwidth, latency and prices of the DRAM, node and SRAM cells must be equal before.  Clocks may
      differ: they are the machine's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bitsim.accelerators.registry import Machine, load_hardware
from bitsim.accelerators.seam import Buffer
from bitsim.area import area_of, core_area_mm2
from bitsim.conditions import MUST_BE_EQUAL, differences
from bitsim.errors import InputError
from bitsim.units import show_size

ARRAY, CORE_AREA, CHIP_AREA, MEMORY, BUFFERS = "array", "core-area", "chip-area", "memory", "buffers"
MODES = (ARRAY, CORE_AREA, CHIP_AREA, MEMORY, BUFFERS)
COLS, ROWS, BOTH = "cols", "rows", "both"
GROWTHS = (COLS, ROWS, BOTH)
UNITS, MM2, BITS = "units", "mm2", "bits"
MOST = 4096  # rows or columns a machine file may have


@dataclass(frozen=True)
class Resized:
    """One machine at the baseline's size.

    changes: {key: (before, now)}, empty where nothing changed.  budget, used and granularity are in `unit`:
    units of the array, mm2, or bits.  The next larger machine under the rule is `granularity` larger; None:
    there is none, or it has no price.
    """

    mode: str
    rule: str
    given: Machine
    machine: Machine
    changes: dict[str, tuple[Any, Any]]
    unit: str
    budget: float
    used: float
    granularity: float | None

    @property
    def left_over(self) -> float:
        """What of the budget the rule could not use."""
        return self.budget - self.used

    def record(self) -> dict[str, Any]:
        """The resizing as plain data: {hardware, mode, rule, changes: {key: value now}, unit, budget, used, ...}."""
        return {
            "hardware": self.machine.name,
            "mode": self.mode,
            "rule": self.rule,
            "changes": {key: now for key, (_, now) in self.changes.items()},
            "unit": self.unit,
            "budget": self.budget,
            "used": self.used,
            "left_over": self.left_over,
            "granularity": self.granularity,
        }


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
    resized = []
    for machine in machines:
        try:
            resized.append(_resize(machine, target, mode, grow))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return tuple(resized)


def _unequal(machines: Sequence[Machine], mode: str) -> list[str]:
    found = differences(machines)
    return [
        f"--iso {mode}: {what} differs: {', '.join(f'{name} {value}' for name, value in found[what].items())}; "
        f"allowed: the same for all, e.g. --set {key}=VALUE"
        for what, key in MUST_BE_EQUAL.items()
        if what in found
    ]


def _resize(machine: Machine, target: Machine, mode: str, grow: str) -> Resized:
    if mode == ARRAY:
        shape = target.accelerator.config.array
        units = shape.rows * shape.cols
        rule = "rows and columns become the baseline's; buffers stay"
        return _resized(mode, rule, machine, {"array.rows": shape.rows, "array.cols": shape.cols}, UNITS, units, units)
    if mode in (CORE_AREA, CHIP_AREA):
        return _to_area(machine, target, mode, grow)
    return _to_memory(machine, target, mode)


def _to_area(machine: Machine, target: Machine, mode: str, grow: str) -> Resized:
    def size_mm2(of: Machine) -> float:
        return core_area_mm2(of) if mode == CORE_AREA else area_of(of).chip_mm2

    budget_mm2, array = size_mm2(target), machine.accelerator.config.array
    shape = {"array.rows": array.rows, "array.cols": array.cols}
    if grow == BOTH:
        own_mm2 = core_area_mm2(machine)
        room_mm2 = max(0.0, budget_mm2 - (size_mm2(machine) - own_mm2))
        # A hair above, so that an equal machine keeps its rows in spite of rounding.
        shape["array.rows"] = min(MOST, max(1, int(array.rows * math.sqrt(room_mm2 / own_mm2) + 1e-9)))
    key = "array.rows" if grow == ROWS else "array.cols"

    def at(count: int) -> Machine:
        return _loaded(machine, shape | {key: count})

    count = _largest(at, size_mm2, budget_mm2)
    if count is None:
        raise InputError(
            f"--iso {mode}: {machine.name}: one {'row' if grow == ROWS else 'column'} and what stays exceed the "
            f"{budget_mm2:.4f} mm2 of {target.name}; allowed: a larger baseline"
            + (", or smaller buffers (--set)" if mode == CHIP_AREA else "")
        )
    used_mm2, next_mm2 = size_mm2(at(count)), _size_or_none(at, size_mm2, count + 1)
    how = {COLS: "columns change, rows stay", ROWS: "rows change, columns stay", BOTH: "rows change, then columns"}
    rule = f"{how[grow]}: the largest array within the area; buffers stay in bits"
    step_mm2 = None if next_mm2 is None else next_mm2 - used_mm2
    return _resized(mode, rule, machine, shape | {key: count}, MM2, budget_mm2, used_mm2, step_mm2)


def _largest(at: Callable[[int], Machine], size_mm2: Callable[[Machine], float], budget_mm2: float) -> int | None:
    """The largest count whose machine fits; sizes without a machine or a price are passed over.

    A core grows with its array, so twice a core that is too large ends the search upwards.  Chips need not:
    more, smaller banks can be smaller together, so counts are tried one by one from above.
    """
    top = 1
    while top < MOST and (_size_or_none(at, core_area_mm2, top) or 0.0) <= budget_mm2:
        top *= 2
    for count in range(min(top, MOST), 0, -1):
        size = _size_or_none(at, size_mm2, count)
        if size is not None and size <= budget_mm2:
            return count
    return None


def _size_or_none(at: Callable[[int], Machine], size_mm2: Callable[[Machine], float], count: int) -> float | None:
    try:
        return size_mm2(at(count))
    except InputError:
        return None


def _to_memory(machine: Machine, target: Machine, mode: str) -> Resized:
    registers_bits, buffers = _memories(machine)
    target_registers_bits, target_buffers = _memories(target)
    budget_bits = sum(b.capacity_bits for b in target_buffers)
    if mode == MEMORY:
        budget_bits += target_registers_bits
    counted_bits = registers_bits if mode == MEMORY else 0
    sizes_bits = {b.name: b.capacity_bits for b in buffers}
    if sum(sizes_bits.values()) + counted_bits != budget_bits:
        sizes_bits = _scaled(buffers, budget_bits - counted_bits)
    used_bits = sum(sizes_bits.values()) + counted_bits
    if used_bits > budget_bits or not sizes_bits:
        raise InputError(
            f"--iso {mode}: {machine.name}: registers of {show_size(counted_bits)} and one word in every half of every "
            f"bank take {show_size(used_bits)}, above the {show_size(budget_bits)} of {target.name}; "
            "allowed: a larger baseline, or --iso buffers"
        )
    rule = "buffers are scaled by one factor to whole words in every half of every bank, the rest largest granule first"
    rule += "; registers stay" + ("" if mode == MEMORY else " and do not count")
    keys = {name: show_size(bits) for name, bits in sizes_bits.items()}
    granule_bits = min(map(_granule_bits, buffers))
    return _resized(mode, rule, machine, keys, BITS, budget_bits, used_bits, granule_bits)


def _memories(machine: Machine) -> tuple[int, list[Buffer]]:
    """(bits of registers, the buffers beside them)."""
    memories = machine.accelerator.buffers()
    return (
        sum(b.capacity_bits for b in memories if b.register_file),
        [b for b in memories if not b.register_file],
    )


def _granule_bits(buffer: Buffer) -> int:
    """One word in every half of every bank, in whole bytes."""
    return math.lcm(buffer.banks * buffer.access_bits * max(1, buffer.halves), 8)


def _scaled(buffers: Sequence[Buffer], budget_bits: int) -> dict[str, int]:
    """{buffer: bits}, in the proportions given, in granules, at least one each; above the budget if that is."""
    given_bits = sum(b.capacity_bits for b in buffers)
    granules = {b.name: _granule_bits(b) for b in buffers}
    sizes = {
        b.name: max(1, b.capacity_bits * budget_bits // given_bits // granules[b.name]) * granules[b.name]
        for b in buffers
    }
    for name in sorted(granules, key=lambda name: -granules[name]):
        sizes[name] += max(0, budget_bits - sum(sizes.values())) // granules[name] * granules[name]
    return sizes


def _loaded(machine: Machine, keys: dict[str, Any]) -> Machine:
    """`machine` read again with further keys."""
    return load_hardware(machine.source.path, machine.source.overrides | keys)


def _resized(
    mode: str,
    rule: str,
    machine: Machine,
    keys: dict[str, Any],
    unit: str,
    budget: float,
    used: float,
    granularity: float | None = None,
) -> Resized:
    """The record, with only those of `keys` that say something else than `machine` does."""
    changed = _loaded(machine, keys)
    changes = {}
    for key, value in keys.items():
        before, now = _value(machine, key), _value(changed, key)
        if before != now:
            changes[key] = (_shown(before, unit), value)
    now_keys = {key: now for key, (_, now) in changes.items()}
    changed = _loaded(machine, now_keys) if changes else machine
    return Resized(mode, rule, machine, changed, changes, unit, budget, used, granularity)


def _value(machine: Machine, key: str) -> Any:
    value = machine.accelerator.config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _shown(value: Any, unit: str) -> Any:
    return show_size(value) if unit == BITS else value
