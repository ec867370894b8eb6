"""Tables for a terminal and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from bitsim.simulate.result import Result


def si(value: float, unit: str) -> str:
    """A quantity with an SI prefix and four digits: 0.0123 s -> ``12.30 ms``."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value / 1e-12:.4g} p{unit}" if value else f"0 {unit}"


def summary_table(results: list[Result]) -> Any:
    """One line a machine: cycles, time, energy per iteration and for the whole range."""
    from rich.table import Table

    one = results[0]
    first, last = one.iteration_range
    kind = "synthetic" if one.trace.run.synthetic else "recorded"
    table = Table(title=f"{one.trace.name} ({kind}), iterations {first}:{last}")
    for name in ("hardware", "cycles/iteration", "time/iteration", "energy/iteration", "time", "energy"):
        table.add_column(name, justify="left" if name == "hardware" else "right")
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


def pass_table(result: Result) -> Any:
    """One line a pass: share of time, energy by component, utilisation, what bounds it."""
    from rich.table import Table

    table = Table(title=f"{result.machine.name}, by pass (whole range)")
    parts = [*result.prices.buffers, "array", "dram", "dram_static", "leakage"]
    for name in ("pass", "time", "energy", "issue", "stall", *parts):
        table.add_column(name.replace("_", " "), justify="left" if name == "pass" else "right")
    sums: dict[str, dict[str, float]] = {}
    for record in result.distinct():
        times = record["occurrences"] * record["iterations"]
        into = sums.setdefault(record["pass"], {})
        for name in ("cycles", "issue_cycles", "stall_cycles", "energy_pj", *[f"{p}_pj" for p in parts]):
            into[name] = into.get(name, 0) + record[name] * times
    for name, total in sums.items():
        cycles, energy = total["cycles"], total["energy_pj"]
        shares = [f"{total[f'{p}_pj'] / energy:.1%}" for p in parts]
        table.add_row(
            name,
            si(cycles / float(result.machine.clock_hz), "s"),
            si(energy * 1e-12, "J"),
            f"{total['issue_cycles'] / cycles:.1%}",
            f"{total['stall_cycles'] / cycles:.1%}",
            *shares,
        )
    return table


def to_csv(results: list[Result], rows: list[list[dict[str, Any]]]) -> str:
    """All rows of all machines as CSV; a buffer that a machine lacks is 0."""
    names = list(dict.fromkeys(name for records in rows for record in records for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, ["hardware", *names], restval=0, lineterminator="\n")
    writer.writeheader()
    for result, records in zip(results, rows, strict=True):
        writer.writerows({"hardware": result.machine.name, **record} for record in records)
    return out.getvalue()


def key_values(title: str, pairs: Iterable[tuple[str, Any]]) -> Any:
    """A two-column table."""
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for name, value in pairs:
        table.add_row(name, str(value))
    return table
