"""Roofline of each machine: MACs a second against MACs a byte of DRAM traffic, a roof for each precision it ran at.

Source: Williams, Waterman and Patterson, "Roofline", CACM 2009.  The roof of a precision is the peak of bit products
over the bit products of one MAC at the widths the datapath ran, the same peak that utilisation is of.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from bitsim.report.figures.figure import Figure, View, label, rounded, scale
from bitsim.report.figures.ratios import symbol_of
from bitsim.report.result_folder import ResultFolder
from bitsim.report.summary_file import RunSummary

if TYPE_CHECKING:
    import pandas as pd

MOST_DOTS = 1200
LEAST_DOT_PX, MOST_DOT_PX = 6, 20
# Roofs beyond these share the last colour; their words are beside them.
ROOF_COLOURS = tuple(f"@series{i}" for i in (1, 0, 2, 4, 3, 5))
WIDEST_WORDS = 3


class Shared(NamedTuple):
    """What rooflines of one report share.

    Ends of both axes, as powers of ten; symbols: {pass: symbol}; colours: {bit products of one MAC: colour}.
    """

    macs_per_byte: tuple[float, float]
    macs_per_s: tuple[float, float]
    symbols: dict[str, str]
    colours: dict[int, str]


def roofline_figures(folder: ResultFolder) -> list[Figure]:
    """One figure a machine, all on the same axes."""
    points = {run.hardware: roofline_points(folder, run) for run in folder.runs}
    ends = reach(list(points.values()), folder.runs)
    products = sorted({int(number) for frame in points.values() for number in frame["products"]})
    colours = {number: ROOF_COLOURS[min(i, len(ROOF_COLOURS) - 1)] for i, number in enumerate(products)}
    shared = Shared(*ends, {name: symbol_of(folder, name) for name in folder.passes}, colours)
    return [_figure(run, points[run.hardware], shared, i) for i, run in enumerate(folder.runs)]


def roofline_points(folder: ResultFolder, run: RunSummary) -> pd.DataFrame:
    """One row per layer, pass and widths of the datapath: macs_per_byte, macs_per_s, roof_macs_per_s, share of time."""
    costs = folder.costs[folder.costs["hardware"] == run.hardware]
    keys = ["layer", "pass", "input_hw_bits", "weight_hw_bits"]
    sums = costs.groupby(keys, sort=False, as_index=False)[
        ["macs", "cycles", "dram_read_bits", "dram_write_bits", "weighted_utilisation"]
    ].sum()
    sums["bytes"] = (sums["dram_read_bits"] + sums["dram_write_bits"]) / 8
    sums = sums[(sums["macs"] > 0) & (sums["bytes"] > 0)].copy()
    facts = run.machine
    sums["macs_per_byte"] = sums["macs"] / sums["bytes"]
    sums["macs_per_s"] = sums["macs"] / sums["cycles"] * facts.clock_hz
    sums["products"] = sums["input_hw_bits"] * sums["weight_hw_bits"]
    sums["roof_macs_per_s"] = facts.peak_bit_products_per_cycle * facts.clock_hz / sums["products"]
    sums["share"] = sums["cycles"] / costs["cycles"].sum()
    return sums.sort_values("share", ascending=False)


def reach(points: list[pd.DataFrame], runs: tuple[RunSummary, ...]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of both axes, as powers of ten: all dots, all roofs and every ridge."""
    ridges = [
        roof / (run.machine.memory_bits_per_s / 8)
        for frame, run in zip(points, runs, strict=True)
        for roof in frame["roof_macs_per_s"]
    ]
    xs = [*(v for frame in points for v in frame["macs_per_byte"]), *ridges] or [1.0]
    ys = [v for frame in points for name in ("macs_per_s", "roof_macs_per_s") for v in frame[name]] or [1.0]
    return (
        (math.log10(min(xs)) - 0.25, math.log10(max(xs)) + 0.35),
        (math.log10(min(ys)) - 0.3, math.log10(max(ys)) + 0.35),
    )


