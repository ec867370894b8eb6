"""Reading a result folder back: what `run`, `compare` and `demo` wrote, summed and binned to what a page can show.

Tables are read piece by piece, so that a folder of any number of rows takes little memory.  Sums are floating point:
a page shows four digits, summary.json has the exact totals.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bitsim.errors import InputError
from bitsim.hardware import read_machine
from bitsim.kernels.program import CLASSES
from bitsim.report.folder import RUN_COPY, TEXT_COLUMNS
from bitsim.report.summary_file import RunSummary, Summary, read_summary
from bitsim.simulation.compare import PASS_ORDER
from bitsim.trace.iteration_bins import bin_edges, overlaps
from bitsim.trace.run_file import RunInfo, read_run

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("hardware", "layer", "pass", "input_bits", "weight_bits", "input_hw_bits", "weight_hw_bits", "bound")
# A cost of one occurrence times the occurrences and iterations it stands for.
ADDITIVE = ("macs", "float_macs", "bit_ops", "cycles", "dram_read_bits", "dram_write_bits")
BLANK_WHERE_FLOAT = ("activation_bits", "weight_bits", "gradient_bits")  # of precision.parquet: no width below float
BATCH_ROWS = 2**16


@dataclass(frozen=True)
class ResultFolder:
    """What a folder says of one trace on one machine or several.

    costs: one row per machine, layer, pass and widths, KEYS and sums over the whole range; in the order they ran.
    training: {machine: frame of iteration_start, iteration_end, latency_s and energies in pJ, means of an iteration}.
    precision: one row per bin of iterations and layer; machine_texts: {machine: its YAML}.
    """

    path: Path
    summary: Summary
    run: RunInfo
    costs: pd.DataFrame = field(repr=False)
    training: dict[str, pd.DataFrame] = field(repr=False)
    precision: pd.DataFrame = field(repr=False)
    machine_texts: dict[str, str] = field(repr=False)

    @property
    def runs(self) -> tuple[RunSummary, ...]:
        """The machines, in the order they were given."""
        return self.summary.runs

    @property
    def names(self) -> list[str]:
        """Names of the machines."""
        return [run.hardware for run in self.runs]

    @property
    def baseline(self) -> RunSummary:
        """The machine that ratios are to: the one the comparison named, else the first."""
        return next((run for run in self.runs if run.hardware == self.summary.baseline), self.runs[0])

    @cached_property
    def layers(self) -> list[str]:
        """Layers in the order they run."""
        return self.precision["layer"].unique().tolist()

    @cached_property
    def passes(self) -> list[str]:
        """Passes that ran, in training order, those of no known place last."""
        ran = self.costs["pass"].unique().tolist()
        return [*(name for name in PASS_ORDER if name in ran), *(name for name in ran if name not in PASS_ORDER)]

    @property
    def components(self) -> list[str]:
        """Energy columns without their _pj, their sum left out."""
        return [name[:-3] for name in self.costs.columns if name.endswith("_pj") and name != "energy_pj"]

    @property
    def cycle_classes(self) -> list[str]:
        """Classes of cycles that occur, without their _cycles."""
        return [name for name in CLASSES if self.costs[f"{name}_cycles"].any()]


def read_folder(path: Path) -> ResultFolder:
    """Read a result folder.  Raises InputError naming the file that is missing or damaged, and how."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder, allowed: a folder that --out of run, compare or demo wrote")
    if not (path / "summary.json").is_file():
        hint = "allowed: a folder that --out of run, compare or demo wrote"
        raise InputError(f"{path}: has no summary.json, {hint}")
    summary = read_summary(path / "summary.json")
    run = read_run(path / RUN_COPY)
    names = [one.hardware for one in summary.runs]
    first, last = summary.runs[0].iteration_range
    edges = bin_edges(first, last, run.iterations_per_epoch)
    costs = _read_costs(path / "rows.parquet")
    return ResultFolder(
        path=path,
        summary=summary,
        run=run,
        costs=costs,
        training=_read_training(path / "iterations.parquet", names, edges),
        precision=_read_precision(path / "precision.parquet"),
        machine_texts={one.hardware: _machine_text(path / f"{one.hardware}.yaml", one) for one in summary.runs},
    )


def _machine_text(path: Path, run: RunSummary) -> str:
    """The machine file as it stands; InputError if it is not that of the results any more."""
    source = read_machine(path, run.overrides)
    source.check_unchanged(run.config_hash)
    return source.document.text


