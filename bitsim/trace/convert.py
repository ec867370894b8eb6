"""A trace with its precision table in another form: CSV, compressed CSV or Parquet, row for row the same."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bitsim.errors import InputError
from bitsim.trace.precision_file import COLUMNS, OPTIONAL_WIDTHS, WIDTHS
from bitsim.trace.reader import Trace, open_trace
from bitsim.trace.table_file import BLANK, Table, read_table
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
    rows = read_table(trace.precision.stamp, COLUMNS, trace.precision.faults())
    with new_folder(folder) as draft:
        for name in ("run.yaml", "layers.csv"):
            (draft / name).write_bytes((trace.path / name).read_bytes())
        path = draft / f"precision.{form}"
        (_write_parquet if form == "parquet" else _write_csv)(path, rows)
        written = open_trace(draft)
        if not same_table(written, trace):
            raise AssertionError(f"{folder}: the table written differs from the one read")
    return open_trace(folder.absolute())


def same_table(one: Trace, other: Trace) -> bool:
    """Whether two traces say the same of every layer and iteration, range by range."""
    ranges = one.whole.range
    return ranges == other.whole.range and all(
        a == b for a, b in itertools.zip_longest(one.spans(*ranges), other.spans(*ranges))
    )


def _write_csv(path: Path, rows: Iterator[Table]) -> None:
    # Without the time of writing the same table is the same file.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw as file:
        for table in rows:
            if not file.tell():
                file.write(_csv_text([table.header]))
            columns = [
                [table.names[code] for code in table.name_of_row.tolist()]
                if name == "layer"
                else ["" if number == BLANK else number for number in table.numbers[name].tolist()]
                for name in table.header
            ]
            file.write(_csv_text(zip(*columns, strict=True)))


def _csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8")


def _write_parquet(path: Path, rows: Iterator[Table]) -> None:
    """Widths as bytes, blanks as nulls."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        for table in rows:
            schema = pa.schema([(name, _arrow_type(name)) for name in table.header])
            arrays = []
            for name in table.header:
                if name == "layer":
                    codes = pa.array(table.name_of_row, pa.int32())
                    arrays.append(pa.DictionaryArray.from_arrays(codes, pa.array(table.names)).cast(pa.string()))
                else:
                    numbers = table.numbers[name]
                    arrays.append(pa.array(numbers, mask=numbers == BLANK).cast(_arrow_type(name)))
            writer = writer or pq.ParquetWriter(path, schema, compression="zstd")
            writer.write_table(pa.table(arrays, schema=schema))
    finally:
        if writer is not None:
            writer.close()


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    if name == "layer":
        return pa.string()
    return pa.uint8() if name in (*WIDTHS, *OPTIONAL_WIDTHS) else pa.int64()
