"""A sweep as a picture: every point on two costs, the front of each machine drawn through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitsim.exploration.result import Sweep, front
from bitsim.report.picture import COLOURS, save_figure

_NAMES = {"latency_s": "time (s)", "energy_j": "energy (J)", "area_mm2": "area (mm²)", "edp_js": "energy x time (J·s)"}


def pareto_picture(sweep: Sweep, columns: Sequence[str], path: Path) -> None:
    """Write the picture, one panel a trace, one colour a machine; form by suffix.

    columns: of the x and the y axis; one alone is drawn over energy_j.  InputError if the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    across, up = (*columns, "energy_j")[:2]
    traces = list(dict.fromkeys(record["trace"] for record in sweep.records))
    machines = list(dict.fromkeys(record["hardware"] for record in sweep.records))
    size = (1.5 + 5.5 * len(traces), 4.8)
    figure, panels = pyplot.subplots(1, len(traces), figsize=size, squeeze=False, layout="constrained")
    for axes, trace in zip(panels[0], traces, strict=True):
        for machine, colour in zip(machines, _colours(len(machines)), strict=True):
            records = [r for r in sweep.records if r["trace"] == trace and r["hardware"] == machine]
            _draw(axes, records, (across, up), colour, machine)
        axes.set_title(f"{trace}: {sum(r['trace'] == trace for r in sweep.records):,} points", fontsize="medium")
        axes.set_xlabel(_NAMES.get(across, across))
        axes.set_ylabel(_NAMES.get(up, up))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="small")
    try:
        save_figure(figure, path)
    finally:
        pyplot.close(figure)


def _draw(axes: Any, records: Sequence[Any], columns: tuple[str, str], colour: Any, machine: str) -> None:
    """Points of one machine, and steps through those no other of it beats."""
    if not records:
        return
    across, up = columns
    axes.scatter([r[across] for r in records], [r[up] for r in records], s=9, alpha=0.35, color=colour, linewidths=0)
    best = [records[place] for place in front(records, columns)]
    steps = {"drawstyle": "steps-post", "marker": "o", "markersize": 4, "linewidth": 1.2}
    axes.plot([r[across] for r in best], [r[up] for r in best], color=colour, label=machine, **steps)


def _colours(count: int) -> list[Any]:
    """As many colours as machines; those of the other pictures first."""
    from matplotlib import colormaps

    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [colormaps["viridis"](place / (count - 1)) for place in range(count)]
