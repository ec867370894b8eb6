"""Ranges of iterations and histograms of samples: what makes them sound, and which are distinct.

Everything here is rows sorted by (layer, iteration_start, iteration_end); rows equal in all three
are the histogram of one span.
"""

from __future__ import annotations

import numpy as np

from bitsim.trace.cells import Faults
from bitsim.trace.demand import SampleGroup
from bitsim.trace.table_file import BLANK
from bitsim.workload import Widths

_BITS = 6  # a width is at most 32
_WIDTHS_BITS = 5 * _BITS


def check_ranges(
    layer: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    lines: np.ndarray,
    names: list[str],
    iterations: int,
    faults: Faults,
) -> None:
    """Note a fault wherever the spans of a layer do not join from 0 to `iterations`.

    layer, start, end, lines: (spans,), sorted.  names: of all layers.
    """
    edges = np.searchsorted(layer, np.arange(len(names) + 1))
    for index, name in enumerate(names):
        part = slice(edges[index], edges[index + 1])
        starts, ends, at = start[part], end[part], lines[part]
        if not len(starts):
            faults.add(
                int(lines.max(initial=1)), f"layer {name}: no range, needs 0 to {iterations} (or its gate group's)"
            )
            continue
        reached = np.concatenate(([0], np.maximum.accumulate(ends)))
        for i in np.flatnonzero(starts != reached[:-1]).tolist():
            if starts[i] > reached[i]:
                what = f"gap: nothing is said of iterations {reached[i]} to {starts[i]}"
            else:
                what = f"overlap: iterations {starts[i]} to {min(reached[i], ends[i])} are said twice"
            faults.add(int(at[i]), f"layer {name}: {what}")
        if reached[-1] < iterations:
            faults.add(int(at[-1]), f"layer {name}: gap: nothing is said of iterations {reached[-1]} to {iterations}")


def check_histograms(
    first: np.ndarray,
    samples: np.ndarray,
    batch: np.ndarray,
    lines: np.ndarray,
    layer: np.ndarray,
    names: list[str],
    faults: Faults,
) -> None:
    """A span is one blank row, or one row of 0, or numbered rows that add up to its batch.

    first: (spans,) first row of each span; samples, batch, lines, layer: (rows,).
    """
    size = np.diff(np.append(first, len(samples)))
    blanks = np.add.reduceat((samples == BLANK).astype(np.int64), first)
    total = np.add.reduceat(np.where(samples == BLANK, 0, samples), first)
    least, most = np.minimum.reduceat(batch, first), np.maximum.reduceat(batch, first)
    mixed = (blanks > 0) & (size > 1)
    idle = (blanks == 0) & (total == 0) & (size == 1)
    wrong = mixed | (least != most) | ((blanks == 0) & ~idle & (total != least))

    def message(i: int) -> str:
        name = names[layer[first[i]]]
        if mixed[i]:
            what = "blank samples stand twice" if blanks[i] == size[i] else "blank and numbered samples mix"
            return f"layer {name}: {what} in one range, allowed: one blank row, or numbered rows only"
        if least[i] != most[i]:
            return f"layer {name}: batch is {least[i]} and {most[i]} in one range, allowed: one batch"
        return f"layer {name}: samples add up to {total[i]}, the batch is {least[i]}"

    faults.add_rows(np.flatnonzero(wrong), lines[first + size - 1], message)


def distinct_histograms(
    span: np.ndarray, columns: dict[str, np.ndarray]
) -> tuple[np.ndarray, tuple[tuple[SampleGroup, ...], ...]]:
    """(number of the histogram of each span, distinct histograms); whatever the order of rows.

    span: (rows,) number of each row's span, rising from 0.  Rows of a span with the same widths are
    one group; blank optional widths take their defaults; groups of no samples are left out.
    """
    spans = int(span[-1]) + 1
    samples = np.where(columns["samples"] == BLANK, columns["batch"], columns["samples"])
    gradient, activation = columns["gradient_bits"], columns["activation_bits"]
    second, output = columns["weight_gradient_bits"], columns["output_bits"]
    second, output = np.where(second == BLANK, gradient, second), np.where(output == BLANK, activation, output)
    packed = np.zeros(len(span), np.int64)
    for bits in (activation, columns["weight_bits"], gradient, second, output):
        packed = packed << _BITS | bits
    runs = samples > 0
    span, samples, packed = span[runs], samples[runs], packed[runs]
    if len(span) and np.any(span[1:] == span[:-1]):
        order = np.lexsort((packed, span))
        span, samples, packed = span[order], samples[order], packed[order]
        new = np.ones(len(span), bool)
        new[1:] = (span[1:] != span[:-1]) | (packed[1:] != packed[:-1])
        merged = np.flatnonzero(new)
        span, samples, packed = span[merged], np.add.reduceat(samples, merged), packed[merged]
    # samples <= 2^20 above 30 bits of widths: one integer names a group.
    keys, kind = np.unique(samples << _WIDTHS_BITS | packed, return_inverse=True)
    kinds = [_group(key) for key in keys.tolist()]
    size = np.bincount(span, minlength=spans)
    offset = np.cumsum(size) - size
    group = np.empty(spans, np.int64)
    groups: list[tuple[SampleGroup, ...]] = []
    for length in np.unique(size).tolist():
        at = np.flatnonzero(size == length)
        code = np.zeros(len(at), np.int64)
        for i in range(length):  # code < spans and kind < rows: the product stays far inside int64
            code = np.unique(code * len(kinds) + kind[offset[at] + i], return_inverse=True)[1]
        _, example, number = np.unique(code, return_index=True, return_inverse=True)
        group[at] = len(groups) + number
        for start in offset[at[example]].tolist():
            groups.append(tuple(kinds[kind[start + i]] for i in range(length)))
    return group, tuple(groups)


def _group(key: int) -> SampleGroup:
    """Undo the packing of samples and five widths into one integer."""
    widths = [key >> _BITS * i & (1 << _BITS) - 1 for i in reversed(range(5))]
    return SampleGroup(key >> _WIDTHS_BITS, Widths(*widths))
