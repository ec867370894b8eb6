"""Policies of per-sample precision side by side for a terminal."""

from __future__ import annotations

from typing import Any

from bitsim.report.text import si


def policies_table(records: list[dict[str, Any]]) -> Any:
    """One column a policy of one machine, in the mean of an iteration; records: of `compare_policies`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    one = records[0]
    title = f"{one['trace']} on {one['hardware']}, mean of an iteration"
    table = Table("", *(record["samples"] for record in records), title=title, box=SIMPLE_HEAD, show_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, shown in (
        ("cycles", lambda r: f"{r['cycles_per_iteration']:,.0f}"),
        ("time", lambda r: si(r["latency_s_per_iteration"], "s")),
        ("energy", lambda r: si(r["energy_j_per_iteration"], "J")),
        ("DRAM traffic", lambda r: si(r["dram_bits_per_iteration"], "b")),
        ("speed over batch-max", lambda r: _ratio(r["speedup"])),
        ("energy of batch-max over it", lambda r: _ratio(r["energy_ratio"])),
        ("peak used", lambda r: _share(r["utilisation"])),
        ("peak used for needed bits", lambda r: _share(r["needed_utilisation"])),
        ("summing dW, of cycles", lambda r: _of_cycles(r, "accumulate_cycles_per_iteration")),
        ("waiting for gates, of cycles", lambda r: _of_cycles(r, "gate_wait_cycles_per_iteration")),
    ):
        table.add_row(name, *(shown(record) for record in records))
    return table


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}x"


def _share(value: float | None) -> str:
    """A dash where there is none."""
    return "-" if value is None else f"{value:.2%}"


def _of_cycles(record: dict[str, Any], name: str) -> str:
    """A share of an iteration's cycles; a dash where there are none to have a share of."""
    part, cycles = record[name], record["cycles_per_iteration"]
    return _share(None if part is None or not cycles else part / cycles)