def batches(path: Path, needed: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    """Rows of a Parquet file as frames.

    Raises InputError if it cannot be read, lacks one of the columns `needed`, or holds what no run writes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            absent = [name for name in needed if name not in file.schema_arrow.names]
            if absent:
                raise InputError(f"{path}: lacks columns {', '.join(absent)}")
            for batch in file.iter_batches(BATCH_ROWS):
                frame = batch.to_pandas()
                _check_values(path, frame)
                yield frame
    except (OSError, pa.ArrowException) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not Parquet, or damaged"
        raise InputError(f"{path}: cannot be read: {reason}") from None


def _check_values(path: Path, frame: pd.DataFrame) -> None:
    """Raise InputError, naming all such columns, where texts are not text or numbers are not finite and 0 or more."""
    from pandas.api.types import is_numeric_dtype

    faults = []
    for name, column in frame.items():
        if name in TEXT_COLUMNS:
            if not column.map(lambda value: isinstance(value, str)).all():
                faults.append(f"{path}: {name}: not all text, allowed: names")
            continue
        known = column.dropna() if name in BLANK_WHERE_FLOAT else column
        if not is_numeric_dtype(column) or not ((known >= 0) & (known < np.inf)).all():
            faults.append(f"{path}: {name}: not all numbers, allowed: finite, 0 or more")
    if faults:
        raise InputError(faults)


def _read_costs(path: Path) -> pd.DataFrame:
    """Sums over occurrences and iterations of every row of the same KEYS, in the order of the file."""
    import pandas as pd

    sums: pd.DataFrame | None = None
    classes = [f"{name}_cycles" for name in CLASSES]
    for rows in batches(path, (*KEYS, *ADDITIVE, "occurrences", "iterations", "utilisation", "energy_pj", *classes)):
        added = [n for n in rows.columns if n in ADDITIVE or n.endswith(("_pj", "_cycles"))]
        times = rows["occurrences"].astype(float) * rows["iterations"]
        part = rows[added].astype(float).mul(times, axis=0)
        part["weighted_utilisation"] = rows["utilisation"] * part["cycles"]
        part[list(KEYS)] = rows[list(KEYS)]
        sums = part if sums is None else pd.concat([sums, part], ignore_index=True)
        sums = sums.groupby(list(KEYS), sort=False, as_index=False).sum()
    if sums is None:
        raise InputError(f"{path}: has no rows: no layer ran in the passes and iterations chosen, nothing to report")
    return sums


def _read_training(path: Path, names: list[str], edges: np.ndarray) -> dict[str, pd.DataFrame]:
    """Means of an iteration in each bin, by machine."""
    import pandas as pd

    totals: dict[str, np.ndarray] = {}
    columns: list[str] = []
    for rows in batches(path, ("hardware", "iteration_start", "iteration_end", "latency_s", "energy_pj")):
        columns = ["latency_s", *(name for name in rows.columns if name.endswith("_pj"))]
        for name, mine in rows.groupby("hardware", sort=False):
            starts, ends = (mine[c].to_numpy() for c in ("iteration_start", "iteration_end"))
            if len(mine) and (starts.min() < edges[0] or ends.max() > edges[-1] or (ends <= starts).any()):
                raise InputError(f"{path}: iterations lie outside those of summary.json")
            cut = overlaps(edges, starts, ends)
            into = totals.setdefault(str(name), np.zeros((len(edges) - 1, len(columns))))
            np.add.at(into, cut.bin, mine[columns].to_numpy(float)[cut.place] * cut.iterations[:, None])
    frames = {}
    for name in names:
        if name not in totals:
            raise InputError(f"{path}: has no rows of {name}")
        frames[name] = pd.DataFrame(totals[name] / np.diff(edges)[:, None], columns=columns)
        frames[name].insert(0, "iteration_start", edges[:-1])
        frames[name].insert(1, "iteration_end", edges[1:])
    return frames


def _read_precision(path: Path) -> pd.DataFrame:
    import pandas as pd

    needed = ("iteration_start", "iteration_end", "layer", "ran_share", "float_share")
    frames = list(batches(path, (*needed, *BLANK_WHERE_FLOAT)))
    if not frames:
        raise InputError(f"{path}: has no rows")
    return pd.concat(frames, ignore_index=True)
