"""bitsim reproduce: published numbers beside ours; exit 1 where a held number is missed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsim.errors import InputError

app = typer.Typer(help="Published numbers beside ours, error per row.", no_args_is_help=True)

MISSED = 1

LayersFile = Annotated[
    Path | None,
    typer.Option(help="Rows to check, in the format of the shipped ones (docs/reference/published_rows.md)."),
]
MarkdownPage = Annotated[
    Path | None, typer.Option(help="Also put the report into this Markdown page, in a section of its own.")
]


def _check_page(name: str, layers: Path | None, markdown: Path | None) -> None:
    """Refuse before anything is printed what could not be written after it."""
    from bitsim.report.reproduce_text import around_section

    if markdown is not None:
        if layers is not None:
            raise InputError("--markdown: the page is of the shipped rows, allowed: without --layers")
        around_section(markdown, name)


@app.command()
def bitfusion(layers: LayersFile = None, markdown: MarkdownPage = None) -> None:
    """BitFusion (ISCA 2018): 61 rows and the headline, then the exact engine beside the analytical model."""
    from bitsim.report import reproduce_text as text
    from bitsim.reproduce import bitfusion as published
    from bitsim.reproduce import headline
    from bitsim.reproduce.exact_sides import exact_sides

    _check_page("bitfusion", layers, markdown)
    console = text.page_console(markdown)
    found = published.rows(layers)
    missed = list(found.differences)
    if layers is None:
        networks = headline.networks(found.networks, found.rows, found.ours)
        missed += headline.headline_differences(networks)
        text.print_headline(console, networks, headline.made_even(networks))
        text.print_sides(console, exact_sides(networks))
        exact = published.exact_beside(found)
        text.print_beside(console, exact, "analytical", published.AS_PUBLISHED)
        text.print_spread(console, exact)
    text.print_held(console, missed, f"{found.exact} of {len(found.names)} rows exact")
    if markdown is not None:
        text.write_section(console, markdown, "bitfusion", "BitFusion (ISCA 2018)")
    if missed:
        raise typer.Exit(MISSED)


@app.command()
def eyeriss(layers: LayersFile = None, markdown: MarkdownPage = None) -> None:
    """Eyeriss: the published 256-PE rows, the exact engine beside them, and the chip of JSSC 2017."""
    from bitsim.report import reproduce_text as text
    from bitsim.reproduce import eyeriss as published
    from bitsim.reproduce import eyeriss_chip

    _check_page("eyeriss", layers, markdown)
    console = text.page_console(markdown)
    found, pooling = published.rows(layers)
    missed = list(found.differences)
    exact_rows, count = found.exact, len(found.names)
    if layers is None:
        exact = published.exact_beside(found)
        text.print_beside(console, exact, "published", published.AS_PUBLISHED)
        text.print_spread(console, exact)
        listed = eyeriss_chip.alexnet()
        missed += eyeriss_chip.chip_differences(listed)
        text.print_chip(console, listed, eyeriss_chip.vgg16())
        text.note(console, f"{pooling.exact} of {len(pooling.names)} pooling rows exact, at dimensions not published")
    elif pooling.names:
        text.note(console, f"{len(pooling.names)} pooling rows at dimensions not published")
        exact_rows, count = exact_rows + pooling.exact, count + len(pooling.names)
    missed += pooling.differences
    text.print_held(console, missed, f"{exact_rows} of {count} rows exact")
    if markdown is not None:
        text.write_section(console, markdown, "eyeriss", "Eyeriss (256 PEs, and the chip of JSSC 2017)")
    if missed:
        raise typer.Exit(MISSED)


@app.command()
def fractrain(
    layers: LayersFile = None,
    markdown: MarkdownPage = None,
    scaled: Annotated[bool, typer.Option("--scaled", help="Also fit two factors, on ResNet-38 alone.")] = False,
) -> None:
    """FracTrain (NeurIPS 2020): cost of an iteration apart from convergence, as a band over what was not published."""
    from bitsim.report import fractrain_text as text
    from bitsim.report.reproduce_text import page_console, print_held, write_section
    from bitsim.reproduce import fractrain as published
    from bitsim.reproduce import fractrain_costs as costs
    from bitsim.reproduce.fractrain_original import original_ratios
    from bitsim.reproduce.fractrain_scaled import scaled as fitted

    _check_page("fractrain", layers, markdown)
    console = page_console(markdown)
    listed = published.rows(layers)
    missed = published.differences(listed)
    within = len(listed) - len({difference.row for difference in missed})
    factors = fitted(listed) if scaled else None
    text.print_published(console, listed, shipped=layers is None)
    text.print_savings(console, listed)
    if layers is None:
        missed += published.network_differences()
        for network in costs.NETWORKS:
            missed += costs.cost_differences(network)
            ratios, stages = costs.dynamic_ratios(network), costs.stage_ratios(network)
            text.print_ratios(console, network, costs.static_cost(network), ratios)
            text.print_original(console, network, original_ratios(network))
            text.print_stages(console, network, stages)
            text.print_claims(console, network, ratios[0], stages[-1])
    if factors is not None:
        text.print_scaled(console, factors)
    print_held(console, missed, text.held_of_rows(within, len(listed)))
    if markdown is not None:
        write_section(console, markdown, "fractrain", "FracTrain (NeurIPS 2020)")
    if missed:
        raise typer.Exit(MISSED)
