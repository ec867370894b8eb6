"""Batches told apart by the widths at which the weight gradients of their groups were written.

What a batch costs as a whole follows from its marginals (trace.tally), but for the sum of its weight gradients, which
reads each at its own width.  A machine has few accumulator widths, so batches of equal marginals differ in few ways.
Where no layer has weight gradients of two widths nothing differs, and the trace is not read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsim.trace import BatchDemand, SampleGroup, Tally, Trace
from bitsim.trace.spans import Spans, group_order


@dataclass(frozen=True)
class SummedBatch:
    """A distinct way a batch runs a layer and sums its weight gradients, and the number of iterations with it.

    whole: all samples at the greatest of each width; partials: {bits: weight gradients written at that width}, empty
    where the batch runs whole.
    """

    layer_index: int
    whole: SampleGroup
    partials: dict[int, int]
    iterations: int


class SummedBatches:
    """The batches of a tally in layer order, and the number of each span's."""

    def __init__(self, trace: Trace, tally: Tally, written: Sequence[int], partials: Sequence[tuple[int, int]]) -> None:
        """Read the trace again, if need be.

        written: weight gradients of each of ``tally.batches()``; partials: (bits, how many) of ``tally.groups()``.
        """
        self.tally = tally
        layers = [demand.layer_index for demand in tally.groups()]
        widths: dict[int, list[int]] = {}
        for layer, bits in sorted({(layer, bits) for layer, (bits, _) in zip(layers, partials, strict=False)}):
            widths.setdefault(layer, []).append(bits)
        # Of each group: the place of its width among those of its layer, and how many weight gradients it writes.
        places = [widths[layer].index(bits) for layer, (bits, _) in zip(layers, partials, strict=False)]
        self._places, self._counts = np.array(places, np.int64), np.array([count for _, count in partials], np.int64)
        self._most_widths = max(map(len, widths.values()), default=1)
        batches = tally.batches()
        iterations = self._iterations(trace, batches)
        self._numbers = {key: number for number, key in enumerate(sorted(iterations))}
        self.listed = [
            _summed(batches[key[0]], widths.get(batches[key[0]].layer_index, []), written[key[0]], key[1:], count)
            for key, count in sorted(iterations.items())
        ]

    def find(self, run: Spans) -> tuple[np.ndarray, np.ndarray]:
        """(number of each span's batch in `listed`, of each group in ``tally.groups()``); -1 as in ``Tally.find``."""
        batches, groups = self.tally.find(run)
        if self._most_widths == 1:
            return batches, groups
        keys, key_of_span = _distinct(self._table(run, batches, groups))
        numbers = np.array([self._numbers.get(key, -1) for key in keys], np.int64)
        return numbers[key_of_span], groups

    def _iterations(self, trace: Trace, batches: list[BatchDemand]) -> dict[tuple[int, ...], int]:
        """{(number of a batch in the tally, weight gradients at all widths of its layer but the least): iterations}."""
        if self._most_widths == 1:
            return {(number,): demand.iterations for number, demand in enumerate(batches)}
        found: Counter[tuple[int, ...]] = Counter()
        for run in trace.span_runs(*self.tally.range):
            keys, key_of_span = _distinct(self._table(run, *self.tally.find(run)))
            iterations = np.zeros(len(keys), np.int64)
            np.add.at(iterations, key_of_span, run.end - run.start)
            for key, count in zip(keys, iterations.tolist(), strict=True):
                if key[0] >= 0:
                    found[key] += count
        return found

    def _table(self, run: Spans, batches: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """(spans, widths) int64: the number of a span's batch in the tally, then its weight gradients by width."""
        listed = groups[group_order(run)]
        table = np.zeros((len(run.start), self._most_widths), np.int64)
        spans = np.repeat(np.arange(len(run.start)), run.groups)
        np.add.at(table.reshape(-1), spans * self._most_widths + self._places[listed], self._counts[listed])
        table[:, 0] = batches  # those at the least width are what is left of all
        return table


def _summed(
    demand: BatchDemand, widths: list[int], written: int, wider: tuple[int, ...], iterations: int
) -> SummedBatch:
    """widths: of its layer's weight gradients, ascending; wider: how many there are at each but the first."""
    counts = zip(widths, (written - sum(wider), *wider), strict=False)
    return SummedBatch(demand.layer_index, demand.whole, {bits: n for bits, n in counts if n}, iterations)


def _distinct(table: np.ndarray) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """(distinct rows of a table of integers, the number among them of each row)."""
    code = table[:, 0]
    for column in table.T[1:]:
        code = np.unique(code * (column.max() + 1) + column, return_inverse=True)[1]
    _, first, numbers = np.unique(code, return_index=True, return_inverse=True)
    return [tuple(row) for row in table[first].tolist()], numbers
