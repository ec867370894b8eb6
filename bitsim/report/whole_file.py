"""One file written whole or not at all: a draft beside its place, renamed into it.

A rename puts a file in the place of whatever stands there, of /dev/null too.  So only a file, or nothing, may stand
there; a link stands for the file it leads to.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitsim.errors import InputError


def check_writable(path: Path) -> None:
    """Raise InputError now, before any work, if there is no file to be written at `path`."""
    with _told(path):
        parent = nearest_folder(_place(path))
        if not takes_files(parent):
            raise InputError(f"{path}: cannot be written: {parent} is not writable")


def nearest_folder(place: Path) -> Path:
    """What is there already of the folders above `place`, the innermost."""
    return next(parent for parent in place.parents if parent.exists())


def takes_files(folder: Path) -> bool:
    """Whether a file can be made in a folder; tried, since permissions do not tell of read-only and special ones."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8.  Raises InputError if there is no file to be written at `path`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`.  Raises InputError if there is no file to be written at `path`."""
    draft = None
    try:
        with _told(path):
            place = _place(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{place.name}-", dir=place.parent)
            draft = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            draft.chmod(0o644)
            draft.replace(place)
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)  # renamed away unless something failed


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise InputError(f"{path}: cannot be written: {reason(error)}") from None


def reason(error: OSError | RuntimeError) -> str | None:
    """Why a path cannot be followed or written, in words."""
    return error.strerror if isinstance(error, OSError) else "a link that leads to itself"


def _place(path: Path) -> Path:
    """Where `path` leads; InputError if something other than a file stands there."""
    place = path.resolve()
    if place.exists() and not place.is_file():
        kind = "folder" if place.is_dir() else "device or pipe"
        raise InputError(f"{path}: is a {kind}, allowed: a file")
    return place
