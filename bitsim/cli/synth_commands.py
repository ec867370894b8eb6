"""bitsim trace synth|stages: traces and stage lengths without training."""

from __future__ import annotations

import re
import shlex
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bitsim.cli.options import Format, out_folder
from bitsim.errors import InputError

if TYPE_CHECKING:
    from bitsim.networks import Network
    from bitsim.schedules import Bits
    from bitsim.trace import Trace

MAX_GRID = 10_000

Model = Annotated[str, typer.Option(help="A known network, a trace folder or the name of a shipped trace.")]
Tokens = Annotated[int | None, typer.Option(min=1, max=2**20, help="Tokens of a sample, for networks that read text.")]
LossFile = Annotated[Path | None, typer.Option("--loss", metavar="FILE", help="CSV: epoch,loss or iteration,loss.")]
PerEpoch = Annotated[int | None, typer.Option("--iterations-per-epoch", min=1, help="Default: the model's.")]
Ladder = Annotated[str | None, typer.Option(metavar="A/W/G,...", help="Bits of each stage of PFQ.")]
Float = Annotated[list[str] | None, typer.Option("--float", metavar="LAYER", help="Layer kept in float; repeatable.")]
NewFolder = Annotated[
    Path | None, typer.Option(parser=out_folder, metavar="DIR", help="Folder to write; must not exist.")
]


def synth(
    context: typer.Context,
    schedule: Annotated[str, typer.Argument(help="pfq, dfq, fractrain, cpt, static, table, or a published baseline.")],
    model: Model,
    batch: Annotated[int | None, typer.Option(min=1, max=2**20, help="Default: the model's.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, max=2**40, help="Default: the model's.")] = None,
    iterations_per_epoch: PerEpoch = None,
    tokens: Tokens = None,
    bits: Annotated[str | None, typer.Option(metavar="A/W/G", help="static: bits of every layer.")] = None,
    table: Annotated[Path | None, typer.Option(metavar="FILE", help="table: CSV of bits per layer.")] = None,
    ladder: Ladder = None,
    switch_at: Annotated[
        str | None, typer.Option(metavar="I,J,...", help="pfq, fractrain: iterations at which stages begin.")
    ] = None,
    loss: LossFile = None,
    eps: Annotated[float | None, typer.Option(help="pfq, fractrain: threshold of the switch (0.05).")] = None,
    alpha: Annotated[float | None, typer.Option(help="pfq, fractrain: decay of eps (0.3).")] = None,
    window: Annotated[int | None, typer.Option(help="pfq, fractrain: epochs that must agree (5).")] = None,
    candidates: Annotated[
        str | None, typer.Option(metavar="A/W/G,...", help="dfq, fractrain: what a gate may choose.")
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="CP,...", help="dfq, fractrain: target cost, percent.")] = None,
    cap: Annotated[int | None, typer.Option(min=1, max=31, help="dfq, fractrain: greatest width.")] = None,
    mixture: Annotated[
        Literal["neighbours", "spread"] | None, typer.Option(help="dfq, fractrain: what gates are taken to choose.")
    ] = None,
    lowest: Annotated[int | None, typer.Option(help="cpt: least forward bits (3).")] = None,
    highest: Annotated[int | None, typer.Option(help="cpt: greatest forward bits (8).")] = None,
    periods: Annotated[int | None, typer.Option(help="cpt: periods of the cosine (32).")] = None,
    gradient_bits: Annotated[int | None, typer.Option(min=1, max=32, help="cpt: backward bits (8).")] = None,
    float_: Float = None,
    out: NewFolder = None,
) -> None:
    """Make a trace without training: a model's layers under a precision schedule, labelled synthetic."""
    from dataclasses import replace

    from bitsim.synthetic.loss_file import read_losses
    from bitsim.synthetic.schedule import ScheduleOptions, check_options

    options = ScheduleOptions(
        bits=None if bits is None else parse_bits("--bits", bits)[0],
        table=table,
        ladder=None if ladder is None else parse_bits("--ladder", ladder),
        candidates=None if candidates is None else parse_bits("--candidates", candidates),
        target=None if target is None else tuple(_numbers("--target", target)),
        cap=cap,
        mixture=mixture,
        switch_at=None if switch_at is None else _iterations("--switch-at", switch_at),
        losses=None if loss is None else (),
        eps=eps,
        alpha=alpha,
        window=window,
        lowest=lowest,
        highest=highest,
        periods=periods,
        gradient_bits=gradient_bits,
    )
    check_options(schedule, options)
    network = with_float(find_network(model, tokens), float_)
    per_epoch = iterations_per_epoch or network.iterations_per_epoch
    if loss is not None:
        losses = tuple(read_losses(loss, per_epoch))
        options = replace(options, losses=losses)
        iterations = iterations or (len(losses) * per_epoch if per_epoch else None)
    folder = out or Path(f"{Path(model).name}_{schedule}")
    trace = make_from(network, schedule, options, batch, iterations, per_epoch, folder, command_line(context))
    typer.echo(f"{folder}: written: {len(trace.layers)} layers, {trace.run.iterations} iterations")


def make_from(
    network: Network,
    schedule: str,
    options: Any,
    batch: int | None,
    iterations: int | None,
    per_epoch: int | None,
    folder: Path,
    command: str,
) -> Trace:
    """Plan and write a trace; what the plan has to say goes to stderr."""
    from bitsim.synthetic import make_trace
    from bitsim.synthetic.schedule import make_plan

    batch, iterations = batch or network.batch, iterations or network.iterations
    plan = make_plan(schedule, options, network, batch, iterations, per_epoch)
    trace = make_trace(folder, network, plan, batch, iterations, per_epoch, command)
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)
    return trace


