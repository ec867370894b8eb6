"""Published numbers beside ours, for a terminal and as Markdown pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bitsim.errors import InputError
from bitsim.report.whole_file import write_text
from bitsim.reproduce.beside import Beside
from bitsim.reproduce.exact_sides import Compared
from bitsim.reproduce.eyeriss_chip import (
    BUFFER_BYTES_PER_CYCLE,
    STRETCH,
    VGG16_BATCH,
    VGG16_FRAMES_PER_S,
    ChipLayer,
)
from bitsim.reproduce.headline import Even, Network, geometric_mean
from bitsim.reproduce.published_rows import Difference
from bitsim.strict_yaml import read_text

PAGE_COLUMNS = 140
PAGE_HEAD = """# Validation

Published numbers beside ours. Each section is what its command prints; CI writes this page again and
compares. *Held* numbers end the command with exit status 1 where they are missed; others are reported.
"""


def print_chip(console: Any, listed: list[ChipLayer], predicted: list[ChipLayer]) -> None:
    """The chip's processing times beside the measured ones, and VGG-16 predicted."""
    title = "the chip (JSSC 2017), AlexNet, batch 4: processing time"
    heads = ("layer", "active PEs", "published", "measured ms", "ours ms", "error", "bound", "exact engine ms", "error")
    table = empty_table(*heads)
    for row in listed:
        ours = f"{row.published_ms:.1f}", f"{row.milliseconds:.2f}", f"{row.error:+.1%}", row.bound
        exact = f"{row.exact_ms:.2f}", f"{row.exact_error:+.1%}"
        table.add_row(row.name, str(row.active_pes), f"{row.published_active_pes:g}", *ours, *exact)
    show(console, title, table)
    note(
        console,
        f"ours: two constants, calibrated on these five together: {STRETCH} cycles a MAC of an active PE, "
        f"{BUFFER_BYTES_PER_CYCLE} buffer bytes a cycle; the exact engine has no constant of the chip's measurements",
    )
    total = [sum(getattr(row, column) for row in predicted) for column in ("milliseconds", "exact_ms")]
    title = "VGG-16, batch 3: a prediction with the same constants, not held"
    table = empty_table("layer", "active PEs", "ms", "bound", "exact engine ms")
    for row in predicted:
        table.add_row(row.name, str(row.active_pes), f"{row.milliseconds:.1f}", row.bound, f"{row.exact_ms:.1f}")
    table.add_row("all", "", f"{total[0]:.1f}", "", f"{total[1]:.1f}")
    show(console, title, table)
    batch_s = VGG16_BATCH / VGG16_FRAMES_PER_S
    note(
        console,
        f"measured: {VGG16_FRAMES_PER_S} frames/s, {batch_s:.1f} s a batch with its DRAM transfers: the prediction "
        f"is {batch_s * 1e3 / total[0]:.1f} times faster. What AlexNet calibrates does not carry over to VGG-16.",
    )


def note(console: Any, text: str) -> None:
    """A line below a table, as long as it is."""
    console.print(text, soft_wrap=True, highlight=False)


def print_held(console: Any, missed: list[Difference], summary: str) -> None:
    """What is held and was missed, a line a value, and the summary line."""
    for difference in missed:
        note(console, str(difference))
    note(console, summary)


def page_console(markdown: Path | None) -> Any:
    """A console; one that records at a fixed width where a page will be written."""
    from bitsim.report.console import plain_console

    # A page is the same on every terminal, and a pipe has no width of its own.
    fixed = markdown is not None or not sys.stdout.isatty()
    return plain_console(record=markdown is not None, width=PAGE_COLUMNS if fixed else None)


def around_section(path: Path, name: str) -> tuple[str, str]:
    """What stands before and after the section `name` of a page, which need not be there yet.

    Raises InputError for a page that cannot be read or written, or whose markers do not pair.
    """
    folder = path.absolute().parent
    if not (path.exists() or folder.is_dir()):
        raise InputError(f"{path}: {folder} is no folder, allowed: a page in a folder that exists")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"{path}: is not writable, allowed: a page that is")
    page = read_text(path) if path.exists() else PAGE_HEAD
    begin, end = _markers(name)
    if (page.count(begin), page.count(end)) == (0, 0):
        return page.rstrip("\n") + "\n\n", "\n"
    before, _, rest = page.partition(begin)
    if (page.count(begin), rest.count(end)) != (1, 1):
        raise InputError(f"{path}: allowed: the lines {begin} and {end} once each, in this order, or not at all")
    return before, rest.partition(end)[2]


def write_section(console: Any, path: Path, name: str, title: str) -> None:
    """Put what `console` printed into the section `name` of a Markdown page; other sections stay as they are."""
    before, after = around_section(path, name)
    begin, end = _markers(name)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    text = "\n".join(lines).strip("\n")
    shown = path.name if path.is_absolute() else path.as_posix()  # where a page lies on one machine is none of its text
    command = f"bitsim reproduce {name} --markdown {shown}"
    section = f"{begin}\n## {title}\n\nWritten by `{command}`.\n\n```text\n{text}\n```\n{end}"
    write_text(path, before + section + after)


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- bitsim reproduce {name} -->", f"<!-- end of {name} -->"


