"""Tables for a terminal and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import IO, Any

from bitsim.kernels.program import CLASSES
from bitsim.simulation.compare import PASS_ORDER
from bitsim.simulation.result import PLACE, Result


def si(value: float, unit: str) -> str:
    """A quantity with an SI prefix and four digits: 0.0123 s -> ``12.30 ms``."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value / 1e-12:.4g} p{unit}" if value else f"0 {unit}"


def summary_table(results: list[Result]) -> Any:
    """One line a machine: cycles, time, energy per iteration and for the whole range."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    one = results[0]
    first, last = one.iteration_range
    kind = "synthetic" if one.trace.run.synthetic else "recorded"
    title = f"{one.trace.name} ({kind}), iterations {first}:{last}"
    if one.analytical:
        title += ", by the published analytical model"
    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("hardware", overflow="fold")
    for name in ("cycles/it.", "time/it.", "energy/it.", "time", "energy"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        run = result.summary()
        table.add_row(
            run["hardware"],
            f"{run['cycles_per_iteration']:,.0f}",
            si(run["latency_s_per_iteration"], "s"),
            si(run["energy_j_per_iteration"], "J"),
            si(run["latency_s"], "s"),
            si(run["energy_j"], "J"),
        )
    return table


def pass_sums(result: Result) -> dict[str, dict[str, float]]:
    """Additive columns summed over the whole range, by pass in training order, and `total`."""
    sums: dict[str, dict[str, float]] = {"total": dict.fromkeys(result.totals, 0)}
    for record in result.distinct():
        times = record["occurrences"] * record["iterations"]
        for name in (record["pass"], "total"):
            into = sums.setdefault(name, {})
            for column, value in record.items():
                if column in result.totals:
                    into[column] = into.get(column, 0) + value * times
    return {name: sums[name] for name in (*PASS_ORDER, "total") if name in sums}


def pass_table(result: Result) -> Any:
    """Passes side by side: time, energy, how cycles and energy divide."""
    from rich.table import Table

    sums = pass_sums(result)
    if not sums["total"]["cycles"]:
        return f"{result.machine.name}: no layer ran in the passes and iterations chosen"
    table = Table("", *sums, title=f"{result.machine.name}, by pass (whole range)")
    for column in table.columns[1:]:
        column.justify = "right"
    clock = float(result.machine.clock_hz)
    table.add_row("time", *(si(s["cycles"] / clock, "s") for s in sums.values()))
    table.add_row("energy", *(si(s["energy_pj"] * 1e-12, "J") for s in sums.values()), end_section=True)
    for name in CLASSES:
        if sums["total"][f"{name}_cycles"]:
            table.add_row(f"{name} cycles", *(f"{s[f'{name}_cycles'] / s['cycles']:.1%}" for s in sums.values()))
    table.columns[0].style = "bold"
    table.add_section()
    for component in result.prices.component_columns:
        shares = [f"{s[component] / s['energy_pj']:.1%}" for s in sums.values()]
        table.add_row(f"{component.removesuffix('_pj').replace('_', ' ')} energy", *shares)
    return table


def write_csv(results: list[Result], rows: str, out: IO[str]) -> None:
    """All rows of all machines (rows: distinct or trace) as CSV, one by one; a buffer that a machine lacks is 0."""
    placed = PLACE if rows == "trace" else ()
    names = list(dict.fromkeys([*placed, *(name for result in results for name in result.columns)]))
    writer = csv.DictWriter(out, ["hardware", *names], restval=0, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerows({"hardware": result.machine.name, **record} for record in result.records(rows))


def key_values(title: str, pairs: Iterable[tuple[str, Any]]) -> Any:
    """A two-column table."""
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for name, value in pairs:
        table.add_row(name, str(value))
    return table
