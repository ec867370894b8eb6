"""Published numbers beside ours, for a terminal and as Markdown pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitsim.report.folder import write_text
from bitsim.reproduce.beside import Beside
from bitsim.reproduce.bitfusion import Even, Headline, geometric_mean
from bitsim.reproduce.eyeriss import BUFFER_BYTES_PER_CYCLE, STRETCH, ChipLayer


def print_chip(console: Any, listed: list[ChipLayer], predicted: list[ChipLayer]) -> None:
    """The chip's processing times beside the measured ones, and VGG-16 predicted."""
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


def page_console(markdown: Path | None) -> Any:
    """A console; one that records at a fixed width where a page will be written."""
    from rich.console import Console

    # A page is the same on every terminal.
    return Console(record=markdown is not None, width=100 if markdown else None)


def write_markdown(console: Any, path: Path, title: str) -> None:
    """Write what `console` printed as a Markdown page, whole or not at all."""
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    command = f"bitsim reproduce {title.split()[0].lower()} --markdown {path.name}"
    write_text(path, f"# {title}\n\nWritten by `{command}`.\n\n```text\n" + "\n".join(lines) + "\n```\n")


def _table(title: str, *columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def print_headline(console: Any, listed: list[Headline], evened: list[Even]) -> None:
    """Speed and energy by network, then with something made even."""
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


def print_beside(console: Any, listed: list[Beside], other: str) -> None:
    """The exact engine beside a published model, a line a row."""
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
