"""A figure as data for plotly.js, and what figures share: colours by role, quantities scaled, long lists cut.

Colours are roles, ``@machine0`` or ``@text``, which the page turns into those of its theme (page/theme.js).
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Layers a picture can tell apart; beyond, neighbours share a band.
MOST_BANDS = 250
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
# Names that are not their column with blanks for underscores.
WORDS = {"dram": "DRAM", "dram_static": "DRAM static"}
TITLE_PX = 36  # above a panel
MACHINE_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True)
class View:
    """One way to show a figure: plotly traces, and what its layout has beyond the figure's."""

    label: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    name: of its element and of the files saved from it; caption: how to read it; views: the first is shown, the
    others can be chosen; note: what was left out or drawn together, empty where nothing was; wide: it has the width
    of the page, else as much as its neighbours leave it.
    """

    name: str
    title: str
    caption: str
    height_px: int
    layout: dict[str, Any]
    views: tuple[View, ...]
    note: str = ""
    wide: bool = True

    def document(self) -> dict[str, Any]:
        """What the page needs to draw it."""
        views = [{"label": v.label, "traces": v.traces, "layout": v.layout} for v in self.views]
        return {
            "name": self.name,
            "title": self.title,
            "height": self.height_px,
            "layout": self.layout,
            "views": views,
        }


@dataclass(frozen=True)
class Bands:
    """Layers in the order they run, as many to a band as a picture needs; members: (layers,) number of the band."""

    labels: list[str]
    members: dict[str, int]
    note: str


def bands(layers: Sequence[str]) -> Bands:
    """One band a layer, or bands of equally many neighbours where there are more than MOST_BANDS."""
    size = math.ceil(len(layers) / MOST_BANDS)
    if size == 1:
        return Bands([label(name) for name in layers], {name: i for i, name in enumerate(layers)}, "")
    parts = [layers[at : at + size] for at in range(0, len(layers), size)]
    labels = [f"{label(part[0])} … {label(part[-1])}" if len(part) > 1 else label(part[0]) for part in parts]
    note = f"{len(layers):,} layers are drawn as {len(parts)} bands of {size} neighbours each, costs added up."
    return Bands(labels, {name: i // size for i, name in enumerate(layers)}, note)


def label(text: str) -> str:
    """Text that plotly shows as it is: it would take < for its markup."""
    return html.escape(text, quote=False)


def scale(largest: float, unit: str) -> tuple[float, str]:
    """(factor, unit with prefix) that bring `largest` between 1 and 1000."""
    for size, prefix in PREFIXES:
        if largest >= size:
            return 1 / size, prefix + unit
    return 1.0, unit


def rounded(values: Any) -> list[Any]:
    """Numbers with six significant digits and None for nan, as nested lists: what a picture needs, in few bytes."""
    array = np.asarray(values, float)
    if array.ndim > 1:
        return [rounded(row) for row in array]
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in array.tolist()]


def words(name: str) -> str:
    """Name of a column as a reader says it."""
    return WORDS.get(name, name.replace("_", " "))


def panels(sizes_px: Sequence[int]) -> tuple[int, list[tuple[float, float]]]:
    """(height in pixels of all, their domains) of panels one below the other, the first on top, a title above each."""
    whole_px = sum(sizes_px) + TITLE_PX * len(sizes_px)
    top_px, domains = 0, []
    for size_px in sizes_px:
        top_px += TITLE_PX
        domains.append((1 - (top_px + size_px) / whole_px, 1 - top_px / whole_px))
        top_px += size_px
    return whole_px, domains


def axis(letter: str, number: int) -> str:
    """plotly's name of an axis in a layout: xaxis, xaxis2."""
    return f"{letter}axis{number + 1 if number else ''}"


def axis_id(letter: str, number: int) -> str:
    """plotly's name of an axis in a trace: x, x2."""
    return f"{letter}{number + 1 if number else ''}"


def panel_title(text: str, top: float) -> dict[str, Any]:
    """Annotation above the left end of a panel."""
    return {
        "text": f"<b>{label(text)}</b>",
        "x": 0,
        "y": top,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }
