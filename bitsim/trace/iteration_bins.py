"""Bins of iterations: a run of any length on an axis of a few hundred places.

Assumption: what is binned is constant over ranges of iterations, so a bin holds the exact mean of its iterations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MOST_BINS = 240
# Fewer epochs than this say too little about a run: its bins are then of equal length.
FEW_EPOCHS = 10


class Overlaps(NamedTuple):
    """Ranges cut at the edges of bins: number of the range, of the bin, and iterations they share; all (pieces,)."""

    place: np.ndarray
    bin: np.ndarray
    iterations: np.ndarray


def bin_edges(first: int, last: int, iterations_per_epoch: int | None = None, most: int = MOST_BINS) -> np.ndarray:
    """(bins + 1,) int64 edges of at most `most` bins over [first, last): epochs where they are known and not too many.

    Else bins of equal length, as near as whole iterations allow.
    """
    if iterations_per_epoch is not None:
        inner = range((first // iterations_per_epoch + 1) * iterations_per_epoch, last, iterations_per_epoch)
        if FEW_EPOCHS <= len(inner) + 1 <= most:
            return np.array([first, *inner, last], np.int64)
    bins = min(most, last - first)
    return np.array([first + (last - first) * place // bins for place in range(bins + 1)], np.int64)


def overlaps(edges: np.ndarray, start: np.ndarray, end: np.ndarray) -> Overlaps:
    """Cut half-open ranges [start, end), all within the edges, at the edges."""
    first = np.searchsorted(edges, start, side="right") - 1
    counts = np.searchsorted(edges, end, side="left") - first
    place = np.repeat(np.arange(len(start)), counts)
    number = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts) + first[place]
    iterations = np.minimum(end[place], edges[number + 1]) - np.maximum(start[place], edges[number])
    return Overlaps(place, number, iterations)
