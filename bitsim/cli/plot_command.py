"""bitsim plot: pictures for papers from result folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bitsim.errors import InputError

Kind = Literal["stages", "pareto", "roofline", "breakdown"]
PARETO_AXES = "latency_s,energy_j"


def plot(
    kind: Annotated[Kind, typer.Argument(help="What to draw.")],
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT_DIR...", help="Folders of --out: of run, compare or demo; for pareto of sweep."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture: .pdf, .svg or .png (default: KIND.pdf).")
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMNS",
            help=f"Of pareto: two columns of sweep.parquet, both better when smaller (default: {PARETO_AXES}).",
        ),
    ] = None,
) -> None:
    """Draw RESULT_DIR as a picture of a column's width (85 mm) for a paper.

    stages: time and energy over training, with the loss.  pareto: points of a sweep and their front.
    roofline: every layer and pass below the roof of its precision.  breakdown: energy by component, cycles by class.
    """
    from bitsim.report import plots
    from bitsim.report.picture import paper_style, picture_form, save_figure

    if axes is not None and kind != "pareto":
        raise InputError(f"--axes: {kind} has its own, allowed for: pareto")
    path = out if out is not None else Path(f"{kind}.pdf")
    picture_form(path)
    if path.is_dir():
        raise InputError(f"--out {path}: is a folder, allowed: a file")
    with paper_style():
        figure = plots.draw(kind, folders, axes if axes is not None else PARETO_AXES)
        save_figure(figure, path)
    typer.echo(path)
