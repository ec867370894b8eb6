"""Rows of a result, and how they spread over the iterations of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from bitsim.simulation.cost import PassCost
from bitsim.trace import SampleGroup, Trace

Demanded = tuple[int, tuple[SampleGroup, ...]]  # (layer index, groups of samples)


@dataclass(frozen=True)
class Row:
    """`occurrences` runs of one pass of one layer over `samples` samples in one iteration."""

    layer_index: int
    layer: str
    pass_name: str
    samples: int
    occurrences: int
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


@dataclass(frozen=True)
class RowsByDemand:
    """Rows that follow from what the trace asks of their layer alone: a barrier between any two.

    rows_of: {(layer index, groups): rows}; it may lack layers that did not run.
    """

    trace: Trace
    iteration_range: tuple[int, int]
    rows_of: dict[Demanded, list[Row]]

    def counts(self) -> Iterator[tuple[Row, int]]:
        """See RunRows."""
        for demand in self.trace.demands(iterations=self.iteration_range):
            for row in self.rows_of[demand.layer_index, demand.groups]:
                yield row, demand.iterations

    def spans(self) -> Iterator[tuple[int, int, list[Row]]]:
        """See RunRows; a span is one trace row's."""
        for span in self.trace.spans(*self.iteration_range):
            rows = self.rows_of.get((span.layer_index, span.groups), [])
            yield span.iteration_start, span.iteration_end, rows


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
