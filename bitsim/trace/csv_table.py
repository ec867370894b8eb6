"""A precision table as CSV, plain or compressed, block by block.

A plain block goes through pyarrow's typed reader: a million rows in 0.4 s.  Whatever that refuses or could misjudge
(blank lines, 8.0, hexadecimal, any fault) is read again cell by cell, which names lines.

Assumptions
    - Without quotes a line is a row, so a file may be cut into blocks at any end of a line; the rest of a file
      from its first quote on is one block, and so is one whose lines end in a bare carriage return.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from bitsim.errors import InputError
from bitsim.strict_yaml import decode
from bitsim.trace.cells import NO_ROWS, Faults, check_columns, parse_rows, split_header
from bitsim.trace.table_file import BLANK, Columns, Stamp, Table, factorize, first_line_of, whole_numbers

BLOCK_BYTES = 2**23
MAX_BLOCK_BYTES = 2**28


def read(stamp: Stamp, columns: Columns, faults: Faults) -> Iterator[Table]:
    """The rows of a CSV file, see `read_table`."""
    path = stamp.path
    try:
        with path.open("rb") as raw:
            file: IO[bytes] = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw  # type: ignore[assignment]  # reads alike
            header: list[str] = []
            line, rows = 1, 0
            for block in _blocks(path, file):
                body = block
                if not header:
                    text = decode(path, block)
                    if not text.strip():
                        raise InputError(f"{path}:1: empty file")
                    header, rest, line = split_header(path, text)
                    check_columns(path, header, columns.required, columns.optional)
                    body = rest.encode()
                share = raw.tell() / max(1, os.fstat(raw.fileno()).st_size)
                before = faults.count
                table = plain_rows(header, body, line, columns, share)
                if table is None:
                    table, line = any_rows(path, header, body, line, columns, share, faults)
                else:
                    line += len(table.lines)
                stamp.check(f"before line {line}")
                rows += len(table.lines)
                if len(table.lines) and faults.count == before:
                    yield table
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}:{line}: not a whole gzip file: {first_line_of(error)}") from None
    except OSError as error:
        raise InputError(f"{path}:1: cannot be read: {error.strerror}") from None
    if not header:
        raise InputError(f"{path}:1: empty file")
    if not rows and not faults.count:
        raise InputError(f"{path}:1: {NO_ROWS}")


def _blocks(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces of whole rows, the first with the header and, in all but the last, at least one line more."""
    rest = b""
    while read := file.read(BLOCK_BYTES):
        block = rest + read
        if b'"' in block:
            block += file.read(MAX_BLOCK_BYTES)
            if len(block) >= MAX_BLOCK_BYTES:
                raise InputError(
                    f"{path}:1: {MAX_BLOCK_BYTES} bytes from the first quote on, allowed: less, no quotes, or .parquet"
                )
            yield block
            rest = b""
            continue
        if len(block) >= MAX_BLOCK_BYTES:
            raise InputError(f"{path}:1: {MAX_BLOCK_BYTES} bytes without an end of line (LF), allowed: less")
        end = block.rfind(b"\n") + 1
        if end:
            yield block[:end]
        rest = block[end:]
    if rest:
        yield rest


def plain_rows(header: list[str], body: bytes, first_line: int, columns: Columns, share: float = 1.0) -> Table | None:
    """The rows, if they are so plain that nothing can be misread and no line is out of count; else None."""
    import pyarrow as pa
    from pyarrow import csv

    if not body or b'"' in body or b"0x" in body or b"0X" in body:
        return None
    types: dict[str, Any] = {name: pa.int64() for name in header}
    types["layer"] = pa.dictionary(pa.int32(), pa.string())
    try:
        table = csv.read_csv(
            pa.BufferReader(body),
            read_options=csv.ReadOptions(column_names=header),
            convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )
    except pa.ArrowException:
        return None
    rows = table.num_rows
    if not rows or rows != body.count(b"\n") + (not body.endswith(b"\n")):
        return None
    numbers = {}
    for name in (n for n in header if n != "layer"):
        column = table[name]
        if column.null_count < rows and int(np.min(column.drop_null().to_numpy())) < 0:
            return None
        if name.startswith("iteration") and column.null_count:
            return None
        numbers[name] = column.fill_null(BLANK).to_numpy()
    codes = table["layer"].unify_dictionaries().combine_chunks()
    names = [str(name).strip() for name in codes.dictionary.to_pylist()]
    return Table(header, numbers, names, codes.indices.to_numpy(), np.arange(first_line, first_line + rows), share)


def any_rows(
    path: Path, header: list[str], body: bytes, first_line: int, columns: Columns, share: float, faults: Faults
) -> tuple[Table, int]:
    """(rows, line after them), read cell by cell; every fault is noted with its line."""
    line_list, rows, line = parse_rows(decode(path, body, first_line), len(header), first_line, faults)
    lines = np.array(line_list, np.int64)
    numbers = {
        name: whole_numbers((row[at] for row in rows), name, lines, faults, columns.allowed[name])
        for at, name in enumerate(header)
        if name != "layer"
    }
    at = header.index("layer")
    names, codes = factorize(row[at] for row in rows)
    return Table(header, numbers, names, codes, lines, share), line
