"""A precision table as Parquet, row group by row group.

Assumptions
    - Pages are checked against their checksums where the writer left any; what cannot be decoded, or comes out
      shorter than the file's footer says, is an error that names the row group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bitsim.errors import InputError
from bitsim.trace.cells import Faults, check_columns
from bitsim.trace.table_file import (
    BLANK,
    MAX_NUMBER,
    RUN_ROWS,
    Columns,
    Stamp,
    Table,
    factorize,
    first_line_of,
    whole_numbers,
)

_BUFFER_BYTES = 2**20


def read(stamp: Stamp, columns: Columns, faults: Faults) -> Iterator[Table]:
    """The rows of a Parquet file, see `read_table`."""
    path = stamp.path
    file = _open(path)
    header = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
    check_columns(path, header, columns.required, columns.optional)
    total, before = file.metadata.num_rows, 0
    if not total:
        raise InputError(f"{path}:1: no rows")
    for group in range(file.num_row_groups):
        place = f"row group {group + 1} of {file.num_row_groups}"
        expected = before + file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(RUN_ROWS, row_groups=[group], columns=header):
                known, first, before = faults.count, before + 1, before + batch.num_rows
                lines = np.arange(first, before + 1)
                table = _table(header, batch, lines, columns, before / total, faults)
                stamp.check(place)
                if len(lines) and faults.count == known:
                    yield table
        except InputError:
            raise
        except Exception as error:  # pyarrow has a family of its own for torn files
            stamp.check(place)
            raise InputError(f"{path}: {place}: cut off or damaged: {first_line_of(error)}") from None
        if before != expected:
            rows = f"{before} of the {expected} rows up to its end"
            raise InputError(f"{path}: {place}: cut off: {rows} are there")


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(
            path, read_dictionary=["layer"], buffer_size=_BUFFER_BYTES, page_checksum_verification=True
        )
    except Exception as error:
        with path.open("rb") as file:
            begun = file.read(4) == b"PAR1"
        what = "cut off: the footer that lists its row groups is missing or torn" if begun else "not a parquet table"
        raise InputError(f"{path}:1: {what}: {first_line_of(error)}") from None


def _table(header: list[str], batch: Any, lines: np.ndarray, columns: Columns, share: float, faults: Faults) -> Table:
    import pyarrow as pa

    numbers = {
        name: _numbers(batch.column(name), name, lines, faults, columns.allowed[name])
        for name in header
        if name != "layer"
    }
    layer = batch.column("layer")
    if pa.types.is_dictionary(layer.type) and not layer.null_count:
        names, codes = [_name(v) for v in layer.dictionary.to_pylist()], layer.indices.to_numpy()
    else:
        names, codes = factorize(_name(v) for v in layer.to_pylist())
    return Table(header, numbers, names, codes, lines, share)


def _name(value: Any) -> str:
    return "" if value is None else value.strip() if isinstance(value, str) else repr(value)


def _numbers(column: Any, name: str, lines: np.ndarray, faults: Faults, allowed: str) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if column.null_count == len(column) and not name.startswith("iteration"):
        return np.broadcast_to(np.int64(BLANK), len(column))
    if pa.types.is_integer(kind) and kind != pa.uint64() and (not column.null_count or not name.startswith("iter")):
        if pc.min(column).as_py() >= 0:
            return (column.cast(pa.int64()).fill_null(BLANK) if column.null_count else column).to_numpy()
    elif pa.types.is_floating(kind):
        values = column.to_numpy(zero_copy_only=False)  # nulls become NaN
        blank = np.isnan(values)
        sound = blank | ((values >= 0) & (values < MAX_NUMBER) & (values == np.floor(values)))
        if sound.all() and not (name.startswith("iteration") and blank.any()):
            return np.where(blank, BLANK, np.where(blank, 0, values)).astype(np.int64)
    texts = ("" if v is None or v != v else str(v) for v in column.to_pylist())
    return whole_numbers(texts, name, lines, faults, allowed)
