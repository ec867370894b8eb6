"""A tile program: what the sequencer of any machine runs, one row a tile, integers only.

Nothing here knows which accelerator or layer it came from.  A program is flat, a (T, 7) table, or a
Nest: its loops, and the few different tiles they run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bitsim.errors import InputError

# Columns of the tile table.
INPUT_BEATS, WEIGHT_BEATS, PSUM_BEATS, STORE_BEATS, ISSUE, DRAIN, FLAGS = range(7)
COLUMNS = 7

# Flags of a tile. A load may take zero beats of data (nothing real in the tile) yet still turn its half over.
LOAD_INPUT, LOAD_WEIGHT, NEW_OUTPUT, STORE, SWITCH, FENCE = 1, 2, 4, 8, 16, 32
LOAD = LOAD_INPUT | LOAD_WEIGHT

# A flat program of more tiles than this would take gigabytes.
MOST_FLAT_TILES = 2_000_000

# Cycle classes, in the order the engines return them.
CLASSES = ("issue", "fill_drain", "wait_load", "wait_store", "hazard", "switch", "setup")
C_ISSUE, C_FILL_DRAIN, C_WAIT_LOAD, C_WAIT_STORE, C_HAZARD, C_SWITCH, C_SETUP = range(7)


@dataclass(frozen=True)
class Nest:
    """A tile program as loops over runs of equal tiles.

    runs: (levels, most) int64, outermost level first: iterations of each run of a level, in order,
    filled up with 0. rows: (R, 7) int64, one tile for each combination of runs, R the product of the
    levels' counts of runs, the innermost level varying fastest.
    """

    rows: np.ndarray
    runs: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(R,) int64: tiles each row stands for."""
        counts = np.ones(1, np.int64)
        for runs in self.runs:
            counts = (counts[:, None] * runs[runs > 0]).ravel()
        return counts

    @property
    def length(self) -> int:
        """Tiles of the program."""
        return math.prod(self.runs.sum(axis=1).tolist())

    def row_numbers(self, first: int, last: int) -> np.ndarray:
        """(last - first,) int64: the row of the table that each of the tiles [first, last) is."""
        left, numbers, weight = np.arange(first, last), np.zeros(last - first, np.int64), 1
        for runs in self.runs[::-1]:
            ends = np.cumsum(runs[runs > 0])
            left, iteration = np.divmod(left, ends[-1])
            numbers += weight * np.searchsorted(ends, iteration, side="right")
            weight *= len(ends)
        return numbers

    @property
    def tiles(self) -> np.ndarray:
        """(T, 7) int64, the flat program.  InputError if it is too long to lay out."""
        total = self.length
        if total > MOST_FLAT_TILES:
            raise InputError(
                f"timing: this engine lays out every tile, {total} here, allowed {MOST_FLAT_TILES}; "
                "collapsed takes any number"
            )
        return self.rows[self.row_numbers(0, total)]


@dataclass(frozen=True)
class Programs:
    """Many nests in one table: nest c has rows[row_starts[c] : row_starts[c + 1]] and loops runs[c, : depths[c]]."""

    rows: np.ndarray
    row_starts: np.ndarray
    runs: np.ndarray
    depths: np.ndarray

    @classmethod
    def of(cls, nests: Sequence[Nest]) -> Programs:
        """`nests` in one table."""
        starts = np.cumsum([0, *(len(nest.rows) for nest in nests)])
        depths = np.array([nest.runs.shape[0] for nest in nests], np.int64)
        most = max(nest.runs.shape[1] for nest in nests)
        runs = np.zeros((len(nests), max(depths.max(), 1), most), np.int64)
        for c, nest in enumerate(nests):
            runs[c, : nest.runs.shape[0], : nest.runs.shape[1]] = nest.runs
        return cls(np.concatenate([nest.rows for nest in nests]), starts, runs, depths)

    def __len__(self) -> int:
        return len(self.depths)

    def nest(self, c: int) -> Nest:
        """One of the nests."""
        return Nest(self.rows[self.row_starts[c] : self.row_starts[c + 1]], self.runs[c, : self.depths[c]])


def runs_table(runs: list[list[int]]) -> np.ndarray:
    """(levels, most) int64 from a list of runs a level."""
    most = max((len(level) for level in runs), default=1)
    return np.array([level + [0] * (most - len(level)) for level in runs], np.int64).reshape(len(runs), most)


@dataclass(frozen=True)
class PortTiming:
    """Machine constants of the recurrence, in cycles."""

    latency_cycles: int = 0
    turnaround_cycles: int = 0
    setup_cycles: int = 1
    reconfigure_cycles: int = 0

    def array(self) -> np.ndarray:
        """(4,) int64 for the kernels, made once."""
        return self._array

    @cached_property
    def _array(self) -> np.ndarray:
        timing = np.array(
            [self.latency_cycles, self.turnaround_cycles, self.setup_cycles, self.reconfigure_cycles], np.int64
        )
        timing.setflags(write=False)  # shared by all who ask
        return timing
