"""A precision table (.csv, .csv.gz, .parquet) as runs of rows, each a column of integers: never the whole table.

Assumptions
    - A file that is replaced, resized or written to between two looks at it shows so in its inode, size or times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.cells import Faults

BLANK = -1
MAX_NUMBER = 2**53
# Rows of a run: its columns stay in a second-level cache or two, and a hundred runs a second cost nothing.
RUN_ROWS = 2**18
_WHOLE = re.compile(r"\+?([0-9]{1,18})(?:\.0*)?", re.ASCII)
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Columns:
    """What a table may have beside the text column `layer`: {column of whole numbers: what it may hold, in words}."""

    allowed: dict[str, str]
    required: tuple[str, ...]
    optional: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows that follow each other in a file.

    header: columns of the file, in its order.
    numbers: (rows,) integers of each column of the header but `layer`, BLANK where empty.
    Layer of row i is ``names[name_of_row[i]]``; its line (parquet: row, from 1) is ``lines[i]``.
    share: of the file read up to here.
    """

    header: list[str]
    numbers: dict[str, np.ndarray]
    names: list[str]
    name_of_row: np.ndarray
    lines: np.ndarray
    share: float


@dataclass(frozen=True)
class Stamp:
    """What tells one state of a file from another."""

    path: Path
    state: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a regular file.  InputError if it is none."""
        try:
            if path.exists() and not path.is_file():
                raise InputError(f"{path}:1: is a {'folder' if path.is_dir() else 'device or pipe'}, allowed: a file")
            return cls(path, _state(path))
        except OSError as error:
            raise InputError(f"{path}:1: cannot be read: {error.strerror}") from None

    def check(self, place: str) -> None:
        """InputError, naming the place, if the file is no longer in this state."""
        try:
            same = _state(self.path) == self.state
        except OSError:
            same = False
        if not same:
            raise InputError(f"{self.path}: {place}: changed while it was read, allowed: a file that stays as it is")


def read_table(stamp: Stamp, columns: Columns, faults: Faults) -> Iterator[Table]:
    """The rows of a table, run by run; the next is read while one is worked on.

    Cells that are no number are noted in `faults`; runs with any are left out.  InputError for faults of structure,
    and for a file that is cut off, damaged or changed since the stamp.
    """
    from bitsim.trace import csv_table, parquet_table

    module = parquet_table if is_parquet(stamp.path) else csv_table
    return ahead(module.read(stamp, columns, faults))


def is_parquet(path: Path) -> bool:
    """Whether faults of a table name rows (Parquet), not lines."""
    return path.suffix == ".parquet"


def ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """`items`, the next made in a thread while one is worked on."""
    pool = ThreadPoolExecutor(1)
    try:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item
    finally:
        # No waiting: left half read, this runs when the garbage is collected, maybe under a lock the thread needs.
        pool.shutdown(wait=False, cancel_futures=True)


def whole_numbers(texts: Iterable[str], name: str, lines: np.ndarray, faults: Faults, allowed: str) -> np.ndarray:
    """(rows,) int64 of texts, BLANK where empty; what is not a whole number is a fault."""
    known: dict[str, int] = {"": BLANK}
    numbers = np.empty(len(lines), np.int64)
    bad: list[int] = []
    shown: dict[int, str] = {}
    for row, text in enumerate(texts):
        number = known.get(text)
        if number is None:
            match = _WHOLE.fullmatch(text)
            number = known[text] = int(match[1]) if match else -2
        if number == -2 or (number == BLANK and name.startswith("iteration")):
            bad.append(row)
            if len(shown) < 32:
                shown[row] = repr(text[:40]) if text else "blank"
        numbers[row] = number
    faults.add_rows(np.array(bad, np.int64), lines, lambda row: f"{name}: {shown[row]}, allowed: {allowed}")
    return numbers


def factorize(texts: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """(distinct texts, their number for each row)."""
    numbers: dict[str, int] = {}
    codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), np.int64)
    return list(numbers), codes


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def first_line_of(error: Any) -> str:
    """An error of a library, short enough for one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
