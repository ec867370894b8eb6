"""A break-even chart: speed and energy against the baseline by width, a line an iso mode; 1 is where verdicts turn."""

from __future__ import annotations

from typing import Any

from bitsim.report.picture import COLOURS, DASHES, GREY, MARKERS, column_figure
from bitsim.simulation.break_even import AS_GIVEN, SCHEDULES, UNCHANGED, BreakEven

PANEL_MM, LEGEND_ROW_MM = 38.0, 4.0
SHOWN = {"time": "speed", "energy": "energy"}


def break_even_figure(found: BreakEven) -> Any:
    """A figure of two panels a machine: static widths left, gradients at 8 bits right; rows: speed, energy.

    Modes under which a machine is the same share a line.  Call it within `picture.paper_style`.
    """
    machines = list(dict.fromkeys(hardware for _, hardware, _ in found.lines))
    rows = [(hardware, metric) for hardware in machines for metric in SHOWN]
    lines = {hardware: _lines(found, hardware) for hardware in machines}
    most = max(len(of_machine) for of_machine in lines.values())
    figure = column_figure(PANEL_MM * len(rows) + LEGEND_ROW_MM * most)
    drawn = figure.subplots(len(rows), len(SCHEDULES), squeeze=False, sharex=True, sharey="row")
    for row, (hardware, metric) in enumerate(rows):
        for axes, schedule in zip(drawn[row], SCHEDULES, strict=True):
            for place, (mode, label) in enumerate(lines[hardware].items()):
                _line(axes, found, (mode, hardware, schedule), metric, place, label)
            axes.axhline(1.0, color=GREY, linewidth=0.8, zorder=0)
            if row == 0:
                axes.set_title(schedule)
            if row == len(rows) - 1:
                axes.set_xlabel("bits")
        drawn[row, 0].set_ylabel(f"{SHOWN[metric]} of\n{hardware}" if len(machines) > 1 else SHOWN[metric])
    handles, labels = drawn[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1)
    title = f"{machines[0]}\nagainst {found.baseline}" if len(machines) == 1 else f"against {found.baseline}"
    figure.suptitle(title, fontsize="medium")
    return figure


def _lines(found: BreakEven, hardware: str) -> dict[str, str]:
    """{mode: label}, one for modes that make the same of the machine."""
    labels = {}
    for mode, modes in found.alike(hardware).items():
        what = found.changes[mode][hardware]
        labels[mode] = ", ".join(modes) + ("" if what in (AS_GIVEN, UNCHANGED) else f" ({what})")
    return labels


def _line(axes: Any, found: BreakEven, line: tuple[str, str, str], metric: str, place: int, label: str) -> None:
    points = found.of(*line)
    axes.plot(
        [point.bits for point in points],
        [point.ratios[metric] for point in points],
        color=COLOURS[place % len(COLOURS)],
        linestyle=DASHES[place % len(DASHES)],
        marker=MARKERS[place % len(MARKERS)],
        label=label,
    )
