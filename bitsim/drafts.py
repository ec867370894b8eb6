"""Folders that are there whole or not at all: written beside their place and renamed into it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def draft_folder(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place` to write into, renamed to it at the end; gone if anything is raised.

    An empty folder at `place` is replaced; its parents are made.  Raises OSError.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".bitsim-", dir=place.parent))
    try:
        yield draft
        draft.chmod(0o755)
        draft.replace(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
