"""Other views of a comparison: which constants its verdict turns on, and from which widths on it holds."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitsim.errors import InputError


def check_views(
    sensitivity: bool, break_even: bool, picture: Path | None, written: dict[str, Any], iterations: str | None
) -> None:
    """InputError for views that exclude each other, or a picture of none, of no known form, or of no place.

    written: {option: value} of folders a break-even does not write.
    """
    from bitsim.report.picture import picture_form
    from bitsim.report.whole_file import check_writable

    faults = []
    if sensitivity and break_even:
        faults.append("--sensitivity, --break-even: two views at once, allowed: one of them")
    if break_even:
        faults += [
            f"{option} {value}: --break-even makes ratios by width only, allowed: without it"
            for option, value in (written | {"--iterations": iterations}).items()
            if value is not None
        ]
    if picture is not None:
        if not (sensitivity or break_even):
            faults.append(f"--picture {picture}: nothing to draw, allowed: with --sensitivity or --break-even")
        try:
            picture_form(picture)
            check_writable(picture)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)


def draw_sensitivity(found: Any, picture: Path | None) -> None:
    """Draw the tornado chart of a Sensitivity, if a picture is asked for."""
    from bitsim.report.plots.tornado import tornado_figure

    _draw(tornado_figure, found, picture)


def show_sensitivity(found: Any, format_: str) -> None:
    """Print a Sensitivity in a format."""
    from bitsim.report.sensitivity_text import print_sensitivity

    if format_ == "csv":
        rows = [
            {"constant": one.constant.label, "value": trial.value, "hardware": hardware, **ratios}
            for one in found.tried
            for trial in one.trials
            for hardware, ratios in trial.ratios.items()
        ]
        _write_csv(rows)
    else:
        _print(found, format_, print_sensitivity)


def show_break_even(found: Any, format_: str, picture: Path | None) -> None:
    """Print a BreakEven in a format; draw its chart first if a picture is asked for."""
    from bitsim.report.break_even_text import print_break_even
    from bitsim.report.plots.break_even import break_even_figure

    _draw(break_even_figure, found, picture)
    if format_ == "csv":
        _write_csv(
            [
                {"iso": p.iso, "hardware": p.hardware, "schedule": p.schedule, "bits": p.bits, **p.ratios}
                for p in found.points
            ]
        )
    else:
        _print(found, format_, print_break_even)


def _draw(figure_of: Callable[[Any], Any], found: Any, picture: Path | None) -> None:
    from bitsim.report.picture import paper_style, save_figure

    if picture is None:
        return
    with paper_style():
        save_figure(figure_of(found), picture)
    print(f"written: {picture}", file=sys.stderr)


def _print(found: Any, format_: str, in_words: Callable[[Any, Any], None]) -> None:
    from bitsim import __version__

    if format_ == "json":
        sys.stdout.write(json.dumps({"bitsim": __version__} | found.document(), indent=1) + "\n")
    else:
        from bitsim.report.console import plain_console

        in_words(found, plain_console())


def _write_csv(rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
