"""bitsim run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer


def run(
    trace: Annotated[str, typer.Argument(help="Trace folder, or the name of a shipped one.")],
    hw: Annotated[list[str], typer.Option("--hw", help="Machine file, or the name of a shipped one; may be repeated.")],
    objective: Annotated[
        Literal["cycles", "energy", "edp"], typer.Option(help="What each mapping minimises.")
    ] = "cycles",
    passes: Annotated[str, typer.Option(help="Training products, separated by commas.")] = "forward,dgrad,wgrad",
    iterations: Annotated[str | None, typer.Option(metavar="A:B", help="Half-open range of iterations.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key.")] = None,
    format_: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="Output on stdout.")] = "table",
    rows: Annotated[Literal["distinct", "trace"], typer.Option(help="Which rows to list.")] = "distinct",
    out: Annotated[Path | None, typer.Option(help="Write a result folder.")] = None,
    timing: Annotated[
        Literal["event", "stepped"], typer.Option(help="Timing engine; both give equal cycles.")
    ] = "event",
    samples: Annotated[
        Literal["batch-max", "group", "one-by-one"], typer.Option(help="How samples of different widths run.")
    ] = "batch-max",
) -> None:
    """Cycles and energy per training iteration of TRACE on each machine."""
    from bitsim.cli.options import simulate_all
    from bitsim.report import folder, text

    if out is not None:
        folder.check_writable(out)
    results = simulate_all(trace, hw, set_, iterations, passes, objective=objective, samples=samples, timing=timing)
    listed = [r.distinct() if rows == "distinct" else r.by_trace_row() for r in results]
    if format_ == "json":
        shown = json.dumps(folder.document(results, listed), indent=1) + "\n"
    elif format_ == "csv":
        shown = text.to_csv(results, listed)
    else:
        shown = ""
        [r.totals for r in results]  # an overflow is an error before anything is written
    if out is not None:
        folder.write_folder(out, results, listed)
    if shown:
        sys.stdout.write(shown)
        return
    from rich.console import Console

    console = Console()
    console.print(text.summary_table(results))
    for result in results:
        console.print(text.pass_table(result))
