"""bitsim reproduce: published numbers beside ours; exit 1 where a held number is missed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Published numbers beside ours, error per row.", no_args_is_help=True)

MISSED = 1


@app.command()
def bitfusion(
    layers: Annotated[Path | None, typer.Option(help="Rows to check, in the format of the shipped ones.")] = None,
) -> None:
    """BitFusion (ISCA 2018): 61 rows and the headline, then the exact engine beside the analytical model."""
    from rich.console import Console

    from bitsim.reproduce import bitfusion as published

    console = Console()
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        listed = published.headline(found)
        missed += published.headline_differences(listed)
        _headline(console, listed)
        _beside(console, published.exact_beside(found))
    for difference in missed:
        console.print(str(difference), highlight=False, soft_wrap=True)
    console.print(f"{found.exact} of {len(found.names)} rows exact", highlight=False)
    if missed:
        raise typer.Exit(MISSED)


def _table(title: str, *columns: str):  # type: ignore[no-untyped-def]
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _headline(console, listed) -> None:  # type: ignore[no-untyped-def]
    from bitsim.reproduce.bitfusion import SYNTHESISED_INT16_PJ, geometric_mean

    table = _table("BitFusion over Eyeriss, by network", "network", "speed", "published", "energy", "published")
    for row in listed:
        cells = (row.speedup, row.published_speedup, row.energy_ratio, row.published_energy_ratio)
        table.add_row(row.network, *(f"{value:.6f}" for value in cells))
    means = [geometric_mean([getattr(n, c) for n in listed]) for c in ("speedup", "energy_ratio")]
    table.add_row("geometric mean", f"{means[0]:.6f}", "3.925073", f"{means[1]:.6f}", "5.116515")
    console.print(table)
    known = [n for n in listed if n.eyeriss_units is not None]
    console.print(
        f"\nMade even, energy ratio over the {len(known)} networks with published Eyeriss rows "
        f"(as published {geometric_mean([n.energy_ratio for n in known]):.2f}x):",
        soft_wrap=True,
    )
    for price in (6.0, 15.0, 40.0):
        console.print(f"  both at {price:g} pJ a DRAM bit: {geometric_mean([n.at(price) for n in known]):.2f}x")
    even = geometric_mean([n.at(15.0, SYNTHESISED_INT16_PJ) for n in known])
    console.print(f"  both at 15 pJ, and Eyeriss's MAC at its synthesised {SYNTHESISED_INT16_PJ} pJ: {even:.2f}x")
    missing = ", ".join(n.network for n in listed if n.eyeriss_units is None)
    console.print(f"  {missing}: no published Eyeriss rows, energy carried over from the headline", soft_wrap=True)


def _beside(console, listed) -> None:  # type: ignore[no-untyped-def]
    title = "\nexact engine beside the analytical model, forward pass"
    table = _table(title, "layer", "analytical", "exact", "exact/anal.", "issue", "largest stall")
    for row in listed:
        table.add_row(
            row.name,
            f"{row.analytical_cycles:,}",
            f"{row.exact_cycles:,}",
            f"{row.exact_cycles / row.analytical_cycles:.3f}",
            f"{row.issue_cycles / row.exact_cycles:.1%}",
            row.largest_stall,
        )
    console.print(table)
