"""Result folders: rows, iterations and precision as Parquet, summary.json, copies of the machine,
run.yaml and layers.csv.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bitsim import __version__
from bitsim.errors import InputError
from bitsim.report.whole_folder import whole_folder
from bitsim.simulation.result import PLACE, Result
from bitsim.trace.precision_bins import OPERANDS, precision_bins

if TYPE_CHECKING:
    import pandas as pd

RUN_COPY = "run.yaml"
LAYERS_COPY = "layers.csv"
RECORDS_OF_FRAME = 2**14
TEXT_COLUMNS = ("hardware", "layer", "pass", "orientation", "bound")  # all others hold numbers


def document(results: list[Result]) -> dict[str, Any]:
    """The JSON object of `bitsim run` without rows."""
    runs = []
    for result in results:
        run = result.summary()
        del run["version"]
        runs.append(run)
    return {"bitsim": __version__, "runs": runs}


def write_json(results: list[Result], rows: str, out: IO[str]) -> None:
    """The JSON object of `bitsim run` with its rows (distinct or trace), one by one."""
    head, runs = json.dumps(__version__), document(results)["runs"]
    out.write(f'{{"bitsim": {head},\n"runs": [')
    for number, (result, run) in enumerate(zip(results, runs, strict=True)):
        out.write(("," if number else "") + "\n" + json.dumps(run)[:-1] + ', "rows": [')
        for place, record in enumerate(result.records(rows)):
            out.write(("," if place else "") + "\n" + json.dumps(record))
        out.write("]}")
    out.write("]}\n")


def write_folder(
    folder: Path, results: list[Result], rows: str = "distinct", about: Mapping[str, Any] | None = None
) -> None:
    """Write a result folder atomically, rows distinct or trace.  Raises InputError if it cannot be written.

    about: what summary.json says beside the runs: of a comparison its baseline, and how machines were resized.
    """
    if any(f"{result.machine.name}.yaml" == RUN_COPY for result in results):
        raise InputError("--out: a machine file named run.yaml would stand in for that of the trace; rename it")
    with whole_folder(folder, "--out") as draft:
        for result in results:
            shutil.copyfile(result.machine.source.path, draft / f"{result.machine.name}.yaml")
        placed = PLACE if rows == "trace" else ()
        names = dict.fromkeys([*placed, *(name for result in results for name in result.columns)])
        write_table(draft / "rows.parquet", list(names), ((r.machine.name, _frames(r, rows)) for r in results))
        names = dict.fromkeys(name for result in results for name in result.iteration_columns)
        runs = ((r.machine.name, r.iteration_runs()) for r in results)
        write_table(draft / "iterations.parquet", list(names), runs)
        _write_precision(draft / "precision.parquet", results[0])
        for name in (RUN_COPY, LAYERS_COPY):
            shutil.copyfile(results[0].trace.path / name, draft / name)
        summary = document(results) | dict(about or {})
        (draft / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def write_table(path: Path, columns: list[str], frames: Iterable[tuple[str, Iterable[pd.DataFrame]]]) -> None:
    """Write frames of machines, frame by frame, to one Parquet file; a buffer that a machine lacks is 0.

    frames: (machine, its frames); columns: of all of them, their types by name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    reals = ("utilisation", "effective_macs", "latency_s", "energy_j")
    schema = pa.schema(
        (
            name,
            pa.string()
            if name in TEXT_COLUMNS
            else pa.float64()
            if name in reals or name[-3:] == "_pj"
            else pa.int64(),
        )
        for name in ("hardware", *columns)
    )
    with pq.ParquetWriter(path, schema) as writer:
        for machine, parts in frames:
            for frame in parts:
                whole = frame.reindex(columns=columns, fill_value=0)
                whole.insert(0, "hardware", machine)
                writer.write_table(pa.Table.from_pandas(whole, schema=schema, preserve_index=False))


def _write_precision(path: Path, result: Result) -> None:
    """Write the widths of every layer in bins of iterations, by iteration_start, then layer order."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    bins = precision_bins(result.trace, *result.iteration_range)
    layers, count = bins.ran_share.shape
    columns = {
        "iteration_start": np.repeat(bins.edges[:-1], layers),
        "iteration_end": np.repeat(bins.edges[1:], layers),
        "layer": [layer.name for layer in result.trace.layers] * count,
        "ran_share": bins.ran_share.T.ravel(),
        "float_share": bins.float_share.T.ravel(),
    }
    columns |= {f"{name}_bits": bits.T.ravel() for name, bits in zip(OPERANDS, bins.bits, strict=True)}
    arrays = [pa.array(column, from_pandas=True) for column in columns.values()]  # nan: no width below float
    pq.write_table(pa.table(arrays, names=list(columns)), path)


def _frames(result: Result, rows: str) -> Iterator[pd.DataFrame]:
    import pandas as pd

    records = iter(result.records(rows))
    while some := list(itertools.islice(records, RECORDS_OF_FRAME)):
        yield pd.DataFrame(some)
