"""Rows joined to spans: one range of iterations of one layer, with the histogram of its samples over widths.

Rows come sorted by iteration_start and are joined in one pass, whole blocks of one start at a time.  What must hold:
the spans of a layer join from 0 to the last iteration, and a span is one blank row, or one row of 0 samples, or
numbered rows that add up to its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bitsim.kernels.compile import Kernel, compiled
from bitsim.trace.cells import Faults
from bitsim.trace.precision_file import ROW, PrecisionFile
from bitsim.trace.table_file import BLANK

SPAN = np.dtype([("start", "i8"), ("end", "i8"), ("layer", "i8"), ("first_group", "i8"), ("groups", "i8")])
GROUP = np.dtype([("samples", "i4"), ("widths", "i4")])
# State of a layer: end and line of its spans so far; rows of the block at work as a chain.
LAYER = np.dtype([("reached", "i8"), ("line", "i8"), ("head", "i8"), ("tail", "i8")])
FAULT = np.dtype([("kind", "i8"), ("line", "i8"), ("layer", "i8"), ("one", "i8"), ("other", "i8")])
GAP, OVERLAP, BLANKS, MIXED, BATCHES, TOTAL = range(6)
_MESSAGES = {
    GAP: "gap: nothing is said of iterations {one} to {other}",
    OVERLAP: "overlap: iterations {one} to {other} are said twice",
    BLANKS: "blank samples stand twice in one range, allowed: one blank row, or numbered rows only",
    MIXED: "blank and numbered samples mix in one range, allowed: one blank row, or numbered rows only",
    BATCHES: "batch is {one} and {other} in one range, allowed: one batch",
    TOTAL: "samples add up to {one}, the batch is {other}",
}
# Below so many rows a kernel runs as plain Python: sooner done than loading it compiled.
FEW_ROWS = 10_000


class UnsortedError(Exception):
    """Rows are not sorted by iteration_start."""


@dataclass(frozen=True)
class Spans:
    """Spans sorted by start, then layer.

    spans: (spans,) SPAN; groups of span s are ``groups[first_group : first_group + groups]``, none where the layer
    did not run.  groups: (groups,) GROUP by widths, each width combination once, no group of 0 samples.
    """

    spans: np.ndarray
    groups: np.ndarray


def join_rows(file: PrecisionFile, runs: Iterator[np.ndarray], faults: Faults) -> Iterator[Spans]:
    """Spans of rows sorted by iteration_start.  Faults of ranges and histograms are noted.

    runs: (rows,) ROW each.  Raises UnsortedError at the first row that starts before the one above it.
    """
    state = np.zeros(len(file.layers), LAYER)
    state["head"] = -1
    names = [layer.name for layer in file.layers]
    noted = np.zeros(32, FAULT)
    left = np.zeros(0, ROW)
    last_line = 1
    for rows in runs:
        if not len(rows):
            continue
        last_line = max(last_line, int(rows["line"].max()))
        rows = np.concatenate([left, rows]) if len(left) else rows
        start = rows["start"]
        if (start[1:] < start[:-1]).any():
            raise UnsortedError
        whole = int(np.searchsorted(start, start[-1]))  # the last block may go on in the next run
        left = rows[whole:].copy()
        if whole:
            yield _joined(rows[:whole], state, names, noted, faults)
    if len(left):
        yield _joined(left, state, names, noted, faults)
    for name, reached, line in zip(names, state["reached"].tolist(), state["line"].tolist(), strict=True):
        if not line:
            faults.add(last_line, f"layer {name}: no range, needs 0 to {file.iterations} (or its gate group's)")
        elif reached < file.iterations:
            what = _MESSAGES[GAP].format(one=reached, other=file.iterations)
            faults.add(line, f"layer {name}: {what}")


def by_layer(runs: list[Spans]) -> Spans:
    """Spans of one start, in layer order, from any number of runs."""
    offsets = np.cumsum([0, *(len(run.groups) for run in runs[:-1])])
    moved = [run.spans.copy() for run in runs]
    for spans, offset in zip(moved, offsets.tolist(), strict=True):
        spans["first_group"] += offset
    spans = np.concatenate(moved)
    return Spans(spans[np.argsort(spans["layer"], kind="stable")], np.concatenate([run.groups for run in runs]))


def small_or_compiled(kernel: Kernel, rows: int) -> Kernel:
    """The kernel as plain Python for few rows, which starts at once, else compiled."""
    return kernel.py_func if rows < FEW_ROWS else kernel  # type: ignore[return-value]


def _joined(rows: np.ndarray, state: np.ndarray, names: list[str], noted: np.ndarray, faults: Faults) -> Spans:
    spans, groups = np.empty(len(rows), SPAN), np.empty(len(rows), GROUP)
    after, touched = np.empty(len(rows), np.int64), np.empty(len(names), np.int64)
    kernel = small_or_compiled(join_blocks, len(rows))
    span_count, group_count, fault_count = kernel(rows, after, touched, state, spans, groups, noted)
    for fault in noted[:fault_count]:
        kind, line, layer, one, other = fault.tolist()
        faults.add(line, f"layer {names[layer]}: {_MESSAGES[kind].format(one=one, other=other)}")
    faults.count += max(0, fault_count - len(noted))
    return Spans(spans[:span_count], groups[:group_count])


@compiled
def join_blocks(rows, after, touched, state, spans, groups, faults):  # type: ignore[no-untyped-def]
    """(spans, groups, faults) made of rows sorted by start, in whole blocks of equal start.

    after: (rows,) and touched: (layers,) are scratch; state: (layers,) LAYER goes from call to call; spans,
    groups: room for one a row; of the faults only as many as there is room for are written.
    """
    at, span_count, group_count, fault_count = 0, 0, 0, 0
    while at < len(rows):
        stop, count = at, 0
        while stop < len(rows) and rows[stop]["start"] == rows[at]["start"]:
            layer = rows[stop]["layer"]
            after[stop] = -1
            if state[layer]["head"] < 0:
                state[layer]["head"] = stop
                place = count
                while place > 0 and touched[place - 1] > layer:  # mostly in order already
                    touched[place] = touched[place - 1]
                    place -= 1
                touched[place] = layer
                count += 1
            else:
                after[state[layer]["tail"]] = stop
            state[layer]["tail"] = stop
            stop += 1
        for layer in touched[:count]:
            end = -1
            while True:
                end = next_end(rows, after, state[layer]["head"], end)
                if end < 0:
                    break
                spans[span_count]["start"], spans[span_count]["end"] = rows[at]["start"], end
                spans[span_count]["layer"], spans[span_count]["first_group"] = layer, group_count
                fault_count = check_span(rows, after, layer, end, state, faults, fault_count)
                group_count = add_groups(rows, after, state[layer]["head"], end, groups, group_count)
                spans[span_count]["groups"] = group_count - spans[span_count]["first_group"]
                span_count += 1
            state[layer]["head"] = -1
        at = stop
    return span_count, group_count, fault_count


@compiled
def next_end(rows, after, row, end):  # type: ignore[no-untyped-def]
    """The least end above `end` in a chain of rows, -1 if there is none."""
    found = -1
    while row >= 0:
        if rows[row]["end"] > end and (found < 0 or rows[row]["end"] < found):
            found = rows[row]["end"]
        row = after[row]
    return found


@compiled
def add_groups(rows, after, row, end, groups, count):  # type: ignore[no-untyped-def]
    """Number of groups after adding those of a chain's rows that end at `end`, in order of widths."""
    first = count
    while row >= 0:
        samples = rows[row]["batch"] if rows[row]["samples"] == BLANK else rows[row]["samples"]
        if rows[row]["end"] == end and samples > 0:
            widths, place = rows[row]["widths"], count
            while place > first and groups[place - 1]["widths"] > widths:
                place -= 1
            if place > first and groups[place - 1]["widths"] == widths:
                groups[place - 1]["samples"] += samples
            else:
                for moved in range(count, place, -1):
                    groups[moved] = groups[moved - 1]
                groups[place]["samples"], groups[place]["widths"] = samples, widths
                count += 1
        row = after[row]
    return count


