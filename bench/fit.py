"""Power laws through measured times: t = constant + factor * n^exponent, and the plain slope of log t over log n.

Errors are relative, so that small sizes count as much as large ones.  Where times hardly grow, an exponent of what
grows says nothing: then the slope is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Times whose largest is below this many times the smallest are taken not to grow.
LEAST_GROWTH = 1.5
EXPONENTS = np.linspace(0.05, 3.0, 591)


@dataclass(frozen=True)
class PowerLaw:
    """slope: of log t over log n.  exponent, constant_s: of the fit with a constant; None where times do not grow."""

    slope: float
    exponent: float | None
    constant_s: float | None


def power_law(sizes: Sequence[float], times_s: Sequence[float]) -> PowerLaw:
    """The least-squares fit to times at four sizes or more, both above 0."""
    n, t = np.asarray(sizes, float), np.asarray(times_s, float)
    if len(n) != len(t) or len(n) < 4 or min(n.min(), t.min()) <= 0:
        raise ValueError("four sizes or more, a time each, all above 0")
    slope = float(np.polyfit(np.log(n), np.log(t), 1)[0])
    if t.max() < LEAST_GROWTH * t.min():
        return PowerLaw(slope, None, None)
    fits = [(*_with_constant(n, t, exponent), float(exponent)) for exponent in EXPONENTS]
    _, constant, exponent = min(fits)
    return PowerLaw(slope, exponent, constant)


def _with_constant(n: np.ndarray, t: np.ndarray, exponent: float) -> tuple[float, float]:
    """(sum of squared relative errors, constant) of the best constant, not below 0, and factor for an exponent."""
    grows = (n / n.max()) ** exponent / t
    (constant, factor), *_ = np.linalg.lstsq(np.stack((1 / t, grows), axis=1), np.ones_like(t), rcond=None)
    if constant < 0:
        constant, factor = 0.0, float(grows.sum() / (grows @ grows))
    return float(((constant / t + factor * grows - 1) ** 2).sum()), float(constant)
