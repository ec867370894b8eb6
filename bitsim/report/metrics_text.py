"""Metrics of machines side by side for a terminal, and words where two of them name different winners."""

from __future__ import annotations

import math
from typing import Any

from bitsim.report.text import si
from bitsim.simulation.compare import Comparison
from bitsim.simulation.metrics import (
    EQUAL,
    METRIC_OF,
    METRICS,
    Component,
    Disagreement,
    Factor,
    Measured,
    OverTraining,
    ratios,
    verdict,
)

MOST_COMPONENTS = 2


def print_metrics(comparison: Comparison, console: Any) -> None:
    """The table of metrics, then each pair that disagrees in words, then precision over training."""
    console.print(metrics_table(comparison))
    lines = [sentence(one, comparison.baseline.machine.name) for one in comparison.disagreements()]
    lines += _split_pairs(comparison)
    console.print("\nWhere metrics disagree:")
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    if not lines:
        console.print("  nowhere: every metric names the same winner, or none")
    if comparison.over_training:
        console.print("\nThe cheapest iteration over the dearest, by effective MACs:")
        for one in comparison.over_training:
            console.print(f"  {_over_training(one)}", highlight=False, soft_wrap=True)


def metrics_table(comparison: Comparison) -> Any:
    """One line a metric, one column a machine with its ratio to the baseline (above 1 is better)."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title="\nmetrics, whole run", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("metric", overflow="fold")
    for one in comparison.measured:
        table.add_column(one.hardware, justify="right", overflow="fold")
    for metric in METRICS:
        if all(metric.name in one.values for one in comparison.measured):
            cells = [_cell(one, metric.name, comparison.measured_baseline) for one in comparison.measured]
            table.add_row(metric.label, *cells)
    return table


def sentence(one: Disagreement, baseline: str) -> str:
    """A disagreement in words: what both metrics say, then why, largest reason first."""
    said = f"{one.hardware}: {_says(one.first, one.first_ratio)}, but {_says(one.second, one.second_ratio)}"
    if one.components:
        return f"{said}; most by {', and '.join(_component(part, baseline) for part in _telling(one))}"
    ordered = sorted(one.factors, key=lambda factor: -abs(math.log(factor.times)))
    reasons = [f"{factor.times:.3g}x as it {_factor(factor)}" for factor in ordered if factor.times != 1]
    return f"{said}; {', '.join(reasons)}"


def _says(metric: str, ratio: float) -> str:
    kind = verdict(ratio)
    label = METRIC_OF[metric].label
    return f"{label}: no difference" if kind == EQUAL else f"{label}: {kind}, {ratio:.3f}x"


def _telling(one: Disagreement) -> list[Component]:
    """The components that pull energy to where it is, largest first."""
    down = one.second_ratio >= 1
    pulling = [part for part in one.components if (part.machine_j < part.baseline_j) == down]
    return pulling[:MOST_COMPONENTS]


def _component(part: Component, baseline: str) -> str:
    return f"{part.name.replace('_', ' ')}: {si(part.machine_j, 'J')} against {si(part.baseline_j, 'J')} on {baseline}"


def _factor(factor: Factor) -> str:
    own, base = factor.machine, factor.baseline
    return {
        "widths": f"runs {own:.2f} bit products for each of the trace ({base:.2f})",
        "peak": f"has a peak of {own:.0f} bit products a cycle ({base:.0f})",
        "filled": f"fills {own:.1%} of its array while it issues ({base:.1%})",
        "issuing": f"issues in {own:.1%} of its cycles ({base:.1%})",
        "clock": f"runs at {own / 1e6:g} MHz ({base / 1e6:g})",
        "energy": f"spends {si(own, 'J')} ({si(base, 'J')})",
        "core": f"has a core of {own:.4f} mm2 ({base:.4f})",
        "chip": f"has a chip of {own:.4f} mm2 ({base:.4f})",
    }[factor.name]


def _split_pairs(comparison: Comparison) -> list[str]:
    """Of each machine, how many (layer, pass) pairs are won in time and lost in energy, or the other way round."""
    pairs = comparison.by_layer()["hardware"].value_counts()
    lines = []
    for hardware, rows in comparison.split_pairs().groupby("hardware", sort=False):
        widest = max(rows.to_dict("records"), key=lambda row: abs(math.log(row["speedup"] / row["energy_ratio"])))
        lines.append(
            f"{hardware}: time and energy name different winners in {len(rows)} of {pairs[hardware]} layers and "
            f"passes, most in {widest['layer']} {widest['pass']} (speed {widest['speedup']:.2f}x, "
            f"energy {widest['energy_ratio']:.2f}x)"
        )
    return lines


def _over_training(one: OverTraining) -> str:
    return f"{one.hardware}: effective MACs {one.effective_macs:.3f}, cycles {one.cycles:.3f}, energy {one.energy:.3f}"


def _cell(one: Measured, name: str, baseline: Measured) -> str:
    metric, value = METRIC_OF[name], one.values[name]
    shown = si(value, metric.unit) if metric.unit in ("s", "J") else f"{value:.4g}"
    return shown if one is baseline else f"{shown} {ratios(one, baseline)[name]:6.3f}x"
