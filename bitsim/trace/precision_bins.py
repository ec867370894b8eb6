"""Widths of every layer over a run, in bins of iterations: what a picture of a trace of any length is drawn from.

Assumptions
    - A width is the mean over the samples and iterations of a bin that have it, float operands (32) left out.
    - A layer counts as run in an iteration if any sample of it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitsim.trace.iteration_bins import MOST_BINS, bin_edges, overlaps
from bitsim.trace.precision_file import WIDTH_BITS
from bitsim.trace.reader import Trace
from bitsim.trace.spans import Spans, group_order
from bitsim.workload import FLOAT_BITS

# Beyond so many cells (layers x bins) bins become longer.
MOST_CELLS = 1_000_000
OPERANDS = ("activation", "weight", "gradient")


@dataclass(frozen=True)
class PrecisionBins:
    """edges: (bins + 1,) iterations; bits: (3 operands, layers, bins) mean bits, nan where none is below float.

    ran_share: (layers, bins) share of iterations the layer ran in; float_share: of samples with a float operand.
    """

    edges: np.ndarray
    bits: np.ndarray
    ran_share: np.ndarray
    float_share: np.ndarray


def precision_bins(trace: Trace, first: int, last: int) -> PrecisionBins:
    """Widths over the iterations [first, last); the precision table is read again.

    Raises InputError if it changed.
    """
    layers = len(trace.layers)
    most = max(1, min(MOST_BINS, MOST_CELLS // layers))
    edges = bin_edges(first, last, trace.run.iterations_per_epoch, most)
    shape = (layers, len(edges) - 1)
    # Of each cell: iterations run; samples, those with a float operand; of each operand those below float, their bits.
    sums = np.zeros((3 + 2 * len(OPERANDS), *shape))
    for run in trace.span_runs(first, last):
        cut = overlaps(edges, run.start, run.end)
        cell = run.layer[cut.place], cut.bin
        for total, one_iteration in zip(sums, _of_spans(run), strict=True):
            np.add.at(total, cell, one_iteration[cut.place] * cut.iterations)
    ran, samples, floats = sums[:3]
    return PrecisionBins(
        edges,
        _ratio(sums[4::2], sums[3::2], np.nan),
        ran / np.diff(edges),
        _ratio(floats, samples, 0.0),
    )


def _of_spans(run: Spans) -> list[np.ndarray]:
    """What one iteration of each span adds to its cell, in the order of the sums; all (spans,)."""
    spans = len(run.start)
    of_span, order = np.repeat(np.arange(spans), run.groups), group_order(run)
    samples, packed = run.group_samples[order].astype(float), run.group_widths[order].astype(np.int64)
    widths = [packed >> WIDTH_BITS * (4 - place) & (1 << WIDTH_BITS) - 1 for place in range(len(OPERANDS))]
    any_float = np.logical_or.reduce([bits == FLOAT_BITS for bits in widths])
    parts = [samples, samples * any_float]
    for bits in widths:
        quantised = samples * (bits != FLOAT_BITS)
        parts += [quantised, quantised * bits]
    return [(run.groups > 0).astype(float), *(np.bincount(of_span, part, spans) for part in parts)]


def _ratio(parts: np.ndarray, whole: np.ndarray, where_none: float) -> np.ndarray:
    return np.divide(parts, whole, out=np.full(parts.shape, where_none), where=whole > 0)
