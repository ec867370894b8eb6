"""CSV files of a trace as lists of text cells, with line numbers and every structural fault named."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from bitsim.errors import InputError, unknown_key
from bitsim.strict_yaml import read_text

MAX_FAULTS = 20


class Faults:
    """Faults of one file, raised together; beyond 20 only their number is kept."""

    def __init__(self, path: Path, row_word: str = "") -> None:
        self.path, self.row_word = path, row_word
        self.listed: list[str] = []
        self.count = 0

    def add(self, line: int, message: str) -> None:
        """Note a fault of one line (or row)."""
        self.count += 1
        if len(self.listed) < MAX_FAULTS:
            where = f"{self.path}: {self.row_word} {line}" if self.row_word else f"{self.path}:{line}"
            self.listed.append(f"{where}: {message}")

    def check(self) -> None:
        """Raise InputError if there were any."""
        if self.count:
            rest = [f"{self.path}: and {self.count - len(self.listed)} more"] if self.count > len(self.listed) else []
            raise InputError(self.listed + rest)


def check_columns(path: Path, header: Sequence[str], required: Iterable[str], optional: Iterable[str]) -> None:
    """InputError unless `header` has every required column once and no unknown one."""
    required, known = list(required), [*required, *optional]
    faults = [f"{path}:1: missing column {name}" for name in required if name not in header]
    faults += [
        f"{path}:1: column {unknown_key(name, known).replace('key', 'column')}" for name in header if name not in known
    ]
    faults += [f"{path}:1: column {name} stands twice" for name in dict.fromkeys(header) if header.count(name) > 1]
    if faults:
        raise InputError(faults)


def read_cells(path: Path, required: Iterable[str], optional: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a small CSV file: (line, {column: text}).  InputError for any fault of its structure."""
    text = read_text(path, max_bytes=2**28)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    faults = Faults(path)
    found: list[tuple[int, dict[str, str]]] = []
    try:
        header = [name.strip() for name in next(rows)]
        check_columns(path, header, required, optional)
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                faults.add(rows.line_num, f"{len(cells)} cells, the header has {len(header)}")
                continue
            found.append((rows.line_num, dict(zip(header, (c.strip() for c in cells), strict=True))))
    except csv.Error as error:
        faults.add(rows.line_num, f"not CSV: {error}")
    if not found and not faults.count:
        faults.add(1, "no rows below the header")
    faults.check()
    return found
