"""SRAM prices from the CACTI table (tables/README.md).

Assumptions
    - A bank is one macro; its size rounds up to whole words.  Between table sizes energies, leakage
      and area lie on a straight line in log(size), log(value): leaving a size out errs 4.4 % at the
      median, so such a price says "interpolated".  Access width is never interpolated.
    - Banks below 32 words, or below the smallest macro, are register files, of any word width.
    - Leakage includes gate leakage.  A macro that needs the whole period or more is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from bitsim.errors import InputError
from bitsim.technology.price import Price, table
from bitsim.technology.registers import register_file_price

_VALUES = ("read_pj", "write_pj", "leakage_mw", "gate_leakage_mw", "area_mm2", "access_time_ns")
_LEAST_WORDS = 32


@lru_cache(maxsize=1)
def _macros() -> dict[tuple[int, str, int, int], dict[int, dict[str, float]]]:
    """{(node nm, cells, extra ports, access bits): {bank bits: values}}."""
    found: dict[tuple[int, str, int, int], dict[int, dict[str, float]]] = {}
    for row in table("sram_cacti7.csv"):
        key = (int(row["technology_nm"]), row["cell_type"], int(row["read_write_ports"]), int(row["access_width_bits"]))
        found.setdefault(key, {})[int(row["size_bits"])] = {name: float(row[name]) for name in _VALUES}
    return found


@lru_cache(maxsize=1024)
def buffer_price(
    capacity_bits: int, banks: int, access_bits: int, node_nm: int, cells: str, extra_ports: int, clock_hz: Fraction
) -> Price:
    """Price of a buffer of `banks` macros.

    Raises InputError for a node, cell type, width or size outside the table, for a size, bank count,
    width or clock that is not positive, and for a macro not faster than one cycle of `clock_hz`.
    """
    given: dict[str, int | Fraction] = {
        "capacity_bits": capacity_bits,
        "banks": banks,
        "access_bits": access_bits,
        "clock_hz": clock_hz,
    }
    if faults := [f"{name}: {value}: allowed: above 0" for name, value in given.items() if value <= 0]:
        raise InputError(faults)
    words = -(-capacity_bits // (banks * access_bits))
    by_width = _widths(node_nm, cells, extra_ports)
    if words < _LEAST_WORDS or words * access_bits < min(by_width.get(access_bits, [0])):
        bank = register_file_price(words, access_bits, node_nm)
        bank = replace(bank, marks=("register file", *bank.marks))
    elif access_bits not in by_width:
        raise _not_in_table("access bits", access_bits, sorted(by_width))
    else:
        source = f"sram_cacti7.csv, {node_nm} nm {cells}"
        bank = _bank_price(words * access_bits, by_width[access_bits], access_bits, source)
    period_ns = float(10**9 / clock_hz)
    if bank.access_time_ns is not None and bank.access_time_ns >= period_ns:
        raise InputError(
            f"technology.sram_cells: {cells}: a bank of {words * access_bits // 8} B answers in "
            f"{bank.access_time_ns:.2f} ns, too slow for a period of {period_ns:.2f} ns; "
            "allowed: a slower clock, itrs-hp cells, or smaller banks"
        )
    return Price(
        bank.read_pj_per_bit,
        bank.write_pj_per_bit,
        bank.leakage_mw * banks,
        bank.area_mm2 * banks,
        bank.access_time_ns,
        f"{banks} x {bank.source}",
        bank.marks,
    )


def cell_types() -> tuple[str, ...]:
    """Cell types of the table."""
    return tuple(dict.fromkeys(cells for _, cells, _, _ in _macros()))


def _widths(node_nm: int, cells: str, extra_ports: int) -> dict[int, dict[int, dict[str, float]]]:
    """{access bits: {bank bits: values}} of one node, cell type and port count."""
    left = _macros()
    for position, (what, value) in enumerate((("node_nm", node_nm), ("sram_cells", cells), ("ports", extra_ports))):
        fitting = {key[position] for key in left}
        left = {key: sizes for key, sizes in left.items() if key[position] == value}
        if not left:
            raise _not_in_table(what, value, sorted(fitting))
    return {key[3]: sizes for key, sizes in left.items()}


def _not_in_table(what: str, value: object, fitting: Iterable[object]) -> InputError:
    allowed = ", ".join(str(v) for v in fitting)
    return InputError(f"technology: no SRAM with {what} {value} in the table, allowed: {allowed}")


def _bank_price(bits: int, sizes: dict[int, dict[str, float]], access_bits: int, source: str) -> Price:
    if bits > max(sizes):
        raise InputError(f"a bank of {bits // 8} B is above the SRAM table, allowed up to {max(sizes) // 8} B a bank")
    marks: tuple[str, ...] = ()
    if bits in sizes:
        values, how = sizes[bits], ""
    else:
        low, high = max(s for s in sizes if s < bits), min(s for s in sizes if s > bits)
        share = math.log(bits / low) / math.log(high / low)
        values = {
            n: math.exp(math.log(sizes[low][n]) * (1 - share) + math.log(sizes[high][n]) * share) for n in _VALUES
        }
        how, marks = f", interpolated between {low // 8} and {high // 8} B", ("interpolated",)
    return Price(
        values["read_pj"] / access_bits,
        values["write_pj"] / access_bits,
        values["leakage_mw"] + values["gate_leakage_mw"],
        values["area_mm2"],
        values["access_time_ns"],
        f"{bits // 8} B x {access_bits} bit banks, {source}{how}",
        marks,
    )
