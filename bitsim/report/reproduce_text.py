"""Published numbers beside ours, for a terminal and as Markdown pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bitsim.report.folder import write_text
from bitsim.reproduce.beside import Beside
from bitsim.reproduce.exact_sides import Sides
from bitsim.reproduce.eyeriss import BUFFER_BYTES_PER_CYCLE, STRETCH, ChipLayer
from bitsim.reproduce.headline import Even, Network, geometric_mean
from bitsim.strict_yaml import read_text

PAGE_COLUMNS = 132
PAGE_HEAD = """# Validation

Published numbers beside ours. Each section is what its command prints; CI writes this page again and
compares. *Held* numbers end the command with exit status 1 where they are missed; others are reported.
"""


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

    # A page is the same on every terminal, and a pipe has no width of its own.
    fixed = markdown is not None or not sys.stdout.isatty()
    return Console(record=markdown is not None, width=PAGE_COLUMNS if fixed else None)


def write_section(console: Any, path: Path, name: str, title: str) -> None:
    """Put what `console` printed into the section `name` of a Markdown page; other sections stay as they are."""
    begin, end = f"<!-- bitsim reproduce {name} -->", f"<!-- end of {name} -->"
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    text = "\n".join(lines).strip("\n")
    command = f"bitsim reproduce {name} --markdown {path.name}"
    section = f"{begin}\n## {title}\n\nWritten by `{command}`.\n\n```text\n{text}\n```\n{end}\n"
    page = read_text(path) if path.exists() else PAGE_HEAD
    if begin in page and end in page:
        before, rest = page.split(begin, 1)
        section = before + section.rstrip("\n") + rest.split(end, 1)[1]
    else:
        section = page.rstrip("\n") + "\n\n" + section
    write_text(path, section)


def _table(title: str, *columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold", no_wrap=i > 0)
    return table


def print_headline(console: Any, listed: list[Network], evened: list[Even]) -> None:
    """Speed and energy by network, then with something made even."""
    table = _table("BitFusion over Eyeriss, by network", "network", "speed", "published", "energy", "published")
    for row in listed:
        cells = (row.speedup, row.published_speedup, row.energy_ratio, row.published_energy_ratio)
        table.add_row(row.name, *(f"{value:.6f}" for value in cells))
    columns = ("speedup", "published_speedup", "energy_ratio", "published_energy_ratio")
    means = [geometric_mean([getattr(n, c) for n in listed]) for c in columns]
    table.add_row("geometric mean", *(f"{mean:.6f}" for mean in means))
    console.print(table)
    table = _table("\nmade even, geometric means of the eight networks", "what", "speed", "energy")
    for even in evened:
        table.add_row(even.what, f"{even.speedup:.2f}x", f"{even.energy_ratio:.2f}x")
    console.print(table)
    console.print(
        "VGG-7 and RESNET-18 have no published Eyeriss rows: their convolutions are blocked anew, "
        "the rest (pooling) is carried over from the headline",
        soft_wrap=True,
        highlight=False,
    )


def print_sides(console: Any, listed: list[Sides]) -> None:
    """The exact engine on both sides of the headline."""
    title = "\nour exact engine and prices on both sides, same memory, without pooling"
    table = _table(
        title, "network", "BitFusion cycles", "Eyeriss cycles", "speed", "BitFusion mJ", "Eyeriss mJ", "energy"
    )
    for row in listed:
        cycles = f"{row.bitfusion_cycles:,}", f"{row.eyeriss_cycles:,}", f"{row.speedup:.2f}x"
        energy = f"{row.bitfusion_pj / 1e9:.3f}", f"{row.eyeriss_pj / 1e9:.3f}", f"{row.energy_ratio:.2f}x"
        table.add_row(row.network, *cycles, *energy)
    means = [geometric_mean([getattr(row, c) for row in listed]) for c in ("speedup", "energy_ratio")]
    table.add_row("geometric mean", "", "", f"{means[0]:.2f}x", "", "", f"{means[1]:.2f}x")
    console.print(table)


SHOWN_CLASSES = ("issue", "setup", "fill_drain", "hazard", "wait_load", "wait_store")


def print_beside(console: Any, listed: list[Beside], other: str) -> None:
    """The exact engine beside a published model, a line a row: how far apart, and by which cycle class."""
    title = f"\nexact engine beside the {other} model, forward pass; columns in % of the exact cycles"
    heads = (name.replace("wait_", "").replace("_drain", "") for name in SHOWN_CLASSES)
    table = _table(title, "layer", other, "exact", "ratio", *heads, "compute", "waits")
    for row in listed:
        table.add_row(
            row.name.removesuffix("/Convolution").removesuffix("/MatMul"),
            f"{row.published_cycles:,}",
            f"{row.exact_cycles:,}",
            f"{row.exact_cycles / row.published_cycles:.3f}",
            *(f"{100 * row.share(name):.1f}" for name in SHOWN_CLASSES),
            f"{100 * row.compute_excess:+.1f}",
            f"{100 * row.wait_excess:+.1f}",
        )
    console.print(table)
    console.print(
        f"compute: {other} compute cycles beyond the exact issue cycles; "
        f"waits: {other} memory wait beyond all exact stalls (load, store: waiting for a load, for a store)",
        soft_wrap=True,
        highlight=False,
    )
