"""Iterations of a trace counted by what runs in them: marginals of its histograms, few even where those never repeat.

Two tables hold all that any policy of running samples asks: how often a group of so many samples at such widths
stands in a layer, and how often a batch of so many samples, in so many groups, with such greatest widths.  Both are
hash tables with open addressing, so that a run of rows costs no more than a look-up each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bitsim.kernels.compile import compiled
from bitsim.trace.demand import BatchDemand, GroupDemand, SampleGroup
from bitsim.trace.precision_file import WIDTH_BITS, unpacked
from bitsim.trace.spans import Spans, small_or_compiled

# groups: in the batch, 0 for an entry of one group; iterations 0: a free slot.
ENTRY = np.dtype([(n, "i8") for n in ("layer", "samples", "groups", "widths", "iterations", "first_start")])
_FIRST_SLOTS = 2**10


class Tally:
    """Counts over the iterations [first, last)."""

    def __init__(self, first: int, last: int) -> None:
        self.range = (first, last)
        self.spans = 0
        self._groups, self._batches = np.zeros(_FIRST_SLOTS, ENTRY), np.zeros(_FIRST_SLOTS, ENTRY)
        self._used = np.zeros(2, np.int64)
        self._ranks: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, run: Spans) -> None:
        """Count spans, as far as they lie in the range."""
        at, size = 0, len(run.start)
        kernel = small_or_compiled(count_spans, size)
        self.spans += size
        self._ranks = None
        while (at := kernel(run, at, *self.range, self._groups, self._batches, self._used)) < size:
            groups_used, batches_used = self._used.tolist()
            self._groups = _room(self._groups, groups_used + int(run.groups[at]))
            self._batches = _room(self._batches, batches_used + 1)

    def groups(self) -> list[GroupDemand]:
        """Distinct groups in layer order, then by first use."""
        return [
            GroupDemand(layer, SampleGroup(samples, unpacked(widths)), iterations, start)
            for layer, samples, _, widths, iterations, start in self._entries(self._groups)
        ]

    def batches(self) -> list[BatchDemand]:
        """Distinct batches in layer order, then by first use."""
        return [
            BatchDemand(layer, SampleGroup(samples, unpacked(widths)), groups, iterations, start)
            for layer, samples, groups, widths, iterations, start in self._entries(self._batches)
        ]

    def find(self, run: Spans) -> tuple[np.ndarray, np.ndarray]:
        """(number of each span's batch in `batches`, of each group in `groups`); -1 for spans without groups.

        All spans must lie in the range and have been counted.
        """
        of_batch, of_group = np.full(len(run.start), -1, np.int64), np.full(len(run.group_samples), -1, np.int64)
        small_or_compiled(find_spans, len(run.start))(run, self._groups, self._batches, of_batch, of_group)
        if self._ranks is None:
            self._ranks = _ranks(self._batches), _ranks(self._groups)
        return np.where(of_batch < 0, -1, self._ranks[0][of_batch]), self._ranks[1][of_group]

    def _entries(self, table: np.ndarray) -> Iterator[tuple[int, ...]]:
        return iter(table[_order(table)].tolist())


def _order(table: np.ndarray) -> np.ndarray:
    """Used slots in layer order, then by first use, then by what they hold."""
    used = np.flatnonzero(table["iterations"])
    found = table[used]
    return used[np.lexsort([found[n] for n in ("widths", "groups", "samples", "first_start", "layer")])]


def _ranks(table: np.ndarray) -> np.ndarray:
    """(slots,) place of each used slot in that order."""
    ranks = np.full(len(table), -1, np.int64)
    order = _order(table)
    ranks[order] = np.arange(len(order))
    return ranks


def _room(table: np.ndarray, used: int) -> np.ndarray:
    """The table itself, or one so large that `used` slots are at most half of it."""
    slots = len(table)
    while 2 * used > slots:
        slots *= 2
    if slots == len(table):
        return table
    larger = np.zeros(slots, ENTRY)
    small_or_compiled(move_entries, used)(table, larger)
    return larger


@compiled
def count_spans(spans, at, first, last, group_table, batch_table, used):  # type: ignore[no-untyped-def]  # a kernel
    """Number of spans counted before one would leave either table more than half full.

    used: (2,) slots taken in the two tables.
    """
    starts, ends, layers, first_group, groups, group_samples, group_widths = spans
    while at < len(starts):
        if 2 * (used[0] + groups[at]) > len(group_table) or 2 * (used[1] + 1) > len(batch_table):
            break
        start, end, layer = max(starts[at], first), min(ends[at], last), layers[at]
        if start < end and groups[at] > 0:
            place, stop = first_group[at], first_group[at] + groups[at]
            batch, widths = merged(group_samples, group_widths, place, stop)
            used[1] += add(batch_table, layer, batch, groups[at], widths, end - start, start)
            for group in range(place, stop):
                samples, widths = int(group_samples[group]), int(group_widths[group])
                used[0] += add(group_table, layer, samples, 0, widths, end - start, start)
        at += 1
    return at


@compiled
def find_spans(spans, group_table, batch_table, of_batch, of_group):  # type: ignore[no-untyped-def]  # a kernel
    """Write the slots of spans and of their groups."""
    _, _, layers, first_group, groups, group_samples, group_widths = spans
    for at in range(len(layers)):
        place, stop = first_group[at], first_group[at] + groups[at]
        if place < stop:
            batch, widths = merged(group_samples, group_widths, place, stop)
            of_batch[at] = slot_of(batch_table, layers[at], batch, groups[at], widths)
        for group in range(place, stop):
            samples, widths = int(group_samples[group]), int(group_widths[group])
            of_group[group] = slot_of(group_table, layers[at], samples, 0, widths)


@compiled
def move_entries(table, larger):  # type: ignore[no-untyped-def]  # a kernel
    """Put all entries of a table into an empty, larger one."""
    for entry in table:
        if entry["iterations"] > 0:
            slot = slot_of(larger, entry["layer"], entry["samples"], entry["groups"], entry["widths"])
            larger[slot] = entry


@compiled
def merged(group_samples, group_widths, first, stop):  # type: ignore[no-untyped-def]  # a kernel
    """(samples of the groups [first, stop), each width at its greatest)."""
    batch, widths = 0, 0
    for group in range(first, stop):
        samples, own = int(group_samples[group]), int(group_widths[group])
        batch += samples
        widest = 0
        for shift in range(0, 5 * WIDTH_BITS, WIDTH_BITS):
            field = (1 << WIDTH_BITS) - 1 << shift
            widest |= max(widths & field, own & field)
        widths = widest
    return batch, widths


@compiled
def add(table, layer, samples, groups, widths, iterations, start):  # type: ignore[no-untyped-def]  # a kernel
    """Slots newly taken, 0 or 1.  Spans come by start, so that the first of a key is its first use."""
    slot = slot_of(table, layer, samples, groups, widths)
    table[slot]["iterations"] += iterations
    if table[slot]["iterations"] > iterations:
        return 0
    table[slot]["layer"], table[slot]["samples"], table[slot]["groups"] = layer, samples, groups
    table[slot]["widths"], table[slot]["first_start"] = widths, start
    return 1


@compiled
def slot_of(table, layer, samples, groups, widths):  # type: ignore[no-untyped-def]  # a kernel
    """The slot that holds a key, or the free one where it belongs.  A table has a power of two of slots."""
    # Odd factors spread the keys; the sum stays below 2^62 for 2^31 layers, 2^20 samples and 30 bits of widths.
    code = layer * 1000003 + samples * 8191 + groups * 131071 + widths * 1048573
    mask = len(table) - 1
    slot = (code ^ code >> 13 ^ code >> 29) & mask
    while table[slot]["iterations"] != 0 and (
        table[slot]["layer"] != layer
        or table[slot]["samples"] != samples
        or table[slot]["groups"] != groups
        or table[slot]["widths"] != widths
    ):
        slot = slot + 1 & mask
    return slot