@compiled
def check_span(rows, after, layer, end, state, faults, count):  # type: ignore[no-untyped-def]
    """Number of faults after checking the rows of a chain that end at `end`; the layer's state moves on."""
    row = state[layer]["head"]
    start, reached = rows[row]["start"], state[layer]["reached"]
    size, blanks, total, least, most, first_line, line = 0, 0, 0, 0, 0, 0, 0
    while row >= 0:
        if rows[row]["end"] == end:
            batch, line = rows[row]["batch"], rows[row]["line"]
            if size == 0:
                least, most, first_line = batch, batch, line
            least, most = min(least, batch), max(most, batch)
            if rows[row]["samples"] == BLANK:
                blanks += 1
            else:
                total += rows[row]["samples"]
            size += 1
        row = after[row]
    if start > reached:
        count = note(faults, count, GAP, first_line, layer, reached, start)
    elif start < reached:
        count = note(faults, count, OVERLAP, first_line, layer, start, min(reached, end))
    if blanks == size and size > 1:
        count = note(faults, count, BLANKS, line, layer, 0, 0)
    elif blanks > 0 and size > 1:
        count = note(faults, count, MIXED, line, layer, 0, 0)
    elif least != most:
        count = note(faults, count, BATCHES, line, layer, least, most)
    elif blanks == 0 and total != least and not (total == 0 and size == 1):
        count = note(faults, count, TOTAL, line, layer, total, least)
    state[layer]["reached"] = max(reached, end)
    state[layer]["line"] = first_line
    return count


@compiled
def note(faults, count, kind, line, layer, one, other):  # type: ignore[no-untyped-def]
    """Number of faults after one more, which is written if there is room."""
    if count < len(faults):
        faults[count]["kind"], faults[count]["line"], faults[count]["layer"] = kind, line, layer
        faults[count]["one"], faults[count]["other"] = one, other
    return count + 1
