"""bitsim reproduce: published numbers beside ours; exit 1 where a held number is missed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Published numbers beside ours, error per row.", no_args_is_help=True)

MISSED = 1

LayersFile = Annotated[Path | None, typer.Option(help="Rows to check, in the format of the shipped ones.")]
MarkdownPage = Annotated[Path | None, typer.Option(help="Put the report into this Markdown page, as one section.")]


@app.command()
def bitfusion(
    layers: Annotated[Path | None, typer.Option(help="Rows to check, in the format of the shipped ones.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also put the report into this Markdown page, in a section of its own.")
    ] = None,
) -> None:
    """BitFusion (ISCA 2018): 61 rows and the headline, then the exact engine beside the analytical model."""
    from bitsim.report.reproduce_text import page_console, print_beside, print_headline, print_sides, write_section
    from bitsim.reproduce import bitfusion as published
    from bitsim.reproduce import headline
    from bitsim.reproduce.exact_sides import exact_sides

    console = page_console(markdown)
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        networks = headline.networks(found.networks, found.rows, found.ours)
        missed += headline.headline_differences(networks)
        print_headline(console, networks, headline.made_even(networks))
        exact = published.exact_beside(found)
        print_sides(console, exact_sides(networks, found.networks, exact))
        print_beside(console, exact, "analytical")
    for difference in missed:
        console.print(str(difference), highlight=False, soft_wrap=True)
    console.print(f"{found.exact} of {len(found.names)} rows exact", highlight=False)
    if markdown is not None:
        write_section(console, markdown, "bitfusion", "BitFusion (ISCA 2018)")
    if missed:
        raise typer.Exit(MISSED)


@app.command()
def eyeriss(
    layers: Annotated[Path | None, typer.Option(help="Rows to check, in the format of the shipped ones.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also put the report into this Markdown page, in a section of its own.")
    ] = None,
) -> None:
    """Eyeriss: the published 256-PE rows, the exact engine beside them, and the chip of JSSC 2017."""
    from bitsim.report.reproduce_text import page_console, print_beside, print_chip, write_section
    from bitsim.reproduce import eyeriss as published

    console = page_console(markdown)
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        print_beside(console, published.exact_beside(found), "published")
        listed = published.chip()
        missed += published.chip_differences(listed)
        print_chip(console, listed, published.vgg16())
    for difference in missed:
        console.print(str(difference), highlight=False, soft_wrap=True)
    if found.pooling:
        console.print(f"{found.pooling} pooling rows have no dimensions and are left out", highlight=False)
    console.print(f"{found.exact} of {len(found.names)} rows exact", highlight=False)
    if markdown is not None:
        write_section(console, markdown, "eyeriss", "Eyeriss (256 PEs, and the chip of JSSC 2017)")
    if missed:
        raise typer.Exit(MISSED)
