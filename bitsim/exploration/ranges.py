"""Values of one parameter: a list, a range in steps or factors, or both mixed.

``8,16,32``; ``8:32:+8`` is 8, 16, 24, 32; ``32KiB:512KiB:x2`` doubles.  Both ends are included where they are met.
A value is read as YAML reads it: a whole number, a number, true or false, else text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from bitsim.errors import InputError

MOST_VALUES = 10_000
_NUMBER = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([A-Za-z]+(?:/s)?)?")
_RANGE = "a range is FIRST:LAST:+STEP or FIRST:LAST:xFACTOR, e.g. 8:32:+8 or 32KiB:512KiB:x2"


def scalar(text: str) -> Any:
    """One value as YAML would read it."""
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d*([eE][-+]?\d+)?|-?\d+[eE][-+]?\d+", text):
        return float(text)
    return {"true": True, "false": False}.get(text, text)


def values(text: str) -> list[Any]:
    """Every value `text` stands for, in order.  Raises InputError for a range that is none, and for a value twice."""
    found: list[Any] = []
    for part in text.split(","):
        found += _span(part.strip()) if ":" in part else [scalar(part.strip())]
        if len(found) > MOST_VALUES:
            raise InputError(f"{text}: more than {MOST_VALUES} values")
    check_distinct(found, text)
    return found


def check_distinct(found: Iterable[Any], what: str) -> None:
    """Raise InputError for an empty list or value, and for a value that stands twice."""
    seen: set[str] = set()
    for value in found:
        spelled = spelling(value)
        if not spelled:
            raise InputError(f"{what}: an empty value, allowed: v1,v2")
        if spelled in seen:
            raise InputError(f"{what}: {value} stands twice, allowed: once")
        seen.add(spelled)
    if not seen:
        raise InputError(f"{what}: no value, allowed: one or more")


def spelling(value: Any) -> str:
    """The same text for the same value: ``32KiB`` and ``32 KiB`` are one."""
    return "".join(str(value).split())


def _span(text: str) -> list[Any]:
    """Values of FIRST:LAST:+STEP or FIRST:LAST:xFACTOR, exact."""
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 3 or parts[2][:1] not in ("+", "x"):
        raise InputError(f"{text}: {_RANGE}")
    ends = [_NUMBER.fullmatch(part) for part in parts[:2]]
    change = _NUMBER.fullmatch(parts[2][1:].strip())
    if change is None or any(end is None for end in ends):
        raise InputError(f"{text}: {_RANGE}")
    units = {end[2] for end in ends if end}
    factor = parts[2][0] == "x"
    if len(units) > 1 or change[2] not in ({None} if factor else units):
        raise InputError(f"{text}: units differ, allowed: the same unit in FIRST, LAST and STEP, none in FACTOR")
    first, last = (Fraction(end[1]) for end in ends if end)
    by = Fraction(change[1])
    if first > last or by <= (1 if factor else 0) or (factor and not first):
        raise InputError(f"{text}: never ends or is empty, allowed: FIRST <= LAST, a STEP above 0, a FACTOR above 1")
    found, value = [], first
    while value <= last:
        found.append(_shown(value, next(iter(units))))
        value = value * by if factor else value + by
        if len(found) > MOST_VALUES:
            raise InputError(f"{text}: more than {MOST_VALUES} values")
    return found


def _shown(value: Fraction, unit: str | None) -> Any:
    number: Any = int(value) if value.denominator == 1 else float(value)
    return f"{number} {unit}" if unit else number