def _figure(run: RunSummary, points: pd.DataFrame, shared: Shared, place: int) -> Figure:
    left, right = (10**end for end in shared.macs_per_byte)
    bytes_per_s = run.machine.memory_bits_per_s / 8
    traces: list[dict[str, Any]] = []
    most = MOST_DOTS // len(shared.symbols)
    for products, colour in shared.colours.items():
        at_roof = points[points["products"] == products]
        if len(at_roof):
            roof = float(at_roof["roof_macs_per_s"].iloc[0])
            traces.append(_roof(roof, left, right, bytes_per_s, colour, roof_words(at_roof)))
    shown = 0
    for pass_name, symbol in shared.symbols.items():
        mine = points[points["pass"] == pass_name].head(most)
        shown += len(mine)
        if len(mine):
            traces += [
                _legend_entry(pass_name, symbol),
                _dots(pass_name, symbol, mine, [shared.colours[int(number)] for number in mine["products"]]),
            ]
    number, unit = scale(bytes_per_s, "B/s")
    layout = {
        "xaxis": _log_axis("MACs a byte of DRAM traffic", shared.macs_per_byte),
        "yaxis": _log_axis("MACs a second", shared.macs_per_s),
        "annotations": [
            {
                "text": f"memory, {bytes_per_s * number:.4g} {unit}",
                "x": 0.02,
                "y": 0.98,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
            }
        ],
    }
    note = "" if shown == len(points) else f"{shown:,} of {len(points):,} dots, those of each pass that take longest."
    return Figure(
        f"roofline-{place}",
        f"Roofline of {run.hardware}",
        "A dot is a layer in a pass at the widths the datapath ran, in the colour of its roof; "
        "the larger, the more of the run's time.",
        460,
        layout,
        (View("", traces, {}),),
        note,
        wide=False,
    )


def roof_words(at_roof: pd.DataFrame) -> str:
    """Widths that share a roof, in words."""
    pairs = sorted({(int(a), int(b)) for a, b in zip(at_roof["input_hw_bits"], at_roof["weight_hw_bits"], strict=True)})
    words = [f"{a}×{b}" for a, b in pairs[:WIDEST_WORDS]]
    return ", ".join(words) + (" …" if len(pairs) > WIDEST_WORDS else "") + " bits"


def _roof(roof: float, left: float, right: float, bytes_per_s: float, colour: str, words: str) -> dict[str, Any]:
    ridge = roof / bytes_per_s
    xs = [left, ridge, right] if ridge > left else [left, right]
    return {
        "type": "scatter",
        "mode": "lines+text",
        "name": words,
        "showlegend": False,
        "x": rounded(xs),
        "y": rounded([min(roof, x * bytes_per_s) for x in xs]),
        "text": [*[""] * (len(xs) - 1), words],
        "textposition": "top left",
        "line": {"color": colour, "width": 2},
        "hovertemplate": f"{words}: %{{y:.4s}}MAC/s<extra>roof</extra>",
    }


def _dots(pass_name: str, symbol: str, points: pd.DataFrame, colours: list[str]) -> dict[str, Any]:
    spread = MOST_DOT_PX - LEAST_DOT_PX
    largest = points["share"].max()
    said = [
        f"{label(row['layer'])}, {row['input_hw_bits']}×{row['weight_hw_bits']} bits, {row['share']:.1%} of the time, "
        f"{row['weighted_utilisation'] / row['cycles']:.1%} of its roof"
        for row in points.to_dict("records")
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": pass_name,
        "legendgroup": pass_name,
        "showlegend": False,
        "x": rounded(points["macs_per_byte"].to_numpy()),
        "y": rounded(points["macs_per_s"].to_numpy()),
        "text": said,
        "marker": {
            "symbol": symbol,
            "color": colours,
            "size": rounded(LEAST_DOT_PX + spread * (points["share"] / largest).to_numpy() ** 0.5),
            "opacity": 0.85,
            "line": {"color": "@background", "width": 1},
        },
        "hovertemplate": "%{text}<br>%{x:.4g} MACs a byte, %{y:.4s}MAC/s<extra>%{fullData.name}</extra>",
    }


def _legend_entry(pass_name: str, symbol: str) -> dict[str, Any]:
    """What stands for a pass in the legend: its dots have the colours of roofs."""
    marker = {"symbol": symbol, "color": "@text", "size": 10}
    group = {"name": pass_name, "legendgroup": pass_name}
    return {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "marker": marker} | group


def _log_axis(title: str, ends: tuple[float, float]) -> dict[str, Any]:
    return {
        "type": "log",
        "range": list(ends),
        "title": {"text": title},
        "exponentformat": "power",
        "dtick": 1,
        "minor": {"dtick": "D1", "ticks": "outside", "ticklen": 3, "tickcolor": "@axis"},
        "zeroline": False,
    }
