"""Shipped files by name: hw_configs and traces, in a checkout or in an installed wheel."""

from __future__ import annotations

import difflib
from pathlib import Path

from bitsim.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def _folders(kind: str) -> list[Path]:
    """Where files of a kind are kept: inside an installed package, or beside it in a checkout."""
    return [folder for folder in (_PACKAGE / "_data" / kind, _PACKAGE.parent / kind) if folder.is_dir()]


def names(kind: str, suffix: str = "") -> list[str]:
    """Names of the shipped files (suffix ``.yaml``) or folders (no suffix) of a kind."""
    found = set()
    for folder in _folders(kind)[:1]:
        for path in folder.iterdir():
            if path.suffix == suffix and path.is_dir() == (suffix == ""):
                found.add(path.stem if suffix else path.name)
    return sorted(found)


def find(kind: str, name: str, suffix: str = "") -> Path:
    """Path of the shipped file or folder `name`.  InputError with the nearest known name if there is none."""
    known = names(kind, suffix)
    if name in known:
        return _folders(kind)[0] / f"{name}{suffix}"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"shipped: {', '.join(known) or 'none'}"
    raise InputError(f"{name}: no such file and no shipped name in {kind}, {hint}")
