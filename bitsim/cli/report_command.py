"""bitsim report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsim.cli.timeline import DEFAULT_TILES, TimelineChoice, write_timeline
from bitsim.errors import InputError


def report(
    result_dir: Annotated[Path, typer.Argument(help="Folder that --out of run, compare or demo wrote.")],
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Page to write (default: report.html in the folder, without --timeline)."),
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trace to write, tile by tile: open it in ui.perfetto.dev.")
    ] = None,
    hw: Annotated[str | None, typer.Option(help="Timeline: the machine (default: the first).")] = None,
    layer: Annotated[str | None, typer.Option(help="Timeline: of this layer.")] = None,
    pass_: Annotated[str | None, typer.Option("--pass", help="Timeline: this pass of it.")] = None,
    row: Annotated[int, typer.Option(help="Timeline: which of the rows of that pass, from 1.")] = 1,
    iteration: Annotated[int | None, typer.Option(help="Timeline: or of this iteration; needs the trace.")] = None,
    trace: Annotated[
        str | None, typer.Option(help="Timeline: folder of the trace, where it is not a shipped one.")
    ] = None,
    tiles: Annotated[
        str | None, typer.Option(metavar="A:B", help=f"Timeline: these tiles (default: 0:{DEFAULT_TILES}).")
    ] = None,
) -> None:
    """One HTML page, with everything it needs inside, of what RESULT_DIR holds; or what runs when, cycle by cycle."""
    if html is not None and html.is_dir():
        raise InputError(f"--html {html}: is a folder, allowed: a file")
    given = {
        "--hw": hw,
        "--layer": layer,
        "--pass": pass_,
        "--iteration": iteration,
        "--trace": trace,
        "--tiles": tiles,
    }
    stray = [name for name, value in given.items() if value is not None] + (["--row"] if row != 1 else [])
    if timeline is None and stray:
        raise InputError([f"{name}: says what a timeline is of, allowed: with --timeline" for name in stray])
    lines = []
    if timeline is not None:
        choice = TimelineChoice(hw, layer, pass_, row, iteration, trace, tiles)
        lines.append(write_timeline(result_dir, timeline, choice))
    if html is not None or timeline is None:
        lines.insert(0, _write_page(result_dir, html))
    typer.echo("\n".join(lines))


def _write_page(result_dir: Path, html: Path | None) -> str:
    """Write the page; returns its headline and its place."""
    from bitsim.report.html import PAGE, write_report
    from bitsim.report.result_folder import read_folder
    from bitsim.report.verdict import verdict

    page = html if html is not None else result_dir / PAGE
    if page.is_dir():
        raise InputError(f"--html {page}: is a folder, allowed: a file")
    folder = read_folder(result_dir)
    write_report(folder, page)
    return f"{verdict(folder).headline}\nreport: {page}"
