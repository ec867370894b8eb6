"""Layer by pass: what every layer costs in every pass, as heatmaps."""

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
    panel_title,
    panels,
    rounded,
    scale,
)
from bitsim.report.result_folder import ResultFolder

if TYPE_CHECKING:
    import pandas as pd

ROW_PX, EDGES_PX = 34, 140


def layers_figure(folder: ResultFolder) -> Figure:
    """Time, energy, utilisation, stalls and DRAM traffic of an iteration by layer and pass, a panel a machine."""
    held = bands(folder.layers)
    sums = {run.hardware: band_sums(folder, run.hardware, held, run.machine.clock_hz) for run in folder.runs}
    passes = {name: [p for p in folder.passes if p in frame.index.get_level_values(0)] for name, frame in sums.items()}
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
    whole_px, domains = panels([ROW_PX * len(p) for p in passes.values()])
    return Figure(
        "layers",
        "Layer by pass",
        "What each layer costs in each pass: mean of an iteration over the run, one colour scale for all machines.",
        EDGES_PX + whole_px,
        _layout(list(passes), domains),
        tuple(views),
        held.note,
    )


def band_sums(folder: ResultFolder, machine: str, held: Bands, clock_hz: float) -> pd.DataFrame:
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


def _layout(machines: list[str], domains: list[tuple[float, float]]) -> dict[str, Any]:
    layout: dict[str, Any] = {"annotations": []}
    for i, (name, domain) in enumerate(zip(machines, domains, strict=True)):
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
