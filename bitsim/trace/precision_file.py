"""The precision table: what its columns may hold, and its rows as packed records, run by run.

Assumptions
    - samples 0 alone: the layer did not run; beside other rows of its range: an empty bin.
    - batch may differ between layers of one iteration (a layer that sees part of the samples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.cells import Faults
from bitsim.trace.table_file import BLANK, Columns, Stamp, Table, is_parquet, read_table
from bitsim.workload import MAX_BITS, Layer, Widths

NAMES = ("precision.csv", "precision.csv.gz", "precision.parquet")
WIDTHS = ("activation_bits", "weight_bits", "gradient_bits")
OPTIONAL_WIDTHS = ("weight_gradient_bits", "output_bits")
REQUIRED = ("iteration_start", "iteration_end", "layer", "samples", *WIDTHS)
OPTIONAL = (*OPTIONAL_WIDTHS, "batch")
_WIDTH = f"a whole number 1 to 31, or {MAX_BITS} for float"
COLUMNS = Columns(
    dict.fromkeys(("iteration_start", "iteration_end", "samples", "batch"), "a whole number from 0")
    | dict.fromkeys((*WIDTHS, *OPTIONAL_WIDTHS), _WIDTH),
    REQUIRED,
    OPTIONAL,
)
# A width is at most 32.
WIDTH_BITS = 6


class Rows(NamedTuple):
    """Rows of one layer each, as arrays (rows,): start, end, line int64, the others int32.

    samples is BLANK for the whole batch; widths are packed, see `unpacked`.
    """

    start: np.ndarray
    end: np.ndarray
    line: np.ndarray
    layer: np.ndarray
    samples: np.ndarray
    batch: np.ndarray
    widths: np.ndarray

    def take(self, which: np.ndarray | slice) -> Rows:
        """Some of the rows."""
        return Rows(*(column[which] for column in self))


def joined(runs: Sequence[Rows]) -> Rows:
    """Runs of rows as one."""
    return runs[0] if len(runs) == 1 else Rows(*(np.concatenate(columns) for columns in zip(*runs, strict=True)))


@dataclass(frozen=True)
class PrecisionFile:
    """A precision table and what its rows must agree with.

    progress: called with (rows read, share of the file) as rows are read; a share of 1 also where reading stops early.
    """

    stamp: Stamp
    layers: tuple[Layer, ...]
    batch: int
    iterations: int
    progress: Callable[[int, float], None] | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Another process has no terminal to show progress on."""
        return self.__dict__ | {"progress": None}

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.stamp.path

    def faults(self) -> Faults:
        """An empty list of its faults."""
        return Faults(self.path, "row" if is_parquet(self.path) else "")

    def rows(self) -> Iterator[Rows]:
        """The rows, run by run in the order of the file; a row of a gate stands once for each of its layers.

        Raises InputError with the line (parquet: row) of each fault of a row by itself: no numbers, widths outside
        1..32, unknown layers, ranges outside the run; also for a layer covered both by name and by gate.
        """
        faults, cells = self.faults(), self.faults()  # cells: noted in another thread
        names = _Names(self.layers)
        read = 0
        try:
            for table in read_table(self.stamp, COLUMNS, cells):
                self._check_values(table, faults)
                of_layer, layer = names.resolve(table, faults)
                read += len(table.lines)
                if self.progress is not None:
                    self.progress(read, table.share)
                if not faults.count and not cells.count:
                    rows = self._packed(table)
                    if of_layer is not None:
                        rows = rows.take(of_layer)
                    yield rows._replace(layer=layer)
        finally:
            if self.progress is not None:
                self.progress(read, 1.0)
        names.check(faults)
        faults.absorb(cells)
        faults.check()

    def _check_values(self, table: Table, faults: Faults) -> None:
        """Each number by itself."""

        def refuse(bad: np.ndarray, message: Callable[[int], str]) -> None:
            faults.add_rows(np.flatnonzero(bad), table.lines, message)

        numbers, batch, last = table.numbers, self.batch, self.iterations
        samples = numbers["samples"]
        for name in (*WIDTHS, *OPTIONAL_WIDTHS):
            values = numbers.get(name)
            if values is None or (values.min() >= 1 and values.max() <= MAX_BITS):
                continue
            wrong = (values != BLANK) & ((values < 1) | (values > MAX_BITS))
            refuse(wrong, lambda i, n=name, v=values: f"{n}: {v[i]}, allowed: {_WIDTH}")  # type: ignore[misc]  # bound now
            if name in WIDTHS:
                wrong = (values == BLANK) & (samples != 0)
                refuse(wrong, lambda i, n=name: f"{n}: blank, allowed: {_WIDTH}")  # type: ignore[misc]  # bound now
        start, end = numbers["iteration_start"], numbers["iteration_end"]
        refuse(
            start >= end,
            lambda i: f"iteration_start {start[i]} is not before iteration_end {end[i]}: ranges are half-open",
        )
        refuse(end > last, lambda i: f"iteration_end: {end[i]}, allowed up to {last}, the iterations of run.yaml")
        refuse(samples > batch, lambda i: f"samples: {samples[i]}, allowed 0 to {batch}, the batch of run.yaml")
        sizes = numbers.get("batch")
        if sizes is not None:
            wrong = (sizes != BLANK) & ((sizes < 1) | (sizes > batch))
            refuse(wrong, lambda i: f"batch: {sizes[i]}, allowed 1 to {batch}, the batch of run.yaml")

    def _packed(self, table: Table) -> Rows:
        """The rows but for their layer; blank optional cells take their defaults."""
        numbers, count = table.numbers, len(table.lines)
        activation, weight, gradient = (_int32(numbers[name], 0) for name in WIDTHS)
        second = _int32(numbers["weight_gradient_bits"], gradient) if "weight_gradient_bits" in numbers else gradient
        output = _int32(numbers["output_bits"], activation) if "output_bits" in numbers else activation
        packed = activation.copy()
        for bits in (weight, gradient, second, output):
            packed <<= WIDTH_BITS
            packed |= bits
        return Rows(
            start=numbers["iteration_start"].astype(np.int64, copy=False),
            end=numbers["iteration_end"].astype(np.int64, copy=False),
            line=table.lines,
            layer=packed,
            samples=numbers["samples"].astype(np.int32),
            batch=_int32(numbers["batch"], self.batch) if "batch" in numbers else np.full(count, self.batch, np.int32),
            widths=packed,
        )


