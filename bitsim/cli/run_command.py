"""bitsim run."""

from __future__ import annotations

import shutil
import sys
import tempfile
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

SPOOLED_CHARACTERS = 2**25


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
    with tempfile.SpooledTemporaryFile(SPOOLED_CHARACTERS, "w+", encoding="utf-8", newline="") as shown:
        if format_ == "json":
            folder.write_json(results, rows, shown)
        elif format_ == "csv":
            text.write_csv(results, rows, shown)
        if out is not None:
            folder.write_folder(out, results, rows)
        # Rows of a trace may be many, and a fault on the way must find nothing on stdout.
        shown.seek(0)
        shutil.copyfileobj(shown, sys.stdout)
    if format_ != "table":
        return
    from rich.console import Console

    console = Console()
    console.print(text.summary_table(results))
    for result in results:
        console.print(text.pass_table(result))
