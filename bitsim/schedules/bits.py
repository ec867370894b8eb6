"""Bits of one layer's operands as controllers decide them, and what they cost in effective MACs.

Source: FracTrain (NeurIPS 2020): an activation, a weight and a gradient width a layer; SBM (Banner et al., NeurIPS
2018) keeps a second, wider copy of the gradient for the weight-gradient product.
"""

from __future__ import annotations

from typing import NamedTuple

FLOAT_BITS = 32
MAX_QUANTISED_BITS = 31
ALLOWED = "whole numbers 1 to 31, or 32 for float"


class Bits(NamedTuple):
    """Widths of one layer; weight_gradient_bits None: gradient_bits.  Written ``a/w/g`` or ``a/w/g/gw``."""

    activation_bits: int
    weight_bits: int
    gradient_bits: int
    weight_gradient_bits: int | None = None

    @classmethod
    def parse(cls, text: str) -> Bits:
        """Bits of a text such as ``3/3/6`` or ``8/8/8/16``.  ValueError naming what is allowed."""
        parts = text.split("/")
        numbers = [int(part) if part.isascii() and part.isdecimal() and len(part) < 3 else 0 for part in parts]
        if len(parts) not in (3, 4) or not all(1 <= number <= FLOAT_BITS for number in numbers):
            raise ValueError(
                f"{text!r}, allowed: activation/weight/gradient bits such as 3/3/6 (a fourth for the weight gradient): "
                + ALLOWED
            )
        return cls(*numbers)

    def __str__(self) -> str:
        return "/".join(str(number) for number in self if number is not None)

    @property
    def cost_percent(self) -> float:
        """FracTrain's cp: 100 x mean over the three training products of bits1 x bits2 / 1024 (32 x 32 bits: 100)."""
        second = self.weight_gradient_bits or self.gradient_bits
        products = (
            self.activation_bits * self.weight_bits,
            self.gradient_bits * self.weight_bits,
            self.activation_bits * second,
        )
        return 100 * sum(products) / 3 / FLOAT_BITS**2


FLOAT = Bits(FLOAT_BITS, FLOAT_BITS, FLOAT_BITS)
