"""Tracks and counters of tiles that run without a barrier: port, array, results, buffer halves.

Assumptions
    - An operand holds its half from the grant of its load until the last tile that uses it is done; an output
      from the set-up of its first tile (the grant, where partial sums are loaded) until its store has left.
    - Of a range of tiles, what was loaded before it is shown from its first cycle on, what is used after it up to
      its last.  Bits moved count from the first tile of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bitsim.accelerators.seam import INPUT, OUTPUT, WEIGHT
from bitsim.explain.programs import Program
from bitsim.kernels.event_log import (
    ARRIVED,
    BEGIN,
    CHUNK,
    HAZARD,
    ISSUE_END,
    ISSUE_FROM,
    LOAD_END,
    LOAD_GRANT,
    SET_UP,
    STORE_END,
    STORE_GRANT,
    SWITCH,
    VISIBLE,
    WAIT_LOAD,
    WAIT_STORE,
)
from bitsim.kernels.program import FLAGS, LOAD_INPUT, LOAD_WEIGHT, NEW_OUTPUT, PSUM_BEATS, STORE, Nest
from bitsim.mapping.program import exact_sum

ROWS, LOADS, STORES, ARRAY, RESULTS = "rows", "port: loads", "port: stores", "array", "results on their way"
READ, WRITTEN = "DRAM bits read", "DRAM bits written"
WAITS = (("wait_load", WAIT_LOAD), ("wait_store", WAIT_STORE), ("hazard", HAZARD), ("switch", SWITCH))
OPERANDS = ("input", "weight", "psum", "store")
_FLAGS = {INPUT: LOAD_INPUT, WEIGHT: LOAD_WEIGHT, OUTPUT: NEW_OUTPUT}


@dataclass(frozen=True)
class Slice:
    """Something a track does in the cycles [start, end)."""

    track: str
    name: str
    start: int
    end: int
    args: dict[str, int | str]


@dataclass(frozen=True)
class Point:
    """The value of a counter from a cycle on."""

    counter: str
    at: int
    value: int


@dataclass
class Drawing:
    """What has been drawn so far."""

    slices: list[Slice] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def add(self, track: str, name: str, start: int, end: int, **args: int | str) -> None:
        """A slice, unless it takes no cycle."""
        if end > start:
            self.slices.append(Slice(track, name, start, end, args))


class RunTracks:
    """Tiles of programs without a barrier between them; times get `base` added, tile numbers `before`."""

    def __init__(
        self, programs: Sequence[Program], inside: tuple[int, int], log: np.ndarray, before: int, base: int
    ) -> None:
        first, last = inside
        self.number = before + first
        self.log = np.where(log < 0, -1, log + base)
        # Waits are numbers of cycles, not times.
        self.log[:, [column for _, column in WAITS]] = log[:, [column for _, column in WAITS]]
        self.table = np.zeros((last - first, programs[0].nest.rows.shape[1]), np.int64)
        self.moved = np.zeros((last - first, 4), np.int64)
        self.read_before = self.written_before = 0
        self.turns = dict.fromkeys((INPUT, WEIGHT, OUTPUT), 0)  # times a half was turned over before the range
        self.buffers: dict[str, list[str]] = {role: [""] * (last - first) for role in self.turns}
        self.occupied = {role: np.zeros(last - first, np.int64) for role in self.turns}
        at = 0
        for program in programs:
            self._take(program, first - at, last - at)
            at += program.nest.length

    def _take(self, program: Program, first: int, last: int) -> None:
        """Copy what tiles [first, last), numbered from the program's own first, are; count what comes before them."""
        length = program.nest.length
        before, end = min(max(first, 0), length), min(max(last, 0), length)
        earlier = _times_run(program.nest, before)
        for role, flag in _FLAGS.items():
            self.turns[role] += int(earlier[program.nest.rows[:, FLAGS] & flag != 0].sum())
        self.read_before += exact_sum(program.moved_bits[:, :3].sum(axis=1), earlier)
        self.written_before += exact_sum(program.moved_bits[:, 3], earlier)
        numbers = program.nest.row_numbers(before, end)
        to = slice(before - first, end - first)
        self.table[to] = program.nest.rows[numbers]
        self.moved[to] = program.moved_bits[numbers]
        for held in program.held:
            self.buffers[held.role][to] = [held.buffer] * len(numbers)
            self.occupied[held.role][to] = held.occupied_bits[numbers]

    def draw(self, drawing: Drawing, moved: tuple[int, int]) -> None:
        """All tracks and counters; moved: (bits read, bits written) before the run."""
        self._transfers(drawing, moved[0] + self.read_before, moved[1] + self.written_before)
        self._array(drawing)
        for role in _FLAGS:
            self._halves(drawing, role)
        self._occupancy(drawing)

    def _transfers(self, drawing: Drawing, read: int, written: int) -> None:
        for i, (line, bits) in enumerate(zip(self.log.tolist(), self.moved.tolist(), strict=True)):
            tile = self.number + i
            if line[LOAD_GRANT] >= 0:
                brought = {f"{name}_bits": b for name, b in zip(OPERANDS[:3], bits, strict=False) if b}
                args = {"tile": tile, "arrives": line[ARRIVED], **brought}
                drawing.add(LOADS, f"load {tile}", line[LOAD_GRANT], line[LOAD_END], **args)
                read += sum(bits[:3])
                drawing.points.append(Point(READ, line[LOAD_END], read))
            if line[STORE_GRANT] >= 0:
                drawing.add(STORES, f"store {tile}", line[STORE_GRANT], line[STORE_END], tile=tile, output_bits=bits[3])
                written += bits[3]
                drawing.points.append(Point(WRITTEN, line[STORE_END], written))

    def _array(self, drawing: Drawing) -> None:
        """Every cycle of the sequencer under its class, and how long results are under way after that."""
        visible = 0
        for i, line in enumerate(self.log.tolist()):
            tile, at = self.number + i, line[BEGIN]
            for name, column in WAITS:
                drawing.add(ARRAY, name, at, at + line[column], tile=tile)
                at += line[column]
            drawing.add(ARRAY, "setup", line[SET_UP], line[ISSUE_FROM], tile=tile)
            drawing.add(ARRAY, "issue", line[ISSUE_FROM], line[ISSUE_END], tile=tile)
            drawing.add(RESULTS, f"tile {tile}", max(line[ISSUE_END], visible), line[VISIBLE], tile=tile)
            visible = line[VISIBLE]

    def _halves(self, drawing: Drawing, role: str) -> None:
        for begin, end, turn in self._contents(role):
            buffer = self.buffers[role][begin]
            if not buffer:  # a stream of sums that is not mapped
                continue
            start, stop = self._from(role, begin), self._until(role, end)
            track = f"{buffer}: {role}, half {turn % 2}"
            tiles = f"{self.number + begin}" + (f" to {self.number + end - 1}" if end - begin > 1 else "")
            args: dict[str, int | str] = {"tiles": tiles, "occupied_bits": int(self.occupied[role][begin])}
            drawing.add(track, f"{role} {turn}", start, stop, **args)

    def _contents(self, role: str) -> Iterator[tuple[int, int, int]]:
        """(first tile, tile after the last, turn) of what each half holds in the range; turns count from 0."""
        turned = np.flatnonzero(self.table[:, FLAGS] & _FLAGS[role])
        bounds = sorted({0, *turned.tolist()})
        turn = self.turns[role] - 1 if not len(turned) or turned[0] > 0 else self.turns[role]
        for number, (begin, end) in enumerate(zip(bounds, [*bounds[1:], len(self.table)], strict=True)):
            yield begin, end, turn + number

    def _from(self, role: str, begin: int) -> int:
        line, tile = self.log[begin], self.table[begin]
        if not tile[FLAGS] & _FLAGS[role]:
            return int(line[BEGIN])  # loaded before the range
        if role != OUTPUT or tile[PSUM_BEATS]:
            return int(line[LOAD_GRANT])
        return int(line[SET_UP])

    def _until(self, role: str, end: int) -> int:
        line = self.log[end - 1]
        if role == OUTPUT and self.table[end - 1, FLAGS] & STORE:
            return int(line[STORE_END])
        return int(line[VISIBLE])

    def _occupancy(self, drawing: Drawing) -> None:
        """Bits each buffer holds, as its halves are taken and released."""
        changes: dict[str, dict[int, int]] = {}
        for role in _FLAGS:
            for begin, end, _ in self._contents(role):
                buffer, start, stop = self.buffers[role][begin], self._from(role, begin), self._until(role, end)
                if buffer and stop > start:
                    of_buffer = changes.setdefault(buffer, {})
                    bits = int(self.occupied[role][begin])
                    of_buffer[start] = of_buffer.get(start, 0) + bits
                    of_buffer[stop] = of_buffer.get(stop, 0) - bits
        for buffer, steps in changes.items():
            held = 0
            for at, step in sorted(steps.items()):
                held += step
                drawing.points.append(Point(f"{buffer} bits held", at, held))


def _times_run(nest: Nest, before: int) -> np.ndarray:
    """(R,) how often each row of the table is among the first `before` tiles."""
    times = np.zeros(len(nest.rows), np.int64)
    for begin in range(0, before, CHUNK):
        numbers = nest.row_numbers(begin, min(begin + CHUNK, before))
        times += np.bincount(numbers, minlength=len(times))
    return times
