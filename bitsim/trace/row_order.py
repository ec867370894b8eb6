"""Rows of a table in any order, sorted by iteration_start in bounded memory.

Sorted pieces of `PIECE_ROWS` rows are kept in a file of their own in the temporary folder (40 bytes a row) and merged,
a slice of each at a time.  A table of one piece never leaves memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.precision_file import PrecisionFile, Rows, joined

PIECE_ROWS = 2**21
_RECORD = np.dtype([(name, "i8" if name in ("start", "end", "line") else "i4") for name in Rows._fields])
_NONE = Rows(*(np.zeros(0, _RECORD[name]) for name in Rows._fields))


class RowSorter:
    """The rows of a file sorted by iteration_start, then as they stand; the pieces live as long as this object."""

    def __init__(self, file: PrecisionFile) -> None:
        """Read and sort all rows.  Raises InputError for faults of rows, and where the pieces find no room."""
        self._folder: Any = tempfile.TemporaryDirectory(prefix="bitsim-sort-")
        self._place = Path(self._folder.name)
        self._sizes: list[int] = []
        self._only: Rows | None = None
        waiting = [_NONE]
        try:
            for rows in file.rows():
                waiting.append(rows)
                if sum(len(run.line) for run in waiting) >= PIECE_ROWS:
                    self._keep(_sorted(waiting))
                    waiting = [_NONE]
            if self._sizes:
                self._keep(_sorted(waiting))
            else:
                self._only = _sorted(waiting)
        except OSError as error:
            raise InputError(
                f"{file.path}: not sorted by iteration_start, and sorting it takes 40 bytes a row in "
                f"{tempfile.gettempdir()}: {error.strerror}"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        """Another process reads the pieces; this one removes them."""
        return self.__dict__ | {"_folder": None}

    def runs(self) -> Iterator[Rows]:
        """All rows, run by run in order."""
        if self._only is not None:
            yield self._only
            return
        slice_rows = max(1, 2 * PIECE_ROWS // len(self._sizes))
        read = [0] * len(self._sizes)
        held = [_NONE] * len(self._sizes)
        while True:
            for piece in range(len(self._sizes)):
                if not len(held[piece].line):
                    self._read_on(piece, held, read, slice_rows)
            if not any(len(rows.line) for rows in held):
                return
            # An unfinished piece may go on with more rows of the last start in sight: all before the least of those.
            ends = zip(held, read, self._sizes, strict=True)
            bound = min((int(rows.start[-1]) for rows, at, size in ends if at < size), default=None)
            cuts = [len(h.line) if bound is None else int(np.searchsorted(h.start, bound)) for h in held]
            if any(cuts):
                yield _sorted([rows.take(slice(cut)) for rows, cut in zip(held, cuts, strict=True)])
                held = [rows.take(slice(cut, None)) for rows, cut in zip(held, cuts, strict=True)]
                continue
            for piece in range(len(self._sizes)):  # all in sight is of one start: look further where it may go on
                if len(held[piece].line) and held[piece].start[-1] == bound:
                    self._read_on(piece, held, read, slice_rows)

    def _read_on(self, piece: int, held: list[Rows], read: list[int], rows: int) -> None:
        """Hold up to `rows` more rows of a piece."""
        if read[piece] < self._sizes[piece]:
            found = np.fromfile(self._path(piece), _RECORD, rows, offset=read[piece] * _RECORD.itemsize)
            held[piece] = joined([held[piece], Rows(*(np.ascontiguousarray(found[name]) for name in Rows._fields))])
            read[piece] += len(found)

    def _keep(self, rows: Rows) -> None:
        if len(rows.line):
            records = np.empty(len(rows.line), _RECORD)
            for name in Rows._fields:
                records[name] = getattr(rows, name)
            records.tofile(self._path(len(self._sizes)))
            self._sizes.append(len(records))

    def _path(self, piece: int) -> Path:
        return self._place / str(piece)


def _sorted(runs: list[Rows]) -> Rows:
    """Sorted by start; rows of one start keep the order of the file, which is that of their lines."""
    rows = joined(runs)
    return rows.take(np.lexsort((rows.line, rows.start)))
