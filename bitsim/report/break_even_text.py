"""Break-even widths for a terminal: ratios at each width, a table a mode and schedule, and where they pass 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitsim.simulation.break_even import SCHEDULES, WIDTHS, BreakEven
from bitsim.simulation.sensitivity import METRICS


def print_break_even(found: BreakEven, console: Any) -> None:
    """What became of each machine, ratios by width, widths at which it beats the baseline."""
    console.print(f"baseline: {found.baseline}; ratios are baseline over machine: above 1 is better", soft_wrap=True)
    console.print("static: all operands at the width; mixed: gradients at 8 bits", soft_wrap=True)
    machines = dict.fromkeys(hardware for _, hardware, _ in found.lines)
    for hardware in machines:
        for mode in found.alike(hardware):
            console.print(_table(found, mode, hardware))
    console.print(f"\nWidths at which each beats {found.baseline}:", soft_wrap=True)
    for hardware in machines:
        for mode, modes in found.alike(hardware).items():
            for schedule in SCHEDULES:
                said = [f"{m} {spans(found.winning_bits(mode, hardware, schedule, m))}" for m in METRICS]
                line = f"  {hardware}, --iso {', '.join(modes)}, {schedule}: {'; '.join(said)}"
                console.print(line, highlight=False, soft_wrap=True)


def spans(bits: Sequence[int]) -> str:
    """Widths as runs: (2, 3, 4, 7) -> ``2-4, 7 bits``."""
    runs: list[list[int]] = []
    for width in bits:
        if runs and width == runs[-1][-1] + 1:
            runs[-1].append(width)
        else:
            runs.append([width])
    shown = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"{shown} bits" if shown else "never"


def _table(found: BreakEven, mode: str, hardware: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    modes = ", ".join(found.alike(hardware)[mode])
    title = f"\n{hardware}, --iso {modes}: {found.changes[mode][hardware]}"
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("bits")
    table.add_column("metric")
    for width in WIDTHS:
        table.add_column(str(width), justify="right")
    for schedule in SCHEDULES:
        for metric in METRICS:
            cells = [f"{point.ratios[metric]:.2f}" for point in found.of(mode, hardware, schedule)]
            table.add_row(schedule, metric, *cells)
    return table
