"""Constraints on points: ``area_mm2 <= 5``, ``array.rows * array.cols <= 512 and weight_buffer < 128KiB``.

A grammar of its own, nothing is evaluated as Python: comparisons (< <= > >= == !=) of sums and products of numbers,
quantities with units, quoted text and names, joined with and, or, not and parentheses.  A name is a column of the
sweep or a key of the machine; sizes compare in bits, clocks in Hz, bandwidths in bit/s, times in s, and each only with
its like.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bitsim.errors import InputError
from bitsim.exploration.dimension import NO_NUMBER, measured
from bitsim.exploration.term import SUMS, DimensionsOf, Lookup, Term, binary, check_compared

MOST_CHARACTERS = 1000
_TOKEN = re.compile(
    r"\s*(?:(?P<quantity>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s?(?!and\b|or\b|not\b)[A-Za-z]+(?:/s)?)?)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_][\w.]*)|(?P<sign><=|>=|==|!=|[-+*/()<>]))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {"*": operator.mul, "/": operator.truediv}
_ALLOWED = "allowed: comparisons such as area_mm2<=5, joined with and, or, not"

_Node = Callable[[Lookup], Any]


@dataclass(frozen=True)
class Constraint:
    """A parsed constraint.  names: every column or key it asks for."""

    text: str
    names: frozenset[str]
    _root: _Node
    _comparisons: tuple[Callable[[DimensionsOf], None], ...]

    def check(self, dimensions_of: DimensionsOf) -> None:
        """Raise InputError for what is compared, or added, and is not alike: a clock and a size, text and a number.

        dimensions_of: from a name to all that it may be a quantity of.
        """
        faults: list[str] = []
        for comparison in self._comparisons:
            try:
                comparison(dimensions_of)
            except InputError as error:
                faults += [f"--where {self.text}: {fault}" for fault in error.faults]
        if faults:
            raise InputError(faults)

    def holds(self, value_of: Lookup) -> bool:
        """Whether the point with these values meets it; where one is missing (None), or divided by zero, it does not.

        value_of: from a name to its value.  Raises InputError where values do not compare.
        """
        try:
            return self._of(value_of)
        except (_MissingError, ZeroDivisionError):
            return False

    def check_values(self, value_of: Lookup) -> None:
        """Raise InputError where these values do not compare, or one is divided by zero."""
        try:
            self._of(value_of)
        except _MissingError:
            pass
        except ZeroDivisionError:
            raise InputError(f"--where {self.text}: divides by zero") from None

    def _of(self, value_of: Lookup) -> bool:
        try:
            return bool(self._root(value_of))
        except TypeError:
            given = ", ".join(f"{name} is {value_of(name)!r}" for name in sorted(self.names))
            raise InputError(f"--where {self.text}: compares text with a number: {given}") from None


class _MissingError(Exception):
    pass


def parse(text: str) -> Constraint:
    """Read a constraint.  Raises InputError saying where it cannot be read."""
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"--where: longer than {MOST_CHARACTERS} characters")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent: or, and, not, comparison, sum, product, factor."""

    def __init__(self, text: str) -> None:
        self.text, self.names = text, set[str]()
        self.comparisons: list[Callable[[DimensionsOf], None]] = []
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._fault(f"cannot be read at {text[at:].strip()[:20]!r}")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind]))
            at = match.end()
        self.place = 0

    def whole(self) -> Constraint:
        """The whole text as one condition."""
        root = self._any(0)
        if self.place < len(self.tokens):
            raise self._fault(f"{self.tokens[self.place][1]!r} is not expected there")
        return Constraint(self.text, frozenset(self.names), root, tuple(self.comparisons))

    def _any(self, depth: int) -> _Node:
        return self._joined("or", self._all, any, depth)

    def _all(self, depth: int) -> _Node:
        return self._joined("and", self._not, all, depth)

    def _joined(self, word: str, part: Callable[[int], _Node], join: Callable[[Any], bool], depth: int) -> _Node:
        parts = [part(depth)]
        while self._take("name", word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else lambda value_of: join(p(value_of) for p in parts)

    def _not(self, depth: int) -> _Node:
        if depth > 32:
            raise self._fault("nested too deeply")
        if self._take("name", "not"):
            inner = self._not(depth + 1)
            return lambda value_of: not inner(value_of)
        start = self.place
        if self._take("sign", "("):  # a condition in parentheses, or a sum that begins with one
            try:
                inside = self._any(depth + 1)
                if self._take("sign", ")") and not self._next_is("sign", (*_COMPARE, *SUMS, *_PRODUCTS)):
                    return inside
            except InputError:
                pass
            self.place = start
        return self._comparison(depth)

    def _comparison(self, depth: int) -> _Node:
        left = self._chain(SUMS, depth)
        if not self._next_is("sign", tuple(_COMPARE)):
            raise self._fault("has no comparison")
        sign = self._advance()
        compare = _COMPARE[sign]
        right = self._chain(SUMS, depth)
        self.comparisons.append(lambda of: check_compared(sign, left, right, of))
        return lambda value_of: compare(left.value(value_of), right.value(value_of))

    def _chain(self, signs: dict[str, Callable[[Any, Any], Any]], depth: int) -> Term:
        def part() -> Term:
            return self._chain(_PRODUCTS, depth) if signs is SUMS else self._factor(depth)

        term = part()
        while self._next_is("sign", tuple(signs)):
            sign, start = self._advance(), self.place
            other = part()
            if sign == "/" and self._is_zero(other, start):
                raise InputError(f"--where {self.text}: divides by zero")
            term = binary(sign, signs[sign], term, other)
        return term

    def _is_zero(self, term: Term, start: int) -> bool:
        """Whether what stands from token `start` on is a sum of numbers alone, and they are nothing."""
        kinds = {kind for kind, _ in self.tokens[start : self.place]}
        return kinds <= {"quantity", "sign"} and term.value(lambda name: name) == 0

    def _factor(self, depth: int) -> Term:
        if depth > 32:
            raise self._fault("nested too deeply")
        if self._take("sign", "("):
            inner = self._chain(SUMS, depth + 1)
            if not self._take("sign", ")"):
                raise self._fault("a parenthesis is not closed")
            return replace(inner, text=f"({inner.text})")
        if self._take("sign", "-"):
            inner = self._factor(depth + 1)
            return replace(inner, text=f"-{inner.text}", value=lambda value_of: -inner.value(value_of))
        if self.place == len(self.tokens):
            raise self._fault("ends too early")
        kind, token = self.tokens[self.place]
        if kind == "sign" or (kind == "name" and token in ("and", "or", "not")):
            raise self._fault(f"{token!r} is not expected there")
        self.place += 1
        if kind == "name":
            self.names.add(token)
            return Term(token, lambda value_of: _present(value_of(token)), lambda of: of(token), has_name=True)
        constant, dimension = (token[1:-1], NO_NUMBER) if kind == "text" else self._quantity(token)
        return Term(token, lambda value_of: constant, lambda of: frozenset({dimension}))

    def _quantity(self, token: str) -> tuple[Any, Any]:
        plain = re.fullmatch(r"[\d.]+(?:[eE][-+]?\d+)?", token)
        value, dimension = measured(float(token) if plain else token)
        if dimension is NO_NUMBER:
            raise self._fault(f"{token}: unknown unit, e.g. 64KiB, 500MHz, 96Gbit/s, 80ns")
        return value, dimension

    def _next_is(self, kind: str, tokens: tuple[str, ...]) -> bool:
        return (
            self.place < len(self.tokens)
            and self.tokens[self.place][0] == kind
            and self.tokens[self.place][1] in tokens
        )

    def _take(self, kind: str, token: str) -> bool:
        taken = self._next_is(kind, (token,))
        self.place += taken
        return taken

    def _advance(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1][1]

    def _fault(self, what: str) -> InputError:
        return InputError(f"--where {self.text}: {what}, {_ALLOWED}")


def _present(value: Any) -> Any:
    if value is None:
        raise _MissingError
    return measured(value)[0]
