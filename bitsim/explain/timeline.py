"""What the port, the buffer halves and the array do in each cycle, tile by tile: slices on tracks, and counters.

Times are those of kernels.event_log, so of the engines.  A slice is the cycles [start, end).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsim.explain.programs import Program
from bitsim.explain.tracks import ARRAY, ROWS, Drawing, Point, RunTracks, Slice
from bitsim.kernels.event_log import event_log
from bitsim.kernels.program import CLASSES
from bitsim.mapping.program import exact_sum


@dataclass(frozen=True)
class Timeline:
    """Slices and counters by time.

    tiles: (first, last) shown, half-open; total_tiles, cycles, classes: of everything that ran.
    """

    slices: tuple[Slice, ...]
    points: tuple[Point, ...]
    tiles: tuple[int, int]
    total_tiles: int
    cycles: int
    classes: dict[str, int]


def draw(runs: Sequence[Sequence[Program]], timing: np.ndarray, first: int, last: int) -> Timeline:
    """Run all programs and draw tiles [first, last), numbered over all of them.

    runs: programs of a run follow each other without a barrier, runs with one.  timing: (4,) int64 of PortTiming.
    """
    drawing, cycles, tiles = Drawing(), 0, 0
    classes = np.zeros(7, np.int64)
    moved = (0, 0)  # bits read, bits written, before the run
    for programs in runs:
        length = sum(program.nest.length for program in programs)
        inside = (min(max(first - tiles, 0), length), min(max(last - tiles, 0), length))
        log = event_log([program.nest for program in programs], timing, *inside)
        spent = np.array([table.sum(axis=0) for table in log.classes])
        spent[-1] += log.tail
        start = cycles
        for program, own in zip(programs, spent, strict=True):
            end = start + int(own.sum())
            drawing.add(ROWS, program.name, start, end, tiles=program.nest.length)
            start = end
        if inside[0] < inside[1]:
            run = RunTracks(programs, inside, log.tiles, tiles, cycles)
            run.draw(drawing, moved)
            if inside[1] == length:
                _tail(drawing, log.tail, cycles + log.cycles)
        sums = [_sums(program) for program in programs]
        moved = (moved[0] + sum(read for read, _ in sums), moved[1] + sum(written for _, written in sums))
        classes += spent.sum(axis=0)
        cycles, tiles = cycles + log.cycles, tiles + length
    return Timeline(
        tuple(sorted(drawing.slices, key=lambda one: (one.start, one.end))),
        tuple(sorted(drawing.points, key=lambda one: one.at)),
        (min(first, tiles), min(last, tiles)),
        tiles,
        cycles,
        dict(zip(CLASSES, classes.tolist(), strict=True)),
    )


def _sums(program: Program) -> tuple[int, int]:
    """(bits read, bits written) by a program."""
    counts, bits = program.nest.counts, program.moved_bits
    return exact_sum(bits[:, :3].sum(axis=1), counts), exact_sum(bits[:, 3], counts)


def _tail(drawing: Drawing, tail: np.ndarray, end: int) -> None:
    """Cycles after the last tile: its drain, then the last store."""
    drain, store = int(tail[CLASSES.index("fill_drain")]), int(tail[CLASSES.index("wait_store")])
    drawing.add(ARRAY, "fill_drain", end - store - drain, end - store)
    drawing.add(ARRAY, "wait_store", end - store, end)
