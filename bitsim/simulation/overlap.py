"""The rows of a training iteration as one program, each starting while the one before still drains.

Assumptions (docs/microarchitecture.md, between rows)
    - Order: forward from the first layer to the last, what stands behind a layer right after it; then for each layer
      from the last to the first its other passes: its recomputation, what stands behind it again, its gradients, its
      update last.  Iterations are barriers: the weights change between them.
    - Layers form a chain in the order of the trace: forward reads what the forward before wrote, the
      backward passes of a layer read the gradient that the layer after it wrote.  Where that was written by
      the row just before, or with less than two tiles in between, the first load waits for its stores.
    - A recomputation reads what the forward product of its layer read: one layer a checkpoint.
    - Mappings are those chosen with barriers.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bitsim.kernels.program import CLASSES, FENCE, FLAGS, Nest
from bitsim.simulation.cost import CostModel
from bitsim.simulation.rows import Row, RowsByDemand, RowsByRange
from bitsim.simulation.streams import ELEMENTWISE, ELEMENTWISE_BACKWARD
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, RECOMPUTE, WGRAD

WRITES_GRADIENTS = (DGRAD, DGRAD_SECOND)
LAYER_PASSES = (FORWARD, RECOMPUTE, ELEMENTWISE_BACKWARD, *WRITES_GRADIENTS, WGRAD)
RUNS_FORWARD = (FORWARD, ELEMENTWISE)


@dataclass(frozen=True)
class Step:
    """One occurrence of a row.  reads: number of the last step that wrote what it reads; -1 for none."""

    row: Row
    reads: int


def overlapped(model: CostModel, barrier: RowsByDemand) -> RowsByRange:
    """The rows of `barrier` with their neighbours' costs in them; each distinct iteration is timed once."""
    timed: dict[tuple[int, ...], list[Row]] = {}
    ranges = []
    for start, end, running in _iterations(barrier):
        rows = [row for layer in sorted(running) for row in running[layer]]
        key = tuple(map(id, rows))  # rows live as long as `barrier`
        if key not in timed:
            timed[key] = _time(model, rows)
        ranges.append((start, end, timed[key]))
    return RowsByRange(ranges)


def _iterations(barrier: RowsByDemand) -> Iterator[tuple[int, int, dict[int, list[Row]]]]:
    """(start, end, {layer index: its rows}) of each range of iterations in which nothing changes."""
    running: dict[int, list[Row]] = {}
    begun = None
    for start, _, layer, rows in barrier.layer_spans():
        if begun is not None and start > begun:
            yield begun, start, dict(running)
        # Every iteration of every layer lies in one span, so a span that begins replaces the one before.
        begun, running[layer] = start, rows
    if begun is not None:
        yield begun, barrier.iteration_range[1], dict(running)


def in_order(rows: list[Row]) -> list[Step]:
    """The steps of one iteration in the order they run; rows: in layer order, passes of a layer together."""
    steps: list[Step] = []

    def run(row: Row, reads: int) -> None:
        steps.extend([Step(row, reads)] * row.occurrences)

    forward_reads: dict[int, int] = {}
    for row in (r for r in rows if r.pass_name in RUNS_FORWARD):
        before = len(steps) - 1
        run(row, forward_reads.setdefault(row.layer_index, before) if row.pass_name == FORWARD else before)
    written = len(steps) - 1
    for index in sorted({row.layer_index for row in rows}, reverse=True):
        gradient = written
        for row in (r for r in rows if r.layer_index == index and r.pass_name not in RUNS_FORWARD):
            own = row.pass_name not in LAYER_PASSES  # adds up what this layer's passes wrote
            if row.pass_name == RECOMPUTE:
                run(row, forward_reads.get(index, -1))
            else:
                run(row, len(steps) - 1 if own else gradient)
            if row.pass_name in WRITES_GRADIENTS:
                written = len(steps) - 1
            elif row.pass_name == ELEMENTWISE_BACKWARD:  # the layer's own gradient, which its other passes read
                gradient = len(steps) - 1
    return steps


def programs(steps: list[Step]) -> list[list[Nest]]:
    """The nests of each step, in order; the first has a fence where it must wait for the stores of what it reads.

    A store follows the load of the tile two after its own, so two whole tiles in between are enough.
    """
    found = []
    tiles_before = [0]
    for number, step in enumerate(steps):
        nests = list(step.row.cost.nests)
        if step.reads >= 0 and tiles_before[number] - tiles_before[step.reads + 1] < 2:
            nests[0] = _fenced(nests[0])
        found.append(nests)
        tiles_before.append(tiles_before[-1] + int(step.row.cost.values["tiles"]))
    return found


def _time(model: CostModel, rows: list[Row]) -> list[Row]:
    """`rows` at what they cost in one iteration; a row whose occurrences cost differently becomes several."""
    steps = in_order(rows)
    if not steps:
        return rows
    of_step = programs(steps)
    owner = [number for number, nests in enumerate(of_step) for _ in nests]
    classes = np.zeros((len(steps), len(CLASSES)), np.int64)
    np.add.at(classes, owner, model.time(list(itertools.chain.from_iterable(of_step))))
    spent: dict[int, Counter[tuple[int, ...]]] = {id(row): Counter() for row in rows}
    for step, row_classes in zip(steps, classes.tolist(), strict=True):
        spent[id(step.row)][tuple(row_classes)] += 1
    return [
        replace(row, occurrences=count, cost=model.retimed(row.cost, dict(zip(CLASSES, row_classes, strict=True))))
        for row in rows
        for row_classes, count in spent[id(row)].items()
    ]


def _fenced(nest: Nest) -> Nest:
    table = nest.rows.copy()
    table[0, FLAGS] |= FENCE  # the first tile of a nest is the only one of its row in the table
    return Nest(table, nest.runs)
