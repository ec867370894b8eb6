"""Layer by pass: what every layer costs in every pass, as heatmaps; and the speed-up layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bitsim.report.figures.figure import (
    Bands,
    Figure,
    View,
    axis,
    axis_id,
    bands,
    label,
    panel_title,
    panels,
    rounded,
    scale,
)
from bitsim.report.result_folder import ResultFolder
from bitsim.simulation.compare import PASS_ORDER

if TYPE_CHECKING:
    import pandas as pd

ROW_PX, PANEL_PX, EDGES_PX = 34, 46, 190
SYMBOLS = dict(zip(PASS_ORDER, ("circle", "cross", "square", "star", "diamond", "x"), strict=True))


def layers_figure(folder: ResultFolder) -> Figure:
    """Time, energy, utilisation, stalls and DRAM traffic of an iteration by layer and pass, a panel a machine."""
    held = bands(folder.layers)
    sums = {run.hardware: _sums(folder, run.hardware, held, run.machine.clock_hz) for run in folder.runs}
    passes = {name: [p for p in PASS_ORDER if p in frame.index.get_level_values(0)] for name, frame in sums.items()}
    views = []
    for title, column, unit in (
        ("time", "seconds", "s"),
        ("energy", "joules", "J"),
        ("DRAM traffic", "dram_bytes", "B"),
        ("utilisation", "utilisation", "%"),
        ("stalled", "stalled", "%"),
    ):
        cells = {name: _cells(sums[name][column], passes[name], len(held.labels)) for name in sums}
        largest = float(np.nanmax([np.nanmax(grid) for grid in cells.values()]))
        factor, scaled = (100.0, "%") if unit == "%" else scale(largest, unit)
        bar = {"title": {"text": f"{title}, {scaled}", "side": "right"}, "thickness": 12, "outlinewidth": 0}
        top = 100 if unit == "%" else largest * factor
        shared = {"cmin": 0, "cmax": top, "colorscale": "Cividis", "colorbar": bar}
        traces = [
            _heatmap(held.labels, passes[name], grid * factor, panel, f"{title} %{{z:.4g}} {scaled}")
            for panel, (name, grid) in enumerate(cells.items())
        ]
        views.append(View(title, traces, {"coloraxis": shared}))
    rows = sum(len(p) for p in passes.values())
    gap_px = PANEL_PX * (len(passes) - 1)
    return Figure(
        "layers",
        "Layer by pass",
        "What each layer costs in each pass: mean of an iteration over the run, one colour scale for all machines.",
        EDGES_PX + rows * ROW_PX + gap_px,
        _layout(list(passes), PANEL_PX / (rows * ROW_PX + gap_px)),
        tuple(views),
        held.note,
    )


def speedup_figure(folder: ResultFolder) -> Figure | None:
    """Time of the baseline over that of each other machine, by layer and pass; None with one machine."""
    others = [run for run in folder.runs if run is not folder.baseline]
    if not others:
        return None
    held = bands(folder.layers)
    base = _sums(folder, folder.baseline.hardware, held, folder.baseline.machine.clock_hz)
    shown: dict[str, list[dict[str, Any]]] = {"speed": [], "energy": []}
    for i, run in enumerate(others):
        mine = _sums(folder, run.hardware, held, run.machine.clock_hz)
        for (view, traces), column in zip(shown.items(), ("seconds", "joules"), strict=True):
            for pass_name in (p for p in PASS_ORDER if p in mine.index.get_level_values(0)):
                ratio = base[column][pass_name] / mine[column][pass_name]
                name = f"{run.hardware}, {pass_name}"
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "name": label(name),
                        "x": [held.labels[place] for place in ratio.index],
                        "y": rounded(ratio.to_numpy()),
                        "marker": {"symbol": SYMBOLS[pass_name], "size": 8, "color": f"@series{i % 6}"},
                        "hovertemplate": f"%{{x}}<br>{label(name)}: {view} %{{y:.3g}}x<extra></extra>",
                    }
                )
    layout = {
        "xaxis": {"categoryorder": "array", "categoryarray": held.labels, "showticklabels": len(held.labels) <= 60},
        "yaxis": {"type": "log", "title": {"text": "ratio"}, "dtick": "D2"},
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 1,
                "y1": 1,
                "line": {"color": "@text", "width": 1},
            }
        ],
    }
    name = folder.baseline.hardware
    views = tuple(View(view, traces, {}) for view, traces in shown.items())
    return Figure(
        "speedup",
        "Where the difference comes from",
        f"Time (or energy) of {name} over that of the other machines, layer by layer: above 1 the other is better.",
        440,
        layout,
        views,
        held.note,
    )


def _sums(folder: ResultFolder, machine: str, held: Bands, clock_hz: float) -> pd.DataFrame:
    """Mean of an iteration, indexed by (pass, band)."""
    costs = folder.costs[folder.costs["hardware"] == machine]
    columns = ["cycles", "issue_cycles", "weighted_utilisation", "energy_pj", "dram_read_bits", "dram_write_bits"]
    sums = costs.groupby(["pass", costs["layer"].map(held.members)])[columns].sum() / folder.runs[0].iterations
    sums["seconds"], sums["joules"] = sums["cycles"] / clock_hz, sums["energy_pj"] * 1e-12
    sums["dram_bytes"] = (sums["dram_read_bits"] + sums["dram_write_bits"]) / 8
    sums["utilisation"] = sums["weighted_utilisation"] / sums["cycles"]
    sums["stalled"] = 1 - sums["issue_cycles"] / sums["cycles"]
    return sums


def _cells(values: pd.Series, passes: list[str], count: int) -> np.ndarray:
    """(passes, bands), nan where a layer has no such pass."""
    return values.unstack().reindex(index=passes, columns=range(count)).to_numpy(float)


def _heatmap(labels: list[str], passes: list[str], grid: np.ndarray, panel: int, said: str) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": labels,
        "y": passes,
        "z": rounded(grid),
        "xaxis": axis_id("x", panel),
        "yaxis": axis_id("y", panel),
        "coloraxis": "coloraxis",
        "xgap": 1 if len(labels) <= 60 else 0,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": f"%{{x}}, %{{y}}<br>{said}<extra></extra>",
    }


def _layout(machines: list[str], gap: float) -> dict[str, Any]:
    layout: dict[str, Any] = {"annotations": []}
    for i, (name, domain) in enumerate(zip(machines, panels(len(machines), gap), strict=True)):
        layout["annotations"].append(panel_title(name, domain[1]))
        layout[axis("y", i)] = {"domain": domain, "autorange": "reversed", "anchor": axis_id("x", i), "showgrid": False}
        layout[axis("x", i)] = {
            "anchor": axis_id("y", i),
            "matches": "x" if i else None,
            "showticklabels": i == len(machines) - 1,
            "showgrid": False,
            "type": "category",
        }
    return layout
