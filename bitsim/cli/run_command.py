"""bitsim run."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer

from bitsim.cli.options import (
    Format,
    Iterations,
    Machines,
    Objective,
    OutFolder,
    Overlap,
    Passes,
    Samples,
    Settings,
    Timing,
    TraceArgument,
    simulate_all,
)


def run(
    trace: TraceArgument,
    hw: Machines,
    objective: Objective = "cycles",
    passes: Passes = "forward,dgrad,wgrad",
    iterations: Iterations = None,
    set_: Settings = None,
    format_: Format = "table",
    rows: Annotated[Literal["distinct", "trace"], typer.Option(help="Which rows to list.")] = "distinct",
    out: OutFolder = None,
    timing: Timing = "collapsed",
    samples: Samples = "batch-max",
    overlap: Overlap = "barrier",
) -> None:
    """Cycles and energy per training iteration of TRACE on each machine."""
    from bitsim.report import folder, text

    if out is not None:
        folder.check_writable(out)
    choices = {"objective": objective, "samples": samples, "timing": timing, "overlap": overlap}
    results = simulate_all(trace, hw, set_, iterations, passes, **choices)
    listed = [r.distinct() if rows == "distinct" else r.by_trace_row() for r in results]
    if format_ == "json":
        shown = json.dumps(folder.document(results, listed), indent=1) + "\n"
    else:
        shown = text.to_csv(results, listed) if format_ == "csv" else ""
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
