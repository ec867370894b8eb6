"""Result folders: rows.parquet, iterations.parquet, summary.json, copies of the machine and run.yaml.

A folder is written beside its place and renamed into it, so that it is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bitsim import __version__
from bitsim.errors import InputError
from bitsim.simulation.result import Result

RUN_COPY = "run.yaml"


def check_writable(folder: Path) -> None:
    """Raise InputError now, before any work, if a result folder cannot be made at `folder`."""
    try:
        place = folder.resolve()  # a link stands for the folder it leads to
        if place.exists() and not place.is_dir():
            raise InputError(f"--out {folder}: is a file, allowed: a new or empty folder")
        if place.is_dir() and any(place.iterdir()):
            raise InputError(f"--out {folder}: is not empty, allowed: a new or empty folder")
        if place == Path.cwd():  # it would be replaced under the feet of whoever stands in it
            raise InputError(f"--out {folder}: is the current folder, allowed: a new folder, or an empty one elsewhere")
        parent = place.parent
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise InputError(f"--out {folder}: {parent} is not writable")
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        reason = error.strerror if isinstance(error, OSError) else "a link that leads to itself"
        raise InputError(f"--out {folder}: {reason}, allowed: a new or empty folder") from None


def document(results: list[Result], rows: list[list[dict[str, Any]]] | None) -> dict[str, Any]:
    """The JSON object of `bitsim run`; rows None leaves them out."""
    runs = []
    for i, result in enumerate(results):
        run = result.summary()
        del run["version"]
        if rows is not None:
            run["rows"] = rows[i]
        runs.append(run)
    return {"bitsim": __version__, "runs": runs}


def write_folder(folder: Path, results: list[Result], rows: list[list[dict[str, Any]]]) -> None:
    """Write a result folder atomically.  Raises InputError if it cannot be written."""
    import pandas as pd

    check_writable(folder)
    if any(f"{result.machine.name}.yaml" == RUN_COPY for result in results):
        raise InputError("--out: a machine file named run.yaml would stand in for that of the trace; rename it")
    place = folder.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".bitsim-", dir=place.parent))
    except OSError as error:
        raise InputError(f"--out {folder}: {error.strerror}") from None
    try:
        frames: list[pd.DataFrame] = []
        iterations: list[pd.DataFrame] = []
        for result, records in zip(results, rows, strict=True):
            for target, frame in (
                (frames, pd.DataFrame(records, columns=_columns(result, records))),
                (iterations, result.per_iteration()),
            ):
                frame.insert(0, "hardware", result.machine.name)
                target.append(frame)
            shutil.copyfile(result.machine.source.path, draft / f"{result.machine.name}.yaml")
        _fill_absent(pd.concat(frames, ignore_index=True)).to_parquet(draft / "rows.parquet", index=False)
        _fill_absent(pd.concat(iterations, ignore_index=True)).to_parquet(draft / "iterations.parquet", index=False)
        shutil.copyfile(results[0].trace.path / "run.yaml", draft / RUN_COPY)
        (draft / "summary.json").write_text(json.dumps(document(results, None), indent=2) + "\n")
        draft.chmod(0o755)
        draft.replace(place)  # an empty folder there is replaced too
    except OSError as error:
        raise InputError(f"--out {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.  Raises InputError if it cannot be written."""
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.absolute().parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def _columns(result: Result, records: list[dict[str, Any]]) -> list[str]:
    return list(records[0]) if records else result.columns


def _fill_absent(frame: Any) -> Any:
    """A buffer that one machine lacks is 0 in a table of several."""
    numbers = frame.select_dtypes("number").columns
    whole = [n for n in numbers if n.endswith("_bits")]
    frame[numbers] = frame[numbers].fillna(0)
    return frame.astype(dict.fromkeys(whole, "int64"))
