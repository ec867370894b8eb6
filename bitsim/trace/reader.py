"""Opening a trace: three files, checked, and counted in one pass over the precision table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bitsim import data
from bitsim.errors import InputError
from bitsim.trace.demand import Demand, GroupDemand, SampleGroup, Span
from bitsim.trace.layers_file import read_layers
from bitsim.trace.precision_file import PrecisionFile, Rows, find_precision, unpacked
from bitsim.trace.row_order import RowSorter
from bitsim.trace.run_file import RunInfo, read_run
from bitsim.trace.spans import Spans, UnsortedError, by_layer, join_rows
from bitsim.trace.table_file import Stamp
from bitsim.trace.tally import Tally
from bitsim.workload import Layer, effective_macs

_HASH_BYTES = 2**22


@dataclass(frozen=True)
class Trace:
    """A checked trace.  Its precision table stays in its file, which must not change.

    trace_hash: sha256 of the three files; whole: counts over all iterations; sorter: None where the table is sorted
    by iteration_start.
    """

    name: str
    path: Path
    run: RunInfo
    layers: tuple[Layer, ...]
    precision: PrecisionFile = field(repr=False)
    whole: Tally = field(repr=False)
    sorter: RowSorter | None = field(repr=False)
    trace_hash: str

    def tally(self, first: int, last: int) -> Tally:
        """Counts over the iterations [first, last)."""
        if (first, last) == self.whole.range:
            return self.whole
        counts = Tally(first, last)
        for run in self.span_runs(first, last):
            counts.add(run)
        return counts

    def groups(self) -> list[GroupDemand]:
        """Distinct groups of samples over the whole run, in layer order, then by first use."""
        return self.whole.groups()

    def span_runs(self, first: int, last: int) -> Iterator[Spans]:
        """All spans clipped to [first, last), run by run, by start, then layer order; the table is read again.

        Raises InputError if it changed.
        """
        rows = self.precision.rows() if self.sorter is None else self.sorter.runs()
        begun: list[Spans] = []  # spans that begin at `first` or before: at most one a layer
        for run in join_rows(self.precision, rows, self.precision.faults()):
            if run.start[0] >= last:
                break
            inside = run.take((run.start < last) & (run.end > first))
            spans = inside._replace(start=np.maximum(inside.start, first), end=np.minimum(inside.end, last))
            later = int(np.searchsorted(spans.start, first, side="right"))
            if later:
                begun.append(spans.take(slice(later)))
            if later < len(spans.start):
                if begun:
                    yield by_layer(begun)
                    begun = []
                yield spans.take(slice(later, None))
        if begun:
            yield by_layer(begun)

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Every range of every layer clipped to [first, last), by iteration_start, then layer order."""
        group_of: dict[tuple[int, int], SampleGroup] = {}
        for run in self.span_runs(first, last):
            groups = []
            for key in zip(run.group_samples.tolist(), run.group_widths.tolist(), strict=True):
                if key not in group_of:
                    group_of[key] = SampleGroup(key[0], unpacked(key[1]))
                groups.append(group_of[key])
            columns = (column.tolist() for column in run[:5])
            for start, end, layer, at, count in zip(*columns, strict=True):
                yield Span(start, end, layer, tuple(groups[at : at + count]))

    def demands(self, iterations: tuple[int, int] | None = None) -> list[Demand]:
        """Distinct (layer, groups) with the iterations they apply to, in layer order, then by first use.

        iterations: half-open range, default all.  A layer that did not run has no demand.  The list is as long as
        there are different histograms; `tally` is short even where they never repeat.
        """
        counts: dict[tuple[int, tuple[SampleGroup, ...]], list[int]] = {}
        for span in self.spans(*(iterations or self.whole.range)):
            if span.groups:
                found = counts.setdefault((span.layer_index, span.groups), [0, span.iteration_start])
                found[0] += span.iteration_end - span.iteration_start
        demands = [Demand(layer, groups, *found) for (layer, groups), found in counts.items()]
        return sorted(demands, key=lambda demand: (demand.layer_index, demand.first_start))


def open_trace(name_or_path: str | Path, progress: Callable[[int, float], None] | None = None) -> Trace:
    """Open a trace folder, or a shipped trace by name.

    progress: called with (rows read, share of the table) as it is read, now and when it is read again.
    Raises InputError ``file:line: what is wrong, what is allowed`` with all faults of the file.
    """
    path = _locate(str(name_or_path))
    run = read_run(path / "run.yaml")
    layers = read_layers(path / "layers.csv", run.batch)
    stamp = Stamp.of(find_precision(path))
    precision = PrecisionFile(stamp, layers, run.batch, run.iterations, progress)
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_digest, [path / "run.yaml", path / "layers.csv", stamp.path])
        try:
            whole, sorter = _count(precision, precision.rows()), None
        except UnsortedError:
            sorter = RowSorter(precision)
            whole = _count(precision, sorter.runs())
        trace_hash = digest.result()
    stamp.check("at its end")
    return Trace(path.resolve().name, path, run, layers, precision, whole, sorter, trace_hash)


def _count(precision: PrecisionFile, runs: Iterator[Rows]) -> Tally:
    """Counts over all iterations.  Raises InputError for any fault of the table."""
    counts, faults = Tally(0, precision.iterations), precision.faults()
    for run in join_rows(precision, runs, faults):
        counts.add(run)
    faults.check()
    return counts


def _digest(paths: list[Path]) -> str:
    """sha256 of files one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while content := file.read(_HASH_BYTES):
                    digest.update(content)
        except OSError as error:
            raise InputError(f"{path}:1: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


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
    groups = trace.groups()
    effective = sum(
        demand.iterations * effective_macs(trace.layers[demand.layer_index], demand.group.widths, demand.group.samples)
        for demand in groups
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
        **_data_used(run),
        "trace ranges": trace.whole.spans,
        "distinct layers, widths and samples": len(groups),
        "trace hash": trace.trace_hash,
    }


def _data_used(run: RunInfo) -> dict[str, str]:
    """How the data was split and which splits have losses and accuracies, where run.yaml says so."""
    said = {}
    if run.split:
        said["split"] = ", ".join(f"{name} {size}" for name, size in run.split.items())
    for what, series in (("losses of", run.loss), ("accuracy of", run.accuracy)):
        if isinstance(series, dict):
            said[what] = ", ".join(f"{name} ({len(values)})" for name, values in series.items())
        elif series:
            said[what] = f"not said ({len(series)})"
    return said
