"""Opening a trace: three files, checked, and reduced to the distinct demands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bitsim import data
from bitsim.errors import InputError
from bitsim.trace.demand import Demand, Span
from bitsim.trace.layers_file import check_total, read_layers
from bitsim.trace.precision_file import PrecisionTable, find_precision, read_precision
from bitsim.trace.run_file import RunInfo, read_run
from bitsim.workload import Layer


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
        np.add.at(counts, inverse.ravel(), length[inside])
        listed = sorted(
            (k // len(table.groups), seen, k % len(table.groups), n)
            for k, seen, n in zip(used.tolist(), first_seen.tolist(), counts.tolist(), strict=True)
        )
        return [Demand(layer, table.groups[group], n) for layer, _, group, n in listed if table.groups[group]]

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
    text = str(name_or_path)
    path = Path(text)
    if not (path.is_dir() or "/" in text):
        path = data.find("traces", text)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder, allowed: a trace folder or the name of a shipped trace")
    run = read_run(path / "run.yaml")
    layers = read_layers(path / "layers.csv", run.batch)
    check_total(path / "layers.csv", layers, run.batch, run.iterations)
    table = find_precision(path)
    precision = read_precision(table, layers, run.batch, run.iterations)
    digest = hashlib.sha256()
    for file in (path / "run.yaml", path / "layers.csv", table):
        digest.update(file.read_bytes())
    return Trace(path.resolve().name, path, run, layers, precision, digest.hexdigest())


def summary(trace: Trace) -> dict[str, Any]:
    """Facts about a trace for `bitsim trace info`."""
    run = trace.run
    forward = sum(layer.macs(1) for layer in trace.layers)
    return {
        "model": run.model,
        "dataset": run.dataset,
        "kind": "synthetic" if run.synthetic else "recorded",
        "source": run.source,
        "layers": len(trace.layers),
        "batch": run.batch,
        "iterations": run.iterations,
        "forward MACs a sample": forward,
        "training MACs an iteration": run.batch * sum(layer.macs(1) * len(layer.passes()) for layer in trace.layers),
        "trace ranges": len(trace.precision.start),
        "distinct demands": len(trace.demands()),
        "trace hash": trace.trace_hash,
    }
