"""PFQ's stages over eps and alpha, as a picture: effective MACs, and the epoch the last stage begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bitsim.report.picture import save_figure
from bitsim.synthetic.stages import StagePoint


def stages_picture(points: Sequence[StagePoint], title: str, path: Path) -> None:
    """Write two heat maps, eps upwards and alpha to the right, to a PNG, SVG or PDF.

    points: every eps with every alpha.  InputError if the file cannot be written.
    """
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    from matplotlib import pyplot

    eps = list(dict.fromkeys(point.eps for point in points))
    alpha = list(dict.fromkeys(point.alpha for point in points))
    size = (max(4 + 0.9 * len(alpha), 7), max(2 + 0.35 * len(eps), 3.2))
    figure, panels = pyplot.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    maps: list[tuple[str, Callable[[StagePoint], float], str]] = [
        ("effective MACs, % of the last stage throughout", lambda point: point.cost_percent, "{:.0f}"),
        ("epoch the last stage begins (–: never)", _last_stage, "{:.0f}"),
    ]
    for axes, (label, value, form) in zip(panels, maps, strict=True):
        grid = np.array([value(point) for point in points]).reshape(len(eps), len(alpha))
        image = axes.imshow(grid, origin="lower", aspect="auto", cmap="cividis")
        middle = (np.nanmin(grid) + np.nanmax(grid)) / 2 if np.isfinite(grid).any() else 0.0
        for (row, column), number in np.ndenumerate(grid):
            text = form.format(number) if np.isfinite(number) else "–"
            colour = "black" if not np.isfinite(number) or number > middle else "white"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
        axes.set_xticks(range(len(alpha)), [f"{a:g}" for a in alpha])
        axes.set_yticks(range(len(eps)), [f"{e:g}" for e in eps])
        axes.set_xlabel("alpha")
        axes.set_title(label, fontsize="small")
        figure.colorbar(image, ax=axes)
    panels[0].set_ylabel("eps")
    figure.suptitle(title, fontsize="medium")
    try:
        save_figure(figure, path)
    finally:
        pyplot.close(figure)


def _last_stage(point: StagePoint) -> float:
    return float("nan") if point.last_stage_epoch is None else point.last_stage_epoch
