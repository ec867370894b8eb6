"""A sensitivity for a terminal: ratios over each constant's range, what flips and where, why these ranges."""

from __future__ import annotations

from typing import Any

from bitsim.simulation.constants import Continuous
from bitsim.simulation.metrics import verdict
from bitsim.simulation.sensitivity import METRICS, Flip, Sensitivity, Tried


def print_sensitivity(found: Sensitivity, console: Any) -> None:
    """Verdicts as given, a table of ratios a machine, flips in words, reasons of the ranges."""
    console.print(f"baseline: {found.baseline}; ratios are baseline over machine: above 1 is better", soft_wrap=True)
    for hardware, ratios in found.nominal.items():
        console.print(_table(found, hardware))
        said = ", ".join(f"{metric} {ratios[metric]:.3f}x ({verdict(ratios[metric])})" for metric in METRICS)
        console.print(f"as given: {said}", highlight=False, soft_wrap=True)
    console.print("\nVerdicts that flip:")
    for line in sentences(found):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    if not found.flips:
        console.print("  none, over any of these ranges")
    console.print("\nRanges, and why:")
    for one in found.tried:
        console.print(f"  {one.constant.label}: {one.constant.reason}", highlight=False, soft_wrap=True)
        for value in one.left_out:
            console.print(f"    left out: {value}", highlight=False, soft_wrap=True)


def sentences(found: Sensitivity) -> list[str]:
    """Flips in words: machine, metric, what it was, what it becomes and from where; values of a key in one."""
    lines: dict[str, list[str]] = {}
    for flip in found.flips:
        said = f"{flip.hardware}, {flip.metric}: {flip.before} becomes {flip.after} with {flip.constant}"
        lines.setdefault(said, []).append(_where(flip))
    return [f"{said} {', '.join(places)}" for said, places in lines.items()]


def span(one: Tried) -> str:
    """The range of a constant in a few characters."""
    if isinstance(one.constant, Continuous):
        return f"x{one.constant.low:.3g} to x{one.constant.high:.3g}"
    return f"{len(one.trials)} values"


def _where(flip: Flip) -> str:
    if isinstance(flip.value, float):
        return f"{'above' if flip.value > 1 else 'below'} {flip.value:.4g}x"
    return flip.value


def _table(found: Sensitivity, hardware: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=f"\n{hardware}", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("constant", overflow="fold")
    table.add_column("tried", overflow="fold")
    for metric in METRICS:
        table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("flips", overflow="fold")
    for one in found.tried:
        flips = [flip.metric for flip in one.flips if flip.hardware == hardware]
        cells = [_extent([trial.ratios[hardware][metric] for trial in one.trials]) for metric in METRICS]
        table.add_row(one.constant.label, span(one), *cells, ", ".join(dict.fromkeys(flips)) or "-")
    return table


def _extent(ratios: list[float]) -> str:
    low, high = (f"{pick(ratios):.2f}" for pick in (min, max))
    return low if low == high else f"{low}-{high}"