class _Names:
    """What names in the column `layer` mean, and which of them have been seen."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._layers = layers
        self._members: dict[str, list[int]] = {x.name: [i] for i, x in enumerate(layers)}
        for i, x in enumerate(layers):
            if x.gate_group:
                self._members.setdefault(f"gate:{x.gate_group}", []).append(i)
        self._first_line: dict[str, int] = {}

    def resolve(self, table: Table, faults: Faults) -> tuple[np.ndarray | None, np.ndarray]:
        """(row, layer index) of each row for each layer it speaks of; row is None where each speaks of one."""
        names, name_of_row, lines = table.names, table.name_of_row, table.lines
        of_name = [self._members.get(name, []) for name in names]
        counts = np.array([len(found) for found in of_name], np.int64)
        if counts.min() == 0:

            def unknown(row: int) -> str:
                name = names[name_of_row[row]]
                what = "gate group" if name.startswith("gate:") else "layer"
                return f"layer: {name[:80]!r}: unknown {what}, allowed: names and gates of layers.csv"

            faults.add_rows(np.flatnonzero(counts[name_of_row] == 0), lines, unknown)
        for code, name in enumerate(names):
            if name in self._members and name not in self._first_line:
                found = name_of_row == code
                if found.any():  # a dictionary may hold names of other runs of rows
                    self._first_line[name] = int(lines[np.argmax(found)])
        flat = np.array([i for found in of_name for i in found], np.int32)
        if (counts == 1).all():
            return None, flat[name_of_row]
        repeats = counts[name_of_row]
        rows = np.repeat(np.arange(len(lines)), repeats)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        offsets = np.cumsum(counts) - counts
        return rows, flat[offsets[name_of_row[rows]] + within] if len(rows) else np.zeros(0, np.int32)

    def check(self, faults: Faults) -> None:
        """Note every layer that is covered both by name and by gate."""
        for layer in self._layers:
            gate = f"gate:{layer.gate_group}"
            if layer.gate_group and layer.name in self._first_line and gate in self._first_line:
                what = f"{gate} and by its name on line {self._first_line[layer.name]}"
                faults.add(
                    self._first_line[gate], f"layer {layer.name}: covered twice, by {what}, allowed: one of the two"
                )


def find_precision(folder: Path) -> Path:
    """The one precision table in `folder`.  InputError if there is none, or more than one."""
    found = [folder / name for name in NAMES if (folder / name).exists()]
    if len(found) != 1:
        what = "no precision table" if not found else f"{len(found)} precision tables"
        raise InputError(f"{folder}: {what}, allowed: one of {', '.join(NAMES)}")
    return found[0]


def unpacked(widths: int) -> Widths:
    """The five widths of a record."""
    return Widths(*(widths >> WIDTH_BITS * i & (1 << WIDTH_BITS) - 1 for i in reversed(range(5))))


def _int32(values: np.ndarray, default: np.ndarray | int) -> np.ndarray:
    """`values` with `default` where blank."""
    if values.min() == BLANK:
        values = np.where(values == BLANK, default, values)
    return values.astype(np.int32)
