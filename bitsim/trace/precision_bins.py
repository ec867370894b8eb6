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
    bit_sums, quantised = np.zeros((3, *shape)), np.zeros((3, *shape))
    samples, floats, ran = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for run in trace.span_runs(first, last):
        runs = overlaps(edges, run.start, run.end)
        here = runs.iterations * (run.groups[runs.place] > 0)
        np.add.at(ran, (run.layer[runs.place], runs.bin), here)
        of_span, group_samples, widths = _groups(run)
        cut = overlaps(edges, run.start[of_span], run.end[of_span])
        cell = run.layer[of_span[cut.place]], cut.bin
        weight = group_samples[cut.place] * cut.iterations
        any_float = np.zeros(len(weight), bool)
        for operand, bits in enumerate(widths):
            is_float = bits[cut.place] == FLOAT_BITS
            any_float |= is_float
            np.add.at(quantised[operand], cell, weight * ~is_float)
            np.add.at(bit_sums[operand], cell, weight * ~is_float * bits[cut.place])
        np.add.at(samples, cell, weight)
        np.add.at(floats, cell, weight * any_float)
    return PrecisionBins(
        edges,
        _ratio(bit_sums, quantised, np.nan),
        ran / np.diff(edges),
        _ratio(floats, samples, 0.0),
    )


def _groups(run: Spans) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """(span, samples, [bits of each operand]) of each group of samples of a run; all (groups,)."""
    order = group_order(run)
    packed = run.group_widths[order].astype(np.int64)
    mask = (1 << WIDTH_BITS) - 1
    widths = [packed >> WIDTH_BITS * (4 - operand) & mask for operand in range(len(OPERANDS))]
    return np.repeat(np.arange(len(run.start)), run.groups), run.group_samples[order].astype(np.int64), widths


def _ratio(parts: np.ndarray, whole: np.ndarray, where_none: float) -> np.ndarray:
    return np.divide(parts, whole, out=np.full(parts.shape, where_none), where=whole > 0)
