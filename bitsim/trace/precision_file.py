"""precision.csv (.csv.gz, .parquet): widths of every layer in every iteration, checked and reduced.

The table is reduced in numpy to spans (layer, range) with the number of a distinct histogram, so
that later work follows distinct histograms, not rows.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.cells import Faults, check_columns
from bitsim.trace.demand import SampleGroup
from bitsim.workload import MAX_BITS, Layer, Widths

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("precision.csv", "precision.csv.gz", "precision.parquet")
WIDTHS = ("activation_bits", "weight_bits", "gradient_bits")
OPTIONAL_WIDTHS = ("weight_gradient_bits", "output_bits")
REQUIRED = ("iteration_start", "iteration_end", "layer", "samples", *WIDTHS)
OPTIONAL = (*OPTIONAL_WIDTHS, "batch")
BLANK = -1
_NUMBERS = ("iteration_start", "iteration_end", "samples", *WIDTHS, *OPTIONAL_WIDTHS, "batch")


@dataclass(frozen=True)
class PrecisionTable:
    """Spans sorted by iteration_start, then layer; `groups[i]` of `group[s]` is the histogram of span s."""

    start: np.ndarray
    end: np.ndarray
    layer: np.ndarray
    group: np.ndarray
    groups: tuple[tuple[SampleGroup, ...], ...]


def read_precision(path: Path, layers: tuple[Layer, ...], batch: int, iterations: int) -> PrecisionTable:
    """Read and check the precision table.

    Raises InputError with the line (parquet: row) of each fault: widths outside 1..32, unknown
    layers, ranges outside the run, gaps, overlaps, histograms that do not add up to the batch.
    """
    frame, lines, word = _read(path)
    faults = Faults(path, word)
    columns = _numbers(frame, lines, faults)
    faults.check()
    _check_values(columns, lines, batch, iterations, faults)
    rows, layer = _resolve(frame["layer"].to_numpy(dtype=object), layers, lines, faults)
    faults.check()
    columns = {name: values[rows] for name, values in columns.items()}
    return _reduce(columns, lines[rows], layer, layers, iterations, faults)


def find_precision(folder: Path) -> Path:
    """The one precision table in `folder`.  InputError if there is none, or more than one."""
    found = [folder / name for name in NAMES if (folder / name).exists()]
    if len(found) != 1:
        what = "no precision table" if not found else f"{len(found)} precision tables"
        raise InputError(f"{folder}: {what}, allowed: one of {', '.join(NAMES)}")
    return found[0]


def _read(path: Path) -> tuple[pd.DataFrame, np.ndarray, str]:
    """The table as text or numbers, the line (or row) of each row, and what to call it."""
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            lines, word = np.arange(1, len(frame) + 1), "row"
        else:
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            frame, lines, word = _parse_csv(path, raw), np.arange(0), ""
            lines = np.arange(2, len(frame) + 2)
            blank = (frame == "").all(axis=1).to_numpy()
            frame, lines = frame[~blank].reset_index(drop=True), lines[~blank]
    except InputError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except Exception as error:  # pyarrow has a family of its own for torn files
        raise InputError(f"{path}: not a {path.suffix} table: {type(error).__name__}: {str(error)[:200]}") from None
    check_columns(path, [str(c) for c in frame.columns], REQUIRED, OPTIONAL)
    if not len(frame):
        raise InputError(f"{path}:1: no rows below the header")
    return frame, lines, word


def _parse_csv(path: Path, raw: bytes) -> pd.DataFrame:
    import io

    import pandas as pd

    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{raw[: error.start].count(10) + 1}: not UTF-8 text") from None
    if not text.strip():
        raise InputError(f"{path}:1: empty file")
    if "\0" in text:
        raise InputError(f"{path}:{text[: text.index(chr(0))].count(chr(10)) + 1}: binary file, allowed: UTF-8 text")
    if '"' in text:
        raise InputError(f'{path}:{text[: text.index(chr(34))].count(chr(10)) + 1}: a quote (") is not allowed')
    width = text.split("\n", 1)[0].count(",")
    ragged = [
        (i, line.count(",")) for i, line in enumerate(text.splitlines(), 1) if line.strip() and line.count(",") != width
    ]
    if ragged:
        faults = Faults(path)
        for line, count in ragged:
            faults.add(line, f"{count + 1} cells, the header has {width + 1}")
        faults.check()
    frame = pd.read_csv(
        io.StringIO(text), dtype=str, keep_default_na=False, skip_blank_lines=False, skipinitialspace=True, quoting=3
    )
    return frame.rename(columns=str.strip)


def _numbers(frame: pd.DataFrame, lines: np.ndarray, faults: Faults) -> dict[str, np.ndarray]:
    """Number columns as int64, BLANK where empty; what is not a whole number is a fault."""
    import pandas as pd

    columns = {}
    for name in _NUMBERS:
        if name not in frame:
            columns[name] = np.full(len(frame), BLANK, np.int64)
            continue
        column = frame[name]
        if pd.api.types.is_bool_dtype(column):
            column = column.astype(str)
        blank = (column.isna() | (column.astype(str).str.strip() == "")).to_numpy()
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        whole = np.isfinite(numbers) & (numbers == np.floor(np.nan_to_num(numbers, posinf=0.5))) & (numbers >= 0)
        whole &= numbers < 2.0**53
        for i in np.flatnonzero(~whole & ~blank).tolist():
            faults.add(int(lines[i]), f"{name}: {column.iloc[i]!r}, allowed: {_allowed(name)}")
        columns[name] = np.where(whole & ~blank, np.nan_to_num(numbers), BLANK).astype(np.int64)
        if name in ("iteration_start", "iteration_end"):
            for i in np.flatnonzero(blank).tolist():
                faults.add(int(lines[i]), f"{name}: blank, allowed: {_allowed(name)}")
    return columns


def _allowed(name: str) -> str:
    if name.endswith("_bits"):
        return f"a whole number 1 to 31, or {MAX_BITS} for float"
    return "a whole number from 0"


def _check_values(
    columns: dict[str, np.ndarray], lines: np.ndarray, batch: int, iterations: int, faults: Faults
) -> None:
    def refuse(bad: np.ndarray, message: str, *names: str) -> None:
        for i in np.flatnonzero(bad).tolist():
            faults.add(int(lines[i]), message.format(*(columns[n][i] for n in names)))

    idle = columns["samples"] == 0
    for name in (*WIDTHS, *OPTIONAL_WIDTHS):
        values = columns[name]
        refuse(
            (values != BLANK) & ((values < 1) | (values > MAX_BITS)), f"{name}: {{}}, allowed: {_allowed(name)}", name
        )
        if name in WIDTHS:
            refuse((values == BLANK) & ~idle, f"{name}: blank, allowed: {_allowed(name)}")
    start, end = columns["iteration_start"], columns["iteration_end"]
    refuse(
        start >= end,
        "iteration_start {} is not before iteration_end {}: ranges are half-open",
        "iteration_start",
        "iteration_end",
    )
    refuse(
        end > iterations,
        f"iteration_end: {{}}, allowed up to {iterations}, the iterations of run.yaml",
        "iteration_end",
    )
    sizes = columns["batch"]
    refuse(
        (sizes != BLANK) & ((sizes < 1) | (sizes > batch)),
        f"batch: {{}}, allowed 1 to {batch}, the batch of run.yaml",
        "batch",
    )
    sizes[sizes == BLANK] = batch


def _resolve(
    names: np.ndarray, layers: tuple[Layer, ...], lines: np.ndarray, faults: Faults
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, layer index): each row once for each layer it speaks of."""
    members: dict[str, list[int]] = {layer.name: [i] for i, layer in enumerate(layers)}
    for i, layer in enumerate(layers):
        if layer.gate_group:
            members.setdefault(f"gate:{layer.gate_group}", []).append(i)
    text = np.array([str(n).strip() for n in names.tolist()], dtype=object)
    distinct, inverse = np.unique(text.astype(str), return_inverse=True)
    rows, index = [], []
    for k, name in enumerate(distinct.tolist()):
        at = np.flatnonzero(inverse == k)
        if name not in members:
            for i in at.tolist():
                what = "gate group" if name.startswith("gate:") else "layer"
                faults.add(int(lines[i]), f"layer: {name!r}: unknown {what}, allowed: names and gates of layers.csv")
            continue
        for member in members[name]:
            rows.append(at)
            index.append(np.full(len(at), member, np.int64))
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(rows), np.concatenate(index)


