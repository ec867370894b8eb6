"""bitsim run."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
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
    Settings,
    Timing,
    TraceArgument,
    open_all,
    parse_iterations,
    parse_passes,
    simulate_all,
)
from bitsim.errors import InputError

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
    samples: Annotated[
        Literal["batch-max", "group", "one-by-one", "all"],
        typer.Option(help="How samples of different widths run; all: the three side by side."),
    ] = "batch-max",
    overlap: Overlap = "barrier",
) -> None:
    """Cycles and energy per training iteration of TRACE on each machine."""
    from bitsim.report import folder, text
    from bitsim.report.whole_folder import check_writable

    if out is not None:
        check_writable(out)
    choices: dict[str, str] = {"objective": objective, "timing": timing, "overlap": overlap}
    if samples == "all":
        if out is not None or rows != "distinct":
            raise InputError("--samples all: makes one table and no rows, allowed: without --out and --rows")
        _policies(trace, hw, set_, iterations, passes, format_, choices)
        return
    choices["samples"] = samples
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
    from bitsim.report.console import plain_console

    console = plain_console()
    console.print(text.summary_table(results))
    for result in results:
        console.print(text.pass_table(result))


def _policies(
    trace: str,
    hw: list[str],
    settings: list[str] | None,
    iterations: str | None,
    passes: str,
    format_: str,
    choices: Mapping[str, str],
) -> None:
    """The three ways to run samples, side by side, in one table."""
    from bitsim import __version__
    from bitsim.report.policies_text import policies_table
    from bitsim.simulation.policies import compare_policies

    span = parse_iterations(iterations)
    opened, machines = open_all(trace, hw, settings)
    records = [
        record
        for machine in machines
        for record in compare_policies(opened, machine, passes=parse_passes(passes), iterations=span, **choices)
    ]
    if format_ == "json":
        sys.stdout.write(json.dumps({"bitsim": __version__, "policies": records}, indent=1) + "\n")
    elif format_ == "csv":
        writer = csv.DictWriter(sys.stdout, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    else:
        from bitsim.report.console import plain_console

        console = plain_console()
        for machine in machines:
            console.print(policies_table([r for r in records if r["hardware"] == machine.name]))
