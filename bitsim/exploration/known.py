"""What is known of a point before it is simulated: its parameters, its machine's keys, and the area of the chip."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bitsim.accelerators.registry import build
from bitsim.area import area_of
from bitsim.errors import InputError
from bitsim.exploration.space import Point, Space
from bitsim.exploration.task import AREA
from bitsim.hardware.machine_file import MachineSource


class NotBuiltError(Exception):
    """The machine of a point is none, or has no price."""


def known_value(space: Space, point: Point, name: str) -> Any:
    """A parameter, hardware, trace, area, or a key of the machine's file; None for a key that machine has not.

    Raises NotBuiltError where that takes a machine that cannot be built.
    """
    if name == "hardware":
        return space.machines[point.machine].name
    if name == "trace":
        return space.traces[point.trace].name
    if name == AREA:
        return _area_mm2(space.source(point))
    if name in point.overrides:
        return point.overrides[name]
    source = space.source(point)
    written: Any = source.content
    for part in name.split("."):
        written = written.get(part) if isinstance(written, dict) else None
    return _default(source, name) if written is None else written


def _area_mm2(source: MachineSource) -> float:
    try:
        return area_of(build(source)).chip_mm2
    except InputError:
        raise NotBuiltError from None


def _default(source: MachineSource, name: str) -> Any:
    """The value of a key that the file leaves out; None for one the machine has not."""
    try:
        value: Any = build(source).accelerator.config
    except InputError:
        raise NotBuiltError from None
    for part in name.split("."):
        value = getattr(value, part, None)
    return value if isinstance(value, int | float | str | Fraction) else None
