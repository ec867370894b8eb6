"""Energy of adders, registers and multipliers by width, from the fixed units of the synthesis table.

A fixed unit multiplies two operands of b bits and adds the product to a partial sum.  The four that were
synthesised (2, 4, 8, 16 bits) lie within 0.3 % of constant + per_bit·b + per_bit_product·b², least squares of
relative errors; fitted to the first three it foretells the fourth within 1.5 %.

Assumptions (estimates: the table lists whole units, not their parts)
    - What grows with b² is the multiplier.  The rest is what a unit spends whatever it multiplies: operand and
      partial-sum registers and the adder of the partial sum.
    - An operand bit stands for two bits of sum, so that a bit of an adder with its register is half of per_bit.
      Beside it: what a column of the same table takes beside its units (rows 1x4 against 4x4) is 0.107 pJ at
      8 bits, 0.0067 pJ a bit if its sum has 16 bits; half of per_bit is 0.0055 pJ.
    - Operands of different widths take the mean of both for per_bit, their product for per_bit_product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bitsim.technology import logic


@dataclass(frozen=True)
class Arithmetic:
    """pJ of a multiplier with its adder and registers: constant + per_bit·b + per_bit_product·b²."""

    constant_pj: float
    per_bit_pj: float
    per_bit_product_pj: float
    source: str

    def multiply_add_pj(self, first_bits: int, second_bits: int) -> float:
        """One product of operands of these widths, added to a sum."""
        linear = self.per_bit_pj * (first_bits + second_bits) / 2
        return self.constant_pj + linear + self.per_bit_product_pj * first_bits * second_bits

    def pass_on_pj(self, bits: int) -> float:
        """A cycle of a unit of `bits` bits that multiplies nothing: its registers and the adder of its sum."""
        return self.constant_pj + self.per_bit_pj * bits

    @property
    def add_pj_per_bit(self) -> float:
        """A bit of a sum added to and kept."""
        return self.per_bit_pj / 2


@lru_cache(maxsize=1)
def arithmetic() -> Arithmetic:
    """The fit, computed from the table as it is shipped."""
    import numpy as np

    widths = [high for high, low in logic.synthesised_widths() if high == low]
    energies_pj = np.array([logic.unit_price(bits, bits).active_pj_per_cycle for bits in widths])
    terms = np.array([[1.0, bits, bits**2] for bits in widths]) / energies_pj[:, None]
    constant, per_bit, per_bit_product = np.linalg.lstsq(terms, np.ones(len(widths)), rcond=None)[0].tolist()
    source = f"estimate: fit to the fixed units of {', '.join(map(str, widths))} bits in logic_synthesis_45nm.csv"
    return Arithmetic(constant, per_bit, per_bit_product, source)


@dataclass(frozen=True)
class ColumnPrices:
    """pJ of a column of units that sums pass down: of a bit product, of one sum on its way through all units of
    the column whether they multiply or not, and of a bit of the accumulator at its end."""

    bit_product_pj: float
    step_pj: float
    accumulated_bit_pj: float
    source: str


def column_prices(max_bits: int, min_bits: int, rows: int) -> ColumnPrices:
    """Prices of a column of `rows` units of widths min_bits..max_bits.

    A full unit takes what was synthesised: what it spends on passing sums on is not spent on its products.
    InputError for a pair of widths that was not synthesised.
    """
    unit, estimate = logic.unit_price(max_bits, min_bits), arithmetic()
    passing_pj = estimate.pass_on_pj(max_bits)
    products_pj = unit.active_pj_per_cycle - passing_pj
    return ColumnPrices(products_pj / max_bits**2, rows * passing_pj, estimate.add_pj_per_bit, estimate.source)
