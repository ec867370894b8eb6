"""A tornado chart: how far each constant moves the energy of a machine against the baseline, widest first."""

from __future__ import annotations

from typing import Any

from bitsim.report.picture import COLOURS, GREY, column_figure
from bitsim.simulation.metrics import TIE
from bitsim.simulation.sensitivity import Sensitivity, Tried

BAR_MM, AXIS_MM = 5.2, 15.0
METRIC = "energy"
BAR_HEIGHT = 0.45
MARGIN = 1.12


def tornado_figure(found: Sensitivity) -> Any:
    """A figure of one panel a machine: energy ratio over each constant's range, a bar; hatched where the verdict flips.

    Constants that move a ratio by less than a tie are left out.  Call it within `picture.paper_style`.
    """
    machines = list(found.nominal)
    panels = {hardware: _bars(found, hardware) for hardware in machines}
    heights = [BAR_MM * max(1, len(bars)) + AXIS_MM for bars in panels.values()]
    figure = column_figure(sum(heights))
    drawn = figure.subplots(len(machines), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (hardware, bars) in zip(drawn, panels.items(), strict=True):
        _panel(axes, bars, found.nominal[hardware][METRIC])
        axes.set_title(hardware)
        axes.set_xlabel(f"energy of {found.baseline} / energy")
    return figure


def _bars(found: Sensitivity, hardware: str) -> list[tuple[str, float, float, bool]]:
    """(label, least ratio, greatest, whether it flips), widest first."""
    listed = []
    for one in found.tried:
        ratios = [trial.ratios[hardware][METRIC] for trial in one.trials] + [found.nominal[hardware][METRIC]]
        if max(ratios) - min(ratios) > TIE * max(ratios):
            listed.append((_label(one), min(ratios), max(ratios), _flips(one, hardware)))
    return sorted(listed, key=lambda bar: bar[1] - bar[2])


def _flips(one: Tried, hardware: str) -> bool:
    return any(flip.hardware == hardware and flip.metric == METRIC for flip in one.flips)


def _label(one: Tried) -> str:
    """The constant, in two lines where it names a machine."""
    return one.constant.label.replace(" of ", " of\n", 1) if len(one.constant.label) > 24 else one.constant.label


def _panel(axes: Any, bars: list[tuple[str, float, float, bool]], nominal: float) -> None:
    for place, (_, low, high, flips) in enumerate(bars):
        look = {"color": COLOURS[1], "hatch": "////"} if flips else {"color": COLOURS[0]}
        axes.barh(place, high - low, BAR_HEIGHT, left=low, edgecolor="white", linewidth=0, **look)
    axes.set_yticks(range(len(bars)), [label for label, *_ in bars])
    axes.set_ylim(max(1, len(bars)) - 0.5, -0.5)
    ends = [value for _, low, high, _ in bars for value in (low, high)] + [nominal, 1.0]
    axes.set_xlim(min(ends) / MARGIN, max(ends) * MARGIN)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.axvline(nominal, color=GREY, linewidth=0.8, linestyle=":")
