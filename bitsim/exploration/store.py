"""The folder of a sweep: parts as tasks finish, one table at the end.

    sweep.json        what the sweep is of: traces, machines, parameters, choices; at the end also counts and failures
    parts/*.parquet   finished points, one file a task, with version, config hash and trace hash in every row
    sweep.parquet     every point that finished and meets the constraints, in the order of the grid

Every file is written beside its place, flushed to the disk and renamed into it: what has its name is whole.  A part
that cannot be read all the same, or whose rows do not have the checksum it says, is set aside and its points run again.
Failures are told, never kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bitsim import __version__
from bitsim.errors import InputError
from bitsim.report.whole_folder import check_writable

MANIFEST, PARTS, TABLE = "sweep.json", "parts", "sweep.parquet"
# Measured: 1,000 points of ResNet-38 are 0.5 MB of parts and 0.3 MB of table.
BYTES_A_POINT, BYTES_AT_LEAST = 2_000, 2**20
IDENTITY = "point"
CHECKSUM = b"sha256"  # of a part's rows, in its metadata
_TEXTS = frozenset({IDENTITY, "notes", "hardware", "trace", "config_hash", "trace_hash", "version"})
_REALS = ("_pj", "_s", "_j", "_js", "_mm2", "_per_iteration")
INT64_MOST = 2**63 - 1


class SweepFolder:
    """Where a sweep is stored.  Raises InputError naming the folder where it cannot be read or written."""

    def __init__(self, path: Path, resume: bool, points: int) -> None:
        """Make the folder, or find it again.  resume: it may hold a sweep; points: that may come."""
        self.path = path
        self._parts = path / PARTS
        if not (resume and (path / MANIFEST).is_file()):
            if resume and path.is_dir() and any(path.iterdir()):
                raise InputError(f"--out {path}: holds no {MANIFEST}, allowed for --resume: the folder of a sweep")
            check_writable(path)
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
            needed, free = BYTES_AT_LEAST + BYTES_A_POINT * points, shutil.disk_usage(path).free
            with tempfile.NamedTemporaryFile(dir=self._parts, prefix=".draft-"):
                pass
        except OSError as error:
            raise self._fault(error) from None
        if free < needed:
            raise InputError(f"--out {path}: {free / 1e6:.0f} MB free, {points:,} points need {needed / 1e6:.0f} MB")

    def write_manifest(self, content: Mapping[str, Any]) -> None:
        """Write sweep.json."""
        text = json.dumps({"bitsim": __version__, **content}, indent=1, default=str) + "\n"
        self._write(self.path / MANIFEST, lambda draft: draft.write_text(text, encoding="utf-8"))

    def write_part(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Keep the records of finished points; each has its identity in column `point`."""
        import pyarrow.parquet as pq

        name = hashlib.sha256(" ".join(str(r[IDENTITY]) for r in records).encode()).hexdigest()[:24]
        table = arrow_table(records, {})
        table = table.replace_schema_metadata({CHECKSUM: _checksum(table.to_pylist())})
        self._write(self._parts / f"{name}.parquet", lambda draft: pq.write_table(table, draft))

    def read_parts(self) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """({identity: record}, notes) of all parts of this version; one that is damaged gives a note and no record."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        found: dict[str, dict[str, Any]] = {}
        notes = []
        for path in sorted(self._parts.glob("*.parquet")):
            try:
                table = pq.read_table(path)
                records = table.to_pylist()
                whole = (table.schema.metadata or {}).get(CHECKSUM) == _checksum(records)
                fault = "" if whole else "its rows are not those that were written"
            except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8
                fault = str(error).partition("\n")[0] or "cannot be read"
            if fault:
                notes.append(f"{path}: set aside, its points run again: {fault}")
            else:
                found |= {r[IDENTITY]: r for r in records if r["version"] == __version__}
        return found, notes

    def write_table(self, records: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> None:
        """Write sweep.parquet."""
        import pyarrow.parquet as pq

        table = arrow_table(records, types)
        self._write(self.path / TABLE, lambda draft: pq.write_table(table, draft))

    def _write(self, path: Path, write: Callable[[Path], Any]) -> None:
        """`path` whole or not at all, on the disk before it has its name."""
        try:
            handle, name = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
            os.close(handle)
            draft = Path(name)
            try:
                write(draft)
                with draft.open("rb+") as file:
                    os.fsync(file.fileno())
                draft.chmod(0o644)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise self._fault(error) from None

    def _fault(self, error: OSError) -> InputError:
        return InputError(f"--out {self.path}: {error.strerror or error}")


def arrow_table(records: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> Any:
    """Records as an Arrow table: columns of all, in the order they are met; types: of columns whose name does not tell.

    Counts are int64; a column in which one passes that is of doubles.  A count that a record lacks is 0: the buffer
    of another machine.
    """
    import pyarrow as pa

    listed = list(records)
    names = list(dict.fromkeys(name for record in listed for name in record))
    columns = {}
    for name in names:
        kind = types.get(name) or _kind(name)
        missing = None if name in types or kind == "string" else 0
        values = [record.get(name, missing) for record in listed]
        if kind == "int64" and any(value is not None and abs(value) > INT64_MOST for value in values):
            kind = "double"
        if kind == "double":
            values = [None if value is None else float(value) for value in values]
        if kind == "string":
            values = [None if value is None else str(value) for value in values]
        columns[name] = pa.array(values, pa.type_for_alias(kind))
    return pa.table(columns)


def _checksum(records: Sequence[Mapping[str, Any]]) -> bytes:
    """SHA-256 of records, their columns and their order, in hexadecimal."""
    return hashlib.sha256(json.dumps(records, default=str).encode()).hexdigest().encode()


def axis_type(values: Iterable[Any]) -> str:
    """Arrow's name for the type that holds all values of a parameter; text where they are of several kinds."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    return "double" if kinds <= {int, float} else "string"


def _kind(name: str) -> str:
    if name in _TEXTS:
        return "string"
    return "double" if name.endswith(_REALS) or name in ("utilisation", "effective_macs") else "int64"
