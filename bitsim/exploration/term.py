"""Sums and products in a constraint: what they are worth at a point, and what they are quantities of."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitsim.errors import InputError
from bitsim.exploration.dimension import NO_NUMBER, Dimensions, allowed, in_words, products

SUMS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}

Lookup = Callable[[str], Any]
DimensionsOf = Callable[[str], Dimensions]


@dataclass(frozen=True)
class Term:
    """A side of a comparison or a part of one: as written, its value, what it is a quantity of, whether it has names.

    dimensions: raises InputError, without the constraint before it, where parts do not go together.
    """

    text: str
    value: Callable[[Lookup], Any]
    dimensions: Callable[[DimensionsOf], Dimensions]
    has_name: bool = False


def binary(sign: str, apply: Callable[[Any, Any], Any], left: Term, right: Term) -> Term:
    """A sum or product of two terms."""

    def dimensions(of: DimensionsOf) -> Dimensions:
        ours, theirs = left.dimensions(of), right.dimensions(of)
        if NO_NUMBER in ours | theirs:
            raise InputError(_text_and_number(left, ours, right, theirs))
        if sign in SUMS:
            _check_alike(left, ours, right, theirs)
            return ours & theirs
        return products(ours, theirs, 1 if sign == "*" else -1)

    return Term(
        f"{left.text} {sign} {right.text}",
        lambda value_of: apply(left.value(value_of), right.value(value_of)),
        dimensions,
        left.has_name or right.has_name,
    )


def check_compared(sign: str, left: Term, right: Term, of: DimensionsOf) -> None:
    """Raise InputError unless both sides may be alike, and all are where one of them is to be less."""
    ours, theirs = left.dimensions(of), right.dimensions(of)
    numberless = NO_NUMBER in ours | theirs and bool(ours) and bool(theirs)
    if numberless and (not ours & theirs if sign in ("==", "!=") else len(ours | theirs) > 1):
        raise InputError(_text_and_number(left, ours, right, theirs))
    _check_alike(left, ours, right, theirs)


def _check_alike(left: Term, ours: Dimensions, right: Term, theirs: Dimensions) -> None:
    if ours and theirs and not ours & theirs:
        asked, its = (left, ours) if left.has_name else (right, theirs)
        raise InputError(
            f"compares {left.text}, {in_words(ours)}, with {right.text}, {in_words(theirs)}, "
            f"allowed for {asked.text}: {allowed(its)}"
        )


def _text_and_number(left: Term, ours: Dimensions, right: Term, theirs: Dimensions) -> str:
    said = ", ".join(f"{t.text} is {in_words(its)}" for t, its in ((left, ours), (right, theirs)) if its)
    return f"compares text with a number: {said}"
