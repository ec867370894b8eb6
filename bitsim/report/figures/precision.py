"""Precision over layers and iterations: the trace as the machines got it, one heatmap an operand."""

from __future__ import annotations

from typing import Any

import numpy as np

from bitsim.report.figures.figure import Bands, Figure, View, bands, rounded
from bitsim.report.result_folder import ResultFolder
from bitsim.trace.precision_bins import OPERANDS

ROW_PX, LEAST_PX, MOST_PX, EDGES_PX = 18, 160, 620, 130
MOSTLY = 0.5
MOST_NAMED = 60


def precision_figure(folder: ResultFolder) -> Figure:
    """Mean bits of activations, weights and gradients; float operands and layers that did not run apart."""
    held = bands(folder.layers)
    frame = folder.precision
    starts = np.unique(frame["iteration_start"])
    edges = [*starts.tolist(), int(frame["iteration_end"].max())]
    bits = {name: _grid(folder, held, f"{name}_bits", starts) for name in OPERANDS}
    float_share = _grid(folder, held, "float_share", starts)
    known = [grid[np.isfinite(grid)] for grid in bits.values()]
    limits = [float(f(np.concatenate(known))) for f in (np.min, np.max)] if any(map(len, known)) else [0.0, 32.0]
    bar = {"title": {"text": "bits", "side": "right"}, "thickness": 12, "outlinewidth": 0, "tickformat": "d"}
    bar["nticks"] = min(8, int(limits[1] - limits[0]) + 1)
    views = []
    for name, grid in bits.items():
        shown = np.where((float_share > MOSTLY) & ~np.isfinite(grid), np.nan, grid)
        only_float = np.where((float_share > MOSTLY) & ~np.isfinite(shown), 32.0, np.nan)
        cells = _heatmap(edges, held.labels, shown, f"{name}s %{{z:.3g}} bits")
        cells |= {"zmin": limits[0], "zmax": limits[1], "colorscale": "Viridis", "colorbar": bar}
        floats = _heatmap(edges, held.labels, only_float, f"{name}s in float")
        floats |= {"colorscale": [[0, "@muted"], [1, "@muted"]], "showscale": False, "name": "float"}
        if len(held.labels) <= MOST_NAMED:
            floats |= {"text": _named(only_float), "texttemplate": "%{text}", "textfont": {"color": "@text"}}
        traces = [cells, floats] if np.isfinite(only_float).any() else [cells]
        views.append(View(f"{name}s", traces, {}))
    return Figure(
        "precision",
        "Precision over layers and iterations",
        "Bits of the trace, mean over the samples of a batch. Grey: float; blank: the layer did not run.",
        EDGES_PX + min(max(LEAST_PX, ROW_PX * len(held.labels)), MOST_PX),
        {
            "xaxis": {"title": {"text": "iteration"}, "range": [edges[0], edges[-1]], "showgrid": False},
            "yaxis": {"autorange": "reversed", "showgrid": False, "type": "category"},
        },
        tuple(views),
        held.note.replace("costs added up", "bits averaged"),
    )


def _grid(folder: ResultFolder, held: Bands, column: str, starts: np.ndarray) -> np.ndarray:
    """(bands, bins) mean of a column over the layers of a band that ran."""
    frame = folder.precision[folder.precision["ran_share"] > 0]
    means = frame.groupby([frame["layer"].map(held.members), "iteration_start"])[column].mean()
    return means.unstack().reindex(index=range(len(held.labels)), columns=starts).to_numpy(float)


def _named(only_float: np.ndarray) -> list[list[str]]:
    """The word in the middle of every layer that is float throughout: grey alone might be taken for a width."""
    words = np.full(only_float.shape, "", object)
    words[np.isfinite(only_float).all(axis=1), only_float.shape[1] // 2] = "float"
    return words.tolist()


def _heatmap(edges: list[int], labels: list[str], grid: np.ndarray, said: str) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": edges,
        "y": labels,
        "z": rounded(grid),
        "ygap": 1 if len(labels) <= MOST_NAMED else 0,
        "hoverongaps": False,
        "hovertemplate": f"%{{y}}, iteration %{{x:.0f}}<br>{said}<extra></extra>",
    }
