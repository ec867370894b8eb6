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
    markdown: Annotated[Path | None, typer.Option(help="Also write the report as this Markdown file.")] = None,
) -> None:
    """BitFusion (ISCA 2018): 61 rows and the headline, then the exact engine beside the analytical model."""
    from bitsim.reproduce import bitfusion as published

    console = _console(markdown)
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        listed = published.headline(found)
        missed += published.headline_differences(listed)
        _headline(console, listed, published.made_even(found))
        _beside(console, published.exact_beside(found), "analytical")
    for difference in missed:
        console.print(str(difference), highlight=False, soft_wrap=True)
    console.print(f"{found.exact} of {len(found.names)} rows exact", highlight=False)
    if markdown is not None:
        _write_markdown(console, markdown, "BitFusion (ISCA 2018)")
    if missed:
        raise typer.Exit(MISSED)


@app.command()
def eyeriss(
    layers: Annotated[Path | None, typer.Option(help="Rows to check, in the format of the shipped ones.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the report as this Markdown file.")] = None,
) -> None:
    """Eyeriss: the published 256-PE rows, the exact engine beside them, and the chip of JSSC 2017."""
    from bitsim.reproduce import eyeriss as published

    console = _console(markdown)
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        _beside(console, published.exact_beside(found), "published")
        listed = published.chip()
        missed += published.chip_differences(listed)
        _chip(console, listed, published.vgg16())
    for difference in missed:
        console.print(str(difference), highlight=False, soft_wrap=True)
    if found.pooling:
        console.print(f"{found.pooling} pooling rows have no dimensions and are left out", highlight=False)
    console.print(f"{found.exact} of {len(found.names)} rows exact", highlight=False)
    if markdown is not None:
        _write_markdown(console, markdown, "Eyeriss (256 PEs, and the chip of JSSC 2017)")
    if missed:
        raise typer.Exit(MISSED)


def _chip(console, listed, predicted) -> None:  # type: ignore[no-untyped-def]
    from bitsim.reproduce.eyeriss import BUFFER_BYTES_PER_CYCLE, STRETCH

    title = "\nthe chip (JSSC 2017), AlexNet, batch 4: processing time"
    table = _table(title, "layer", "active PEs", "published", "ms", "measured", "error", "bound")
    for row in listed:
        times = (f"{row.milliseconds:.2f}", f"{row.published_ms:.1f}", f"{row.error:+.1%}")
        table.add_row(row.name, str(row.active_pes), str(row.published_active_pes), *times, row.bound)
    console.print(table)
    console.print(
        f"two constants, calibrated on these five together: {STRETCH} cycles a MAC of an active PE, "
        f"{BUFFER_BYTES_PER_CYCLE} buffer bytes a cycle",
        soft_wrap=True,
        highlight=False,
    )
    total = sum(row.milliseconds for row in predicted)
    table = _table("\nVGG-16, batch 3, predicted with the same constants", "layer", "active PEs", "ms", "bound")
    for row in predicted:
        table.add_row(row.name, str(row.active_pes), f"{row.milliseconds:.1f}", row.bound)
    table.add_row("all", "", f"{total:.1f}", "")
    console.print(table)


def _console(markdown: Path | None):  # type: ignore[no-untyped-def]
    from rich.console import Console

    # A page is the same on every terminal.
    return Console(record=markdown is not None, width=100 if markdown else None)


def _write_markdown(console, path: Path, title: str) -> None:  # type: ignore[no-untyped-def]
    from bitsim.report.folder import write_text

    lines = [line.rstrip() for line in console.export_text().splitlines()]
    command = f"bitsim reproduce {title.split()[0].lower()} --markdown {path.name}"
    write_text(path, f"# {title}\n\nWritten by `{command}`.\n\n```text\n" + "\n".join(lines) + "\n```\n")


def _table(title: str, *columns: str):  # type: ignore[no-untyped-def]
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _headline(console, listed, evened) -> None:  # type: ignore[no-untyped-def]
    from bitsim.reproduce.bitfusion import geometric_mean

    table = _table("BitFusion over Eyeriss, by network", "network", "speed", "published", "energy", "published")
    for row in listed:
        cells = (row.speedup, row.published_speedup, row.energy_ratio, row.published_energy_ratio)
        table.add_row(row.network, *(f"{value:.6f}" for value in cells))
    means = [geometric_mean([getattr(n, c) for n in listed]) for c in ("speedup", "energy_ratio")]
    table.add_row("geometric mean", f"{means[0]:.6f}", "3.925073", f"{means[1]:.6f}", "5.116515")
    console.print(table)
    table = _table("\nmade even, geometric means", "what", "networks", "speed", "energy")
    for even in evened:
        table.add_row(even.what, str(even.networks), f"{even.speedup:.2f}x", f"{even.energy_ratio:.2f}x")
    console.print(table)
    missing = ", ".join(n.network for n in listed if n.eyeriss_units is None)
    console.print(f"{missing}: no published Eyeriss rows, energy carried over from the headline", soft_wrap=True)


def _beside(console, listed, other: str) -> None:  # type: ignore[no-untyped-def]
    title = f"\nexact engine beside the {other} model, forward pass"
    table = _table(title, "layer", other, "exact", "ratio", "issue", "largest stall")
    for row in listed:
        table.add_row(
            row.name,
            f"{row.published_cycles:,}",
            f"{row.exact_cycles:,}",
            f"{row.exact_cycles / row.published_cycles:.3f}",
            f"{row.issue_cycles / row.exact_cycles:.1%}",
            row.largest_stall,
        )
    console.print(table)
