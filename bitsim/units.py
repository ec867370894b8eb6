"""Human units to base units, converted here and nowhere else.

Inside the package sizes are bits, times are seconds or cycles, rates are bits per second.
Results are exact integers or :class:`fractions.Fraction`, so that ``96 Gbit/s`` at 500 MHz
is 192 bits a cycle and not 191.99999.
"""

from __future__ import annotations

import re
from fractions import Fraction

from bitsim.errors import InputError, shortened

_SIZE_BITS = {
    "bit": 1,
    "bits": 1,
    "B": 8,
    "KiB": 8 * 2**10,
    "MiB": 8 * 2**20,
    "GiB": 8 * 2**30,
    "kB": 8 * 10**3,
    "MB": 8 * 10**6,
    "Kibit": 2**10,
    "Mibit": 2**20,
}
_FREQUENCY_HZ = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
_BANDWIDTH_BITS_PER_S = {
    "bit/s": 1,
    "Mbit/s": 10**6,
    "Gbit/s": 10**9,
    "Tbit/s": 10**12,
    "MB/s": 8 * 10**6,
    "GB/s": 8 * 10**9,
    "GiB/s": 8 * 2**30,
}
_TIME_S = {
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
    "ps": Fraction(1, 10**12),
}
SIZES, FREQUENCIES = tuple(_SIZE_BITS), tuple(_FREQUENCY_HZ)
BANDWIDTHS, TIMES = tuple(_BANDWIDTH_BITS_PER_S), tuple(_TIME_S)

_QUANTITY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z/]+)")


def _parse(text: object, table: dict, what: str, example: str) -> Fraction:
    match = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in table:
        near = [u for u in table if match and u.lower().replace("i", "") == match[2].lower().replace("i", "")]
        hint = f", did you mean {' or '.join(near)}?" if near else f"; units: {', '.join(table)}"
        raise InputError(f"{shortened(repr(text))} is not a {what}: write a number and a unit, e.g. {example}{hint}")
    return Fraction(match[1]) * table[match[2]]


def size_bits(text: object) -> int:
    """Bits of a size such as ``64 KiB``; an error unless it is a whole number of bits."""
    value = _parse(text, _SIZE_BITS, "size", "64 KiB")
    if value.denominator != 1:
        raise InputError(f"{text!r} is not a whole number of bits")
    return int(value)


def frequency_hz(text: object) -> Fraction:
    """Hertz of a frequency such as ``500 MHz``."""
    return _parse(text, _FREQUENCY_HZ, "frequency", "500 MHz")


def bandwidth_bits_per_s(text: object) -> Fraction:
    """Bits per second of a bandwidth such as ``96 Gbit/s``."""
    return _parse(text, _BANDWIDTH_BITS_PER_S, "bandwidth", "96 Gbit/s")


def time_s(text: object) -> Fraction:
    """Seconds of a time such as ``80 ns``."""
    return _parse(text, _TIME_S, "time", "80 ns")


def show_size(bits: int) -> str:
    """A size in the largest unit that keeps it whole: 524288 bits -> ``64 KiB``."""
    for unit in ("GiB", "MiB", "KiB", "B"):
        if bits and bits % _SIZE_BITS[unit] == 0:
            return f"{bits // _SIZE_BITS[unit]} {unit}"
    return f"{bits} bits"
