"""CSV text of a trace as lists of cells, with line numbers and every structural fault named."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bitsim.errors import InputError, unknown_key
from bitsim.strict_yaml import MAX_FAULTS, raise_faults, read_text

MAX_LAYERS_BYTES = 2**26
NO_ROWS = "no rows below the header"


class Faults:
    """Faults of one file, raised together by line; beyond 20 only their number is kept."""

    def __init__(self, path: Path, row_word: str = "") -> None:
        self.path, self.row_word = path, row_word
        self.listed: list[tuple[int, str]] = []
        self.count = 0

    def add(self, line: int, message: str) -> None:
        """Note a fault of one line (or row)."""
        self.count += 1
        if len(self.listed) < MAX_FAULTS:
            self.listed.append((line, message))

    def add_rows(self, rows: Any, lines: Any, message: Callable[[int], str]) -> None:
        """Note a fault of each of `rows` (indices into `lines`); messages beyond the list are never made."""
        room = MAX_FAULTS - len(self.listed)
        for row in rows[:room].tolist():
            self.listed.append((int(lines[row]), message(row)))
        self.count += len(rows)

    def absorb(self, other: Faults) -> None:
        """Note all faults of another list."""
        self.listed = sorted([*self.listed, *other.listed])[:MAX_FAULTS]
        self.count += other.count

    def check(self) -> None:
        """Raise InputError if there were any."""
        if self.count:
            where = f"{self.path}: {self.row_word} " if self.row_word else f"{self.path}:"
            listed = [f"{where}{line}: {message}" for line, message in sorted(self.listed, key=lambda fault: fault[0])]
            raise_faults(self.path, listed, self.count)


def check_columns(path: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    """InputError unless `header` has every required column once and no unknown one."""
    faults = Faults(path)
    known = [*required, *optional]
    given = dict.fromkeys(header)
    for name in required:
        if name not in given:
            faults.add(1, f"missing column {name}")
    for name in given:
        if name not in known:
            faults.add(1, "column " + unknown_key(name or "(blank)", known).replace("unknown key", "unknown column"))
        elif len(given) < len(header) and header.count(name) > 1:
            faults.add(1, f"column {name} stands twice")
    faults.check()


def split_header(path: Path, text: str) -> tuple[list[str], str, int]:
    """(names of columns, text below them, its first line).  InputError if the first row is not CSV."""
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, strict=True)
    try:
        cells = next(reader, [])
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    return [name.strip() for name in cells], stream.read(), reader.line_num + 1


def parse_rows(text: str, columns: int, first_line: int, faults: Faults) -> tuple[list[int], list[list[str]], int]:
    """(line of each row, stripped cells of each row, line after the text); blank rows are skipped.

    text: whole rows of `columns` cells; it begins on `first_line` of its file.  Ragged rows and torn quotes
    are faults.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            line = reader.line_num + first_line - 1
            if len(cells) != columns:
                faults.add(line, f"{len(cells)} cells, the header has {columns}")
                continue
            lines.append(line)
            rows.append(stripped)
    except csv.Error as error:
        faults.add(reader.line_num + first_line - 1, f"not CSV: {error}")
    return lines, rows, reader.line_num + first_line


def parse_cells(
    path: Path, text: str, required: Sequence[str], optional: Sequence[str]
) -> tuple[list[str], list[int], list[list[str]]]:
    """(header, line of each row, stripped cells of each row); blank rows are skipped.

    InputError for unknown or missing columns, ragged rows, torn quotes, or no rows at all.
    """
    header, rest, line = split_header(path, text)
    check_columns(path, header, required, optional)
    faults = Faults(path)
    lines, rows, _ = parse_rows(rest, len(header), line, faults)
    if not rows and not faults.count:
        faults.add(1, NO_ROWS)
    faults.check()
    return header, lines, rows


def read_cells(path: Path, required: Sequence[str], optional: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a small CSV file: (line, {column: text}).  InputError for any fault of its structure."""
    header, lines, rows = parse_cells(path, read_text(path, MAX_LAYERS_BYTES), required, optional)
    return [(line, dict(zip(header, cells, strict=True))) for line, cells in zip(lines, rows, strict=True)]
