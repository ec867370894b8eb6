"""One file written whole or not at all: a draft beside its place, renamed into it.

A rename puts a file in the place of whatever stands there, of /dev/null too.  So only a file, or nothing, may stand
there; a link stands for the file it leads to.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bitsim.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8.  Raises InputError if there is no file to be written at `path`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`.  Raises InputError if there is no file to be written at `path`."""
    draft = None
    try:
        place = path.resolve()
        if place.exists() and not place.is_file():
            kind = "folder" if place.is_dir() else "device or pipe"
            raise InputError(f"{path}: is a {kind}, allowed: a file")
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{place.name}-", dir=place.parent)
        draft = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        draft.chmod(0o644)
        draft.replace(place)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        reason = error.strerror if isinstance(error, OSError) else "a link that leads to itself"
        raise InputError(f"{path}: cannot be written: {reason}") from None
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)  # renamed away unless something failed
