"""Writing a trace folder: whole and re-read before it appears under its name."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitsim import strict_yaml
from bitsim.drafts import draft_folder
from bitsim.errors import InputError
from bitsim.trace.layers_file import OPTIONAL, OPTIONAL_PADDING, REQUIRED
from bitsim.trace.precision_file import REQUIRED as PRECISION_COLUMNS
from bitsim.trace.reader import Trace, open_trace
from bitsim.workload import Layer


def write_trace(
    folder: str | Path,
    run: Mapping[str, Any],
    layers: Iterable[Layer],
    precision: Iterable[Mapping[str, Any]],
    compress: bool = False,
) -> Trace:
    """Write a trace to `folder`, which must not exist, and open it.

    run: keys of run.yaml; precision: rows of precision.csv, missing columns are blank; compress: as precision.csv.gz.
    Raises InputError, and leaves nothing behind, if the trace does not pass its own checks.
    """
    folder = Path(folder)
    rows = list(precision)
    extra = dict.fromkeys(name for row in rows for name in row if name not in PRECISION_COLUMNS)
    with new_folder(folder) as draft:
        (draft / "run.yaml").write_text(strict_yaml.dump(run), encoding="utf-8")
        cells = [_layer_cells(layer) for layer in layers]
        _write_csv(draft / "layers.csv", (*REQUIRED, *_optional_columns(cells)), cells)
        _write_csv(draft / "precision.csv", (*PRECISION_COLUMNS, *extra), rows)
        if compress:
            _compress(draft / "precision.csv")
        open_trace(draft)
    return open_trace(folder.absolute())


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, renamed to it at the end; gone if anything is raised.

    InputError if `folder` exists or cannot be written; faults raised inside name `folder`.
    """
    if folder.exists():
        raise InputError(f"{folder}: exists already, allowed: a new folder")
    draft = None
    try:
        with draft_folder(folder.absolute()) as draft:
            yield draft
    except InputError as error:
        raise InputError(fault.replace(str(draft), str(folder)) for fault in error.faults) from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None


def _compress(path: Path) -> None:
    """PATH becomes PATH.gz, with no time of day in it: the same table is the same file."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _optional_columns(cells: list[dict[str, Any]]) -> list[str]:
    """Paddings, and what some layer needs."""
    return [name for name in OPTIONAL if name in OPTIONAL_PADDING or any(name in row for row in cells)]


def _layer_cells(layer: Layer) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "layer": layer.name,
        "kind": layer.kind,
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "needs_dgrad": layer.needs_dgrad,
        "gate_group": layer.gate_group,
    }
    if not layer.needs_wgrad:
        cells["needs_wgrad"] = "false"
    if layer.recomputes:
        cells["recomputes"] = layer.recomputes
    if layer.kind != "linear":
        cells["groups"] = layer.groups
    if layer.kind != "conv":
        return cells | {"rows": layer.rows}
    for name in ("in_h", "in_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w"):
        cells[name] = getattr(layer, name)
    for side in ("h", "w"):
        start, end = getattr(layer, f"padding_{side}"), getattr(layer, f"padding_{side}_end")
        cells[f"padding_{side}"] = start
        cells[f"padding_{side}_end"] = "" if end == start else end
    return cells
