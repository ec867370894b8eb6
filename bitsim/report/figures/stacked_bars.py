"""Energy by component and cycles by class: stacked bars, a panel a machine, a bar a pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bitsim.report.figures.figure import Figure, View, axis, axis_id, label, panel_title, panels, rounded, scale, words
from bitsim.report.result_folder import ResultFolder

if TYPE_CHECKING:
    import pandas as pd

ALL = "all passes"
BAR_PX, EDGES_PX = 30, 120
# Colour and hatching of what machines have in common; buffers take the rest of the palette in turn.
COMPONENT_STYLES = {
    "dram": ("@series1", ""),
    "dram_static": ("@series1", "/"),
    "wgrad_copy": ("@series1", "x"),
    "array": ("@series0", ""),
    "vector": ("@series0", "/"),
    "leakage": ("@series6", ""),
}
BUFFER_COLOURS = ("@series2", "@series4", "@series5", "@series3")
BUFFER_HATCHES = ("", "/", "x", ".", "-")
CLASS_STYLES = {
    "issue": ("@series0", ""),
    "fill_drain": ("@series5", "/"),
    "wait_load": ("@series1", ""),
    "wait_store": ("@series4", "\\"),
    "hazard": ("@series3", "x"),
    "switch": ("@series2", "."),
    "setup": ("@series6", "-"),
}


def energy_figure(folder: ResultFolder) -> Figure:
    """Energy by component of every pass and machine: mean of an iteration, and shares."""
    parts = [name for name in folder.components if folder.costs[f"{name}_pj"].any()]
    styles, free = {}, 0
    for name in parts:
        if name not in COMPONENT_STYLES:
            hatch = BUFFER_HATCHES[free // len(BUFFER_COLOURS) % len(BUFFER_HATCHES)]
            styles[name] = BUFFER_COLOURS[free % len(BUFFER_COLOURS)], hatch
            free += 1
    styles |= {name: style for name, style in COMPONENT_STYLES.items() if name in parts}
    joules = {name: _by_pass(folder, name, [f"{part}_pj" for part in styles], 1e-12) for name in folder.names}
    largest = max(float(frame.sum(axis=1).max()) for frame in joules.values())
    factor, unit = scale(largest, "J")
    return _figure(
        "energy",
        "Energy by component",
        "Where the energy of an iteration goes, mean over the run. Hatching tells buffers of one colour apart.",
        joules,
        styles,
        (("energy", factor, f"energy of an iteration, {unit}"), ("share", None, "share of energy, %")),
    )


def cycles_figure(folder: ResultFolder) -> Figure:
    """Cycles by class of every pass and machine, as shares: machines may have different clocks."""
    names = [f"{name}_cycles" for name in folder.cycle_classes]
    cycles = {name: _by_pass(folder, name, names, 1.0) for name in folder.names}
    seconds = {run.hardware: cycles[run.hardware] / run.machine.clock_hz for run in folder.runs}
    factor, unit = scale(max(float(frame.sum(axis=1).max()) for frame in seconds.values()), "s")
    return _figure(
        "cycles",
        "Cycles by class",
        "What the array does in every cycle: issue is work, all else is a stall and says what is waited for.",
        seconds,
        {name: CLASS_STYLES[name] for name in folder.cycle_classes},
        (("share", None, "share of cycles, %"), ("time", factor, f"time of an iteration, {unit}")),
    )


def _by_pass(folder: ResultFolder, machine: str, columns: list[str], factor: float) -> pd.DataFrame:
    """Mean of an iteration by pass in training order, and of all passes; the columns without their units."""
    import pandas as pd

    costs = folder.costs[folder.costs["hardware"] == machine]
    sums = costs.groupby("pass")[columns].sum() * (factor / folder.runs[0].iterations)
    sums = sums.reindex([name for name in folder.passes if name in sums.index])
    total = pd.DataFrame([sums.sum()], index=[ALL])
    return pd.concat([total, sums]).rename(columns=lambda name: name.rpartition("_")[0])


def _figure(
    name: str,
    title: str,
    caption: str,
    tables: dict[str, pd.DataFrame],
    styles: dict[str, tuple[str, str]],
    kinds: Sequence[tuple[str, float | None, str]],
) -> Figure:
    """kinds: (label of a view, factor to its unit or None for shares, title of its axis)."""
    whole_px, domains = panels([BAR_PX * len(table) for table in tables.values()])
    layout: dict[str, Any] = {"barmode": "stack", "bargap": 0.25, "annotations": []}
    for i, (machine, domain) in enumerate(zip(tables, domains, strict=True)):
        layout["annotations"].append(panel_title(machine, domain[1]))
        layout[axis("y", i)] = {
            "domain": domain,
            "autorange": "reversed",
            "anchor": axis_id("x", i),
            "fixedrange": True,
        }
        layout[axis("x", i)] = {
            "anchor": axis_id("y", i),
            "matches": "x" if i else None,
            "showticklabels": i == len(tables) - 1,
            "rangemode": "tozero",
        }
    views = []
    for view, factor, axis_title in kinds:
        traces = []
        for part, (colour, hatch) in styles.items():
            for i, table in enumerate(tables.values()):
                values = table[part] * factor if factor else table[part] / table.sum(axis=1) * 100
                traces.append(_bars(part, i, table, rounded(values), colour, hatch, axis_title))
        views.append(View(view, traces, {axis("x", len(tables) - 1): {"title": {"text": axis_title}}}))
    return Figure(name, title, caption, EDGES_PX + whole_px, layout, tuple(views))


def _bars(
    part: str, panel: int, table: pd.DataFrame, values: list[Any], colour: str, hatch: str, unit: str
) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": label(words(part)),
        "legendgroup": part,
        "showlegend": panel == 0,
        "x": values,
        "y": [str(name) for name in table.index],
        "xaxis": axis_id("x", panel),
        "yaxis": axis_id("y", panel),
        "marker": {
            "color": colour,
            "line": {"color": "@background", "width": 1},
            "pattern": {"shape": hatch, "fillmode": "overlay", "fgcolor": "@background", "fgopacity": 0.7, "size": 6},
        },
        "hovertemplate": f"{label(words(part))}: %{{x:.4g}} ({unit})<extra>%{{y}}</extra>",
    }
