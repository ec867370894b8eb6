"""Machine files written: what `compare --iso` made of the machines it was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from bitsim.hardware import read_machine
from bitsim.iso import Resized
from bitsim.report.whole_folder import whole_folder

OPTION = "--save-resized"


def file_name(one: Resized) -> str:
    """Name of the file of a resized machine: that of the machine given and the budget it was brought to."""
    return f"{one.given.name}_iso_{one.mode.replace('-', '_')}.yaml"


def write_resized(folder: Path, resized: Sequence[Resized], baseline: str) -> list[Path]:
    """Write every machine but the baseline to a new folder, whole or not at all; the paths written.

    Raises InputError if it cannot be written.
    """
    names = []
    with whole_folder(folder, OPTION) as draft:
        for one in resized:
            if one.given.name != baseline:
                names.append(file_name(one))
                _write(draft / names[-1], one, baseline)
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
