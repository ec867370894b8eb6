"""bitsim explain."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer

from bitsim.cli.options import Objective, Settings, TraceArgument, open_all
from bitsim.errors import InputError


def explain(
    trace: TraceArgument,
    hw: Annotated[str, typer.Option("--hw", help="Machine file, or the name of a shipped one.")],
    layer: Annotated[str, typer.Option(help="Name of a layer of the trace.")],
    pass_: Annotated[str, typer.Option("--pass", help="forward, dgrad, wgrad; of attention also dgrad_second.")],
    iteration: Annotated[
        int | None, typer.Option(help="Take the widths of this iteration (default: the first the layer runs in).")
    ] = None,
    bits: Annotated[
        str | None, typer.Option(metavar="A,W,G", help="Or these: activation, weight and gradient bits.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Samples, with --bits (default: the batch of the trace).")] = None,
    objective: Objective = "cycles",
    set_: Settings = None,
    format_: Annotated[Literal["table", "json"], typer.Option("--format", help="Output on stdout.")] = "table",
) -> None:
    """The mapping of one pass of a layer as a loop nest: buffers, tiles, reuse, what bounds it, what it beat."""
    from bitsim import __version__
    from bitsim.explain.choice import at_widths, in_iteration
    from bitsim.explain.explanation import explain as explain_choice
    from bitsim.report.explain_text import explain_document, explain_text
    from bitsim.simulation.cost import CostModel

    if bits is not None and iteration is not None:
        raise InputError("--bits: widths come from --iteration, allowed: one of the two")
    if bits is None and batch is not None:
        raise InputError("--batch: samples come from the trace, allowed: with --bits")
    opened, (machine,) = open_all(trace, [hw], set_)
    if bits is None:
        choice = in_iteration(opened, layer, pass_, iteration)
    else:
        choice = at_widths(opened, layer, pass_, bits, batch)
    found = explain_choice(CostModel(machine, objective), choice)
    if format_ == "json":
        sys.stdout.write(json.dumps({"bitsim": __version__, "explain": explain_document(found)}, indent=1) + "\n")
    else:
        sys.stdout.write(explain_text(found))
