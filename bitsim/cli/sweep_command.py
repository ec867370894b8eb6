"""bitsim sweep: a grid of machines on traces, or a search of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bitsim.cli.options import (
    Format,
    Iterations,
    Machines,
    Objective,
    Overlap,
    Passes,
    Samples,
    Timing,
    out_folder,
    parse_iterations,
    parse_passes,
)
from bitsim.errors import InputError

if TYPE_CHECKING:
    from bitsim.accelerators.registry import Machine
    from bitsim.exploration.result import Sweep
    from bitsim.trace import Trace

SOME_FAILED, INTERRUPTED = 1, 130
PICTURE = "pareto.png"
FAILURES_SHOWN = 20


def sweep(
    traces: Annotated[list[str], typer.Argument(metavar="TRACE", help="Trace folders, or names of shipped ones.")],
    hw: Machines,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUES",
            help="Values of a key: 8,16,32 or 8:32:+8 or 32KiB:512KiB:x2; may be repeated.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Leave out other points, e.g. 'array.rows*array.cols<=512'."),
    ] = None,
    search: Annotated[
        int | None, typer.Option(metavar="N", help="Simulate N points only, searching for the least --pareto.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Of --search (default: 0).")] = None,
    pareto: Annotated[str, typer.Option(metavar="COLUMNS", help="Columns to be least.")] = "latency_s,energy_j",
    top: Annotated[int, typer.Option(min=0, help="Also list the N points with the least first column.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes on this computer.")] = 1,
    backend: Annotated[Literal["local", "dask"], typer.Option(help="Where points run.")] = "local",
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of an existing Dask cluster.")] = None,
    out: Annotated[
        Path | None, typer.Option(parser=out_folder, metavar="DIR", help="Keep points there as they finish.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in --out.")] = False,
    objective: Objective = "cycles",
    passes: Passes = "forward,dgrad,wgrad",
    iterations: Iterations = None,
    format_: Format = "table",
    timing: Timing = "collapsed",
    samples: Samples = "batch-max",
    overlap: Overlap = "barrier",
) -> None:
    """Every combination of values on every machine and trace: the best of them, and what each parameter does."""
    from bitsim.cli.sweep_progress import sweep_progress
    from bitsim.exploration.engines import EngineLostError
    from bitsim.exploration.sweep import sweep as run_sweep

    if resume and out is None:
        raise InputError("--resume: needs --out DIR, the folder of the sweep")
    if seed is not None and search is None:
        raise InputError("--seed: needs --search N; without it every point is simulated")
    parameters = parse_parameters(set_ or [])
    columns = [name.strip() for name in pareto.split(",") if name.strip()]
    span = parse_iterations(iterations)
    opened, machines = open_lists(traces, hw)
    with sweep_progress(columns) as progress:
        try:
            found = run_sweep(
                opened,
                machines,
                parameters,
                where=where or (),
                search=search,
                seed=seed or 0,
                minimise=columns,
                jobs=jobs,
                backend=backend,
                scheduler=scheduler,
                out=out,
                resume=resume,
                progress=progress,
                note=_note,
                objective=objective,
                passes=tuple(parse_passes(passes)),
                iterations=span,
                samples=samples,
                timing=timing,
                overlap=overlap,
            )
        except (EngineLostError, KeyboardInterrupt) as error:
            stored = f"; what finished is in {out}, go on with --resume" if out else ""
            print(f"{str(error) or 'interrupted'}{stored}", file=sys.stderr)
            raise typer.Exit(SOME_FAILED if isinstance(error, EngineLostError) else INTERRUPTED) from None
    if out is not None:
        _draw(found, out, columns)
    _show(found, columns, top, format_)
    _tell(found, columns)
    if found.failures:
        raise typer.Exit(SOME_FAILED)


def parse_parameters(settings: list[str]) -> dict[str, str]:
    """{key or machine:key: values} of ``key=values`` and ``machine:key=values``."""
    parameters: dict[str, str] = {}
    faults = []
    for setting in settings:
        target, equals, values = setting.partition("=")
        if not equals or not target.rpartition(":")[2] or not values:
            faults.append(f"--set {setting}: is not key=values, e.g. array.rows=8,16 or weight_buffer=32KiB:512KiB:x2")
        elif target in parameters:
            faults.append(f"--set {setting}: {target} is set twice, allowed: once")
        else:
            parameters[target] = values
    if faults:
        raise InputError(faults)
    return parameters


def open_lists(traces: list[str], hw: list[str]) -> tuple[list[Trace], list[Machine]]:
    """Open every trace and machine; faults of all are raised together."""
    from bitsim.accelerators.registry import load_hardware
    from bitsim.cli.progress import table_progress
    from bitsim.trace import open_trace

    faults = [f"--hw: {name} given twice, allowed: once" for name in dict.fromkeys(hw) if hw.count(name) > 1]
    faults += [f"TRACE: {name} given twice, allowed: once" for name in dict.fromkeys(traces) if traces.count(name) > 1]
    machines, opened = [], []
    for name in hw:
        try:
            machines.append(load_hardware(name))
        except InputError as error:
            faults += error.faults
    for name in traces:
        try:
            opened.append(open_trace(name, table_progress()))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return opened, machines


def _draw(found: Sweep, out: Path, columns: list[str]) -> None:
    """The picture of `bitsim plot pareto`, if a point has a place in it; of one column over energy_j or latency_s."""
    from bitsim.report import plots
    from bitsim.report.picture import paper_style, save_figure

    axes = list(dict.fromkeys((*columns, "energy_j", "latency_s")))[:2]
    if any(all(record[name] is not None for name in axes) for record in found.records):
        with paper_style():
            save_figure(plots.draw("pareto", [out], ",".join(axes)), out / PICTURE)


def _show(found: Sweep, columns: list[str], top: int, format_: str) -> None:
    """The answer on stdout."""
    from bitsim import __version__

    if format_ == "csv":
        sys.stdout.write(found.frame.to_csv(index=False))
    elif format_ == "json":
        document: dict[str, Any] = {
            "bitsim": __version__,
            "points": list(found.records),
            "pareto": found.front(*columns),
            "failures": [str(failure) for failure in found.failures],
        }
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        from bitsim.report.console import plain_console
        from bitsim.report.sweep_text import print_sweep

        print_sweep(found, columns, top, plain_console())


def _tell(found: Sweep, columns: list[str]) -> None:
    """Remarks and failures on stderr."""
    from bitsim.exploration.task import NOTES

    for name in columns:
        lacking = sum(record[name] is None for record in found.records)
        if lacking:
            _note(f"{lacking:,} points have no {name}: left out of the front")
    noted = sum(bool(record[NOTES]) for record in found.records)
    if noted:
        _note(f"{noted:,} points have prices not to be compared with those of the others: see their column {NOTES}")
    for failure in found.failures[:FAILURES_SHOWN]:
        print(f"failed: {failure}", file=sys.stderr)
    if len(found.failures) > FAILURES_SHOWN:
        print(f"failed: and {len(found.failures) - FAILURES_SHOWN} more (all of them in sweep.json)", file=sys.stderr)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
