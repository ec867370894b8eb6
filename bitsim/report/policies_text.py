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
        ("cycles", lambda r: f"{r['cycles']:,.0f}"),
        ("time", lambda r: si(r["latency_s"], "s")),
        ("energy", lambda r: si(r["energy_j"], "J")),
        ("DRAM traffic", lambda r: si(r["dram_bits"], "b")),
        ("speed over batch-max", lambda r: _ratio(r["speedup"])),
        ("energy of batch-max over it", lambda r: _ratio(r["energy_ratio"])),
        ("peak used", lambda r: _share(r["utilisation"])),
        ("peak used for needed bits", lambda r: _share(r["needed_utilisation"])),
        ("summing dW, of cycles", lambda r: _share(r["accumulate_cycles"], r["cycles"])),
        ("waiting for gates, of cycles", lambda r: _share(r["gate_wait_cycles"], r["cycles"])),
    ):
        table.add_row(name, *(shown(record) for record in records))
    return table


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}x"


def _share(value: float | None, whole: float = 1.0) -> str:
    """A share of `whole`; a dash where there is none, or nothing to have a share of."""
    return "-" if value is None or not whole else f"{value / whole:.2%}"
