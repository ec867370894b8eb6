"""Time and energy of an iteration over training, below the widths and the loss that explain them.

Each step is a mean over a bin of iterations: an epoch where the trace knows its epochs.  Widths are means over
layers; layers in float are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitsim.report.figures.figure import scale
from bitsim.report.figures.training import loss_curve, mean_widths, stage_starts
from bitsim.report.picture import COLOURS, DASHES, GREY, column_figure
from bitsim.report.plots.runs import NamedRun, fitting, named_runs
from bitsim.report.result_folder import ResultFolder
from bitsim.trace.precision_bins import OPERANDS

PANELS_MM, LEGEND_ROW_MM = 86.0, 3.2
MOST_CHARACTERS = 54  # of a name in the legend
# Operands often have equal widths: each line shows below the next.
OPERAND_LOOKS = (("-", 2.4, 0.35), ("--", 1.2, 1.0), (":", 1.2, 1.0))  # dash, points wide, opacity
LOSS_COLOUR = COLOURS[2]


def stages_figure(folders: Sequence[ResultFolder]) -> Any:
    """A figure of three panels on one axis of iterations: bits and loss, time, energy.

    Runs differ by colour and dash.  Several traces: widths and loss in the colour of the trace's first run.
    """
    runs = named_runs(folders)
    figure = column_figure(PANELS_MM + LEGEND_ROW_MM * len(runs))
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.1, 1.1))
    traces = {run.summary.trace_hash: i for i, run in reversed(list(enumerate(runs)))}  # first run of each
    _precision(
        top, [(runs[i].folder, "black" if len(traces) == 1 else COLOURS[i % 6]) for i in sorted(traces.values())]
    )
    for axes, column, factor, unit in ((middle, "latency_s", 1.0, "s"), (bottom, "energy_pj", 1e-12, "J")):
        largest = max(float(run.training[column].max()) for run in runs) * factor
        size, name = scale(largest, unit)
        for i, run in enumerate(runs):
            _steps(axes, run, run.training[column].to_numpy() * factor * size, i)
        axes.set_ylabel(f"{name} / iteration")
        axes.set_ylim(0, 1.08 * largest * size or 1.0)
    middle.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    if len(traces) == 1:
        edges, widths = mean_widths(runs[0].folder)
        for start in stage_starts(edges, widths):
            for axes in (top, middle, bottom):
                axes.axvline(start, color="0.85", linewidth=0.8, zorder=0)
    bottom.set_xlabel("iteration")
    ranges = [run.summary.iteration_range for run in runs]
    bottom.set_xlim(min(first for first, _ in ranges), max(last for _, last in ranges))
    figure.align_ylabels((top, middle, bottom))
    return figure


def _steps(axes: Any, run: NamedRun, values: Any, place: int) -> None:
    edges = [*run.training["iteration_start"], run.summary.iteration_range[1]]
    colour, dash = COLOURS[place % 6], DASHES[place % 6]
    axes.step(
        edges,
        [*values, values[-1]],
        where="post",
        color=colour,
        linestyle=dash,
        label=fitting(run.label, MOST_CHARACTERS),
    )


def _precision(axes: Any, traces: list[tuple[ResultFolder, Any]]) -> None:
    """Mean widths of the operands, and the losses on an axis of their own."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    looks: list[dict[str, Any]] = [
        {"linestyle": dash, "linewidth": width, "alpha": alpha} for dash, width, alpha in OPERAND_LOOKS
    ]
    handles = [Line2D([], [], color="black", label=name, **look) for name, look in zip(OPERANDS, looks, strict=True)]
    losses: Any = None
    for folder, colour in traces:
        edges, widths = mean_widths(folder)
        for look, bits in zip(looks, widths, strict=True):
            axes.step(edges, [*bits, bits[-1]], where="post", color=colour, **look)
        curve = loss_curve(folder)
        if curve:
            losses = losses or axes.twinx()
            loss_colour = LOSS_COLOUR if len(traces) == 1 else colour
            losses.semilogy(curve["x"], curve["y"], color=loss_colour, linewidth=0.8)
    axes.set_ylabel("mean bits")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(bottom=0)
    if losses is not None:
        word_colour = LOSS_COLOUR if len(traces) == 1 else "black"
        losses.set_ylabel("training loss", color=word_colour)
        losses.spines["right"].set_visible(True)
        losses.spines["right"].set_color(GREY)
        handles.append(Line2D([], [], color=word_colour, linewidth=0.8, label="loss"))
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
