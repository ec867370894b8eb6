"""Energy by component and cycles by class of a mean iteration: stacked bars, one a machine.

Parts that nowhere reach a hundredth of their bar are drawn together as `other`, so that a legend of a column's
width holds them.  Cycles are the machine's own: where clocks differ, each is named with its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitsim.kernels.program import CLASSES
from bitsim.report.figures.figure import scale
from bitsim.report.picture import COLOURS, GREY, column_figure
from bitsim.report.plots.runs import NamedRun, fitting, named_runs
from bitsim.report.result_folder import ResultFolder

BAR_MM, AXIS_MM, LEGEND_ROW_MM = 7.5, 13.0, 3.4
BAR_HEIGHT = 0.5
MOST_CHARACTERS = 58  # of a name above its bar
LEAST_SHARE = 0.01
OTHER = "other"
FIRST_COMPONENTS = ("dram", "wgrad_copy", "dram_static", "array", "vector", "leakage")
# Six colours plain, then hatched: eighteen looks.
HATCHES = ("", "////", "....")
Parts = dict[str, dict[str, float]]


def breakdown_figure(folders: Sequence[ResultFolder]) -> Any:
    """A figure of two panels: energy by component above, cycles by class below."""
    runs = named_runs(folders)
    clocks = {run.summary.machine.clock_hz for run in runs}
    clock = [f" ({run.summary.machine.clock_hz / 1e6:g} MHz)" if len(clocks) > 1 else "" for run in runs]
    labels = [fitting(run.label, MOST_CHARACTERS - len(words)) + words for run, words in zip(runs, clock, strict=True)]
    drawn = ((energy_parts(runs), "J", 1e-12), (cycle_parts(runs), "cycles", 1.0))
    heights = [BAR_MM * len(runs) + AXIS_MM + LEGEND_ROW_MM * -(-len(_names(parts)) // 3) for parts, _, _ in drawn]
    figure = column_figure(sum(heights))
    panels = figure.subfigures(2, 1, height_ratios=heights)
    for panel, (parts, unit, factor) in zip(panels, drawn, strict=True):
        axes = panel.subplots()
        largest = max(sum(of_run.values()) for of_run in parts.values()) * factor
        size, name = scale(largest, unit)
        _bars(axes, labels, parts, factor * size)
        axes.set_xlabel(f"{name} / iteration")
        panel.legend(loc="outside lower center", ncols=3, handlelength=1.2)
    return figure


def energy_parts(runs: Sequence[NamedRun]) -> Parts:
    """{run: {component: pJ of a mean iteration}}, components of all runs in one order."""
    found = dict.fromkeys(name for run in runs for name in run.folder.components)
    order = [name for name in FIRST_COMPONENTS if name in found]
    order += [name for name in found if name not in FIRST_COMPONENTS]
    return _parts(runs, order, "_pj")


def cycle_parts(runs: Sequence[NamedRun]) -> Parts:
    """{run: {class: cycles of a mean iteration}}."""
    return _parts(runs, CLASSES, "_cycles")


def _parts(runs: Sequence[NamedRun], names: Sequence[str], suffix: str) -> Parts:
    sums = {
        run.label: {
            name: float(run.costs[name + suffix].sum()) / run.summary.iterations if name + suffix in run.costs else 0.0
            for name in names
        }
        for run in runs
    }
    shares = {label: sum(of_run.values()) * LEAST_SHARE for label, of_run in sums.items()}
    small = [name for name in names if all(of_run[name] < shares[label] for label, of_run in sums.items())]
    if len(small) < 2:
        small = [name for name in small if not any(of_run[name] for of_run in sums.values())]
    grouped = {}
    for label, of_run in sums.items():
        grouped[label] = {name: value for name, value in of_run.items() if name not in small}
        if rest := sum(of_run[name] for name in small):
            grouped[label][OTHER] = rest
    return grouped


def _names(parts: Parts) -> list[str]:
    """Parts in the order they are stacked."""
    names = list(dict.fromkeys(name for of_run in parts.values() for name in of_run))
    return sorted(names, key=lambda name: name == OTHER)


def _bars(axes: Any, labels: Sequence[str], parts: Parts, factor: float) -> None:
    """Horizontal bars from the top down, names above them; no edges, which would hide thin parts."""
    lefts = [0.0] * len(parts)
    for i, name in enumerate(_names(parts)):
        widths = [of_run.get(name, 0.0) * factor for of_run in parts.values()]
        plain = len(COLOURS)
        look = {"color": GREY} if name == OTHER else {"color": COLOURS[i % plain], "hatch": HATCHES[i // plain % 3]}
        axes.barh(
            range(len(parts)),
            widths,
            BAR_HEIGHT,
            left=lefts,
            label=_words(name),
            edgecolor="white",
            linewidth=0,
            **look,
        )
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    for i, label in enumerate(labels):
        axes.annotate(label, (0, i - BAR_HEIGHT / 2), (1, 1.5), textcoords="offset points", ha="left", va="bottom")
    axes.set_ylim(len(parts) - 0.6, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("dram", "DRAM")
