"""Where the difference between machines comes from: their ratio layer by layer and pass by pass."""

from __future__ import annotations

from typing import Any

from bitsim.report.figures.figure import Bands, Figure, View, bands, label, rounded
from bitsim.report.figures.layers import band_sums
from bitsim.report.result_folder import ResultFolder
from bitsim.report.summary_file import RunSummary

SYMBOLS = ("circle", "square", "diamond", "cross", "x", "star", "triangle-up", "triangle-down", "hexagon", "hourglass")
MOST_NAMES = 60
TICKS = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]


def ratios_figure(folder: ResultFolder) -> Figure | None:
    """Time and energy of every other machine over those of the fastest, by layer and pass; None with one machine."""
    fastest = min(folder.runs, key=lambda run: run.latency_s)
    if len(folder.runs) < 2:
        return None
    held = bands(folder.layers)
    views = [
        View(name, _dots(folder, held, fastest, column), {"yaxis": {"title": {"text": f"{name}, ratio"}}})
        for name, column in (("time", "seconds"), ("energy", "joules"))
    ]
    line = {"color": "@axis", "width": 1.5}
    layout = {
        "xaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": held.labels,
            "showticklabels": len(held.labels) <= MOST_NAMES,
            "showgrid": False,
        },
        "yaxis": {"type": "log", "tickvals": TICKS, "ticktext": [f"{tick:g}×" for tick in TICKS]},
        "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line}],
    }
    return Figure(
        "ratios",
        f"Ratio to {fastest.hardware}",
        f"Time or energy of a layer on another machine over that on {fastest.hardware}: above 1 the latter is better.",
        460,
        layout,
        tuple(views),
        held.note,
    )


def symbol_of(folder: ResultFolder, pass_name: str) -> str:
    """The shape of a pass, the same in every figure of a report."""
    return SYMBOLS[folder.passes.index(pass_name) % len(SYMBOLS)]


def _dots(folder: ResultFolder, held: Bands, fastest: RunSummary, column: str) -> list[dict[str, Any]]:
    base = band_sums(folder, fastest.hardware, held, fastest.machine.clock_hz)[column]
    traces = []
    for place, run in enumerate(folder.runs):
        if run is fastest:
            continue
        mine = band_sums(folder, run.hardware, held, run.machine.clock_hz)[column]
        for pass_name in (p for p in folder.passes if p in mine.index.get_level_values(0)):
            ratio = (mine[pass_name] / base[pass_name]).dropna() if pass_name in base else mine[pass_name].iloc[:0]
            name = label(f"{run.hardware}, {pass_name}")
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": name,
                    "x": [held.labels[band] for band in ratio.index],
                    "y": rounded(ratio.to_numpy()),
                    "marker": {"symbol": symbol_of(folder, pass_name), "size": 8, "color": f"@series{place % 6}"},
                    "hovertemplate": f"%{{x}}<br>{name}: %{{y:.3g}}×<extra></extra>",
                }
            )
    return traces
