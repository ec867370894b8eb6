"""An array brought to the area of another machine's core or chip."""

from __future__ import annotations

import math
from collections.abc import Callable

from bitsim.accelerators.registry import Machine
from bitsim.area import area_of, core_area_mm2
from bitsim.errors import InputError
from bitsim.iso.record import MM2, Resized, loaded, resized

CORE_AREA, CHIP_AREA = "core-area", "chip-area"
COLS, ROWS, BOTH = "cols", "rows", "both"
GROWTHS = (COLS, ROWS, BOTH)
MOST = 4096  # rows or columns a machine file may have


def to_area(machine: Machine, target: Machine, mode: str, grow: str) -> Resized:
    """`machine` with the largest array whose core (mode core-area) or chip (chip-area) is within that of `target`.

    grow: cols, rows or both.  Raises InputError if no array is that small.
    """

    def size_mm2(of: Machine) -> float:
        return core_area_mm2(of) if mode == CORE_AREA else area_of(of).chip_mm2

    own_mm2, array = core_area_mm2(machine), machine.accelerator.config.array
    if not own_mm2:
        raise InputError(
            f"--iso {mode}: {machine.name}: its accelerator declares no logic, so there is no area to fill"
        )
    budget_mm2 = size_mm2(target)
    shape = {"array.rows": array.rows, "array.cols": array.cols}
    if grow == BOTH:
        room_mm2 = max(0.0, budget_mm2 - (size_mm2(machine) - own_mm2))
        # A hair above, so that an equal machine keeps its rows in spite of rounding.
        shape["array.rows"] = min(MOST, max(1, int(array.rows * math.sqrt(room_mm2 / own_mm2) + 1e-9)))
    key = "array.rows" if grow == ROWS else "array.cols"

    def at(count: int) -> Machine:
        return loaded(machine, shape | {key: count})

    count = _largest(at, size_mm2, budget_mm2)
    if count is None:
        raise InputError(
            f"--iso {mode}: {machine.name}: one {'row' if grow == ROWS else 'column'} and what stays exceed the "
            f"{budget_mm2:.4f} mm2 of {target.name}; allowed: a larger baseline"
            + (", or smaller buffers (--set)" if mode == CHIP_AREA else "")
        )
    used_mm2, next_mm2 = size_mm2(at(count)), _size_or_none(at, size_mm2, count + 1)
    how = {COLS: "columns change, rows stay", ROWS: "rows change, columns stay", BOTH: "rows change, then columns"}
    rule = f"{how[grow]} (--grow {grow}): the largest array within the area; buffers stay in bits"
    step_mm2 = None if next_mm2 is None else next_mm2 - used_mm2
    return resized(mode, rule, machine, shape | {key: count}, MM2, budget_mm2, used_mm2, step_mm2)


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
