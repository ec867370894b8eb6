"""A comparison for a terminal."""

from __future__ import annotations

from typing import Any

from bitsim.iso import BITS, GROWTHS, MM2
from bitsim.report.metrics_text import print_metrics
from bitsim.report.text import si
from bitsim.simulation.compare import TOTAL, Comparison
from bitsim.units import show_size


def print_comparison(comparison: Comparison, console: Any, layers: bool = True) -> None:
    """Differences first, then per pass, then per layer, then ratios with their geometric mean."""
    baseline = comparison.baseline.machine.name
    console.print(f"baseline: {baseline}; ratios are baseline over machine: above 1 is better", soft_wrap=True)
    if comparison.resized:
        print_resized(comparison, console)
    console.print("\nNot equal between the machines:")
    differences = comparison.differences()
    for what, values in differences.items():
        console.print(f"  {what}", highlight=False)
        for name, value in values.items():
            console.print(f"    {name}: {value}", highlight=False, soft_wrap=True)
    if not differences:
        console.print("  nothing but the accelerator")
    for name in [r.machine.name for r in comparison.results]:
        console.print(_rows_table(comparison.by_pass(), name, f"\n{name}, by pass", ("pass",)))
    console.print(_energy_table(comparison))
    print_metrics(comparison, console)
    if layers:
        for name in [r.machine.name for r in comparison.results]:
            console.print(_rows_table(comparison.by_layer(), name, f"\n{name}, by layer", ("layer", "pass")))
    console.print()
    means, table = comparison.geometric_means(), comparison.by_pass()
    for name, mean in means.items():
        total = table[(table["hardware"] == name) & (table["pass"] == TOTAL)].iloc[0]
        if name != baseline:
            console.print(
                f"{name}: speed {total.speedup:.3f}x, energy {total.energy_ratio:.3f}x of the whole run; "
                f"geometric mean over layers and passes {mean['speedup']:.3f}x, {mean['energy_ratio']:.3f}x",
                highlight=False,
                soft_wrap=True,
            )


def print_resized(comparison: Comparison, console: Any) -> None:
    """The rule, then per machine what changed, what of the budget is used, what is left over and why."""
    first = comparison.resized[0]
    console.print(f"\n--iso {first.mode}: {first.rule}", highlight=False, soft_wrap=True)
    for one in comparison.resized:
        if one.given.name == comparison.baseline.machine.name:
            console.print(f"  {one.given.name}: {_amount(one.budget, one.unit)}, the budget", highlight=False)
            continue
        changes = ", ".join(f"{key} {before} -> {now}" for key, (before, now) in one.changes.items())
        step = f"; the next size is {_amount(one.granularity, one.unit)} more" if one.granularity is not None else ""
        console.print(
            f"  {one.given.name}: {changes or 'as it was'}; {_amount(one.used, one.unit)}, "
            f"{_amount(one.left_over, one.unit)} left over{step}",
            highlight=False,
            soft_wrap=True,
        )
    if first.unit == MM2:
        others = " and ".join(f"--grow {grow}" for grow in GROWTHS if f"--grow {grow})" not in first.rule)
        console.print(f"  {others} give other arrays of this area: the verdict can turn on it", highlight=False)


def _amount(value: float, unit: str) -> str:
    if unit == BITS:
        return show_size(int(value))
    return f"{value:.4f} mm2" if unit == MM2 else f"{value:g} {unit}"


def _table(title: str, left: int, *columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        # A figure broken over two lines is misread; its column has a short title and never needs to be.
        whole = column in ("cycles", "time", "energy")
        table.add_column(column, justify="left" if i < left else "right", overflow="fold", no_wrap=whole)
    return table


def _energy_table(comparison: Comparison) -> Any:
    rows = [row for row in comparison.by_pass().to_dict("records") if row["pass"] == TOTAL]
    table = _table("\nenergy by component, whole run", 1, "component", *(row["hardware"] for row in rows))
    for name in comparison.components:
        table.add_row(name.replace("_", " "), *(si(row[f"{name}_j"], "J") for row in rows))
    table.add_row("all", *(si(row["energy_j"], "J") for row in rows))
    return table


def _rows_table(frame: Any, hardware: str, title: str, keys: tuple[str, ...]) -> Any:
    table = _table(title, len(keys), *keys, "cycles", "time", "energy", "util.", "bound", "speed", "energy ratio")
    for row in frame[frame["hardware"] == hardware].to_dict("records"):
        table.add_row(
            *(row[key] for key in keys),
            f"{row['cycles']:.4g}",
            si(row["latency_s"], "s"),
            si(row["energy_j"], "J"),
            f"{row['utilisation']:.1%}",
            row["bound"],
            f"{row['speedup']:.2f}x",
            f"{row['energy_ratio']:.2f}x",
        )
    return table
