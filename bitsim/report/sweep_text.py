"""A sweep as tables for a terminal: the front, the first few, what each parameter does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitsim.exploration.result import Sweep
from bitsim.report.text import si

_UNITS = {"_s": "s", "_j": "J", "_js": "J·s", "_pj": "pJ"}
MOST_ROWS = 30


def print_sweep(sweep: Sweep, columns: Sequence[str], top: int, console: Any) -> None:
    """Print how many points there are, the front of `columns`, the `top` first, and the effects."""
    counts = [f"{len(sweep.records):,} points", f"{len(sweep.failures):,} failed", f"{sweep.left_out:,} left out"]
    console.print(", ".join(counts), highlight=False)
    if not sweep.records:
        return
    front = sweep.front(*columns)
    console.print(point_table(sweep, front, columns, f"front: no other point has less {' and '.join(columns)}"))
    if top:
        console.print(point_table(sweep, sweep.order(columns[0])[:top], columns, f"least {columns[0]}"))
    if sweep.parameters:
        console.print(effects_table(sweep, columns))


def point_table(sweep: Sweep, places: Sequence[int], columns: Sequence[str], title: str) -> Any:
    """The points at `places`: what was varied, time, energy and `columns`."""
    from rich.table import Table

    several = [name for name in ("trace", "hardware") if len({r[name] for r in sweep.records}) > 1]
    shown = dict.fromkeys([*several, *sweep.keys, "latency_s", "energy_j", "area_mm2", *columns])
    table = Table(title=f"{title} ({len(places):,})", title_justify="left", **_style())
    for name in shown:
        table.add_column(name, justify="left" if name in several else "right", overflow="fold")
    for place in places[:MOST_ROWS]:
        table.add_row(*(_cell(name, sweep.records[place][name]) for name in shown))
    if len(places) > MOST_ROWS:
        table.caption = f"and {len(places) - MOST_ROWS} more"
    return table


def effects_table(sweep: Sweep, columns: Sequence[str]) -> Any:
    """What each parameter does on its own."""
    from rich.table import Table

    title = "each parameter on its own: mean ratio to its first value, all else equal"
    table = Table(title=title, title_justify="left", **_style())
    for name in ("parameter", "value", "pairs", *columns):
        table.add_column(name, justify="left" if name == "parameter" else "right", overflow="fold")
    last = None
    for row in sweep.effect_rows(*columns):
        ratios = ("–" if row[name] != row[name] else f"{row[name]:.3f}" for name in columns)
        table.add_row(
            "" if row["parameter"] == last else row["parameter"], str(row["value"]), str(row["pairs"]), *ratios
        )
        last = row["parameter"]
    return table


def _style() -> dict[str, Any]:
    from rich.box import SIMPLE_HEAD

    return {"box": SIMPLE_HEAD, "show_edge": False, "padding": (0, 1, 0, 0)}


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), None)
    if unit and isinstance(value, int | float):
        return si(value, unit)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if type(value) is int and name.endswith("cycles") else str(value)
