"""The precision table: widths of every layer in every iteration, checked and reduced.

It is reduced to spans (layer, range) with the number of a distinct histogram of samples over
widths, so that later work follows distinct histograms, not rows.

Assumptions
    - samples 0 alone: the layer did not run; beside other rows of its range: an empty bin.
    - batch may differ between layers of one iteration (a layer that sees part of the samples).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.cells import Faults
from bitsim.trace.demand import SampleGroup
from bitsim.trace.histogram import check_histograms, check_ranges, distinct_histograms
from bitsim.trace.table_file import BLANK, Table, read_table
from bitsim.workload import MAX_BITS, Layer

NAMES = ("precision.csv", "precision.csv.gz", "precision.parquet")
WIDTHS = ("activation_bits", "weight_bits", "gradient_bits")
OPTIONAL_WIDTHS = ("weight_gradient_bits", "output_bits")
REQUIRED = ("iteration_start", "iteration_end", "layer", "samples", *WIDTHS)
OPTIONAL = (*OPTIONAL_WIDTHS, "batch")
_NUMBERS = tuple(name for name in (*REQUIRED, *OPTIONAL) if name != "layer")
_ALLOWED = dict.fromkeys(_NUMBERS, "a whole number from 0") | dict.fromkeys(
    (*WIDTHS, *OPTIONAL_WIDTHS), f"a whole number 1 to 31, or {MAX_BITS} for float"
)


@dataclass(frozen=True)
class PrecisionTable:
    """Spans sorted by iteration_start, then layer; ``groups[group[s]]`` is the histogram of span s.

    start, end, layer, group: (spans,) int64.  An empty histogram: the layer did not run.
    """

    start: np.ndarray
    end: np.ndarray
    layer: np.ndarray
    group: np.ndarray
    groups: tuple[tuple[SampleGroup, ...], ...]


def find_precision(folder: Path) -> Path:
    """The one precision table in `folder`.  InputError if there is none, or more than one."""
    found = [folder / name for name in NAMES if (folder / name).exists()]
    if len(found) != 1:
        what = "no precision table" if not found else f"{len(found)} precision tables"
        raise InputError(f"{folder}: {what}, allowed: one of {', '.join(NAMES)}")
    return found[0]


def read_rows(path: Path) -> Table:
    """The rows of a precision table as they stand, unchecked.  InputError with every cell that is not a number."""
    return read_table(path, _NUMBERS, REQUIRED, OPTIONAL, _ALLOWED)


def read_precision(path: Path, layers: tuple[Layer, ...], batch: int, iterations: int) -> PrecisionTable:
    """Read and check the precision table of a run of `iterations` batches of `batch` samples.

    Raises InputError with the line (parquet: row) of each fault: widths outside 1..32, unknown
    layers, ranges outside the run, gaps, overlaps, histograms that do not add up to the batch.
    """
    table = read_rows(path)
    columns, lines, faults = table.numbers, table.lines, Faults(path, table.row_word)
    _check_values(columns, lines, batch, iterations, faults)
    rows, layer = _resolve(table.names, table.name_of_row, layers, lines, faults)
    faults.check()
    # Rows of one layer and range side by side, in the order of the file.
    start, end = columns["iteration_start"][rows], columns["iteration_end"][rows]
    order = np.lexsort((end, start, layer))
    rows, layer, start, end = rows[order], layer[order], start[order], end[order]
    columns, lines = {name: values[rows] for name, values in columns.items()}, lines[rows]
    new = np.ones(len(rows), bool)
    new[1:] = (layer[1:] != layer[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1])
    first = np.flatnonzero(new)
    names = [x.name for x in layers]
    check_ranges(layer[first], start[first], end[first], lines[first], names, iterations, faults)
    check_histograms(first, columns["samples"], columns["batch"], lines, layer, names, faults)
    faults.check()
    group, groups = distinct_histograms(np.cumsum(new) - 1, columns)
    layer, start, end = layer[first], start[first], end[first]
    by_start = np.lexsort((layer, start))
    return PrecisionTable(start[by_start], end[by_start], layer[by_start], group[by_start], groups)


def _check_values(
    columns: dict[str, np.ndarray],
    lines: np.ndarray,
    batch: int,
    iterations: int,
    faults: Faults,
) -> None:
    """Each number by itself; blank batches become `batch`."""

    def refuse(bad: np.ndarray, message: Callable[[int], str]) -> None:
        faults.add_rows(np.flatnonzero(bad), lines, message)

    samples, sizes = columns["samples"], columns["batch"]
    for name in (*WIDTHS, *OPTIONAL_WIDTHS):
        values, what = columns[name], _ALLOWED[name]
        wrong = (values != BLANK) & ((values < 1) | (values > MAX_BITS))
        refuse(wrong, lambda i, n=name, v=values, w=what: f"{n}: {v[i]}, allowed: {w}")  # type: ignore[misc]
        if name in WIDTHS:
            wrong = (values == BLANK) & (samples != 0)
            refuse(wrong, lambda i, n=name, w=what: f"{n}: blank, allowed: {w}")  # type: ignore[misc]
    start, end = columns["iteration_start"], columns["iteration_end"]
    refuse(
        start >= end,
        lambda i: f"iteration_start {start[i]} is not before iteration_end {end[i]}: ranges are half-open",
    )
    refuse(
        end > iterations,
        lambda i: f"iteration_end: {end[i]}, allowed up to {iterations}, the iterations of run.yaml",
    )
    wrong = (sizes != BLANK) & ((sizes < 1) | (sizes > batch))
    refuse(wrong, lambda i: f"batch: {sizes[i]}, allowed 1 to {batch}, the batch of run.yaml")
    refuse(samples > batch, lambda i: f"samples: {samples[i]}, allowed 0 to {batch}, the batch of run.yaml")
    columns["batch"] = np.where(sizes == BLANK, batch, sizes)


def _resolve(
    names: list[str], name_of_row: np.ndarray, layers: tuple[Layer, ...], lines: np.ndarray, faults: Faults
) -> tuple[np.ndarray, np.ndarray]:
    """(row, layer index): each row once for each layer it speaks of."""
    members: dict[str, list[int]] = {x.name: [i] for i, x in enumerate(layers)}
    for i, x in enumerate(layers):
        if x.gate_group:
            members.setdefault(f"gate:{x.gate_group}", []).append(i)
    of_name = [members.get(name, []) for name in names]
    counts = np.array([len(found) for found in of_name], np.int64)
    offsets = np.cumsum(counts) - counts

    def unknown(row: int) -> str:
        name = names[name_of_row[row]]
        what = "gate group" if name.startswith("gate:") else "layer"
        return f"layer: {name[:80]!r}: unknown {what}, allowed: names and gates of layers.csv"

    repeats = counts[name_of_row]
    faults.add_rows(np.flatnonzero(repeats == 0), lines, unknown)
    rows = np.repeat(np.arange(len(lines)), repeats)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    flat = np.array([i for found in of_name for i in found], np.int64)
    layer = flat[offsets[name_of_row[rows]] + within] if len(rows) else np.zeros(0, np.int64)
    by_gate = np.array([name.startswith("gate:") for name in names])[name_of_row[rows]]
    size = len(layers)
    both = np.bincount(layer[by_gate], minlength=size).astype(bool) & (np.bincount(layer[~by_gate], minlength=size) > 0)
    for index in np.flatnonzero(both).tolist():
        row, by_name = (int(rows[np.argmax((layer == index) & side)]) for side in (by_gate, ~by_gate))
        what = f"{names[name_of_row[row]]} and by its name on line {lines[by_name]}"
        faults.add(int(lines[row]), f"layer {layers[index].name}: covered twice, by {what}, allowed: one of the two")
    return rows, layer
