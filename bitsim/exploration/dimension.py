"""What a name or number of a constraint is a quantity of: bits, seconds, words, their products, or no number.

Assumptions
    - A column of a sweep is a plain number in the unit that its name ends with; one of bits or seconds may also be
      compared with a size or a time.
    - A key of the machine is a quantity if its value is written with a unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from bitsim import units
from bitsim.errors import InputError

Dimension = tuple[int, int, int]  # exponents of bits, seconds, words
# All that a term may be of, at one point or another; empty: not known.
Dimensions = frozenset[Dimension | None]

NO_NUMBER = None
NUMBER, SIZE, TIME, WORDS = (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)
FREQUENCY, BANDWIDTH = (0, -1, 0), (1, -1, 0)
_NAMES = {
    NO_NUMBER: "no number",
    NUMBER: "a number",
    SIZE: "a size",
    TIME: "a time",
    WORDS: "a number of words",
    FREQUENCY: "a frequency",
    BANDWIDTH: "a bandwidth",
}
_ALLOWED = {
    NO_NUMBER: "text in quotes",
    NUMBER: "a number without a unit",
    SIZE: ", ".join(units.SIZES),
    TIME: ", ".join(units.TIMES),
    WORDS: "words",
    FREQUENCY: ", ".join(units.FREQUENCIES),
    BANDWIDTH: ", ".join(units.BANDWIDTHS),
}
_CONVERT: dict[Dimension, Callable[[object], Any]] = {
    SIZE: units.size_bits,
    FREQUENCY: units.frequency_hz,
    BANDWIDTH: units.bandwidth_bits_per_s,
    TIME: units.time_s,
}


def measured(value: Any) -> tuple[Any, Dimension | None]:
    """A value as it is compared, a quantity in base units, and what it is of."""
    if not isinstance(value, str):
        return value, NUMBER if isinstance(value, int | float | Fraction) else NO_NUMBER
    if words := re.fullmatch(r"(\d+) words", value):
        return int(words[1]), WORDS
    for dimension, convert in _CONVERT.items():
        try:
            return convert(value), dimension
        except InputError:
            continue
    return value, NO_NUMBER


def of_column(name: str) -> Dimensions:
    """What a column of a sweep may be compared with."""
    stem = name.removesuffix("_per_iteration")
    unit = SIZE if stem.endswith("_bits") else TIME if stem.endswith("_s") else NUMBER
    return frozenset({NUMBER, unit})


def products(left: Dimensions, right: Dimensions, sign: int) -> Dimensions:
    """Of a product (sign 1) or quotient (-1) of numbers."""
    return frozenset(
        (one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2])
        for one in left
        for other in right
        if one is not None and other is not None
    )


def in_words(dimensions: Dimensions) -> str:
    """``a size``, ``a number or a time``."""
    return " or ".join(dict.fromkeys(_NAMES.get(one, "a product of quantities") for one in _ordered(dimensions)))


def allowed(dimensions: Dimensions) -> str:
    """The units it may be compared with."""
    return " or ".join(dict.fromkeys(_ALLOWED.get(one, "such a product") for one in _ordered(dimensions)))


def _ordered(dimensions: Dimensions) -> list[Dimension | None]:
    return sorted(dimensions, key=lambda one: (one is not None, one != NUMBER, one or NUMBER))
