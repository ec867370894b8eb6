"""CPT, cyclic precision training: forward bits on a cosine, again and again.

Source: Fu et al., ICLR 2021, Eq. 1: within a period the width goes from the lowest to the highest on half a cosine,
rounded to the nearest whole number, and starts again.  Forward 3 to 8 bits, 32 periods, backward 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bitsim.schedules.bits import MAX_QUANTISED_BITS, Bits

LOWEST, HIGHEST, PERIODS, GRADIENT_BITS = 3, 8, 32, 8


@dataclass(frozen=True)
class CyclicPrecision:
    """Bits over a run of `iterations` iterations, cut into `periods` periods that differ by one iteration at most.

    ValueError unless 1 <= lowest <= highest <= 31 and 1 <= periods <= iterations.
    """

    iterations: int
    lowest: int = LOWEST
    highest: int = HIGHEST
    periods: int = PERIODS
    gradient_bits: int = GRADIENT_BITS

    def __post_init__(self) -> None:
        if not 1 <= self.lowest <= self.highest <= MAX_QUANTISED_BITS:
            raise ValueError(f"bits {self.lowest} to {self.highest}, allowed: 1 to 31, the lower first")
        if not 1 <= self.periods <= self.iterations:
            raise ValueError(f"periods: {self.periods}, allowed: 1 to {self.iterations}, the iterations")

    def bits(self, iteration: int) -> Bits:
        """Bits in one iteration of [0, iterations)."""
        period = ((iteration + 1) * self.periods - 1) // self.iterations
        start, end = self._edges(period)
        level = self._level(iteration - start, end - start)
        return Bits(level, level, self.gradient_bits)

    def update(self, epoch_loss: float) -> bool:
        """Losses change nothing."""
        return False

    def ranges(self) -> list[tuple[int, int, Bits]]:
        """(first iteration, end, bits) of every stretch of equal bits, in order."""
        found: list[tuple[int, int, Bits]] = []
        for period in range(self.periods):
            start, end = self._edges(period)
            first = start
            while first < end:
                level = self._level(first - start, end - start)
                low, high = first, end  # the cosine only rises: bisect for the first iteration above this level
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if self._level(middle - start, end - start) == level else (low, middle)
                bits = Bits(level, level, self.gradient_bits)
                if found and found[-1][2] == bits:
                    found[-1] = (found[-1][0], high, bits)
                else:
                    found.append((first, high, bits))
                first = high
        return found

    def _edges(self, period: int) -> tuple[int, int]:
        return period * self.iterations // self.periods, (period + 1) * self.iterations // self.periods

    def _level(self, step: int, length: int) -> int:
        rise = (1 - math.cos(math.pi * step / length)) / 2
        return math.floor(self.lowest + (self.highest - self.lowest) * rise + 0.5)
