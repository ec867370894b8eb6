"""bitsim trace import|convert: traces from other tools' files, and in other forms."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bitsim.cli.options import TraceArgument, out_folder
from bitsim.cli.synth_commands import Float, NewFolder, command_line, make_from, parse_bits, with_float
from bitsim.errors import InputError


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="SCALE-Sim topology (.csv) or ONNX model (.onnx).")],
    schedule: Annotated[
        str, typer.Option(help="Precision: any schedule of trace synth, at its defaults; static with --bits.")
    ] = "sbm-fw8bw8",
    bits: Annotated[str | None, typer.Option(metavar="A/W/G", help="Bits of --schedule static.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=2**20, help="Samples an iteration.")] = 1,
    iterations: Annotated[int, typer.Option(min=1, max=2**40, help="Iterations of the run.")] = 1,
    dim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=LENGTH", help="Length of a named dimension; repeatable.")
    ] = None,
    skip_unsupported: Annotated[
        bool, typer.Option("--skip-unsupported", help="Leave out what cannot be said, and list it.")
    ] = False,
    float_: Float = None,
    out: NewFolder = None,
) -> None:
    """Make a trace of a network that another tool describes, labelled synthetic; every layer at 8 bits by default."""
    from bitsim.networks.imported import import_network
    from bitsim.synthetic.schedule import ScheduleOptions, check_options

    options = ScheduleOptions(bits=None if bits is None else parse_bits("--bits", bits)[0])
    check_options(schedule, options)
    imported = import_network(file, _dims(dim or []), skip_unsupported)
    network, folder = with_float(imported.network, float_), out or Path(file.stem)
    trace = make_from(network, schedule, options, batch, iterations, None, folder, command_line(context))
    for item in imported.skipped:
        print(f"skipped: {str(item).strip()}", file=sys.stderr)
    macs = sum(layer.macs(1) for layer in trace.layers)
    typer.echo(f"{folder}: written: {len(trace.layers)} layers, {macs} forward MACs a sample")


def convert(
    trace: TraceArgument,
    out: Annotated[Path, typer.Argument(parser=out_folder, help="Folder to write; must not exist.")],
    to: Annotated[Literal["csv", "csv.gz", "parquet"], typer.Option(help="Form of the precision table.")] = "parquet",
) -> None:
    """Write a trace with its precision table in another form, row for row the same."""
    from bitsim.trace.convert import convert_trace

    written = convert_trace(trace, out, to)
    typer.echo(f"{out}: written: {len(written.layers)} layers, precision.{to}")


def _dims(settings: list[str]) -> dict[str, int]:
    """{name: length} of ``NAME=LENGTH``.  InputError for anything else, or a name given twice."""
    dims: dict[str, int] = {}
    for setting in settings:
        match = re.fullmatch(r"([^=]+)=([1-9][0-9]{0,8})", setting, re.ASCII)
        if not match:
            raise InputError(f"--dim {setting}: is not NAME=LENGTH, e.g. batch=1")
        if match[1] in dims:
            raise InputError(f"--dim {setting}: {match[1]} is given twice, allowed: once")
        dims[match[1]] = int(match[2])
    return dims
