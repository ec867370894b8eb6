"""Prices of the model behind BitFusion's published numbers (Sharma et al., ISCA 2018, released simulator).

Dynamic energy only: leakage is computed by the released simulator and dropped.

Assumptions it makes
    - One energy of the array for every cycle it computes, whatever the precision.
    - A bank of the weight or input buffer is read max_bits² / min_bits bits at a time (32 at 8 and 2 bits),
      one of the output buffer 32 bits; what is narrower than a word pays its share of it.
Where it has no price, ours: a bank that was not printed is one of the CACTI table (45 nm, high-performance
cells), one above that table several of its largest; an array that was not synthesised is priced as the one of
the same max_bits and the nearest min_bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from bitsim.technology import logic, sram

DRAM_NJ_PER_BIT = 15e-3
CORE_NJ_PER_CYCLE = 0.235104  # 512 units of 8/2 bits
CORE_UNITS = 512
OUTPUT_ACCESS_BITS = 32
# pJ per 32-bit access (read, write) by bank bytes, as printed by the released simulator (CACTI, 45 nm).
WEIGHT_BANKS = {128: (0.683701, 0.925317)}
INPUT_BANKS = {
    2048: (1.90318, 3.63853),
    4096: (3.42953, 4.31011),
    8192: (6.39163, 5.56268),
    16384: (9.98170, 8.42090),
}
OUTPUT_BANKS = {512: (1.06112, 2.33854)}
PRINTED_ACCESS_BITS = 32
LEAST_ACCESS_BITS, LARGEST_BANK_BYTES = 8, 2 * 2**20  # of the CACTI table


@dataclass(frozen=True)
class Prices:
    """nJ of a compute cycle of the whole array, and of a bit read or written: (weight, input, output buffer)."""

    core_nj_per_cycle: float
    read_nj_per_bit: tuple[float, float, float]
    write_nj_per_bit: tuple[float, float, float]


@lru_cache(maxsize=1024)
def prices(rows: int, cols: int, max_bits: int, min_bits: int, buffer_bytes: tuple[int, int, int]) -> Prices:
    """Prices of a machine.  buffer_bytes: weight, input, output buffer.

    InputError for an array that was not synthesised at max_bits.
    """
    units = rows * cols
    access_bits = max(LEAST_ACCESS_BITS, _power_of_two(max_bits**2 // min_bits))
    weight, inputs, output = buffer_bytes
    banks = (
        _bank_nj_per_bit(WEIGHT_BANKS, weight, units, access_bits, 0),
        _bank_nj_per_bit(INPUT_BANKS, inputs, rows, access_bits, 0),
        _bank_nj_per_bit(OUTPUT_BANKS, output, cols, OUTPUT_ACCESS_BITS, 1),
    )
    reads, writes = zip(*banks, strict=True)
    return Prices(_core_nj_per_cycle(max_bits, min_bits) * units, reads, writes)


def _core_nj_per_cycle(max_bits: int, min_bits: int) -> float:
    if (max_bits, min_bits) == (8, 2):
        return CORE_NJ_PER_CYCLE / CORE_UNITS
    least = {low for high, low in logic.synthesised_widths() if high == max_bits}
    nearest = min(least, key=lambda low: (abs(low - min_bits), low), default=min_bits)
    return logic.unit_price(max_bits, nearest).active_pj_per_cycle / 1e3


def _bank_nj_per_bit(
    printed: dict[int, tuple[float, float]], capacity_bytes: int, banks: int, access_bits: int, ports: int
) -> tuple[float, float]:
    """(read, write): the printed constant, else the CACTI table."""
    bank_bytes, rest = divmod(capacity_bytes, banks)
    if access_bits == PRINTED_ACCESS_BITS and not rest and bank_bytes in printed:
        read, write = printed[bank_bytes]
        return read / PRINTED_ACCESS_BITS / 1e3, write / PRINTED_ACCESS_BITS / 1e3
    banks = max(banks, -(-capacity_bytes // LARGEST_BANK_BYTES))
    price = sram.buffer_price(capacity_bytes * 8, banks, access_bits, 45, "itrs-hp", ports, Fraction(1))
    return price.read_pj_per_bit / 1e3, price.write_pj_per_bit / 1e3


def _power_of_two(bits: int) -> int:
    return 1 << (bits - 1).bit_length()
