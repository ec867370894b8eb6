"""DRAM prices: energy per bit each way and static power, each row with its source and confidence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bitsim.errors import InputError, unknown_key
from bitsim.technology.price import table


@dataclass(frozen=True)
class DramPrice:
    """pJ per bit read and written, and static power in mW."""

    read_pj_per_bit: float
    write_pj_per_bit: float
    static_mw: float
    source: str


@lru_cache(maxsize=32)
def dram_price(name: str) -> DramPrice:
    """Price of the DRAM row `name`.  InputError naming the nearest row if there is none."""
    rows = {row["name"]: row for row in table("dram_energy.csv")}
    if name not in rows:
        raise InputError(f"memory.energy: {unknown_key(name, list(rows)).replace('unknown key', 'unknown DRAM')}")
    row = rows[name]
    return DramPrice(
        float(row["read_pj_per_bit"]),
        float(row["write_pj_per_bit"]),
        float(row["static_mw"]),
        f"dram_energy.csv, {name} ({row['confidence']}): {row['source']}",
    )


def dram_names() -> tuple[str, ...]:
    """Names of all DRAM rows, in the order of the table."""
    return tuple(row["name"] for row in table("dram_energy.csv"))
