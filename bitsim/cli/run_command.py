"""bitsim run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bitsim.cli.options import parse_iterations, parse_overrides


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
    from bitsim.accelerators.registry import load_hardware
    from bitsim.errors import InputError
    from bitsim.report import folder, text
    from bitsim.simulation.run import simulate
    from bitsim.trace import open_trace

    if out is not None:
        folder.check_writable(out)
    overrides = parse_overrides(set_ or [], hw)
    span = parse_iterations(iterations)
    faults: list[str] = []
    machines = []
    for name in hw:
        try:
            machines.append(load_hardware(name, overrides[name]))
        except InputError as error:
            faults += error.faults
    try:
        opened = open_trace(trace)
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    results = []
    for machine in machines:
        results.append(
            simulate(
                opened,
                machine,
                objective=objective,
                passes=[p.strip() for p in passes.split(",") if p.strip()],
                iterations=span,
                samples=samples,
                timing=timing,
            )
        )
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