def stages(
    loss: Annotated[Path, typer.Option("--loss", metavar="FILE", help="CSV: epoch,loss or iteration,loss.")],
    eps: Annotated[str, typer.Option(metavar="A:B:STEP", help="Thresholds: A:B:STEP with both ends, or a list.")],
    alpha: Annotated[str, typer.Option(metavar="A:B:STEP", help="Decays of eps: the same.")] = "0.3",
    window: Annotated[int, typer.Option(help="Epochs that must agree.")] = 5,
    ladder: Ladder = None,
    model: Annotated[
        str | None, typer.Option(help="Whose effective MACs; default: a layer with all three products.")
    ] = None,
    tokens: Tokens = None,
    iterations_per_epoch: PerEpoch = None,
    float_: Float = None,
    format_: Format = "table",
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Heat maps: .svg, .png or .pdf.")] = None,
) -> None:
    """PFQ's stages over eps and alpha, from the losses of one run, without training again."""
    from bitsim.report.stages_text import print_stages
    from bitsim.schedules.progressive import LADDER
    from bitsim.synthetic.loss_file import read_losses
    from bitsim.synthetic.stages import stage_costs, sweep_stages

    rungs = LADDER if ladder is None else parse_bits("--ladder", ladder)
    grid = parse_grid("--eps", eps), parse_grid("--alpha", alpha)
    if len(grid[0]) * len(grid[1]) > MAX_GRID:
        raise InputError(f"--eps, --alpha: {len(grid[0]) * len(grid[1])} points, allowed up to {MAX_GRID}")
    network = None if model is None else with_float(find_network(model, tokens), float_)
    if network is None and (tokens is not None or float_):
        raise InputError("--tokens, --float: need --model")
    per_epoch = iterations_per_epoch or (network.iterations_per_epoch if network else None)
    losses = read_losses(loss, per_epoch)
    try:
        points = sweep_stages(losses, rungs, *grid, window, stage_costs(rungs, network))
    except ValueError as error:
        raise InputError(f"stages: {error}") from None
    if picture is not None:
        from bitsim.report.stages_picture import stages_picture

        of = network.title if network else "a layer"
        stages_picture(points, f"{loss.name}, {len(losses)} epochs: {', '.join(map(str, rungs))}, {of}", picture)
        print(f"picture: {picture}", file=sys.stderr)
    print_stages(points, rungs, format_)


def find_network(model: str, tokens: int | None) -> Network:
    """A known network, else the network of a trace by path or name."""
    from bitsim import data
    from bitsim.networks import NAMES, known_network
    from bitsim.networks.from_trace import trace_network
    from bitsim.trace import open_trace

    if model not in NAMES and ("/" in model or Path(model).is_dir() or model in data.names("traces")):
        if tokens is not None:
            raise InputError("--tokens: a trace has its own, allowed with known networks")
        return trace_network(open_trace(model))
    return known_network(model, tokens)


def command_line(context: typer.Context) -> str:
    """The command as it could be given again: what the user gave, the output folder by its name alone."""
    words = ["bitsim", *context.command_path.split()[1:]]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        for item in value if isinstance(value, list | tuple) else [value]:
            flag = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
            words += flag if item is True else [*flag, item.name if name == "out" else str(item)]
    return shlex.join(words)


def parse_bits(option: str, text: str) -> tuple[Bits, ...]:
    """``3/3/6,4/4/6`` as bits.  InputError naming the option."""
    from bitsim.schedules import Bits

    try:
        return tuple(Bits.parse(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def parse_grid(option: str, text: str) -> list[float]:
    """``A:B:STEP``, both ends included, or ``a,b,c``, as numbers.  InputError naming the option."""
    if ":" not in text:
        return list(dict.fromkeys(_numbers(option, text)))
    try:
        first, last, step = (Decimal(part) for part in text.split(":"))
        if step <= 0 or last < first or (last - first) / step >= MAX_GRID:
            raise ValueError
    except (ValueError, InvalidOperation):
        raise InputError(f"{option}: {text!r}, allowed: A:B:STEP with A up to B, e.g. 0.05:0.5:0.05") from None
    return [float(first + i * step) for i in range(int((last - first) / step) + 1)]


def _numbers(option: str, text: str) -> list[float]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,15}\.?\d{0,15}|\.\d{1,15}", part, re.ASCII) for part in parts):
        raise InputError(f"{option}: {text!r}, allowed: numbers separated by commas, e.g. 0.05,0.1")
    return [float(part) for part in parts]


def _iterations(option: str, text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,15}", part, re.ASCII) for part in parts):
        raise InputError(f"{option}: {text!r}, allowed: whole numbers separated by commas, e.g. 16000,32000")
    return tuple(int(part) for part in parts)


def with_float(network: Network, names: list[str] | None) -> Network:
    """`network` with the layers named in float, in place of its own choice if any are named."""
    from dataclasses import replace

    known = {layer.name for layer in network.layers}
    faults = [
        f"--float {name}: no such layer, allowed: layers of the model" for name in names or () if name not in known
    ]
    if faults:
        raise InputError(faults)
    return replace(network, float_layers=frozenset(names)) if names else network