def empty_table(*columns: str) -> Any:
    """A table with these heads, numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold", no_wrap=i > 0)
    return table


def show(console: Any, title: str, table: Any) -> None:
    """A table below its title."""
    note(console, f"\n{title}")
    console.print(table)


def print_headline(console: Any, listed: list[Network], evened: list[Even]) -> None:
    """Speed and energy by network, then with something made even."""
    table = empty_table("network", "speed", "published", "energy", "published")
    for row in listed:
        cells = (row.speedup, row.published_speedup, row.energy_ratio, row.published_energy_ratio)
        table.add_row(row.name, *(f"{value:.6f}" for value in cells))
    columns = ("speedup", "published_speedup", "energy_ratio", "published_energy_ratio")
    means = [geometric_mean([getattr(n, c) for n in listed]) for c in columns]
    table.add_row("geometric mean", *(f"{mean:.6f}" for mean in means))
    show(console, "BitFusion over Eyeriss, by network", table)
    table = empty_table("what", "speed", "energy")
    for even in evened:
        table.add_row(even.what, f"{even.speedup:.2f}x", f"{even.energy_ratio:.2f}x")
    show(console, "made even, geometric means of the eight networks", table)
    note(
        console,
        "VGG-7 and RESNET-18 have no published Eyeriss rows: their layers and pooling are blocked anew, and meet "
        "the published cycles exactly",
    )


def print_sides(console: Any, listed: list[Compared]) -> None:
    """The exact engine on both sides of the headline: by network for the first choice, then means of all."""
    title = f"our exact engine and prices on both sides, same memory, no pooling: {listed[0].what}"
    heads = ("BitFusion cycles", "Eyeriss cycles", "speed", "BitFusion mJ", "Eyeriss mJ", "energy")
    table = empty_table("network", *heads)
    for row in listed[0].sides:
        cycles = f"{row.bitfusion_cycles:,}", f"{row.eyeriss_cycles:,}", f"{row.speedup:.2f}x"
        energy = f"{row.bitfusion_pj / 1e9:.3f}", f"{row.eyeriss_pj / 1e9:.3f}", f"{row.energy_ratio:.2f}x"
        table.add_row(row.network, *cycles, *energy)
    show(console, title, table)
    table = empty_table("what", "speed", "speed per mm²", "energy", "mm²")
    for one in listed:
        means = f"{one.speedup:.2f}x", f"{one.speedup_per_mm2:.2f}x", f"{one.energy_ratio:.2f}x"
        table.add_row(one.what, *means, f"{one.area_mm2[0]:.2f} : {one.area_mm2[1]:.2f}")
    show(console, "the same made even, geometric means", table)


SHOWN_CLASSES = ("issue", "setup", "fill_drain", "hazard", "wait_load", "wait_store")


def print_beside(console: Any, listed: list[Beside], other: str, as_published: Mapping[str, str]) -> None:
    """The exact engine beside a published model, a line a row: how far apart, and by which cycle class.

    as_published: what each column of Beside.as_published means.
    """
    title = f"exact engine beside the {other} model, forward pass; classes and excesses in % of the exact cycles"
    heads = (name.replace("wait_", "").replace("_drain", "") for name in SHOWN_CLASSES)
    table = empty_table("layer", other, "exact", "ratio", *as_published, *heads, "compute", "waits")
    for row in listed:
        table.add_row(
            row.name.removesuffix("/Convolution").removesuffix("/MatMul"),
            f"{row.published_cycles:,}",
            f"{row.exact_cycles:,}",
            *(f"{cycles / row.published_cycles:.3f}" for cycles in (row.exact_cycles, *row.as_published.values())),
            *(f"{100 * row.share(name):.1f}" for name in SHOWN_CLASSES),
            f"{100 * row.compute_excess:+.1f}",
            f"{100 * row.wait_excess:+.1f}",
        )
    show(console, title, table)
    note(console, f"ratio: exact over {other} cycles; the same if, as in the {other} model:")
    for name, meaning in as_published.items():
        note(console, f"{name}: {meaning}")
    note(
        console,
        f"compute: {other} compute cycles beyond the exact issue cycles; "
        f"waits: {other} memory wait beyond all exact stalls (load, store: waiting for a load, for a store)",
    )


def print_spread(console: Any, listed: list[Beside]) -> None:
    """Least and greatest ratio to the published cycles, of the exact engine and with each published assumption."""
    parts = []
    for what in ("exact engine", *listed[0].as_published):
        cycles = [(row.as_published.get(what, row.exact_cycles), row.published_cycles) for row in listed]
        ratios = [ours / published for ours, published in cycles]
        parts.append(f"{what} {min(ratios):.2f} to {max(ratios):.2f}")
    note(console, "ratios over all rows: " + "; ".join(parts))
