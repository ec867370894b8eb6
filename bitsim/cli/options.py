"""Options that commands share, how their values are read, and the simulation they ask for."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bitsim.errors import InputError
from bitsim.exploration.ranges import scalar

if TYPE_CHECKING:
    from bitsim.accelerators.registry import Machine
    from bitsim.simulation.result import Result
    from bitsim.trace import Trace


TraceArgument = Annotated[str, typer.Argument(help="Trace folder, or the name of a shipped one.")]
Machines = Annotated[
    list[str], typer.Option("--hw", help="Machine file, or the name of a shipped one; may be repeated.")
]
Objective = Annotated[Literal["cycles", "energy", "edp"], typer.Option(help="What each product's mapping minimises.")]
Passes = Annotated[str, typer.Option(help="Training products, separated by commas; also: update, elementwise.")]
Iterations = Annotated[str | None, typer.Option(metavar="A:B", help="Half-open range of iterations.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key.")]
Format = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="Output on stdout.")]
Timing = Annotated[
    Literal["collapsed", "event", "stepped", "analytical"],
    typer.Option(help="Timing engine, three equal ones; or the published closed-form model, where there is one."),
]
Overlap = Annotated[
    Literal["barrier", "overlap"],
    typer.Option(help="Between layers: a barrier, or none."),
]
Samples = Annotated[
    Literal["batch-max", "group", "one-by-one"], typer.Option(help="How samples of different widths run.")
]


def out_folder(text: str | Path) -> Path:
    """The folder of --out; an empty name would mean the current folder."""
    if not str(text):
        raise InputError("--out: empty, allowed: a new or empty folder")
    return Path(text)


OutFolder = Annotated[
    Path | None, typer.Option(parser=out_folder, metavar="DIR", help="Write a result folder; new or empty.")
]


def parse_overrides(settings: list[str], machines: list[str]) -> dict[str, dict[str, Any]]:
    """{machine: {key: value}} from ``key=value`` (for every machine) and ``machine:key=value``.

    A machine given by path answers to its path and to the name it has in results.
    """
    overrides: dict[str, dict[str, Any]] = {name: {} for name in machines}
    named = {name: Path(name).stem if name.endswith((".yaml", ".yml")) else name for name in machines}
    faults = [f"--hw: {name} given twice, allowed: once" for name in overrides if machines.count(name) > 1]
    listed = list(named.values())
    faults += [
        f"--hw: two of the machines given are named {name}, allowed: different names"
        for name in dict.fromkeys(listed)
        if listed.count(name) > 1
    ]
    for setting in settings:
        target, equals, value = setting.partition("=")
        machine, colon, key = target.rpartition(":")
        if not equals or not key or not value:
            faults.append(f"--set {setting}: is not key=value, e.g. array.rows=8 or bitfusion_16x32_192b:array.rows=8")
            continue
        targets = [name for name in overrides if not colon or machine in (name, named[name])]
        if not targets:
            faults.append(f"--set {setting}: {machine} is none of the machines given: {', '.join(machines)}")
        for name in targets:
            if key in overrides[name]:
                faults.append(f"--set {setting}: {key} is set twice, allowed: once")
            overrides[name][key] = scalar(value)
    if faults:
        raise InputError(faults)
    return overrides


def parse_iterations(text: str | None) -> tuple[int, int] | None:
    """``A:B`` as a half-open range."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
    if not match:
        raise InputError(f"--iterations {text}: is not A:B, e.g. 0:100")
    return int(match[1]), int(match[2])


def load_all(hw: list[str], settings: list[str] | None) -> list[Machine]:
    """Load machines with their overrides; faults of all are raised together."""
    from bitsim.accelerators.registry import load_hardware

    overrides = parse_overrides(settings or [], hw)
    faults: list[str] = []
    machines = []
    for name in hw:
        try:
            machines.append(load_hardware(name, overrides[name]))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return machines


def open_all(trace: str, hw: list[str], settings: list[str] | None) -> tuple[Trace, list[Machine]]:
    """Open a trace and load machines; faults of all are raised together."""
    from bitsim.cli.progress import table_progress
    from bitsim.trace import open_trace

    faults: list[str] = []
    machines: list[Machine] = []
    try:
        machines = load_all(hw, settings)
    except InputError as error:
        faults += error.faults
    try:
        opened = open_trace(trace, table_progress())
    except InputError as error:
        faults += error.faults
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    return opened, machines


def parse_passes(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def simulate_all(
    trace: str,
    hw: list[str],
    settings: list[str] | None,
    iterations: str | None,
    passes: str,
    **choices: Any,
) -> list[Result]:
    """Simulate `trace` on every machine; faults of the trace and of all machines are raised together."""
    span = parse_iterations(iterations)
    opened, machines = open_all(trace, hw, settings)
    return simulate_machines(opened, machines, span, passes, **choices)


def simulate_machines(
    trace: Trace, machines: list[Machine], span: tuple[int, int] | None, passes: str, **choices: Any
) -> list[Result]:
    """Simulate `trace` on machines that are loaded; what a reader of their prices must know goes to stderr."""
    from bitsim.simulation.run import simulate

    chosen = parse_passes(passes)
    results = [simulate(trace, machine, passes=chosen, iterations=span, **choices) for machine in machines]
    for result in results:
        for note in result.prices.notes():
            print(f"note: {note}", file=sys.stderr)
    return results
