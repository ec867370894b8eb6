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
    from bitsim.report.reproduce_text import page_console, print_beside, print_headline, write_markdown
    from bitsim.reproduce import bitfusion as published

    console = page_console(markdown)
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        listed = published.headline(found)
        missed += published.headline_differences(listed)
        print_headline(console, listed, published.made_even(found))
        print_beside(console, published.exact_beside(found), "analytical")
    for difference in missed:
        console.print(str(difference), highlight=False, soft_wrap=True)
    console.print(f"{found.exact} of {len(found.names)} rows exact", highlight=False)
    if markdown is not None:
        write_markdown(console, markdown, "BitFusion (ISCA 2018)")
    if missed:
        raise typer.Exit(MISSED)


@app.command()
def eyeriss(
    layers: Annotated[Path | None, typer.Option(help="Rows to check, in the format of the shipped ones.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the report as this Markdown file.")] = None,
) -> None:
    """Eyeriss: the published 256-PE rows, the exact engine beside them, and the chip of JSSC 2017."""
    from bitsim.report.reproduce_text import page_console, print_beside, print_chip, write_markdown
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
        write_markdown(console, markdown, "Eyeriss (256 PEs, and the chip of JSSC 2017)")
    if missed:
        raise typer.Exit(MISSED)
