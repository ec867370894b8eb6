"""What was done to a machine to bring it to a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitsim.accelerators.registry import Machine, load_hardware
from bitsim.units import show_size

UNITS, MM2, BITS = "units", "mm2", "bits"


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


def loaded(machine: Machine, keys: dict[str, Any]) -> Machine:
    """`machine` read again with further keys."""
    return load_hardware(machine.source.path, machine.source.overrides | keys)


def resized(
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
    changed = loaded(machine, keys)
    changes = {}
    for key, value in keys.items():
        before, now = _value(machine, key), _value(changed, key)
        if before != now:
            changes[key] = (_shown(before, unit), value)
    now_keys = {key: now for key, (_, now) in changes.items()}
    changed = loaded(machine, now_keys) if changes else machine
    return Resized(mode, rule, machine, changed, changes, unit, budget, used, granularity)


def _value(machine: Machine, key: str) -> Any:
    value = machine.accelerator.config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _shown(value: Any, unit: str) -> Any:
    return show_size(value) if unit == BITS else value
