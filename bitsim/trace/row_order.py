"""Rows of a table in any order, sorted by iteration_start in bounded memory.

Sorted pieces of `PIECE_ROWS` rows are kept in a file of their own in the temporary folder (40 bytes a row) and merged,
a slice of each at a time.  A table of one piece never leaves memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.precision_file import ROW, PrecisionFile

PIECE_ROWS = 2**21


class RowSorter:
    """The rows of a file sorted by iteration_start, then as they stand; the pieces live as long as this object."""

    def __init__(self, file: PrecisionFile, piece_rows: int = PIECE_ROWS) -> None:
        """Read and sort all rows.  Raises InputError for faults of rows, and where the pieces find no room."""
        self._piece_rows = piece_rows
        self._folder = tempfile.TemporaryDirectory(prefix="bitsim-sort-")
        self._sizes: list[int] = []
        self._only: np.ndarray | None = None
        waiting: list[np.ndarray] = []
        try:
            for rows in file.rows():
                waiting.append(rows)
                if sum(map(len, waiting)) >= piece_rows:
                    self._keep(_sorted(np.concatenate(waiting)))
                    waiting = []
            last = _sorted(np.concatenate([*waiting, np.zeros(0, ROW)]))
            if self._sizes:
                self._keep(last)
            else:
                self._only = last
        except OSError as error:
            raise InputError(
                f"{file.path}: not sorted by iteration_start, and sorting it takes 40 bytes a row in "
                f"{tempfile.gettempdir()}: {error.strerror}"
            ) from None

    def runs(self) -> Iterator[np.ndarray]:
        """(rows,) ROW, run by run in order."""
        if self._only is not None:
            yield self._only
            return
        slice_rows = max(1, 2 * self._piece_rows // len(self._sizes))
        read = [0] * len(self._sizes)
        held = [np.zeros(0, ROW) for _ in self._sizes]
        while True:
            for piece, size in enumerate(self._sizes):
                if not len(held[piece]) and read[piece] < size:
                    held[piece] = self._slice(piece, read[piece], slice_rows)
                    read[piece] += len(held[piece])
            if not any(map(len, held)):
                return
            # Up to the least start at which an unfinished piece may go on; to its end there if that is all it holds.
            unfinished = [h["start"][-1] for h, r, size in zip(held, read, self._sizes, strict=True) if r < size]
            bound = min(unfinished, default=None)
            ends = [len(h) if bound is None else int(np.searchsorted(h["start"], bound)) for h in held]
            if not any(ends):
                self._extend(held, read, bound)
                continue
            yield _sorted(np.concatenate([h[:end] for h, end in zip(held, ends, strict=True)]))
            held = [h[end:] for h, end in zip(held, ends, strict=True)]

    def _extend(self, held: list[np.ndarray], read: list[int], bound: int) -> None:
        """Read on in the pieces whose slice ends at `bound`, so that a later start comes in sight."""
        for piece, size in enumerate(self._sizes):
            if read[piece] < size and held[piece]["start"][-1] == bound:
                more = self._slice(piece, read[piece], max(1, len(held[piece])))
                held[piece] = np.concatenate([held[piece], more])
                read[piece] += len(more)

    def _keep(self, rows: np.ndarray) -> None:
        if len(rows):
            rows.tofile(self._path(len(self._sizes)))
            self._sizes.append(len(rows))

    def _slice(self, piece: int, first: int, rows: int) -> np.ndarray:
        return np.fromfile(self._path(piece), ROW, rows, offset=first * ROW.itemsize)

    def _path(self, piece: int) -> Path:
        return Path(self._folder.name) / str(piece)


def _sorted(rows: np.ndarray) -> np.ndarray:
    """Sorted by start; rows of one start keep the order of the file, which is that of their lines."""
    return rows[np.lexsort((rows["line"], rows["start"]))]
