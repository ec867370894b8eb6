"""bitsim trace info|check|record|synth|stages|import|convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsim.cli import import_commands, synth_commands
from bitsim.cli.options import TraceArgument
from bitsim.cli.progress import table_progress

app = typer.Typer(help="Look at, check and record precision traces.", no_args_is_help=True)
app.command()(synth_commands.synth)
app.command()(synth_commands.stages)
app.command("import")(import_commands.import_)
app.command()(import_commands.convert)


@app.command()
def info(trace: TraceArgument) -> None:
    """What a trace holds: layers, iterations, MACs, distinct rows."""
    from bitsim.report.console import plain_console
    from bitsim.report.text import key_values
    from bitsim.trace import open_trace, summary

    opened = open_trace(trace, table_progress())
    plain_console().print(key_values(opened.name, summary(opened).items()))


@app.command()
def check(trace: TraceArgument) -> None:
    """Read a trace and every check there is; silent faults there are none."""
    from bitsim.trace import open_trace

    opened = open_trace(trace, table_progress())
    typer.echo(f"{opened.path}: sound: {len(opened.layers)} layers, {opened.run.iterations} iterations")


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="Folder to write the trace to; must not exist.")],
    schedule: Annotated[str, typer.Option(help="pfq, fw8bw8, dfq, dfq8 or fractrain.")] = "pfq",
    epochs: Annotated[int, typer.Option(min=1, max=10000, help="Epochs to train.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, order and rounding.")] = 0,
) -> None:
    """Train ResNet-20 on real digit images at low precision and record its trace (needs torch)."""
    from bitsim.record import record_digits

    record_digits(out, schedule, seed=seed, epochs=epochs)
    typer.echo(f"{out}: written")
