"""Rows of a result, and how they spread over the iterations of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bitsim.simulation.cost import PassCost
from bitsim.simulation.iterations import CostTable, IterationSums, RunningSums
from bitsim.simulation.summed_batches import SummedBatches
from bitsim.trace import Trace
from bitsim.trace.spans import group_order
from bitsim.workload import Widths


@dataclass(frozen=True)
class Row:
    """`occurrences` runs of one pass of one layer over `samples` samples in one iteration.

    group: widths of its group of samples, of which the pass may use two; None where it stands for a whole batch.
    """

    layer_index: int
    layer: str
    pass_name: str
    samples: int
    occurrences: int
    group: Widths | None
    cost: PassCost

    def record(self, iterations: int) -> dict[str, Any]:
        """The row as columns; the cost stays that of one occurrence."""
        head = {"layer": self.layer, "pass": self.pass_name, "samples": self.samples}
        return head | {"occurrences": self.occurrences, "iterations": iterations} | self.cost.values


class RunRows(Protocol):
    """The rows of a run."""

    def counts(self) -> Iterator[tuple[Row, int]]:
        """Rows in layer order with the iterations they apply to; a row may come more than once."""

    def spans(self) -> Iterator[tuple[int, int, list[Row]]]:
        """(iteration_start, iteration_end, rows) by start, then layer order."""

    def iterations(self, names: list[str]) -> Iterator[IterationSums]:
        """Cycles and energies (columns `names`) of an iteration in each range over which nothing changes, by start."""


@dataclass(frozen=True)
class RowsByDemand:
    """Rows that follow from what the trace asks of their layer alone: a barrier between any two.

    of_batches, of_groups: rows of each of ``batches.listed`` and ``batches.tally.groups()``; the second is empty where
    batches run whole.
    """

    trace: Trace
    batches: SummedBatches
    of_batches: list[list[Row]]
    of_groups: list[list[Row]]

    def counts(self) -> Iterator[tuple[Row, int]]:
        """See RunRows."""
        found = [*zip(self.batches.tally.groups(), self.of_groups, strict=False)]
        found += zip(self.batches.listed, self.of_batches, strict=True)  # type: ignore[arg-type]  # batches and groups mixed
        for demand, rows in sorted(found, key=lambda pair: pair[0].layer_index):
            for row in rows:
                yield row, demand.iterations

    def spans(self) -> Iterator[tuple[int, int, list[Row]]]:
        """See RunRows; a span is one trace row's."""
        for start, end, _, rows in self.layer_spans():
            yield start, end, rows

    @property
    def iteration_range(self) -> tuple[int, int]:
        """Half-open."""
        return self.batches.tally.range

    def layer_spans(self) -> Iterator[tuple[int, int, int, list[Row]]]:
        """(iteration_start, iteration_end, layer index, rows) by start, then layer order; the trace is read again."""
        for run in self.trace.span_runs(*self.iteration_range):
            batches, groups = (numbers.tolist() for numbers in self.batches.find(run))
            columns = (column.tolist() for column in run[:5])
            for (start, end, layer, first, count), batch in zip(zip(*columns, strict=True), batches, strict=True):
                rows: list[Row] = self.of_batches[batch] if batch >= 0 else []
                if self.of_groups and count:
                    by_pass = zip(*(self.of_groups[g] for g in groups[first : first + count]), strict=True)
                    rows = [row for of_pass in by_pass for row in of_pass] + rows
                yield start, end, layer, rows

    def iterations(self, names: list[str]) -> Iterator[IterationSums]:
        """See RunRows; the trace is read again."""
        of_batches, of_groups = (cost_table(rows, names) for rows in (self.of_batches, self.of_groups))
        sums = RunningSums(len(self.trace.layers), len(names))
        for run in self.trace.span_runs(*self.iteration_range):
            batches, groups = self.batches.find(run)
            cycles, energies = of_batches.take(batches)
            if self.of_groups:
                for total, part in zip((cycles, energies), of_groups.take(groups), strict=True):
                    np.add.at(total, np.repeat(np.arange(len(run.start)), run.groups), part[group_order(run)])
            yield from sums.add(run.start, run.layer, cycles, energies)
        yield from sums.finish(self.iteration_range[1])


@dataclass(frozen=True)
class RowsByRange:
    """Rows that depend on their neighbours: one list for each range of iterations in which nothing changes."""

    ranges: list[tuple[int, int, list[Row]]]

    def counts(self) -> Iterator[tuple[Row, int]]:
        """See RunRows."""
        for start, end, rows in self.ranges:
            for row in rows:
                yield row, end - start

    def spans(self) -> Iterator[tuple[int, int, list[Row]]]:
        """See RunRows."""
        return iter(self.ranges)

    def iterations(self, names: list[str]) -> Iterator[IterationSums]:
        """See RunRows."""
        table = cost_table([rows for _, _, rows in self.ranges], names)
        starts, ends = (np.array([place[i] for place in self.ranges], np.int64) for i in (0, 1))
        yield IterationSums(starts, ends, *table.take(np.arange(len(self.ranges))))


def cost_table(lists: list[list[Row]], names: list[str]) -> CostTable:
    """Cycles and energies of lists of rows, each row as often as it occurs."""
    cycles, energies = np.zeros(len(lists) + 1, np.int64), np.zeros((len(lists) + 1, len(names)))
    for place, rows in enumerate(lists):
        for row in rows:
            cycles[place] += int(row.cost.values["cycles"]) * row.occurrences
            energies[place] += [float(row.cost.values[name]) * row.occurrences for name in names]
    return CostTable(cycles, energies)
