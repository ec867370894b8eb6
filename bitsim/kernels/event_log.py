"""When each tile of a program loads, waits, issues and stores: the event recurrence, written down.

Every time is read off the state before and after the same `advance` and `store` the engines run; the
only thing known here is which stores an `advance` runs (docs/microarchitecture.md, program order of
the port).  A time is the first cycle of a thing, an end the first cycle after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsim.kernels.compile import allocating, compiled
from bitsim.kernels.program import (
    C_HAZARD,
    C_SETUP,
    C_SWITCH,
    C_WAIT_LOAD,
    C_WAIT_STORE,
    FENCE,
    FLAGS,
    INPUT_BEATS,
    ISSUE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    PSUM_BEATS,
    WEIGHT_BEATS,
    Nest,
)
from bitsim.kernels.recurrence import (
    DONE,
    DONE_BEFORE,
    END,
    LOADED,
    OWED,
    OWED_BEFORE,
    STATE,
    STORED,
    advance,
    finish,
    start,
    store,
)

# Columns of a log. BEGIN: the sequencer comes to the tile; then its waits in this order, each a number of
# cycles; SET_UP is the cycle set-up begins in. LOAD_, STORE_: of the tile's own transfers, -1 where it has none.
LOAD_GRANT, LOAD_END, ARRIVED, BEGIN, WAIT_LOAD, WAIT_STORE, HAZARD, SWITCH = range(8)
SET_UP, ISSUE_FROM, ISSUE_END, VISIBLE, STORE_GRANT, STORE_END = range(8, 14)
LOG_COLUMNS = 14
# Tiles laid out at a time, so that a program of any length runs in flat memory.
CHUNK = 2**18


@dataclass(frozen=True)
class EventLog:
    """A run of programs that follow each other without a barrier.

    tiles: (last - first, LOG_COLUMNS) int64, times of the tiles asked for, numbered over all programs.
    classes: one (R, 7) int64 a nest, cycles by class summed over the tiles of each row of its table.
    tail: (7,) int64, cycles by class after the last tile.  cycles: of all of it.
    """

    tiles: np.ndarray
    classes: tuple[np.ndarray, ...]
    tail: np.ndarray

    @property
    def cycles(self) -> int:
        """All cycles."""
        return int(self.tail.sum()) + sum(int(table.sum()) for table in self.classes)


def event_log(nests: Sequence[Nest], timing: np.ndarray, first: int = 0, last: int = 0) -> EventLog:
    """Run `nests` one after the other and log tiles [first, last), by default none.

    timing: (4,) int64 of PortTiming.
    """
    state, tail = np.zeros(STATE, np.int64), np.zeros(7, np.int64)
    log = np.full((last - first, LOG_COLUMNS), -1, np.int64)
    start(state)
    classes, at = [], -first
    for nest in nests:
        by_row = np.zeros((len(nest.rows), 7), np.int64)
        for begin in range(0, nest.length, CHUNK):
            end = min(begin + CHUNK, nest.length)
            log_tiles(state, nest.rows, nest.row_numbers(begin, end), timing, at + begin, log, by_row)
        classes.append(by_row)
        at += nest.length
    log_end(state, timing, at, log, tail)
    return EventLog(log, tuple(classes), tail)


@compiled
def log_store(log, at, beats, end):
    """Note that the store of the tile in row `at` of the log, of `beats` beats, ended before cycle `end`."""
    if 0 <= at < log.shape[0]:
        log[at, STORE_GRANT] = end - 1 - beats
        log[at, STORE_END] = end


@allocating
def end_of_first(state, turnaround):
    """When the older of the two stores owed will have ended, if it runs next; `state` stays as it is."""
    ahead = state.copy()
    store(ahead, ahead[DONE_BEFORE], turnaround)
    return ahead[STORED]


@allocating
def log_tiles(state, rows, numbers, timing, at, log, by_row):
    """Run the tiles rows[numbers] from `state`, which is changed; the first of them has row `at` of the log.

    rows: (R, 7); numbers: (T,); log: (L, LOG_COLUMNS), tiles outside it are run only; by_row: (R, 7), added to.
    """
    classes = np.zeros(7, np.int64)
    for i in range(numbers.shape[0]):
        tile, here = rows[numbers[i]], at + i
        flags, begin = tile[FLAGS], state[END]
        # Two stores run before the load of a tile with a fence; else at most the older one runs, before or after it.
        older, newer = state[OWED_BEFORE], state[OWED] if flags & FENCE else -1
        if older >= 0 and newer >= 0:
            log_store(log, here - 2, older, end_of_first(state, timing[1]))
        classes[:] = 0
        advance(state, tile, timing, classes)
        if newer >= 0:
            log_store(log, here - 1, newer, state[STORED])
        elif older >= 0:
            log_store(log, here - 2, older, state[STORED])
        for k in range(7):
            by_row[numbers[i], k] += classes[k]
        if here < 0 or here >= log.shape[0]:
            continue
        line = log[here]
        if flags & (LOAD_INPUT | LOAD_WEIGHT) != 0 or tile[PSUM_BEATS] > 0:
            line[ARRIVED] = state[LOADED]
            line[LOAD_END] = state[LOADED] - timing[0]
            line[LOAD_GRANT] = line[LOAD_END] - 1 - tile[INPUT_BEATS] - tile[WEIGHT_BEATS] - tile[PSUM_BEATS]
        line[BEGIN] = begin
        line[WAIT_LOAD], line[WAIT_STORE] = classes[C_WAIT_LOAD], classes[C_WAIT_STORE]
        line[HAZARD], line[SWITCH] = classes[C_HAZARD], classes[C_SWITCH]
        line[ISSUE_END], line[VISIBLE] = state[END], state[DONE]
        line[ISSUE_FROM] = state[END] - tile[ISSUE]
        line[SET_UP] = line[ISSUE_FROM] - classes[C_SETUP]


@compiled
def log_end(state, timing, at, log, tail):
    """After the last tile, whose row in the log would be `at` - 1: the stores still owed, and the last cycles."""
    older, newer = state[OWED_BEFORE], state[OWED]
    if older >= 0 and newer >= 0:
        log_store(log, at - 2, older, end_of_first(state, timing[1]))
    finish(state, timing, tail)
    if newer >= 0:
        log_store(log, at - 1, newer, state[STORED])
    elif older >= 0:
        log_store(log, at - 2, older, state[STORED])
