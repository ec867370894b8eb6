"""Prices of array units from the synthesis table.

Assumption: a unit costs a sixteenth of the 4x4 array synthesised with its wiring, the block BitFusion's
published core energy was tiled from (0.235104 nJ a cycle for 512 fusion units, ISCA 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bitsim.errors import InputError
from bitsim.technology.price import table


@dataclass(frozen=True)
class LogicPrice:
    """One unit: energy of a fully active cycle, leakage, area."""

    active_pj_per_cycle: float
    leakage_mw: float
    area_mm2: float
    source: str


@lru_cache(maxsize=32)
def unit_price(max_bits: int, min_bits: int) -> LogicPrice:
    """Price of a unit of widths min_bits..max_bits.  InputError for a pair that was not synthesised."""
    blocks = _blocks()
    if (max_bits, min_bits) not in blocks:
        allowed = ", ".join(f"{high}/{low}" for high, low in synthesised_widths())
        raise InputError(f"precision: no synthesis of max_bits/min_bits {max_bits}/{min_bits}, allowed: {allowed}")
    row = blocks[max_bits, min_bits]
    units = int(row["rows"]) * int(row["cols"])
    return LogicPrice(
        active_pj_per_cycle=float(row["dynamic_nw"]) / float(row["frequency_hz"]) * 1e3 / units,
        leakage_mw=float(row["leakage_nw"]) * 1e-6 / units,
        area_mm2=float(row["area_um2"]) * 1e-6 / units,
        source=f"logic_synthesis_45nm.csv, 4x4 block of {max_bits}/{min_bits} bit units",
    )


def synthesised_widths() -> tuple[tuple[int, int], ...]:
    """(max_bits, min_bits) of every unit with a price, ascending."""
    return tuple(sorted(_blocks()))


@lru_cache(maxsize=1)
def _blocks() -> dict[tuple[int, int], dict[str, str]]:
    rows = table("logic_synthesis_45nm.csv")
    return {(int(r["max_bits"]), int(r["min_bits"])): r for r in rows if _is_block(r)}


def _is_block(row: dict[str, str]) -> bool:
    return row["rows"] == row["cols"] == "4"
