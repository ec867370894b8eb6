"""Roofline: MACs a second against MACs a byte of DRAM traffic, one panel a machine, a dot a layer in a pass.

Source: Williams, Waterman and Patterson, "Roofline", CACM 2009.  A dot has the colour of its roof: the peak of bit
products over the bit products of one MAC at the widths the datapath ran; one colour a precision on all machines.  Its
area is its share of the run's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bitsim.report.figures.roofline import reach, roof_words, roofline_points
from bitsim.report.picture import COLOURS, MARKERS, column_figure
from bitsim.report.plots.runs import NamedRun, fitting, named_runs
from bitsim.report.result_folder import ResultFolder

if TYPE_CHECKING:
    import pandas as pd

PANEL_MM, EDGES_MM = 48.0, 14.0
MOST_CHARACTERS = 52  # of the name of a panel
LEAST_AREA, MOST_AREA = 5.0, 55.0


def roofline_figure(folders: Sequence[ResultFolder]) -> Any:
    """A figure with one panel a machine, all on the same axes."""
    from matplotlib.lines import Line2D

    runs = named_runs(folders)
    points = [roofline_points(run.folder, run.summary) for run in runs]
    across, up = reach(points, tuple(run.summary for run in runs))
    passes = dict.fromkeys(name for folder in folders for name in folder.passes)
    products = sorted({int(number) for frame in points for number in frame["products"]})
    colours = {number: COLOURS[min(i, len(COLOURS) - 1)] for i, number in enumerate(products)}
    markers = {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(passes)}
    figure = column_figure(PANEL_MM * len(runs) + EDGES_MM)
    panels = figure.subplots(len(runs), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, run, mine in zip(panels, runs, points, strict=True):
        _panel(axes, run, mine, (10 ** across[0], 10 ** across[1]), markers, colours)
        axes.set_title(fitting(run.label, MOST_CHARACTERS), loc="left")
        axes.set_ylabel("MACs / s")
    panels[-1].set_xlabel("MACs / byte of DRAM traffic")
    panels[0].set_xlim(10 ** across[0], 10 ** across[1])
    panels[0].set_ylim(10 ** up[0], 10 ** up[1])
    seen = [name for name in passes if any((frame["pass"] == name).any() for frame in points)]
    handles = [
        Line2D([], [], linestyle="", marker=markers[str(name)], markerfacecolor="none", color="black", label=name)
        for name in seen
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(seen), 3))
    return figure


def _panel(
    axes: Any,
    run: NamedRun,
    points: pd.DataFrame,
    limits: tuple[float, float],
    markers: Mapping[str, str],
    colours: Mapping[Any, str],
) -> None:
    bytes_per_s = run.summary.machine.memory_bits_per_s / 8
    axes.set_xscale("log")
    axes.set_yscale("log")
    for products, at_roof in points.groupby("products"):
        colour, roof = colours[products], float(at_roof["roof_macs_per_s"].iloc[0])
        left, ridge, right = limits[0], roof / bytes_per_s, limits[1]
        xs = [left, ridge, right] if left < ridge < right else [left, right]
        axes.plot(xs, [min(roof, x * bytes_per_s) for x in xs], color=colour, linewidth=0.9, zorder=1)
        axes.annotate(
            roof_words(at_roof),
            (right, roof),
            (-1, 1.5),
            textcoords="offset points",
            color=colour,
            ha="right",
            va="bottom",
            fontsize="small",
        )
        for name, mine in at_roof.groupby("pass", sort=False):
            area = LEAST_AREA + (MOST_AREA - LEAST_AREA) * mine["share"] / points["share"].max()
            axes.scatter(
                mine["macs_per_byte"],
                mine["macs_per_s"],
                s=area,
                marker=markers[str(name)],
                facecolor=(colour, 0.25),
                edgecolor=colour,
                linewidth=0.6,
                zorder=2,
            )
