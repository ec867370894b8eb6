"""Numbers as sums of products, so that a reader can work them out again by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsim.kernels.program import INPUT_BEATS, ISSUE, Nest
from bitsim.mapping.program import Execution

# A sum over more different values than this is not written out.
MOST_TERMS = 6
TRANSFERS = ("input", "weight", "psum", "store")


@dataclass(frozen=True)
class Term:
    """`count` times `each`; working: how `each` comes about, empty where it is a plain number."""

    count: int
    each: int
    working: str = ""


@dataclass(frozen=True)
class Sum:
    """A named number as a sum of terms; no terms where there would be too many to read."""

    name: str
    terms: tuple[Term, ...]
    total: int

    def expression(self) -> str:
        """``2 x 4,608 + 1 x 2,304``; of each term its working where it has one."""
        if not self.terms:
            return f"over tiles of more than {MOST_TERMS} sizes"
        return " + ".join(f"{term.count:,} x {term.working or f'{term.each:,}'}" for term in self.terms)


def issue_sum(nest: Nest) -> Sum:
    """Issue cycles of a program by the issue cycles of its tiles."""
    return _sum("issue_cycles", nest.rows[:, ISSUE], nest.counts)


def beat_sums(execution: Execution, rate: Fraction) -> tuple[Sum, ...]:
    """Beats of the port by what is moved: each transfer of b bits of an operand takes ceil(b / rate)."""
    nest = execution.nest
    found = []
    for i, name in enumerate(TRANSFERS):
        bits, beats = execution.moved_bits[:, i], nest.rows[:, INPUT_BEATS + i]
        each = dict(zip(bits.tolist(), beats.tolist(), strict=True))
        plain = _sum(f"{name}_beats", bits, nest.counts)
        terms = tuple(
            Term(term.count, each[term.each], f"ceil({term.each:,} / {_number(rate)})") for term in plain.terms
        )
        found.append(Sum(plain.name, terms, int(np.dot(beats, nest.counts))))
    return tuple(found)


def _sum(name: str, values: np.ndarray, counts: np.ndarray) -> Sum:
    tally: Counter[int] = Counter()
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if value:
            tally[value] += count
    total = sum(value * count for value, count in tally.items())
    terms = tuple(Term(count, value) for value, count in sorted(tally.items(), reverse=True))
    return Sum(name, terms if len(terms) <= MOST_TERMS else (), total)


def _number(rate: Fraction) -> str:
    if rate.denominator == 1:
        return str(rate.numerator)
    return f"{float(rate):g}" if Fraction(f"{float(rate):g}") == rate else f"({rate})"
