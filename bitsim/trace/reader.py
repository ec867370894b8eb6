"""Opening a trace: three files, checked, and reduced to the distinct demands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bitsim import data
from bitsim.errors import InputError
from bitsim.strict_yaml import read_bytes
from bitsim.trace.demand import Demand, Span
from bitsim.trace.layers_file import check_total, read_layers
from bitsim.trace.precision_file import PrecisionTable, find_precision, read_precision
from bitsim.trace.run_file import RunInfo, read_run
from bitsim.trace.table_file import MAX_TABLE_BYTES
from bitsim.workload import Layer, effective_macs


@dataclass(frozen=True)
class Trace:
    """A checked trace; trace_hash is the sha256 of its three files."""

    name: str
    path: Path
    run: RunInfo
    layers: tuple[Layer, ...]
    precision: PrecisionTable = field(repr=False)
    trace_hash: str

    def demands(self, iterations: tuple[int, int] | None = None) -> list[Demand]:
        """Distinct (layer, groups) with the iterations they apply to, in layer order, then by first use.

        iterations: half-open range, default all.  A layer that did not run has no demand.
        """
        first, last = iterations or (0, self.run.iterations)
        table = self.precision
        length = np.minimum(table.end, last) - np.maximum(table.start, first)
        inside = length > 0
        key = table.layer * len(table.groups) + table.group
        used, first_seen, inverse = np.unique(key[inside], return_index=True, return_inverse=True)
        counts = np.zeros(len(used), np.int64)
        np.add.at(counts, inverse, length[inside])
        starts = np.maximum(table.start[inside][first_seen], first)  # spans are sorted: the first seen is the earliest
        layers, groups = np.divmod(used, len(table.groups))
        order = np.lexsort((starts, layers))
        demands = (
            Demand(layer, table.groups[group], count, start)
            for layer, group, count, start in zip(
                *(column[order].tolist() for column in (layers, groups, counts, starts)), strict=True
            )
        )
        return [demand for demand in demands if demand.groups]

    def spans(self, first: int, last: int) -> list[Span]:
        """Every range of every layer clipped to [first, last), by iteration_start, then layer order."""
        table = self.precision
        start, end = np.maximum(table.start, first), np.minimum(table.end, last)
        inside = np.flatnonzero(start < end)
        order = inside[np.lexsort((table.layer[inside], start[inside]))]
        return [
            Span(a, b, layer, table.groups[group])
            for a, b, layer, group in zip(
                start[order].tolist(),
                end[order].tolist(),
                table.layer[order].tolist(),
                table.group[order].tolist(),
                strict=True,
            )
        ]


def open_trace(name_or_path: str | Path) -> Trace:
    """Open a trace folder, or a shipped trace by name.

    Raises InputError ``file:line: what is wrong, what is allowed`` with all faults of the file.
    """
    path = _locate(str(name_or_path))
    run = read_run(path / "run.yaml")
    layers = read_layers(path / "layers.csv", run.batch)
    check_total(path / "layers.csv", layers, run.batch, run.iterations)
    table = find_precision(path)
    precision = read_precision(table, layers, run.batch, run.iterations)
    digest = hashlib.sha256()
    for file in (path / "run.yaml", path / "layers.csv", table):
        digest.update(read_bytes(file, MAX_TABLE_BYTES))
    return Trace(path.resolve().name, path, run, layers, precision, digest.hexdigest())


def _locate(text: str) -> Path:
    """The folder at a path or, failing that, the shipped trace of that name."""
    path = Path(text)
    try:
        if text.strip() and path.is_dir():
            return path
    except OSError:  # too long a name, or a folder that may not be looked into
        pass
    if len(path.parts) <= 1 and not text.endswith(("/", "\\")):
        return data.find("traces", text)
    raise InputError(f"{path}: no such folder, allowed: a trace folder or the name of a shipped trace")


def summary(trace: Trace) -> dict[str, Any]:
    """Facts about a trace for `bitsim trace info`."""
    run = trace.run
    forward = sum(layer.macs(1) for layer in trace.layers)
    demands = trace.demands()
    effective = sum(
        demand.iterations * effective_macs(trace.layers[demand.layer_index], group.widths, group.samples)
        for demand in demands
        for group in demand.groups
    )
    return {
        "model": run.model,
        "dataset": run.dataset,
        "kind": "synthetic" if run.synthetic else "recorded",
        "source": run.source,
        "layers": len(trace.layers),
        "batch": run.batch,
        "iterations": run.iterations,
        "forward MACs a sample": forward,
        "training MACs an iteration": sum(layer.training_macs(run.batch) for layer in trace.layers),
        "effective MACs an iteration": f"{effective / run.iterations:.6g} (mean)",
        "trace ranges": len(trace.precision.start),
        "distinct demands": len(demands),
        "trace hash": trace.trace_hash,
    }
