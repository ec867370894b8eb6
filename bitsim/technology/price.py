"""A price with its source, and reading the tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class Price:
    """Price of one memory: energy per bit moved, leakage of all its banks in mW, area in mm2."""

    read_pj_per_bit: float
    write_pj_per_bit: float
    leakage_mw: float
    area_mm2: float
    access_time_ns: float | None
    source: str
    # How far from a row of the table: interpolated, extrapolated, register file (below the SRAM table).
    marks: tuple[str, ...] = ()


@lru_cache(maxsize=8)
def table(name: str) -> tuple[dict[str, str], ...]:
    """Rows of a shipped table, as text."""
    text = (files("bitsim.technology") / "tables" / name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
