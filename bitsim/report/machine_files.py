"""Machine files written: what `compare --iso` made of the machines it was given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from bitsim.errors import InputError
from bitsim.hardware import read_machine
from bitsim.iso import Resized
from bitsim.report.folder import check_writable

OPTION = "--save-resized"


def file_name(one: Resized) -> str:
    """Name of the file of a resized machine: that of the machine given and the budget it was brought to."""
    return f"{one.given.name}_iso_{one.mode.replace('-', '_')}.yaml"


def write_resized(folder: Path, resized: Sequence[Resized], baseline: str) -> list[Path]:
    """Write every machine but the baseline to a new folder, whole or not at all; the paths written.

    Raises InputError if it cannot be written.
    """
    check_writable(folder, OPTION)
    place = folder.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".bitsim-", dir=place.parent))
    except OSError as error:
        raise InputError(f"{OPTION} {folder}: {error.strerror}") from None
    names = []
    try:
        for one in resized:
            if one.given.name != baseline:
                names.append(file_name(one))
                _write(draft / names[-1], one, baseline)
        draft.chmod(0o755)
        draft.replace(place)
    except OSError as error:
        raise InputError(f"{OPTION} {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [folder / name for name in names]


def _write(path: Path, one: Resized, baseline: str) -> None:
    content = one.machine.source.content
    changes = ", ".join(f"{key}: {now}" for key, (_, now) in one.changes.items()) or "nothing had to change"
    head = f"# {one.given.name} brought to the {one.mode} of {baseline}: {changes}.\n"
    path.write_text(
        head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120),
        encoding="utf-8",
    )
    # Our reader is stricter than the writer: a file that says something else when read is not left behind.
    if read_machine(path).content != content:
        raise RuntimeError(f"{path.name} does not read back as it was written")
