"""A network under a plan, written as a trace folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitsim.networks import Network
from bitsim.synthetic.plan import Plan
from bitsim.trace.reader import Trace
from bitsim.trace.writer import write_trace


def make_trace(
    folder: Path,
    network: Network,
    plan: Plan,
    batch: int,
    iterations: int,
    iterations_per_epoch: int | None = None,
    command: str | None = None,
) -> Trace:
    """Write the trace of `network` trained by `plan` to `folder`, which must not exist, labelled synthetic.

    command: what makes the trace again, kept in run.yaml.  InputError, and nothing written, if the trace does not
    pass its own checks.
    """
    as_published = (batch, iterations) == (network.batch, network.iterations)
    settings = network.settings if as_published else f"batch {batch:,} and {iterations:,} iterations as asked for"
    run: dict[str, Any] = {
        "schema": 1,
        "name": folder.name,
        "model": network.title,
        "dataset": network.dataset,
        "batch": batch,
        "iterations": iterations,
        "source": f"layers of {network.title}, not trained; {plan.described}; {settings}",
        "synthetic": True,
    }
    if iterations_per_epoch is not None:
        run["iterations_per_epoch"] = iterations_per_epoch
    if plan.losses:
        run["loss"] = {"train": list(plan.losses)}
    if command is not None:
        run["command"] = command
    return write_trace(folder, run, network.layers, plan.rows(network.layers, network.float_layers))
