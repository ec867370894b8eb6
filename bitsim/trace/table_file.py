"""A precision table (.csv, .csv.gz, .parquet) as columns of integers.

Plain CSV goes through pyarrow's typed reader: a million rows in 0.4 s.  Whatever that refuses or could
misjudge (quotes, blank lines, 8.0, hexadecimal, any fault) is read again cell by cell, which names lines.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bitsim.errors import InputError
from bitsim.strict_yaml import decode, read_bytes
from bitsim.trace.cells import Faults, check_columns, parse_cells

BLANK = -1
MAX_TABLE_BYTES = 2**30
MAX_NUMBER = 2**53
_WHOLE = re.compile(r"\+?([0-9]{1,18})(?:\.0*)?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """numbers: (rows,) int64 a column, BLANK where empty; layer of row i is ``names[name_of_row[i]]``.

    header: columns of the file, in its order.
    lines: line of each row in its file (parquet: row, from 1), which `row_word` names in faults.
    """

    header: list[str]
    numbers: dict[str, np.ndarray]
    names: list[str]
    name_of_row: np.ndarray
    lines: np.ndarray
    row_word: str


def read_table(
    path: Path, numbers: Sequence[str], required: Sequence[str], optional: Sequence[str], allowed: dict[str, str]
) -> Table:
    """Read a table with a text column `layer` and whole-number columns `numbers`.

    allowed: what a column may hold, for messages.  InputError with every fault and its line.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path, numbers, required, optional, allowed)
    raw = read_bytes(path, MAX_TABLE_BYTES)
    if path.suffix == ".gz":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
                raw = file.read(MAX_TABLE_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}:1: not a whole gzip file: {error}") from None
        if len(raw) > MAX_TABLE_BYTES:
            raise InputError(f"{path}:1: more than {MAX_TABLE_BYTES} bytes of text, allowed: less, or .parquet")
    return _plain_csv(raw, numbers, required, optional) or _any_csv(path, raw, numbers, required, optional, allowed)


def _plain_csv(raw: bytes, numbers: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> Table | None:
    """The table, if it is so plain that nothing can be misread and no line is out of count; else None."""
    import pyarrow as pa
    from pyarrow import csv

    end = raw.find(b"\n")
    header = raw[:end].decode("utf-8", "replace").rstrip("\r").split(",")
    whole = set(required) <= set(header) <= {*required, *optional} and len(set(header)) == len(header)
    if not whole or b'"' in raw or b"0x" in raw or b"0X" in raw:
        return None
    types: dict[str, Any] = dict.fromkeys(numbers, pa.int64())
    types["layer"] = pa.dictionary(pa.int32(), pa.string())
    try:
        table = csv.read_csv(
            pa.BufferReader(raw),
            read_options=csv.ReadOptions(column_names=header, skip_rows=1),
            convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )
    except pa.ArrowException:
        return None
    rows = table.num_rows
    if not rows or rows + 1 != raw.count(b"\n") + (not raw.endswith(b"\n")):
        return None
    columns = {name: np.full(rows, BLANK, np.int64) for name in numbers}
    for name in (n for n in numbers if n in header):
        column = table[name]
        if column.null_count < rows:
            if int(np.min(column.drop_null().to_numpy())) < 0:
                return None
            columns[name] = column.fill_null(BLANK).to_numpy()
        if name.startswith("iteration") and column.null_count:
            return None
    codes = table["layer"].unify_dictionaries().combine_chunks()
    names = [str(name).strip() for name in codes.dictionary.to_pylist()]
    return Table(header, columns, names, codes.indices.to_numpy(), np.arange(2, rows + 2), "")


def _any_csv(
    path: Path,
    raw: bytes,
    numbers: Sequence[str],
    required: Sequence[str],
    optional: Sequence[str],
    allowed: dict[str, str],
) -> Table:
    header, line_list, rows = parse_cells(path, decode(path, raw), required, optional)
    lines, faults = np.array(line_list), Faults(path)
    columns = {}
    for name in numbers:
        if name in header:
            at = header.index(name)
            columns[name] = _whole_numbers((row[at] for row in rows), name, lines, faults, allowed)
        else:
            columns[name] = np.full(len(rows), BLANK, np.int64)
    faults.check()
    at = header.index("layer")
    names, codes = _factorize(row[at] for row in rows)
    return Table(header, columns, names, codes, lines, "")


def _read_parquet(
    path: Path, numbers: Sequence[str], required: Sequence[str], optional: Sequence[str], allowed: dict[str, str]
) -> Table:
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path}:1: is not a file, allowed: a parquet file")
    try:
        table = pq.ParquetFile(path).read()
        header = [name for name in table.column_names if not name.startswith("__index_level_")]
        check_columns(path, header, required, optional)
        rows = table.num_rows
        lines, faults = np.arange(1, rows + 1), Faults(path, "row")
        if not rows:
            raise InputError(f"{path}:1: no rows")
        columns = {name: np.full(rows, BLANK, np.int64) for name in numbers}
        for name in (n for n in numbers if n in header):
            columns[name] = _parquet_numbers(table[name], name, lines, faults, allowed)
        names, codes = _factorize(
            "" if v is None else v.strip() if isinstance(v, str) else repr(v) for v in table["layer"].to_pylist()
        )
    except InputError:
        raise
    except Exception as error:  # pyarrow has a family of its own for torn files
        raise InputError(f"{path}:1: not a parquet table: {str(error).splitlines()[0][:200]}") from None
    faults.check()
    return Table(header, columns, names, codes, lines, "row")


def _parquet_numbers(column: Any, name: str, lines: np.ndarray, faults: Faults, allowed: dict[str, str]) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        values = column.to_numpy()  # nulls become NaN
        if values.dtype.kind == "f":
            blank = np.isnan(values)
            sound = blank | ((values >= 0) & (values < MAX_NUMBER) & (values == np.floor(values)))
            if sound.all():
                return np.where(blank, BLANK, np.where(blank, 0, values)).astype(np.int64)
        elif values.min() >= 0:
            return values.astype(np.int64)
    texts = ("" if v is None or v != v else str(v) for v in column.to_pylist())
    return _whole_numbers(texts, name, lines, faults, allowed)


def _whole_numbers(
    texts: Iterable[str], name: str, lines: np.ndarray, faults: Faults, allowed: dict[str, str]
) -> np.ndarray:
    """(rows,) int64 of texts, BLANK where empty; what is not a whole number is a fault."""
    known: dict[str, int] = {"": BLANK}
    numbers = np.empty(len(lines), np.int64)
    bad: list[int] = []
    shown: dict[int, str] = {}
    for row, text in enumerate(texts):
        number = known.get(text)
        if number is None:
            match = _WHOLE.fullmatch(text)
            number = known[text] = int(match[1]) if match else -2
        if number == -2 or (number == BLANK and name.startswith("iteration")):
            bad.append(row)
            if len(shown) < 32:
                shown[row] = repr(text[:40]) if text else "blank"
        numbers[row] = number
    faults.add_rows(np.array(bad, np.int64), lines, lambda row: f"{name}: {shown[row]}, allowed: {allowed[name]}")
    return numbers


def _factorize(texts: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """(distinct texts, their number for each row)."""
    numbers: dict[str, int] = {}
    codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), np.int64)
    return list(numbers), codes
