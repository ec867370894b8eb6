"""The runs of one or more result folders, each with a name that no other has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitsim.report.result_folder import ResultFolder, RunSummary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NamedRun:
    """One machine on one trace; label: as short as tells it from the others."""

    label: str
    folder: ResultFolder
    summary: RunSummary

    @property
    def costs(self) -> pd.DataFrame:
        """Sums over the whole range, one row per layer, pass and widths (`ResultFolder.costs`)."""
        costs = self.folder.costs
        return costs[costs["hardware"] == self.summary.hardware]

    @property
    def training(self) -> pd.DataFrame:
        """Mean cost of an iteration in bins of iterations (`ResultFolder.training`)."""
        return self.folder.training[self.summary.hardware]


def fitting(label: str, most: int) -> str:
    """A label of at most `most` characters, its middle left out where it has more: both ends tell runs apart."""
    if len(label) <= most:
        return label
    tail = (most - 1) // 2
    return f"{label[: most - 1 - tail]}…{label[-tail:]}"


def named_runs(folders: Sequence[ResultFolder]) -> list[NamedRun]:
    """Every machine of every folder, in order, named by machine, else by trace too, else by folder too."""
    pairs = [(folder, run) for folder in folders for run in folder.runs]
    forms: tuple[Callable[[ResultFolder, RunSummary], str], ...] = (
        lambda folder, run: run.hardware,
        lambda folder, run: f"{run.hardware}, {run.trace}",
        lambda folder, run: f"{run.hardware}, {run.trace} ({folder.path.name})",
        lambda folder, run: f"{run.hardware}, {run.trace} ({folder.path})",
    )
    for form in forms:
        labels = [form(folder, run) for folder, run in pairs]
        if len(set(labels)) == len(labels):
            break
    return [NamedRun(label, folder, run) for label, (folder, run) in zip(labels, pairs, strict=True)]
