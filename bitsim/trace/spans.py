"""Rows joined to spans: one range of iterations of one layer, with the histogram of its samples over widths.

Rows come sorted by iteration_start and are joined in one pass, whole blocks of one start at a time.  What must hold:
the spans of a layer join from 0 to the last iteration, and a span is one blank row, or one row of 0 samples, or
numbered rows that add up to its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bitsim.kernels.compile import Kernel, compiled
from bitsim.trace.cells import Faults
from bitsim.trace.precision_file import PrecisionFile, Rows, joined
from bitsim.trace.table_file import BLANK

# State of a layer: end and line of its spans so far; rows of the block at work as a chain.
LAYER = np.dtype([("reached", "i8"), ("line", "i8"), ("head", "i8"), ("tail", "i8")])
FAULT = np.dtype([("kind", "i8"), ("line", "i8"), ("layer", "i8"), ("one", "i8"), ("other", "i8")])
NO_FAULT, GAP, OVERLAP, BLANKS, MIXED, BATCHES, TOTAL = range(7)
_MESSAGES = {
    GAP: "gap: nothing is said of iterations {one} to {other}",
    OVERLAP: "overlap: iterations {one} to {other} are said twice",
    BLANKS: "blank samples stand twice in one range, allowed: one blank row, or numbered rows only",
    MIXED: "blank and numbered samples mix in one range, allowed: one blank row, or numbered rows only",
    BATCHES: "batch is {one} and {other} in one range, allowed: one batch",
    TOTAL: "samples add up to {one}, the batch is {other}",
}
# Below so many rows a kernel runs as plain Python: sooner done than loading it compiled.
FEW_ROWS = 4_000
_COMPILED: set[int] = set()


class UnsortedError(Exception):
    """Rows are not sorted by iteration_start."""


class Spans(NamedTuple):
    """Spans sorted by start, then layer.

    start, end, layer, first_group, groups: (spans,) int64.  Groups of span s stand from ``first_group[s]`` on, as
    many as ``groups[s]``, none where the layer did not run.
    group_samples, group_widths: (groups,) int32, by widths, each combination once in a span, no group of 0 samples.
    """

    start: np.ndarray
    end: np.ndarray
    layer: np.ndarray
    first_group: np.ndarray
    groups: np.ndarray
    group_samples: np.ndarray
    group_widths: np.ndarray

    def take(self, which: np.ndarray | slice) -> Spans:
        """Some of the spans."""
        return Spans._make([*(column[which] for column in self[:5]), *self[5:]])


def join_rows(file: PrecisionFile, runs: Iterator[Rows], faults: Faults) -> Iterator[Spans]:
    """Spans of rows sorted by iteration_start.  Faults of ranges and histograms are noted.

    Raises UnsortedError at the first row that starts before the one above it.
    """
    state = np.zeros(len(file.layers), LAYER)
    state["head"] = -1
    names = [layer.name for layer in file.layers]
    noted = np.zeros(32, FAULT)
    open_block: list[Rows] = []  # rows of the last start so far: the next run may have more of it
    last_line = 1
    for run in runs:
        if not len(run.line):
            continue
        last_line = max(last_line, int(run.line.max()))
        if (run.start[1:] < run.start[:-1]).any() or (open_block and run.start[0] < open_block[0].start[0]):
            raise UnsortedError
        more = int(np.searchsorted(run.start, open_block[0].start[0], "right")) if open_block else 0
        open_block.append(run.take(slice(more)))
        if more < len(run.line):
            if len(open_block) > 1:
                yield _spans(joined(open_block), state, names, noted, faults)
            whole = int(np.searchsorted(run.start, run.start[-1]))
            if more < whole:
                yield _spans(run.take(slice(more, whole)), state, names, noted, faults)
            open_block = [run.take(slice(max(more, whole), None))]
    if open_block:
        yield _spans(joined(open_block), state, names, noted, faults)
    for name, reached, line in zip(names, state["reached"].tolist(), state["line"].tolist(), strict=True):
        if not line:
            faults.add(last_line, f"layer {name}: no range, needs 0 to {file.iterations} (or its gate group's)")
        elif reached < file.iterations:
            what = _MESSAGES[GAP].format(one=reached, other=file.iterations)
            faults.add(line, f"layer {name}: {what}")


def by_layer(runs: list[Spans]) -> Spans:
    """Spans of one start, in layer order, from any number of runs."""
    offsets = np.cumsum([0, *(len(run.group_samples) for run in runs[:-1])]).tolist()
    moved = [run._replace(first_group=run.first_group + offset) for run, offset in zip(runs, offsets, strict=True)]
    spans = Spans._make(np.concatenate(columns) for columns in zip(*moved, strict=True))
    return spans.take(np.argsort(spans.layer, kind="stable"))


def group_order(run: Spans) -> np.ndarray:
    """(groups,) places of the groups of a run, span by span."""
    ends = np.cumsum(run.groups)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(run.first_group - (ends - run.groups), run.groups)


def small_or_compiled(kernel: Kernel, rows: int) -> Callable:
    """The kernel as plain Python for few rows, which starts at once, else compiled, and compiled from then on."""
    if rows >= FEW_ROWS:
        _COMPILED.add(id(kernel))
    return kernel if id(kernel) in _COMPILED else kernel.plain


def _spans(rows: Rows, state: np.ndarray, names: list[str], noted: np.ndarray, faults: Faults) -> Spans:
    count = len(rows.line)
    kinds = (np.int64,) * 5 + (np.int32,) * 2
    spans = Spans._make(np.empty(count, kind) for kind in kinds)
    after, touched = np.empty(count, np.int64), np.empty(len(names), np.int64)
    kernel = small_or_compiled(join_blocks, count)
    span_count, group_count, fault_count = kernel(rows, after, touched, state, spans, noted)
    for fault in noted[:fault_count]:
        kind, line, layer, one, other = fault.tolist()
        faults.add(line, f"layer {names[layer]}: {_MESSAGES[kind].format(one=one, other=other)}")
    faults.count += max(0, fault_count - len(noted))
    trimmed = spans.take(slice(span_count))
    return trimmed._replace(
        group_samples=spans.group_samples[:group_count], group_widths=spans.group_widths[:group_count]
    )


@compiled
def join_blocks(rows, after, touched, state, spans, faults):  # type: ignore[no-untyped-def]  # a kernel
    """(spans, groups, faults) made of rows sorted by start, in whole blocks of equal start.

    rows: Rows; after: (rows,) and touched: (layers,) are scratch; state: (layers,) LAYER goes from call to call;
    spans: Spans with room for one span and group a row; of the faults as many are written as there is room for.
    """
    starts, ends, lines, layers, samples, batches, widths = rows
    span_start, span_end, span_layer, first_group, groups, group_samples, group_widths = spans
    at, span_count, group_count, fault_count = 0, 0, 0, 0
    while at < len(starts):
        start, stop, count = starts[at], at, 0
        while stop < len(starts) and starts[stop] == start:
            layer = layers[stop]
            after[stop] = -1
            if state[layer]["head"] < 0:
                state[layer]["head"] = stop
                insert(touched, count, layer)
                count += 1
            else:
                after[state[layer]["tail"]] = stop
            state[layer]["tail"] = stop
            stop += 1
        for layer in touched[:count]:
            head = state[layer]["head"]
            end = next_end(ends, after, head, -1)
            while end >= 0:
                fault_count = check_span(
                    start, end, layer, head, after, ends, lines, samples, batches, state, faults, fault_count
                )
                span_start[span_count], span_end[span_count], span_layer[span_count] = start, end, layer
                first_group[span_count] = group_count
                row = head
                while row >= 0:
                    number = batches[row] if samples[row] == BLANK else samples[row]
                    if ends[row] == end and number > 0:
                        group_count = add_group(
                            group_samples, group_widths, first_group[span_count], group_count, number, widths[row]
                        )
                    row = after[row]
                groups[span_count] = group_count - first_group[span_count]
                span_count += 1
                end = next_end(ends, after, head, end)
            state[layer]["head"] = -1
        at = stop
    return span_count, group_count, fault_count


@compiled
def insert(touched, count, layer):  # type: ignore[no-untyped-def]  # a kernel
    """Put a layer into the sorted (count,) first of `touched`; they mostly come in order."""
    place = count
    while place > 0 and touched[place - 1] > layer:
        touched[place] = touched[place - 1]
        place -= 1
    touched[place] = layer


@compiled
def next_end(ends, after, row, end):  # type: ignore[no-untyped-def]  # a kernel
    """The least end above `end` in a chain of rows, -1 if there is none."""
    found = -1
    while row >= 0:
        if ends[row] > end and (found < 0 or ends[row] < found):
            found = ends[row]
        row = after[row]
    return found


@compiled
def add_group(group_samples, group_widths, first, count, samples, widths):  # type: ignore[no-untyped-def]  # a kernel
    """Number of groups after one more in those from `first` on, which are sorted by widths."""
    place = count
    while place > first and group_widths[place - 1] > widths:
        place -= 1
    if place > first and group_widths[place - 1] == widths:
        group_samples[place - 1] += samples
        return count
    for moved in range(count, place, -1):
        group_samples[moved], group_widths[moved] = group_samples[moved - 1], group_widths[moved - 1]
    group_samples[place], group_widths[place] = samples, widths
    return count + 1


@compiled
def check_span(start, end, layer, row, after, ends, lines, samples, batches, state, faults, count):  # type: ignore[no-untyped-def]  # a kernel
    """Number of faults after checking the rows of a chain that end at `end`; the layer's state moves on."""
    size, blanks, total, least, most, first_line, line = 0, 0, 0, 0, 0, 0, 0
    while row >= 0:
        if ends[row] == end:
            batch, line = batches[row], lines[row]
            if size == 0:
                least, most, first_line = batch, batch, line
            least, most = min(least, batch), max(most, batch)
            if samples[row] == BLANK:
                blanks += 1
            else:
                total += int(samples[row])  # of plain Python, too, in more than 32 bits
            size += 1
        row = after[row]
    reached = state[layer]["reached"]
    # One call of `note` for all kinds: it would be compiled once for each constant it is handed.
    if start != reached:
        kind, one, other = GAP, reached, start
        if start < reached:
            kind, one, other = OVERLAP, start, min(reached, end)
        count = note(faults, count, kind, first_line, layer, one, other)
    kind, one, other = NO_FAULT, 0, 0
    if blanks == size and size > 1:
        kind = BLANKS
    elif blanks > 0 and size > 1:
        kind = MIXED
    elif least != most:
        kind, one, other = BATCHES, least, most
    elif blanks == 0 and total != least and not (total == 0 and size == 1):
        kind, one, other = TOTAL, total, least
    if kind != NO_FAULT:
        count = note(faults, count, kind, line, layer, one, other)
    state[layer]["reached"] = max(reached, end)
    state[layer]["line"] = first_line
    return count


@compiled
def note(faults, count, kind, line, layer, one, other):  # type: ignore[no-untyped-def]  # a kernel
    """Number of faults after one more, which is written if there is room."""
    if count < len(faults):
        faults[count]["kind"], faults[count]["line"], faults[count]["layer"] = kind, line, layer
        faults[count]["one"], faults[count]["other"] = one, other
    return count + 1