def _reduce(
    columns: dict[str, np.ndarray],
    lines: np.ndarray,
    layer: np.ndarray,
    layers: tuple[Layer, ...],
    iterations: int,
    faults: Faults,
) -> PrecisionTable:
    order = np.lexsort((lines, columns["iteration_end"], columns["iteration_start"], layer))
    columns, lines, layer = {n: v[order] for n, v in columns.items()}, lines[order], layer[order]
    start, end, samples = columns["iteration_start"], columns["iteration_end"], columns["samples"]
    new = np.ones(len(layer), bool)
    new[1:] = (layer[1:] != layer[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(new)) - 1
    _check_coverage(layer[first], start[first], end[first], lines[first], layers, iterations, faults)
    _check_histograms(first, last, samples, columns["batch"], lines, layers, layer, faults)
    faults.check()
    samples = np.where(samples == BLANK, columns["batch"], samples)
    group, groups = _distinct(first, last, samples, columns)
    by_start = np.lexsort((layer[first], start[first]))
    return PrecisionTable(start[first][by_start], end[first][by_start], layer[first][by_start], group[by_start], groups)


def _check_coverage(
    layer: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    lines: np.ndarray,
    layers: tuple[Layer, ...],
    iterations: int,
    faults: Faults,
) -> None:
    """Ranges of each layer must join from 0 to the last iteration."""
    for missing in sorted(set(range(len(layers))) - set(np.unique(layer).tolist())):
        faults.add(
            int(lines[-1]) if len(lines) else 1, f"layer {layers[missing].name}: no range, needs 0 to {iterations}"
        )
    opening = np.ones(len(layer), bool)
    opening[1:] = layer[1:] != layer[:-1]
    reached = np.where(opening, 0, np.append(0, end[:-1]))
    for i in np.flatnonzero(start != reached).tolist():
        name = layers[layer[i]].name
        if start[i] > reached[i]:
            faults.add(int(lines[i]), f"layer {name}: gap: nothing is said of iterations {reached[i]} to {start[i]}")
        else:
            faults.add(
                int(lines[i]),
                f"layer {name}: overlap: iterations {start[i]} to {min(reached[i], end[i])} are said twice",
            )
    closing = np.append(opening[1:], True)
    for i in np.flatnonzero(closing & (end < iterations)).tolist():
        faults.add(
            int(lines[i]), f"layer {layers[layer[i]].name}: gap: nothing is said of iterations {end[i]} to {iterations}"
        )


def _check_histograms(
    first: np.ndarray,
    last: np.ndarray,
    samples: np.ndarray,
    batch: np.ndarray,
    lines: np.ndarray,
    layers: tuple[Layer, ...],
    layer: np.ndarray,
    faults: Faults,
) -> None:
    """One blank row, or one row of 0, or numbered rows that add up to the batch."""
    size = last - first + 1
    blanks = np.add.reduceat((samples == BLANK).astype(np.int64), first)
    total = np.add.reduceat(np.where(samples == BLANK, 0, samples), first)
    least, most = np.minimum.reduceat(batch, first), np.maximum.reduceat(batch, first)
    mixed = (blanks > 0) & (size > 1)
    idle = (blanks == 0) & (total == 0) & (size == 1)
    for i in np.flatnonzero(mixed | (least != most) | ((blanks == 0) & ~idle & (total != batch[first]))).tolist():
        name, line = layers[layer[first[i]]].name, int(lines[last[i]])
        if mixed[i]:
            what = "blank samples stand twice" if blanks[i] == size[i] else "blank and numbered samples mix"
            faults.add(line, f"layer {name}: {what} in one range, allowed: one blank row, or numbered rows only")
        elif least[i] != most[i]:
            faults.add(line, f"layer {name}: batch is {least[i]} and {most[i]} in one range")
        else:
            faults.add(line, f"layer {name}: samples add up to {total[i]}, the batch is {batch[first[i]]}")


def _distinct(
    first: np.ndarray, last: np.ndarray, samples: np.ndarray, columns: dict[str, np.ndarray]
) -> tuple[np.ndarray, tuple[tuple[SampleGroup, ...], ...]]:
    """(histogram number of each span, distinct histograms)."""
    gradient, activation = columns["gradient_bits"], columns["activation_bits"]
    second = np.where(columns["weight_gradient_bits"] == BLANK, gradient, columns["weight_gradient_bits"])
    output = np.where(columns["output_bits"] == BLANK, activation, columns["output_bits"])
    fields = np.stack([samples, activation, columns["weight_bits"], gradient, second, output], axis=1)
    rows, row_number = np.unique(fields, axis=0, return_inverse=True)
    row_number = row_number.ravel()
    listed: list[SampleGroup | None] = [
        SampleGroup(row[0], Widths(*row[1:])) if row[0] > 0 else None for row in rows.tolist()
    ]
    numbers: dict[Any, int] = {}
    group = np.empty(len(first), np.int64)
    single = first == last
    alone: dict[int, int] = {}
    for number in np.unique(row_number[first[single]]).tolist():
        one = listed[number]
        alone[number] = numbers.setdefault((one,) if one else (), len(numbers))
    if alone:
        lookup = np.full(len(rows), -1, np.int64)
        lookup[list(alone)] = list(alone.values())
        group[single] = lookup[row_number[first[single]]]
    for i in np.flatnonzero(~single).tolist():
        members = sorted(row_number[first[i] : last[i] + 1].tolist())
        merged: dict[Widths, int] = {}
        for one in (listed[m] for m in members):
            if one is not None:
                merged[one.widths] = merged.get(one.widths, 0) + one.samples
        key = tuple(SampleGroup(count, widths) for widths, count in merged.items())
        group[i] = numbers.setdefault(key, len(numbers))
    return group, tuple(numbers)
