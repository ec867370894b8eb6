"""Cost of an iteration over training, range by range, from costs of spans: as many ranges as there are, in runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bitsim.kernels.compile import compiled
from bitsim.trace.spans import small_or_compiled


@dataclass(frozen=True)
class IterationSums:
    """Ranges of iterations over which nothing changes, in order, and what one iteration of each costs.

    start, end, cycles: (ranges,) int64; values: (ranges, columns), sums of the columns asked for.
    """

    start: np.ndarray
    end: np.ndarray
    cycles: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class CostTable:
    """cycles: (costs + 1,) int64; values: (costs + 1, columns); the last of both is 0, which -1 stands for."""

    cycles: np.ndarray
    values: np.ndarray

    def take(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cycles, values) of costs by number."""
        return self.cycles[numbers], self.values[numbers]


class RunningSums:
    """Sums over layers, kept as spans come by start, whole blocks of equal start at a time.

    The sum of a range is that of its layers anew, not the last one changed: equal iterations cost the same to the
    last bit wherever they stand.
    """

    def __init__(self, layers: int, columns: int) -> None:
        self._cycles, self._values = np.zeros(layers, np.int64), np.zeros((layers, columns))
        self._last: IterationSums | None = None

    def add(
        self, start: np.ndarray, layer: np.ndarray, cycles: np.ndarray, values: np.ndarray
    ) -> Iterator[IterationSums]:
        """Ranges that are complete after these spans."""
        starts = np.empty(len(start), np.int64)
        blocks = int(np.count_nonzero(np.diff(start))) + 1
        total_cycles, total_values = np.empty(blocks, np.int64), np.zeros((blocks, values.shape[1]))
        small_or_compiled(sum_blocks, len(start))(
            start, layer, cycles, values, self._cycles, self._values, starts, total_cycles, total_values
        )
        yield from self.finish(int(start[0]))
        starts = starts[:blocks]
        if blocks > 1:
            yield IterationSums(starts[:-1], starts[1:], total_cycles[:-1], total_values[:-1])
        self._last = IterationSums(starts[-1:], starts[-1:], total_cycles[-1:], total_values[-1:])

    def finish(self, end: int) -> Iterator[IterationSums]:
        """The range still open, which ends at `end`."""
        if self._last is not None:
            last = self._last
            yield IterationSums(last.start, np.array([end]), last.cycles, last.values)
            self._last = None


@compiled
def sum_blocks(start, layer, cycles, energies, now_cycles, now_energies, starts, sums, energy_sums):  # type: ignore[no-untyped-def]  # a kernel
    """Write start, cycles and energies of each block of equal start; the state of the layers goes from call to call."""
    at, block = 0, 0
    while at < len(start):
        stop = at
        while stop < len(start) and start[stop] == start[at]:
            now_cycles[layer[stop]] = cycles[stop]
            for column in range(energies.shape[1]):
                now_energies[layer[stop], column] = energies[stop, column]
            stop += 1
        starts[block], sums[block] = start[at], 0
        for index in range(len(now_cycles)):
            sums[block] += now_cycles[index]
            for column in range(energies.shape[1]):
                energy_sums[block, column] += now_energies[index, column]
        at = stop
        block += 1
