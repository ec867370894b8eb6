"""A trace with its precision table in another form: CSV, compressed CSV or Parquet, row for row the same."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.precision_file import OPTIONAL_WIDTHS, WIDTHS, PrecisionTable, find_precision, read_rows
from bitsim.trace.reader import Trace, open_trace
from bitsim.trace.table_file import BLANK, Table
from bitsim.trace.writer import new_folder

FORMS = ("csv", "csv.gz", "parquet")


def convert_trace(source: str | Path, folder: str | Path, form: str) -> Trace:
    """Write the trace `source` to `folder`, which must not exist, its precision table as `form`, and open it.

    Rows, their order and their columns stay; run.yaml and layers.csv are copied.  InputError, and nothing written,
    for a trace that is not sound, an unknown form, or a folder that exists.
    """
    if form not in FORMS:
        raise InputError(f"{form}: not a form of precision table, allowed: {', '.join(FORMS)}")
    trace, folder = open_trace(source), Path(folder)
    table = read_rows(find_precision(trace.path))
    with new_folder(folder) as draft:
        for name in ("run.yaml", "layers.csv"):
            (draft / name).write_bytes((trace.path / name).read_bytes())
        path = draft / f"precision.{form}"
        if form == "parquet":
            _write_parquet(path, table)
        else:
            text = _csv_text(table).encode("utf-8")
            # Without the time of writing the same table is the same file.
            path.write_bytes(text if form == "csv" else gzip.compress(text, mtime=0))
        written = open_trace(draft)
        if not same_table(written.precision, trace.precision):
            raise AssertionError(f"{folder}: the table written differs from the one read")
    return open_trace(folder.absolute())


def same_table(one: PrecisionTable, other: PrecisionTable) -> bool:
    """Whether two tables say the same of every layer and iteration, range by range."""
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.name != "groups"
    ) and (one.groups == other.groups)


def _csv_text(table: Table) -> str:
    columns: list[Any] = []
    for name in table.header:
        if name == "layer":
            columns.append([table.names[code] for code in table.name_of_row.tolist()])
        else:
            columns.append(["" if number == BLANK else number for number in table.numbers[name].tolist()])
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def _write_parquet(path: Path, table: Table) -> None:
    """Widths as bytes, layers as a dictionary, blanks as nulls."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = []
    for name in table.header:
        if name == "layer":
            arrays.append(
                pa.DictionaryArray.from_arrays(pa.array(table.name_of_row, pa.int32()), pa.array(table.names))
            )
        else:
            kind = pa.uint8() if name in (*WIDTHS, *OPTIONAL_WIDTHS) else pa.int64()
            numbers = table.numbers[name]
            arrays.append(pa.array(numbers, mask=numbers == BLANK).cast(kind))
    pq.write_table(pa.table(arrays, names=table.header), path, compression="zstd")
