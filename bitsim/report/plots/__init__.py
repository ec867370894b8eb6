"""Pictures for papers, drawn from result folders: `bitsim plot KIND RESULT_DIR...`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitsim.errors import InputError
from bitsim.report.result_folder import ResultFolder, read_folder


def draw(kind: str, folders: Sequence[Path], axes: str = "latency_s,energy_j") -> Any:
    """A matplotlib figure of kind stages, pareto, roofline or breakdown; call it within `picture.paper_style`.

    axes: of pareto, two columns of sweep.parquet.  InputError names every folder that cannot be read.
    """
    from bitsim.report.plots.breakdown import breakdown_figure
    from bitsim.report.plots.pareto import pareto_figure
    from bitsim.report.plots.roofline import roofline_figure
    from bitsim.report.plots.stages import stages_figure

    if kind == "pareto":
        return pareto_figure(folders, axes)
    drawings = {"stages": stages_figure, "roofline": roofline_figure, "breakdown": breakdown_figure}
    return drawings[kind](read_folders(folders))


def read_folders(paths: Sequence[Path]) -> list[ResultFolder]:
    """Read result folders; faults of all are raised together."""
    found, faults = [], []
    for path in paths:
        if paths.count(path) > 1:
            faults.append(f"{path}: given twice, allowed: once")
            continue
        try:
            found.append(read_folder(path))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return found
