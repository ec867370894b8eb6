"""Reading published rows, and holding ours against them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bitsim.errors import InputError
from bitsim.strict_yaml import read_text


def shipped(name: str) -> list[dict[str, str]]:
    """Rows of a shipped file of published numbers."""
    text = (files("bitsim.reproduce") / "published" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def given(path: Path, required: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """(file:line, cells) of the rows of a user's file.  InputError unless it has all required columns."""
    rows = csv.reader(io.StringIO(read_text(path)))
    header = [name.strip() for name in next(rows)]
    faults = [f"{path}:1: missing column {name}" for name in required if name not in header]
    faults += [f"{path}:1: column {name} twice" for name in dict.fromkeys(header) if header.count(name) > 1]
    found = []
    for cells in rows:
        if not any(cells):
            continue
        if len(cells) != len(header):
            faults.append(f"{path}:{rows.line_num}: {len(cells)} cells, the header has {len(header)}")
        found.append((f"{path}:{rows.line_num}", dict(zip(header, cells, strict=False))))
    if not found and not faults:
        faults.append(f"{path}:1: no rows below the header")
    if faults:
        raise InputError(faults[:20])
    return found


@dataclass(frozen=True)
class Difference:
    """One value that is not as published."""

    row: str
    column: str
    ours: float
    published: float

    def __str__(self) -> str:
        return f"{self.row}: {self.column}: ours {self.ours!r}, published {self.published!r}"


def differences(
    row: str, ours: Mapping[str, float], published: Mapping[str, str], exact: Iterable[str], close: Iterable[str] = ()
) -> list[Difference]:
    """Columns that differ: `exact` at all, `close` by more than 1e-6 of the published value; blank cells are not held.

    Raises InputError naming every cell that is not a finite number.
    """
    found, faults = [], []
    for tolerance, columns in ((0.0, exact), (1e-6, close)):
        for column in columns:
            text = (published.get(column) or "").strip()
            if not text:
                continue
            try:
                # Whole numbers stay whole: beyond 2^53 a float would hide a difference of one.
                value = int(text) if text.isascii() and text.isdecimal() else float(text)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                faults.append(f"{row}: {column}: {text!r} is not a number, allowed: a finite number")
            elif not abs(ours[column] - value) <= tolerance * abs(value):
                found.append(Difference(row, column, ours[column], value))
    if faults:
        raise InputError(faults)
    return found
