"""A sweep from end to end: points, what is known of them, what is left to simulate, and the table of all.

Assumptions
    - A constraint that asks only for parameters, keys of the machine, hardware and trace is decided before a point
      is simulated; others after.  Either way the point is left out of the table, and counted.
    - The order and content of the table follow from the space alone, not from the engine or what was stored before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bitsim.accelerators.registry import Machine
from bitsim.exploration.campaign import Campaign, Progress
from bitsim.exploration.checks import check
from bitsim.exploration.constraint import parse
from bitsim.exploration.engines import make_engine
from bitsim.exploration.result import OBJECTIVES, Sweep
from bitsim.exploration.search import explore
from bitsim.exploration.space import make_axes, make_space
from bitsim.exploration.store import SweepFolder
from bitsim.trace import Trace


def sweep(
    trace: Trace | Sequence[Trace],
    machine: Machine | Sequence[Machine],
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int = 1,
    backend: str = "local",
    scheduler: str | None = None,
    where: str | Sequence[str] = (),
    search: int | None = None,
    minimise: Sequence[str] = OBJECTIVES,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
    **choices: Any,
) -> Sweep:
    """Simulate every combination of `parameters` on every machine and trace.

    parameters: {"array.rows": [8, 16], "NAME:weight_buffer": "32KiB:128KiB:x2"}, values as a list or as on the
    command line.  jobs: processes; backend "dask" runs on the cluster of `scheduler` instead.  where: constraints,
    such as "array.rows * array.cols <= 512".  search: simulate only this many points, those that lead to the
    least `minimise` (multi-objective TPE).  out: a folder that keeps points as they finish; resume: go on with one.
    progress: called with (points done, points in all, records by index); note: called with remarks.
    choices: objective, passes, iterations, samples, timing, overlap as `simulate` has them.

    A point that fails is in `failures` and stops no other.  Raises InputError for bad input and for a folder that
    cannot be written, before work starts or when it fills up; EngineLostError if the cluster is lost.
    """
    traces = [trace] if isinstance(trace, Trace) else list(trace)
    machines = [machine] if isinstance(machine, Machine) else list(machine)
    sources = [one.source for one in machines]
    axes = make_axes(parameters or {}, sources)
    space = make_space(traces, sources, axes, choices)
    constraints = [parse(text) for text in ([where] if isinstance(where, str) else where)]
    check(space, constraints, minimise, search)
    engine = make_engine(backend, jobs, scheduler)
    try:
        folder = None if out is None else SweepFolder(Path(out), resume, search or len(space))
        campaign = Campaign(space, constraints, engine, folder, progress, note)
        if search is None:
            campaign.simulate(space.points())
        else:
            explore(campaign, search, minimise, seed)
        return campaign.finish()
    finally:
        engine.close()
