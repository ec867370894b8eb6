"""Reading published rows, and holding ours against them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bitsim.errors import InputError
from bitsim.strict_yaml import raise_faults, read_text

LONGEST_NUMBER = 40  # characters; no count or energy needs more


def shipped(name: str) -> list[dict[str, str]]:
    """Rows of a shipped file of published numbers."""
    text = (files("bitsim.reproduce") / "published" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def given(path: Path, required: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """(file:line, cells) of the rows of a user's file.  InputError unless it has all required columns."""
    rows = csv.reader(io.StringIO(read_text(path)))
    header, faults, found = None, [], []
    try:
        for cells in rows:
            where = f"{path}:{rows.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [name.strip() for name in cells]
                faults += [f"{where}: missing column {name}" for name in required if name not in header]
                twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
                faults += [f"{where}: column {name} twice, allowed: once" for name in twice]
            elif len(cells) != len(header):
                faults.append(f"{where}: {len(cells)} cells, the header has {len(header)}")
            else:
                found.append((where, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        faults.append(f"{path}:{rows.line_num}: not CSV: {error}")
    if not found and not faults:
        faults.append(f"{path}:1: no rows below the header")
    raise_faults(path, faults)
    return found


def whole_number(text: str, least: int, most: int) -> int | None:
    """The whole number in a cell; None if it is none from `least` to `most`."""
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER):
        return None
    value = int(text)
    return value if least <= value <= most else None


def whole_numbers(
    where: str, cells: Mapping[str, str], least: Mapping[str, int], most: int, defaults: Mapping[str, int]
) -> tuple[dict[str, int], list[str]]:
    """({column: value}, faults) of the columns of `least`; a blank cell is its default where it has one."""
    values, faults = dict(defaults), []
    for name, lowest in least.items():
        text = (cells.get(name) or "").strip()
        if not text and name in defaults:
            continue
        value = whole_number(text, lowest, most)
        if value is None:
            shown = text if len(text) <= LONGEST_NUMBER else text[:LONGEST_NUMBER] + "..."
            faults.append(f"{where}: {name}: {shown!r}, allowed: a whole number from {lowest} to {most}")
        else:
            values[name] = value
    return values, faults


def number(text: str) -> int | float | None:
    """The finite number in a cell; None if it is none."""
    if len(text) > LONGEST_NUMBER or not text.isascii() or "_" in text:
        return None
    if text.isdecimal():
        return int(text)  # beyond 2^53 a float would hide a difference of one
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


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
    row: str, ours: Mapping[str, float], published: Mapping[str, str], exact: Sequence[str], close: Sequence[str] = ()
) -> list[Difference]:
    """Columns that differ: `exact` at all, `close` by more than 1e-6 of the published value; blank cells are not held.

    Raises InputError naming every column that is not a finite number, or if all are blank.
    """
    found: list[Difference] = []
    faults: list[str] = []
    if not any((published.get(column) or "").strip() for column in (*exact, *close)):
        faults.append(f"nothing published to hold, allowed: one or more of {', '.join((*exact, *close))}")
    for tolerance, columns in ((0.0, exact), (1e-6, close)):
        for column in columns:
            text = (published.get(column) or "").strip()
            if not text:
                continue
            value = number(text)
            if value is None:
                faults.append(f"{column}: {text[:LONGEST_NUMBER]!r} is not a number, allowed: a finite number")
            elif not abs(ours[column] - value) <= tolerance * abs(value):
                found.append(Difference(row, column, ours[column], value))
    if faults:
        raise InputError(faults)
    return found
