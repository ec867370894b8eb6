"""Folders of results: what stands in their way is said before any work, and they are there whole or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bitsim.drafts import draft_folder
from bitsim.errors import InputError
from bitsim.report.whole_file import nearest_folder, reason, takes_files


def check_writable(folder: Path, option: str = "--out") -> None:
    """Raise InputError now, before any work, if a folder cannot be made at `folder`, given by `option`."""
    try:
        place = folder.resolve()  # a link stands for the folder it leads to
        if place.exists() and not place.is_dir():
            raise InputError(f"{option} {folder}: is a file, allowed: a new or empty folder")
        if place.is_dir() and any(place.iterdir()):
            raise InputError(f"{option} {folder}: is not empty, allowed: a new or empty folder")
        if place == Path.cwd():  # it would be replaced under the feet of whoever stands in it
            raise InputError(
                f"{option} {folder}: is the current folder, allowed: a new folder, or an empty one elsewhere"
            )
        parent = nearest_folder(place)
        if not takes_files(parent):
            raise InputError(f"{option} {folder}: {parent} is not writable")
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise InputError(f"{option} {folder}: {reason(error)}, allowed: a new or empty folder") from None


def check_apart(folders: Mapping[str, Path | None]) -> None:
    """Raise InputError where a folder, or a file, that one option gives is that of another, or inside it."""
    given = {option: folder for option, folder in folders.items() if folder is not None}
    for (option, folder), (other, outer) in itertools.permutations(given.items(), 2):
        if outer.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise InputError(f"{option} {folder}: is in {other} {outer}, allowed: folders apart")


@contextmanager
def whole_folder(folder: Path, option: str) -> Iterator[Path]:
    """A hidden folder to write into, renamed to `folder` at the end; gone if anything is raised.

    Raises InputError, naming `option`, if there is no folder to be written at `folder`.
    """
    check_writable(folder, option)
    try:
        with draft_folder(folder.resolve()) as draft:
            yield draft
    except OSError as error:
        raise InputError(f"{option} {folder}: {error.strerror}") from None
