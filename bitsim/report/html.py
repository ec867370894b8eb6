"""A result folder as one HTML file: headline, figures, tables and provenance, with everything it needs inside.

The page loads nothing: plotly.js stands in it whole, and a content security policy forbids the rest.  Its template,
style and scripts are in page/; figures come as data from figures/, tables from tables.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bitsim.report.comparison_tables import metrics_tables, resized_tables
from bitsim.report.figures.figure import Figure
from bitsim.report.figures.layers import layers_figure
from bitsim.report.figures.precision import precision_figure
from bitsim.report.figures.ratios import ratios_figure
from bitsim.report.figures.roofline import roofline_figures
from bitsim.report.figures.stacked_bars import cycles_figure, energy_figure
from bitsim.report.figures.training import training_figure
from bitsim.report.metrics_text import sentence
from bitsim.report.result_folder import ResultFolder
from bitsim.report.tables import Table, layers_table, machines_table, passes_table
from bitsim.report.verdict import unequal, verdict
from bitsim.report.whole_file import write_text

PAGE = "report.html"  # its name in a result folder
SCRIPTS = ("theme.js", "figures.js", "tables.js")


@dataclass(frozen=True)
class Section:
    """A heading with figures, tables and sentences below it."""

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    sentences: tuple[str, ...] = ()


def write_report(folder: ResultFolder, path: Path) -> None:
    """Write the report of a result folder, whole or not at all.  Raises InputError if it cannot be written."""
    write_text(path, report_html(folder))


def report_html(folder: ResultFolder) -> str:
    """The page."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_page), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    listed = sections(folder)
    figures = [figure.document() for section in listed for figure in section.figures]
    return environment.get_template("report.html").render(
        folder=folder,
        verdict=verdict(folder),
        unequal=unequal(folder),
        sections=listed,
        figures_json=script_json(figures),
        plotly=get_plotlyjs(),
        style=_page("report.css"),
        scripts=[_page(name) for name in SCRIPTS],
    )


def sections(folder: ResultFolder) -> list[Section]:
    """Sections in the order they are read; those with nothing to show are left out."""
    ratios = ratios_figure(folder)
    listed = [
        Section("training", "Over training", (training_figure(folder),), (machines_table(folder),)),
        Section("iso", "Equal size", tables=resized_tables(folder)),
        Section("metrics", "Metrics", tables=metrics_tables(folder), sentences=disagreements(folder)),
        Section("precision", "Precision", (precision_figure(folder),)),
        Section("energy", "Energy", (energy_figure(folder),)),
        Section("cycles", "Cycles", (cycles_figure(folder),), (passes_table(folder),)),
        Section("roofline", "Roofline", tuple(roofline_figures(folder))),
        Section("layers", "Layers", (layers_figure(folder), *([ratios] if ratios else [])), (layers_table(folder),)),
    ]
    return [section for section in listed if section.figures or section.tables]


def disagreements(folder: ResultFolder) -> tuple[str, ...]:
    """Pairs of metrics that name different winners, in words."""
    return tuple(sentence(one, folder.baseline.hardware) for one in folder.summary.disagreements)


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it ends the element or begins a comment."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _page(name: str) -> str:
    return resources.files("bitsim.report").joinpath("page", name).read_text("utf-8")
